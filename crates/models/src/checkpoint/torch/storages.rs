//! Where the storages of a checkpoint lie in its file.

use std::collections::BTreeMap;
use std::ops::Range;

use tenon_base::{Error, Result};

use super::super::header::Entry;
use super::super::pickle::{Heap, Node, Storage, Tensor};
use super::legacy;
use super::strided::Strided;
use super::zip::Archive;

/// Key → bytes of the file.
#[derive(Debug)]
pub(super) struct Storages(BTreeMap<String, Range<usize>>);

impl Storages {
    /// The storages of an archive: one entry each, as long as the pickle says.
    pub(super) fn of_archive(heap: &Heap, archive: &Archive<'_>) -> Result<Self> {
        let mut places = BTreeMap::new();
        for (key, storage) in described(heap)? {
            let range = archive.storage(key)?;
            let n = n_bytes(storage)?;
            if range.len() != n {
                return Err(Error::data(format!(
                    "the storage `{key}` has {} bytes, the pickle says {n}",
                    range.len()
                )));
            }
            places.insert(key.to_owned(), range);
        }
        Ok(Storages(places))
    }

    /// The storages that follow the pickles of the older format from byte `start` on.
    pub(super) fn of_legacy(heap: &Heap, file: &[u8], start: usize) -> Result<Self> {
        let mut described = described(heap)?;
        let (keys, mut at) = legacy::keys(file, start)?;
        let mut places = BTreeMap::new();
        for key in keys {
            let Some(storage) = described.remove(key.as_str()) else {
                return Err(Error::data(format!(
                    "the storage `{key}` is listed twice, or unknown to the pickle"
                )));
            };
            let range = legacy::storage(file, at, &key, storage.n, n_bytes(storage)?)?;
            at = range.end;
            places.insert(key, range);
        }
        if let Some(key) = described.keys().next() {
            return Err(Error::data(format!(
                "the storage `{key}` is not in the file"
            )));
        }
        if at != file.len() {
            let n = file.len() - at;
            return Err(Error::data(format!(
                "{n} trailing bytes belong to no storage"
            )));
        }
        Ok(Storages(places))
    }

    /// A tensor's place in the file.
    pub(super) fn entry(&self, name: String, tensor: &Tensor) -> Result<(Entry, Option<Strided>)> {
        let key = &*tensor.storage.key;
        let storage = self.0.get(key).ok_or_else(|| {
            Error::data(format!("tensor `{name}` is in the unknown storage `{key}`"))
        })?;
        let item = tensor.dtype.bitsize() / 8;
        let span = Strided::span(&tensor.shape, &tensor.strides);
        let range = tensor.offset.checked_mul(item).and_then(|start| {
            let start = storage.start.checked_add(start)?;
            let end = start.checked_add(span?.checked_mul(item)?)?;
            (end <= storage.end).then_some(start..end)
        });
        let Some(range) = range else {
            return Err(Error::data(format!(
                "tensor `{name}` leaves its storage `{key}`"
            )));
        };
        let strided = Strided::new(&tensor.shape, &tensor.strides, item);
        let entry = Entry {
            name,
            dtype: tensor.dtype,
            shape: tensor.shape.clone(),
            range,
        };
        Ok((entry, strided))
    }
}

/// The storages that a pickle names, those of what is left out as well.
fn described(heap: &Heap) -> Result<BTreeMap<&str, &Storage>> {
    let mut described = BTreeMap::new();
    for node in heap.nodes() {
        let Node::Storage(storage) = node else {
            continue;
        };
        let key = &*storage.key;
        if *described.entry(key).or_insert(storage) != storage {
            return Err(Error::data(format!(
                "the pickle describes the storage `{key}` in two ways"
            )));
        }
    }
    Ok(described)
}

fn n_bytes(storage: &Storage) -> Result<usize> {
    let item = storage.dtype.map_or(1, |dtype| dtype.bitsize() / 8);
    storage.n.checked_mul(item).ok_or_else(|| {
        let key = &storage.key;
        Error::data(format!("the storage `{key}` is larger than any file"))
    })
}
