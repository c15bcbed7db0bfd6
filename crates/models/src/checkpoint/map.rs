//! A file mapped into memory, read only.
#![expect(
    unsafe_code,
    reason = "mapping a file is unsafe by nature; this is the only place"
)]

use std::fs::File;
use std::ops::Range;
use std::path::Path;

use tenon_base::{Error, Result};

/// The bytes of a file, mapped read-only.
#[derive(Debug)]
pub(super) struct Map {
    // A file without bytes cannot be mapped on every system.
    bytes: Option<memmap2::Mmap>,
}

impl Map {
    /// Maps `path`. Fails when it cannot be opened, is not a regular file or cannot be mapped.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|reason| Error::io("cannot open", path, &reason))?;
        let meta = file
            .metadata()
            .map_err(|reason| Error::io("cannot read", path, &reason))?;
        if !meta.is_file() {
            return Err(Error::data(format!(
                "`{}` is not a regular file",
                path.display()
            )));
        }
        if meta.len() == 0 {
            return Ok(Map { bytes: None });
        }
        // SAFETY: the map is private to this type and only ever read. Another process that shortens
        // the file while it is mapped can end this one with a bus error; every reader of mapped
        // weights accepts that, and our own writers replace files by renaming, never in place.
        let bytes = unsafe { memmap2::Mmap::map(&file) };
        let bytes = bytes.map_err(|reason| Error::io("cannot map", path, &reason))?;
        Ok(Map { bytes: Some(bytes) })
    }

    /// Gives the memory behind a range of the bytes back to the system, which reads them from the
    /// file again when they are looked at. Where the system has no such advice, nothing happens.
    pub(super) fn release(&self, range: Range<usize>) {
        #[cfg(not(unix))]
        drop(range);
        #[cfg(unix)]
        if let Some(map) = &self.bytes {
            let advice = memmap2::UncheckedAdvice::DontNeed;
            // SAFETY: a read-only map of a file loses nothing when its pages are dropped: they are
            // read from the file again, with the same bytes as long as nobody changes it. Advice
            // that is refused leaves the pages where they are.
            let _ = unsafe { map.unchecked_advise_range(advice, range.start, range.len()) };
        }
    }

    /// The file's bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or_default()
    }
}
