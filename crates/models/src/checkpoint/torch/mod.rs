//! Checkpoints that PyTorch saved, read without executing anything: the zip archives of version 1.6
//! and later, and the stream of pickles before it. Tensors are views into the mapped file.

mod legacy;
mod state;
mod storages;
mod strided;
mod zip;

use std::path::Path;

use tenon_base::{Error, Result};

use super::header::Entry;
use super::pickle::{Scope, load};
use storages::Storages;
pub(super) use strided::Strided;

/// Endings of files that PyTorch writes.
const EXTENSIONS: &[&str] = &["bin", "pt", "pth", "ckpt"];

/// How many times a file's length its tensors may take that are copied because they are not
/// contiguous: a few bytes may not stand for memory without end.
const GATHERED_TIMES_MAX: usize = 4;

/// The tensors of a file.
#[derive(Debug)]
pub(super) struct TorchFile {
    /// In the order of their bytes. Of a tensor that is not contiguous, the range is what it spans.
    pub(super) tensors: Vec<(Entry, Option<Strided>)>,
    /// The keys of what is no tensor and was left out.
    pub(super) skipped: Vec<String>,
}

/// Whether a path is named like a checkpoint of PyTorch.
pub(super) fn is_named(path: &Path) -> bool {
    let extension = path.extension().and_then(|extension| extension.to_str());
    extension.is_some_and(|extension| EXTENSIONS.contains(&extension))
}

/// Reads a whole file but its tensors' bytes. `place` is the path shown in errors.
pub(super) fn parse(file: &[u8], place: &str) -> Result<TorchFile> {
    read(file).map_err(|error| error.at(place))
}

fn read(file: &[u8]) -> Result<TorchFile> {
    if let Some(magic_end) = legacy::magic(file) {
        let (loaded, start) = legacy::load_pickles(file, magic_end)?;
        let storages = Storages::of_legacy(&loaded.heap, file, start)?;
        return collect(file, &loaded, &storages);
    }
    if !file.starts_with(zip::SIGNATURE) {
        return Err(Error::data("the file is no archive of PyTorch").hint(
            "PyTorch's files start with `PK` since version 1.6; save it again with a current \
             version, or convert it to safetensors on a machine that trusts it",
        ));
    }
    let archive = zip::Archive::open(file)?;
    let loaded = load(archive.pickle()?, Scope::Tensors)?;
    let n_after = archive.pickle()?.len() - loaded.n_bytes;
    if n_after > 0 {
        return Err(Error::data(format!(
            "{n_after} bytes follow the pickle in `data.pkl`"
        )));
    }
    let storages = Storages::of_archive(&loaded.heap, &archive)?;
    collect(file, &loaded, &storages)
}

fn collect(file: &[u8], loaded: &super::pickle::Loaded, storages: &Storages) -> Result<TorchFile> {
    let (found, skipped) = state::tensors(loaded)?;
    let mut tensors = Vec::with_capacity(found.len());
    let mut n_gathered = 0usize;
    for (name, tensor) in found {
        let (entry, strided) = storages.entry(name, tensor)?;
        if strided.is_some() {
            let n = entry.shape.iter().product::<usize>() * (entry.dtype.bitsize() / 8);
            n_gathered = n_gathered.saturating_add(n);
        }
        tensors.push((entry, strided));
    }
    if n_gathered / GATHERED_TIMES_MAX > file.len() {
        return Err(Error::data(format!(
            "the tensors that are not contiguous take {n_gathered} bytes, more than \
             {GATHERED_TIMES_MAX} times the file's {}",
            file.len()
        ))
        .hint("save them with `.contiguous()`"));
    }
    tensors.sort_by(|(a, _), (b, _)| {
        (a.range.start, a.range.end, &a.name).cmp(&(b.range.start, b.range.end, &b.name))
    });
    Ok(TorchFile { tensors, skipped })
}
