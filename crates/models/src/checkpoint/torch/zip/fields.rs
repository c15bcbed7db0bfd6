//! Fields of zip records.

use tenon_base::{Error, Result};

const ZIP64_EXTRA: u16 = 1;

/// Little-endian fields of a record, one after the other.
pub(super) struct Fields<'a>(pub(super) &'a [u8]);

impl<'a> Fields<'a> {
    pub(super) fn at(file: &'a [u8], start: usize) -> Fields<'a> {
        Fields(file.get(start..).unwrap_or_default())
    }

    pub(super) fn take(&mut self, n: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(n).ok_or_else(truncated)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn u16(&mut self) -> Result<u16> {
        let bytes = self.take(2)?;
        Ok(u16::from_le_bytes(bytes.try_into().expect("two bytes")))
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        let bytes = self.take(4)?;
        Ok(u32::from_le_bytes(bytes.try_into().expect("four bytes")))
    }

    pub(super) fn u64(&mut self) -> Result<u64> {
        let bytes = self.take(8)?;
        Ok(u64::from_le_bytes(bytes.try_into().expect("eight bytes")))
    }
}

pub(super) fn truncated() -> Error {
    Error::data("the archive ends inside a record")
        .hint("the file is truncated; download or copy it again")
}

/// The zip64 field of an entry's extra fields; empty when there is none.
pub(super) fn zip64(extra: &[u8]) -> Result<&[u8]> {
    let mut fields = Fields(extra);
    let mut found: &[u8] = &[];
    while !fields.0.is_empty() {
        let (id, n) = (fields.u16()?, fields.u16()?);
        let content = fields.take(n.into())?;
        if id == ZIP64_EXTRA {
            if !found.is_empty() {
                return Err(Error::data("an entry has two zip64 fields"));
            }
            found = content;
        }
    }
    Ok(found)
}

/// A number that lies in the zip64 field when four bytes are too few.
pub(super) fn widened(short: u32, wide: &mut Fields<'_>) -> Result<u64> {
    match short {
        u32::MAX => wide.u64(),
        _ => Ok(short.into()),
    }
}
