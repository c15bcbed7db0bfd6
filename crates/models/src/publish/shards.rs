//! Weights in files of bounded size, with an index where they are several.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde_json::json;
use tenon_base::files::Disk;
use tenon_base::hash::Hasher;
use tenon_base::{Error, Result};

use crate::checkpoint::{self, FillTensor, INDEX_FILE, Order, SINGLE_FILE, Slot};

/// How large a file may become by default, as in `transformers`.
pub(crate) const MAX_SHARD_BYTES: u64 = 5_000_000_000;
/// Behind the name of a shard that waits for the others.
const WAITING: &str = ".waiting";

/// A file that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WrittenFile {
    /// Its name in the folder.
    pub name: String,
    /// SHA-256 of its bytes.
    pub sha256: String,
}

/// Writes the tensors into `folder`, in the given order, as one file or as shards of at most
/// `max_bytes` (a larger tensor has a shard of its own). Weights that were there in other files are
/// removed when the new ones are complete. A crash leaves the old weights, the new ones, or no
/// index: never some of both.
pub(crate) fn write(
    disk: &dyn Disk,
    folder: &Path,
    slots: &[Slot],
    metadata: &BTreeMap<String, String>,
    max_bytes: u64,
    fill: FillTensor<'_>,
) -> Result<Vec<WrittenFile>> {
    let shards = split(slots, max_bytes);
    let n = shards.len();
    if n == 1 {
        let sha256 = write_hashed(disk, &folder.join(SINGLE_FILE), slots, metadata, fill)?;
        remove_others(disk, folder, &BTreeSet::from([SINGLE_FILE.to_owned()]))?;
        let name = SINGLE_FILE.to_owned();
        return Ok(vec![WrittenFile { name, sha256 }]);
    }
    let mut files = Vec::with_capacity(n);
    let mut places = BTreeMap::new();
    for (i, shard) in shards.iter().enumerate() {
        let name = format!("model-{:05}-of-{n:05}.safetensors", i + 1);
        let path = folder.join(format!("{name}{WAITING}"));
        let sha256 = write_hashed(disk, &path, shard, metadata, fill)?;
        places.extend(shard.iter().map(|slot| (slot.name.clone(), name.clone())));
        files.push(WrittenFile { name, sha256 });
    }
    // An index of equally many shards would name new and old ones together: without one, a crash
    // from here on leaves a folder that is refused.
    let index_path = folder.join(INDEX_FILE);
    if disk.exists(&index_path)? {
        disk.remove_file(&index_path)?;
    }
    for file in &files {
        let waiting = folder.join(format!("{}{WAITING}", file.name));
        disk.rename(&waiting, &folder.join(&file.name))?;
    }
    let total: u64 = slots.iter().map(n_bytes).sum();
    let index = json!({"metadata": {"total_size": total}, "weight_map": places});
    disk.write_atomic(&index_path, format!("{index:#}\n").as_bytes())?;
    let mut new: BTreeSet<String> = files.iter().map(|file| file.name.clone()).collect();
    new.insert(INDEX_FILE.to_owned());
    remove_others(disk, folder, &new)?;
    Ok(files)
}

fn n_bytes(slot: &Slot) -> u64 {
    let n: usize = slot.shape.iter().product();
    (n * slot.dtype.bitsize() / 8) as u64
}

/// Consecutive slots that fit into one file together.
fn split(slots: &[Slot], max_bytes: u64) -> Vec<&[Slot]> {
    let mut ends = Vec::new();
    let mut size = 0;
    for (i, slot) in slots.iter().enumerate() {
        let own = n_bytes(slot);
        if size > 0 && size + own > max_bytes {
            ends.push(i);
            size = 0;
        }
        size += own;
    }
    ends.push(slots.len());
    let starts = [0].into_iter().chain(ends.iter().copied());
    starts
        .zip(&ends)
        .map(|(start, &end)| &slots[start..end])
        .collect()
}

fn write_hashed(
    disk: &dyn Disk,
    path: &Path,
    slots: &[Slot],
    metadata: &BTreeMap<String, String>,
    fill: FillTensor<'_>,
) -> Result<String> {
    let mut hash = None;
    let mut impossible = None;
    let written = disk.write_atomic_with(path, &mut |file| {
        let mut sink = Hashed {
            file,
            hasher: Hasher::default(),
            n_bytes: 0,
        };
        let done = checkpoint::write_to(&mut sink, slots, Order::Sorted, metadata, fill);
        let (hasher, n_bytes) = (sink.hasher, sink.n_bytes);
        match done {
            Ok(()) => hash = Some(hasher.finish()),
            Err(error) => {
                let reason = io::Error::other(error.to_string());
                // Names and shapes are judged before the first byte.
                if n_bytes == 0 {
                    impossible = Some(error);
                }
                return Err(reason);
            }
        }
        Ok(())
    });
    match (written, hash, impossible) {
        (Ok(()), Some(hash), _) => Ok(hash),
        (_, _, Some(error)) => Err(error.at(path.display().to_string())),
        (Err(error), ..) => Err(error),
        (Ok(()), None, None) => {
            Err(Error::data("a file was not written").at(path.display().to_string()))
        }
    }
}

struct Hashed<'a> {
    file: &'a mut dyn Write,
    hasher: Hasher,
    n_bytes: usize,
}

impl Write for Hashed<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let n = self.file.write(bytes)?;
        self.hasher.update(&bytes[..n]);
        self.n_bytes += n;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Removes weights under other names, an index before its shards: what it names is there or it is
/// not.
fn remove_others(disk: &dyn Disk, folder: &Path, new: &BTreeSet<String>) -> Result<()> {
    let others = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| is_weights(name) && !new.contains(name))
    };
    let mut old: Vec<PathBuf> = disk.list(folder)?.into_iter().filter(others).collect();
    old.sort_by_key(|path| path.extension().is_none_or(|extension| extension != "json"));
    old.iter().try_for_each(|path| disk.remove_file(path))
}

fn is_weights(name: &str) -> bool {
    let name = name.strip_suffix(WAITING).unwrap_or(name);
    let shard = |name: &str| {
        let middle = name.strip_prefix("model-")?.strip_suffix(".safetensors")?;
        let (i, n) = middle.split_once("-of-")?;
        let number = |text: &str| text.len() == 5 && text.bytes().all(|b| b.is_ascii_digit());
        Some(number(i) && number(n))
    };
    name == SINGLE_FILE || name == INDEX_FILE || shard(name) == Some(true)
}
