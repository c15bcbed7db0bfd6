//! The headers of a column's pages, before the decoder takes the memory that they claim.

use std::io::{self, Read, Seek, SeekFrom};

use super::thrift::Walk;

/// Most bytes of an unpacked page: writers aim at one mebibyte.
pub(super) const PAGE_MAX: u64 = 1 << 30;
/// Most bytes that a packed byte becomes. Zstandard's blocks of one repeated byte, 128 KiB in four
/// bytes, are the longest of all codecs.
const RATIO_MAX: u64 = 1 << 16;
/// Longest header that is looked at, and how much of it is read at first.
const HEADER_MAX: u64 = 1 << 24;
const HEADER_FIRST: u64 = 1 << 10;

/// Numbers of members of the header of a page.
const N_UNPACKED: i64 = 2;
const N_PACKED: i64 = 3;

/// The sizes of a page, in bytes.
struct Header {
    n_header: u64,
    n_packed: u64,
    n_unpacked: u64,
}

/// What is wrong with the pages in `length` bytes from `start`, if anything.
pub(super) fn wrong(
    file: &mut (impl Read + Seek),
    start: u64,
    length: u64,
) -> io::Result<Option<String>> {
    let n_file = file.seek(SeekFrom::End(0))?;
    if start.checked_add(length).is_none_or(|end| end > n_file) {
        return Ok(Some("pages beyond the end of the file".to_owned()));
    }
    let (mut at, mut n_left) = (start, length);
    while n_left > 0 {
        let Some(page) = header(file, at, n_left)? else {
            return Ok(Some("a page whose header is broken".to_owned()));
        };
        let (n_packed, n_unpacked) = (page.n_packed, page.n_unpacked);
        if n_unpacked > PAGE_MAX.min(n_packed.saturating_mul(RATIO_MAX)) {
            let what = format!("a page of {n_unpacked} bytes in {n_packed}");
            return Ok(Some(what));
        }
        if n_packed > n_left - page.n_header {
            return Ok(Some("a page that is longer than the column".to_owned()));
        }
        at += page.n_header + n_packed;
        n_left -= page.n_header + n_packed;
    }
    Ok(None)
}

/// The header at `at`, before the end of the `n_left` bytes from there.
fn header(file: &mut (impl Read + Seek), at: u64, n_left: u64) -> io::Result<Option<Header>> {
    let mut n = HEADER_FIRST;
    loop {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(at))?;
        file.take(n.min(n_left)).read_to_end(&mut bytes)?;
        match parse(&bytes) {
            None if n < HEADER_MAX.min(n_left) => n *= 4,
            found => return Ok(found),
        }
    }
}

fn parse(bytes: &[u8]) -> Option<Header> {
    let mut walk = Walk(bytes);
    let (mut id, mut n_packed, mut n_unpacked) = (0, None, None);
    while let Some(kind) = walk.member(&mut id).ok()? {
        let size = match id {
            N_PACKED => &mut n_packed,
            N_UNPACKED => &mut n_unpacked,
            _ => {
                walk.skip(kind, 0).ok()?;
                continue;
            }
        };
        *size = u64::try_from(walk.signed().ok()?).ok();
    }
    Some(Header {
        n_header: (bytes.len() - walk.0.len()) as u64,
        n_packed: n_packed?,
        n_unpacked: n_unpacked?,
    })
}
