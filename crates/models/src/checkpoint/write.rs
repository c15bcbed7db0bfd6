//! Writing a safetensors file: header first, then each tensor streamed, the whole file atomically.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::Path;

use safetensors::Dtype;
use serde_json::{Map, Value, json};
use tenon_base::files::Disk;
use tenon_base::{Error, Result};

use super::header::n_bytes;

/// The name, type and shape of a tensor that is about to be written.
#[derive(Clone, Debug, PartialEq)]
pub struct Slot {
    /// The name in the file.
    pub name: String,
    /// The type of its elements.
    pub dtype: Dtype,
    /// Outermost dimension first.
    pub shape: Vec<usize>,
}

/// In which order tensors are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As given.
    Given,
    /// Widest elements first, then by name: every tensor is aligned to its element.
    Sorted,
}

/// Fills one tensor: writes exactly its bytes, little-endian, row-major.
pub type FillTensor<'a> = &'a mut dyn FnMut(&Slot, &mut dyn Write) -> io::Result<()>;

/// Replaces `path` by a safetensors file, atomically. See [`write_to`].
pub fn write(
    disk: &dyn Disk,
    path: &Path,
    slots: &[Slot],
    order: Order,
    metadata: &BTreeMap<String, String>,
    fill: FillTensor<'_>,
) -> Result<()> {
    // Names and shapes are judged before the disk is touched: an error of theirs is not of kind io.
    let header =
        header(slots, order, metadata).map_err(|error| error.at(path.to_string_lossy()))?;
    disk.write_atomic_with(path, &mut |file| stream(file, &header, fill))
}

/// Streams a safetensors file to `sink`: `fill` is called once per tensor, in file order.
///
/// The same slots, order and metadata give the same header bytes. `format: pt`, which
/// `transformers` asks for, is added to the metadata unless it names a format. Fails when two slots
/// share a name, when a shape overflows, or when `fill` writes another number of bytes than the
/// shape takes.
pub fn write_to(
    sink: &mut dyn Write,
    slots: &[Slot],
    order: Order,
    metadata: &BTreeMap<String, String>,
    fill: FillTensor<'_>,
) -> Result<()> {
    let header = header(slots, order, metadata)?;
    stream(sink, &header, fill)
        .map_err(|reason| Error::io("cannot write", Path::new("safetensors stream"), &reason))
}

struct Plan<'a> {
    /// Length and JSON.
    head: Vec<u8>,
    /// In file order, with the bytes each takes.
    slots: Vec<(&'a Slot, usize)>,
}

fn header<'a>(
    slots: &'a [Slot],
    order: Order,
    metadata: &BTreeMap<String, String>,
) -> Result<Plan<'a>> {
    let mut ordered: Vec<&Slot> = slots.iter().collect();
    if order == Order::Sorted {
        ordered.sort_by(|a, b| {
            b.dtype
                .bitsize()
                .cmp(&a.dtype.bitsize())
                .then_with(|| a.name.cmp(&b.name))
        });
    }
    let mut strings = Map::new();
    if !metadata.contains_key("format") {
        strings.insert("format".to_owned(), json!("pt"));
    }
    strings.extend(
        metadata
            .iter()
            .map(|(key, value)| (key.clone(), json!(value))),
    );
    let mut map = Map::new();
    map.insert("__metadata__".to_owned(), Value::Object(strings));
    let mut names = BTreeSet::from(["__metadata__"]);
    let mut sized = Vec::with_capacity(slots.len());
    let mut end = 0usize;
    for slot in ordered {
        let Slot { name, dtype, shape } = slot;
        if !names.insert(name) {
            return Err(Error::data(format!(
                "tensor `{name}` would be written twice"
            )));
        }
        let start = end;
        let n = n_bytes(*dtype, shape);
        end = n.and_then(|n| start.checked_add(n)).ok_or_else(|| {
            Error::data(format!(
                "tensor `{name}`: shape {shape:?} of {dtype} is too large"
            ))
        })?;
        sized.push((slot, end - start));
        let entry = json!({
            "dtype": dtype.to_string(), "shape": shape, "data_offsets": [start, end],
        });
        map.insert(name.clone(), entry);
    }
    let mut text = Value::Object(map).to_string().into_bytes();
    // Spaces up to a multiple of 8, so that the first tensor is aligned.
    text.resize(text.len().next_multiple_of(8), b' ');
    if text.len() as u64 > super::HEADER_BYTES_MAX {
        return Err(Error::data(format!(
            "{} tensors need too long a header",
            slots.len()
        )));
    }
    let mut head = (text.len() as u64).to_le_bytes().to_vec();
    head.append(&mut text);
    Ok(Plan { head, slots: sized })
}

fn stream(sink: &mut dyn Write, plan: &Plan<'_>, fill: FillTensor<'_>) -> io::Result<()> {
    sink.write_all(&plan.head)?;
    for &(slot, n_bytes) in &plan.slots {
        let mut counted = Counted { sink, n_bytes: 0 };
        fill(slot, &mut counted)?;
        if counted.n_bytes != n_bytes {
            return Err(io::Error::other(format!(
                "tensor `{}` was given {} bytes, its shape takes {n_bytes}",
                slot.name, counted.n_bytes
            )));
        }
    }
    Ok(())
}

struct Counted<'a> {
    sink: &'a mut dyn Write,
    n_bytes: usize,
}

impl Write for Counted<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.sink.write(bytes)?;
        self.n_bytes += n;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.sink.flush()
    }
}
