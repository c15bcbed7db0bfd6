//! The header of a safetensors file: 8 bytes with its length, then JSON, then the tensors' bytes.
//!
//! Checked here: everything a file can lie about, with the tensor's name in the message. The
//! `safetensors` crate then reads the same header and has to agree.
//! Source of the format: <https://huggingface.co/docs/safetensors/index#format>.

use std::collections::BTreeMap;
use std::ops::Range;

use safetensors::{Dtype, SafeTensors};
use serde_json::{Map, Value};
use tenon_base::{Error, Result};

use crate::json;

/// The longest header that is read, in bytes: the limit of the format's reference implementation.
pub const HEADER_BYTES_MAX: u64 = 100_000_000;

const LENGTH_BYTES: usize = 8;
const METADATA_KEY: &str = "__metadata__";

/// One tensor of a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    /// Where its bytes lie, counted from the start of the file.
    pub(super) range: Range<usize>,
}

/// A header whose entries cover the file's data without overlap or hole.
#[derive(Debug)]
pub(super) struct Header {
    /// The strings under `__metadata__`.
    pub(super) metadata: BTreeMap<String, String>,
    /// In the order of their bytes.
    pub(super) entries: Vec<Entry>,
}

/// Reads the header of a whole file. `place` is the path shown in errors.
pub(super) fn parse(file: &[u8], place: &str) -> Result<Header> {
    let text = header_text(file).map_err(|error| error.at(place))?;
    let data_start = LENGTH_BYTES + text.len();
    let Value::Object(mut map) = json::parse(text, place)? else {
        return Err(Error::data("the header is not a JSON object").at(place));
    };
    let metadata = metadata(map.remove(METADATA_KEY)).map_err(|error| error.at(place))?;
    let mut entries = Vec::with_capacity(map.len());
    for (name, value) in map {
        entries.push(entry(name, value, data_start).map_err(|error| error.at(place))?);
    }
    entries.sort_by(|a, b| {
        (a.range.start, a.range.end, &a.name).cmp(&(b.range.start, b.range.end, &b.name))
    });
    check_cover(&entries, data_start, file.len()).map_err(|error| error.at(place))?;
    SafeTensors::read_metadata(file).map_err(|reason| {
        Error::data(format!("the safetensors reader refuses the file: {reason}")).at(place)
    })?;
    Ok(Header { metadata, entries })
}

/// Bytes that `shape` takes; `None` when the number overflows or is not whole.
pub(super) fn n_bytes(dtype: Dtype, shape: &[usize]) -> Option<usize> {
    let n = shape
        .iter()
        .try_fold(1usize, |n, &dim| n.checked_mul(dim))?;
    let n_bits = n.checked_mul(dtype.bitsize())?;
    n_bits.is_multiple_of(8).then_some(n_bits / 8)
}

fn header_text(file: &[u8]) -> Result<&str> {
    let Some((length, rest)) = file.split_first_chunk::<LENGTH_BYTES>() else {
        return Err(Error::data(format!(
            "the file has {} bytes, a safetensors file starts with 8 bytes of header length",
            file.len()
        )));
    };
    let n = u64::from_le_bytes(*length);
    if n > HEADER_BYTES_MAX {
        return Err(Error::data(format!(
            "the header claims {n} bytes, the limit is {HEADER_BYTES_MAX}"
        ))
        .hint("is this a safetensors file?"));
    }
    let header = usize::try_from(n)
        .ok()
        .and_then(|n| rest.get(..n))
        .ok_or_else(|| {
            Error::data(format!(
                "the header claims {n} bytes, the file has {} left",
                rest.len()
            ))
            .hint("the file is truncated; download or copy it again")
        })?;
    let text = std::str::from_utf8(header).map_err(|reason| {
        Error::data(format!(
            "the header is not UTF-8 after byte {}",
            reason.valid_up_to()
        ))
    })?;
    if !text.starts_with('{') {
        return Err(Error::data("the header does not start with `{`"));
    }
    Ok(text)
}

fn metadata(value: Option<Value>) -> Result<BTreeMap<String, String>> {
    let map = match value {
        None => return Ok(BTreeMap::new()),
        Some(Value::Object(map)) => map,
        Some(other) => {
            let kind = json::kind(&other);
            return Err(Error::data(format!(
                "`{METADATA_KEY}` is {kind}, expected an object"
            )));
        }
    };
    let strings = map.into_iter().map(|(key, value)| match value {
        Value::String(text) => Ok((key, text)),
        other => {
            let kind = json::kind(&other);
            Err(Error::data(format!(
                "`{METADATA_KEY}.{key}` is {kind}, expected a string"
            )))
        }
    });
    strings.collect()
}

fn entry(name: String, value: Value, data_start: usize) -> Result<Entry> {
    let Value::Object(mut map) = value else {
        let kind = json::kind(&value);
        return Err(Error::data(format!(
            "tensor `{name}` is {kind}, expected an object"
        )));
    };
    let dtype = take_dtype(&name, &mut map)?;
    let shape = take_list(&name, "shape", &mut map)?;
    let offsets = take_list(&name, "data_offsets", &mut map)?;
    if let Some(key) = map.keys().next() {
        return Err(Error::data(format!(
            "tensor `{name}` has the unknown key `{key}`"
        )));
    }
    let &[start, end] = offsets.as_slice() else {
        let n = offsets.len();
        return Err(Error::data(format!(
            "tensor `{name}` has {n} data offsets, expected 2"
        )));
    };
    if end < start {
        return Err(Error::data(format!(
            "tensor `{name}` ends at byte {end}, before {start}"
        )));
    }
    let expected = n_bytes(dtype, &shape).ok_or_else(|| {
        Error::data(format!(
            "tensor `{name}`: shape {shape:?} of {dtype} has no whole byte count"
        ))
    })?;
    if end - start != expected {
        return Err(Error::data(format!(
            "tensor `{name}` has {} bytes, shape {shape:?} of {dtype} takes {expected}",
            end - start
        )));
    }
    let overflow = || {
        Error::data(format!(
            "tensor `{name}` ends beyond any file, at byte {end}"
        ))
    };
    let end = data_start.checked_add(end).ok_or_else(overflow)?;
    Ok(Entry {
        dtype,
        shape,
        range: data_start + start..end,
        name,
    })
}

fn take_dtype(name: &str, map: &mut Map<String, Value>) -> Result<Dtype> {
    let value = map.remove("dtype").ok_or_else(|| missing(name, "dtype"))?;
    let shown = value.to_string();
    serde_json::from_value(value)
        .map_err(|_| Error::data(format!("tensor `{name}` has the unknown dtype {shown}")))
}

fn take_list(name: &str, key: &str, map: &mut Map<String, Value>) -> Result<Vec<usize>> {
    let value = map.remove(key).ok_or_else(|| missing(name, key))?;
    let list = value.as_array().and_then(|items| {
        items
            .iter()
            .map(|item| item.as_u64().and_then(|n| usize::try_from(n).ok()))
            .collect()
    });
    list.ok_or_else(|| {
        Error::data(format!(
            "tensor `{name}`: `{key}` is {value}, expected non-negative integers"
        ))
    })
}

fn missing(name: &str, key: &str) -> Error {
    Error::data(format!("tensor `{name}` has no `{key}`"))
}

/// Entries, sorted by offset, cover `data_start..file_len` exactly.
fn check_cover(entries: &[Entry], data_start: usize, file_len: usize) -> Result<()> {
    let mut reached = data_start;
    let mut before = "the header";
    for Entry { name, range, .. } in entries {
        let at = range.start - data_start;
        if range.start < reached {
            return Err(Error::data(format!(
                "tensor `{name}` overlaps `{before}` at byte {at}"
            )));
        }
        if range.start > reached {
            let hole = range.start - reached;
            return Err(Error::data(format!(
                "{hole} bytes before tensor `{name}` at byte {at} belong to no tensor"
            )));
        }
        if range.end > file_len {
            return Err(Error::data(format!(
                "tensor `{name}` ends {} bytes after the end of the file",
                range.end - file_len
            ))
            .hint("the file is truncated; download or copy it again"));
        }
        reached = range.end;
        before = name;
    }
    if reached != file_len {
        let extra = file_len - reached;
        return Err(Error::data(format!(
            "{extra} trailing bytes belong to no tensor"
        )));
    }
    Ok(())
}

#[cfg(test)]
#[path = "header_tests.rs"]
mod tests;
