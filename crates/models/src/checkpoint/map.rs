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

    /// The file's bytes.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.as_deref().unwrap_or_default()
    }

    /// Where `bytes` lies in the file, when it is a part of [`Map::bytes`].
    pub(super) fn range_of(&self, bytes: &[u8]) -> Option<Range<usize>> {
        let all = self.bytes().as_ptr_range();
        let part = bytes.as_ptr_range();
        let inside = all.start <= part.start && part.end <= all.end;
        let start = (part.start as usize).checked_sub(all.start as usize)?;
        inside.then(|| start..start + bytes.len())
    }

    /// Lets the system take the pages of a range out of the program's memory; when they are read
    /// again, they come from the file. A system that cannot do that loses nothing.
    pub(super) fn release(&self, range: Range<usize>) {
        #[cfg(unix)]
        if let Some(map) = &self.bytes {
            // SAFETY: nobody writes to a read-only map of a file, so its pages hold what the file
            // holds, and reading them again gives the same.
            let advised = unsafe {
                map.unchecked_advise_range(
                    memmap2::UncheckedAdvice::DontNeed,
                    range.start,
                    range.len(),
                )
            };
            // Only advice.
            advised.unwrap_or_default();
        }
        #[cfg(not(unix))]
        let _ = range;
    }
}
