//! The format before PyTorch 1.6: a magic number, a protocol version and facts of the machine, the
//! object, and the keys of its storages, five pickles in a row; then each storage, its length
//! first.

use std::ops::Range;

use tenon_base::{Error, Result};

use super::super::pickle::{Heap, Loaded, Node, Scope, Value, load};

/// The magic number 0x1950a86a20f9469cfc6c as a pickle without its protocol: LONG1, STOP.
const MAGIC: &[u8] = b"\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
/// PROTO without its version.
const PROTO: &[u8] = b"\x80";
/// FRAME with the length of [`MAGIC`], which stands before it since protocol 4.
const FRAME: &[u8] = b"\x95\x0d\0\0\0\0\0\0\0";
/// The only version of the format.
const PROTOCOL: i64 = 1001;
/// Bytes of a storage's length.
const LENGTH_BYTES: usize = 8;

/// Where the magic number's pickle ends, when the file starts with it.
pub(super) fn magic(file: &[u8]) -> Option<usize> {
    let (_version, rest) = file.strip_prefix(PROTO)?.split_first()?;
    let rest = rest.strip_prefix(FRAME).unwrap_or(rest);
    Some(file.len() - rest.strip_prefix(MAGIC)?.len())
}

/// The pickle of the object, and where it ends in the file; the magic number's ends at `at`.
pub(super) fn load_pickles(file: &[u8], mut at: usize) -> Result<(Loaded, usize)> {
    let version = load(&file[at..], Scope::Plain)?;
    if version.root != Value::Int(PROTOCOL) {
        return Err(Error::data(format!(
            "the file's protocol is {:?}, expected {PROTOCOL}",
            version.root
        )));
    }
    at += version.n_bytes;
    let system = load(&file[at..], Scope::Plain)?;
    let is_little = fact(&system.heap, &system.root, "little_endian");
    if is_little != Some(&Value::Bool(true)) {
        return Err(
            Error::data("the file does not say that it is little-endian")
                .hint("save it again on a little-endian machine"),
        );
    }
    at += system.n_bytes;
    let loaded = load(&file[at..], Scope::Tensors)?;
    at += loaded.n_bytes;
    Ok((loaded, at))
}

fn fact<'a>(heap: &'a Heap, facts: &Value, name: &str) -> Option<&'a Value> {
    let mut facts = heap.dict(facts)?.iter();
    let is_named = |key: &Value| matches!(key, Value::Text(text) if &**text == name);
    facts.find_map(|(key, value)| is_named(key).then_some(value))
}

/// The keys of the storages in their order, and where the first starts.
pub(super) fn keys(file: &[u8], start: usize) -> Result<(Vec<String>, usize)> {
    let list = load(&file[start..], Scope::Plain)?;
    let Some(Node::List(items)) = list.heap.node(&list.root) else {
        return Err(Error::data("the keys of the storages are no list"));
    };
    let key = |item: &Value| match item {
        Value::Text(key) => Ok(key.to_string()),
        _ => Err(Error::data("the key of a storage is no text")),
    };
    let keys: Result<Vec<String>> = items.iter().map(key).collect();
    Ok((keys?, start + list.n_bytes))
}

/// The bytes of the storage whose length lies at byte `at`.
pub(super) fn storage(
    file: &[u8],
    at: usize,
    key: &str,
    n: usize,
    n_bytes: usize,
) -> Result<Range<usize>> {
    let left = &file[at..];
    let Some((length, rest)) = left.split_first_chunk::<LENGTH_BYTES>() else {
        return Err(
            Error::data(format!("the file ends before the storage `{key}`"))
                .hint("the file is truncated; download or copy it again"),
        );
    };
    let length = u64::from_le_bytes(*length);
    if length != n as u64 {
        return Err(Error::data(format!(
            "the storage `{key}` has {length} elements, the pickle says {n}"
        )));
    }
    if rest.len() < n_bytes {
        return Err(Error::data(format!(
            "the storage `{key}` takes {n_bytes} bytes, the file has {} left",
            rest.len()
        ))
        .hint("the file is truncated; download or copy it again"));
    }
    let start = at + LENGTH_BYTES;
    Ok(start..start + n_bytes)
}
