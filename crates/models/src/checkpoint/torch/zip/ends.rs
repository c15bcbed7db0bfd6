//! The records at the end of an archive, which say where its directory lies.

use std::ops::Range;

use tenon_base::{Error, Result};

use super::fields::{Fields, truncated};

const END: u32 = 0x0605_4b50;
const END64: u32 = 0x0606_4b50;
const LOCATOR64: u32 = 0x0706_4b50;
const END_BYTES: usize = 22;
const END64_BYTES: usize = 56;
const LOCATOR64_BYTES: usize = 20;
/// An end64 record counts its bytes from after its own length.
const END64_COUNTED: u64 = 44;

/// The central directory: its bytes in the file, and its number of entries.
pub(super) struct Directory {
    pub(super) range: Range<usize>,
    pub(super) n_entries: u64,
}

/// Finds the directory from the records at the end of the file.
pub(super) fn directory(file: &[u8]) -> Result<Directory> {
    let end_at = file.len().checked_sub(END_BYTES).ok_or_else(truncated)?;
    let mut end = Fields::at(file, end_at);
    if end.u32()? != END {
        return Err(Error::data("the file does not end with a zip directory")
            .hint("the file is truncated, or something was appended; download or copy it again"));
    }
    let disks = (end.u16()?, end.u16()?);
    let (n_here, n_entries) = (end.u16()?, end.u16()?);
    let (n_bytes, start) = (end.u32()?, end.u32()?);
    if disks != (0, 0) || n_here != n_entries || end.u16()? != 0 {
        return Err(Error::data(
            "the zip directory has several disks or a comment",
        ));
    }
    let short = (u64::from(n_entries), u64::from(n_bytes), u64::from(start));
    let (long, directory_end) = match end64(file, end_at)? {
        Some(long) => (long, end_at - LOCATOR64_BYTES - END64_BYTES),
        None => (short, end_at),
    };
    let agrees = |short: u64, long: u64, sentinel: u64| short == long.min(sentinel);
    if !agrees(short.0, long.0, u16::MAX.into())
        || !agrees(short.1, long.1, u32::MAX.into())
        || !agrees(short.2, long.2, u32::MAX.into())
    {
        return Err(Error::data("the zip directory's two ends disagree"));
    }
    let (n_entries, n_bytes, start) = long;
    let range = usize::try_from(start).ok().and_then(|start| {
        let end = start.checked_add(usize::try_from(n_bytes).ok()?)?;
        (end == directory_end).then_some(start..end)
    });
    match range {
        Some(range) => Ok(Directory { range, n_entries }),
        None => Err(Error::data(format!(
            "the zip directory claims {n_bytes} bytes from byte {start} on, it ends at byte \
             {directory_end}"
        ))),
    }
}

/// Entries, bytes and start of the directory out of the zip64 records, where there are any.
fn end64(file: &[u8], end_at: usize) -> Result<Option<(u64, u64, u64)>> {
    let Some(locator_at) = end_at.checked_sub(LOCATOR64_BYTES) else {
        return Ok(None);
    };
    let mut locator = Fields::at(file, locator_at);
    if locator.u32()? != LOCATOR64 {
        return Ok(None);
    }
    let record_at = locator_at.checked_sub(END64_BYTES).ok_or_else(truncated)?;
    let wrong = || Error::data("the zip64 records disagree with the file");
    if (locator.u32()?, locator.u64()?, locator.u32()?) != (0, record_at as u64, 1) {
        return Err(wrong());
    }
    let mut record = Fields::at(file, record_at);
    if record.u32()? != END64 || record.u64()? != END64_COUNTED {
        return Err(wrong());
    }
    // Versions of writer and format.
    record.take(4)?;
    let disks = (record.u32()?, record.u32()?);
    let (n_here, n_entries) = (record.u64()?, record.u64()?);
    if disks != (0, 0) || n_here != n_entries {
        return Err(wrong());
    }
    Ok(Some((n_entries, record.u64()?, record.u64()?)))
}
