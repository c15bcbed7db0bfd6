//! Zip archives as PyTorch writes them: entries one after the other without holes, stored as they
//! are, under one folder. An archive that says anything twice, and differently, is refused.
//!
//! The checksum of the pickle and the byte order is checked, unless it is 0, as of archives saved
//! without checksums. Those of storages are not: that would read all weights when a file is opened.
//! Source of the format: PKWARE's APPNOTE.TXT 6.3, sections 4.3 to 4.5.

mod ends;
mod fields;

use std::collections::BTreeMap;
use std::ops::Range;

use tenon_base::{Error, Result};

use ends::{Directory, directory};
use fields::{Fields, widened, zip64};

/// How a zip archive starts.
pub(super) const SIGNATURE: &[u8] = b"PK\x03\x04";
const CENTRAL: u32 = 0x0201_4b50;
const LOCAL: u32 = 0x0403_4b50;
const DESCRIPTOR: u32 = 0x0807_4b50;

const CENTRAL_BYTES: usize = 46;
const LOCAL_BYTES: usize = 30;

/// Flag: sizes and checksum follow the data.
const HAS_DESCRIPTOR: u16 = 1 << 3;
/// Flag: the name is UTF-8.
const IS_UTF8: u16 = 1 << 11;

/// An archive.
#[derive(Debug)]
pub(super) struct Archive<'a> {
    file: &'a [u8],
    /// The folder of all entries, with its slash.
    root: String,
    entries: BTreeMap<String, Place>,
}

/// Where an entry's bytes lie.
#[derive(Clone, Debug)]
struct Place {
    data: Range<usize>,
    crc: u32,
}

impl<'a> Archive<'a> {
    /// Reads the directory and every entry's own header, and checks the byte order.
    pub(super) fn open(file: &'a [u8]) -> Result<Self> {
        let directory = directory(file)?;
        let entries = entries(file, directory)?;
        let root = root(&entries)?;
        let archive = Archive {
            file,
            root,
            entries,
        };
        for name in ["constants.pkl", "code/"] {
            let name = format!("{}{name}", archive.root);
            if archive.entries.keys().any(|entry| entry.starts_with(&name)) {
                return Err(
                    Error::data("the file is a TorchScript archive, which is a program")
                        .hint("save the model's `state_dict()` instead"),
                );
            }
        }
        if let Some(order) = archive.checked("byteorder")?
            && order != b"little"
        {
            return Err(Error::data(format!(
                "the byte order is `{}`, expected `little`",
                order.escape_ascii()
            ))
            .hint("save it again on a little-endian machine"));
        }
        Ok(archive)
    }

    /// The pickle of the object.
    pub(super) fn pickle(&self) -> Result<&'a [u8]> {
        let pickle = self.checked("data.pkl")?;
        pickle.ok_or_else(|| Error::data("the archive has no `data.pkl`"))
    }

    /// The bytes of the storage `key`, in the file.
    pub(super) fn storage(&self, key: &str) -> Result<Range<usize>> {
        let name = format!("{}data/{key}", self.root);
        match self.entries.get(&name) {
            Some(place) => Ok(place.data.clone()),
            None => Err(Error::data(format!("the archive has no storage `{name}`"))),
        }
    }

    fn checked(&self, name: &str) -> Result<Option<&'a [u8]>> {
        let name = format!("{}{name}", self.root);
        let Some(place) = self.entries.get(&name) else {
            return Ok(None);
        };
        let bytes = &self.file[place.data.clone()];
        if place.crc != 0 && crc32fast::hash(bytes) != place.crc {
            return Err(Error::data(format!("the checksum of `{name}` is wrong"))
                .hint("the file is damaged; download or copy it again"));
        }
        Ok(Some(bytes))
    }
}

/// What the directory says of an entry.
#[derive(Debug)]
struct Listed {
    name: String,
    flags: u16,
    crc: u32,
    n_bytes: u64,
    header_at: u64,
}

fn entries(file: &[u8], directory: Directory) -> Result<BTreeMap<String, Place>> {
    let mut fields = Fields(&file[directory.range.clone()]);
    let mut listed = Vec::new();
    while !fields.0.is_empty() {
        listed.push(central(&mut fields)?);
    }
    if listed.len() as u64 != directory.n_entries {
        return Err(Error::data(format!(
            "the zip directory claims {} entries, it has {}",
            directory.n_entries,
            listed.len()
        )));
    }
    listed.sort_by_key(|entry| entry.header_at);
    let mut entries = BTreeMap::new();
    let mut reached = 0;
    for entry in listed {
        let at = |error: Error| error.at(format!("entry `{}`", entry.name.escape_debug()));
        if entry.header_at != reached as u64 {
            return Err(Error::data(format!(
                "the entry `{}` starts at byte {}, the one before it ends at {reached}",
                entry.name.escape_debug(),
                entry.header_at
            )));
        }
        let (data, end) = local(file, directory.range.start, reached, &entry).map_err(at)?;
        reached = end;
        let place = Place {
            data,
            crc: entry.crc,
        };
        if entries.insert(entry.name.clone(), place).is_some() {
            let name = entry.name.escape_debug();
            return Err(Error::data(format!("the entry `{name}` is there twice")));
        }
    }
    match reached == directory.range.start {
        true => Ok(entries),
        false => Err(Error::data(format!(
            "{} bytes before the zip directory belong to no entry",
            directory.range.start - reached
        ))),
    }
}

/// One record of the directory.
fn central(fields: &mut Fields<'_>) -> Result<Listed> {
    let mut record = Fields(fields.take(CENTRAL_BYTES)?);
    if record.u32()? != CENTRAL {
        return Err(Error::data(
            "the zip directory holds something else than entries",
        ));
    }
    // Versions of writer and format.
    record.take(4)?;
    let (flags, method) = (record.u16()?, record.u16()?);
    // Time and date.
    record.take(4)?;
    let crc = record.u32()?;
    let (stored, size) = (record.u32()?, record.u32()?);
    let (n_name, n_extra, n_comment) = (record.u16()?, record.u16()?, record.u16()?);
    let disk = record.u16()?;
    // Attributes.
    record.take(6)?;
    let header_at = record.u32()?;
    let name = fields.take(n_name.into())?;
    let extra = fields.take(n_extra.into())?;
    fields.take(n_comment.into())?;
    let name =
        std::str::from_utf8(name).map_err(|_| Error::data("a zip entry's name is no text"))?;
    let shown = name.escape_debug();
    if flags & !(HAS_DESCRIPTOR | IS_UTF8) != 0 || disk != 0 {
        return Err(Error::data(format!(
            "the entry `{shown}` is encrypted or otherwise special (flags {flags:#06x})"
        )));
    }
    if method != 0 {
        return Err(Error::data(format!(
            "the entry `{shown}` is compressed, which no entry of a checkpoint is"
        ))
        .hint("save the model's `state_dict()` with `torch.save`"));
    }
    let mut wide = Fields(zip64(extra)?);
    let size = widened(size, &mut wide)?;
    let stored = widened(stored, &mut wide)?;
    let header_at = widened(header_at, &mut wide)?;
    if stored != size {
        return Err(Error::data(format!(
            "the entry `{shown}` has {size} bytes, but is stored in {stored}"
        )));
    }
    Ok(Listed {
        name: name.to_owned(),
        flags,
        crc,
        n_bytes: size,
        header_at,
    })
}

/// Reads the entry's own header at byte `at`, which has to agree with the directory. Gives where
/// the data lie, and where the entry ends.
fn local(file: &[u8], limit: usize, at: usize, listed: &Listed) -> Result<(Range<usize>, usize)> {
    let mut header = Fields::at(&file[..limit], at);
    let differs = |what: &str| Error::data(format!("{what} of the entry's header is another"));
    if header.u32()? != LOCAL {
        return Err(Error::data(format!("there is no entry at byte {at}")));
    }
    // Version of the format.
    header.take(2)?;
    let (flags, method) = (header.u16()?, header.u16()?);
    if (flags, method) != (listed.flags, 0) {
        return Err(differs("the method"));
    }
    // Time and date.
    header.take(4)?;
    let (crc, stored, size) = (header.u32()?, header.u32()?, header.u32()?);
    let (n_name, n_extra) = (header.u16()?, header.u16()?);
    if header.take(n_name.into())? != listed.name.as_bytes() {
        return Err(differs("the name"));
    }
    let extra = header.take(n_extra.into())?;
    let has_descriptor = flags & HAS_DESCRIPTOR != 0;
    let is_left_open = has_descriptor && (crc, stored, size) == (0, 0, 0);
    if !is_left_open {
        let mut wide = match (stored, size) {
            (u32::MAX, _) | (_, u32::MAX) => Fields(zip64(extra)?),
            _ => Fields(&[]),
        };
        let sizes = (widened(size, &mut wide)?, widened(stored, &mut wide)?);
        if crc != listed.crc || sizes != (listed.n_bytes, listed.n_bytes) {
            return Err(differs("the size or checksum"));
        }
    }
    let start = at + LOCAL_BYTES + usize::from(n_name) + usize::from(n_extra);
    let end = usize::try_from(listed.n_bytes).ok();
    let end = end
        .and_then(|n| start.checked_add(n))
        .filter(|&end| end <= limit);
    let Some(end) = end else {
        return Err(Error::data(format!(
            "the entry claims {} bytes, beyond the zip directory",
            listed.n_bytes
        )));
    };
    let n_after = match has_descriptor {
        true => descriptor(&file[end..limit], listed)?,
        false => 0,
    };
    Ok((start..end, end + n_after))
}

/// Bytes of the record after an entry's data, which repeats its checksum and sizes in four or eight
/// bytes each.
fn descriptor(after: &[u8], listed: &Listed) -> Result<usize> {
    let mut fields = Fields(after);
    let start = (fields.u32()?, fields.u32()?);
    if start == (DESCRIPTOR, listed.crc) {
        let n_left = fields.0.len();
        let (mut short, mut long) = (Fields(fields.0), Fields(fields.0));
        let is_last = |n: usize| n_left == n || fields.0[n..].starts_with(SIGNATURE);
        let short = (short.u32()?, short.u32()?);
        if (u64::from(short.0), u64::from(short.1)) == (listed.n_bytes, listed.n_bytes)
            && is_last(8)
        {
            return Ok(16);
        }
        if (long.u64()?, long.u64()?) == (listed.n_bytes, listed.n_bytes) && is_last(16) {
            return Ok(24);
        }
    }
    Err(Error::data("the sizes after the entry's data are others"))
}

/// The one folder that holds all entries.
fn root(entries: &BTreeMap<String, Place>) -> Result<String> {
    let roots = entries
        .keys()
        .map(|name| name.split_once('/').map(|(root, _)| root));
    let mut roots: Vec<Option<&str>> = roots.collect();
    roots.dedup();
    match roots.as_slice() {
        [Some(root)] => Ok(format!("{root}/")),
        _ => Err(Error::data(
            "the archive's entries are not under one folder, as those of PyTorch are",
        )
        .hint("is this a checkpoint of PyTorch?")),
    }
}
