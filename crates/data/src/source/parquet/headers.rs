//! The headers of a column's pages, before the decoder takes the memory that they claim.

use std::io::{self, Read, Seek, SeekFrom};

use flate2::read::MultiGzDecoder;

use super::thrift::{STRUCT, Walk};

/// Most bytes of an unpacked page: writers aim at one mebibyte.
pub(super) const PAGE_MAX: u64 = 1 << 30;
/// Most bytes that a packed byte becomes. Zstandard's blocks of one repeated byte, 128 KiB in four
/// bytes, are the longest of all codecs.
const RATIO_MAX: u64 = 1 << 16;
/// Most bytes that a byte of gzip becomes: 258 in two bits. The decoder unpacks all of it, whatever
/// size the header claims; it is unpacked here first where that may be more than a page may hold.
const GZIP_RATIO_MAX: u64 = 258 * 4;
/// Longest header that is looked at, and how much of it is read at first.
const HEADER_MAX: u64 = 1 << 24;
const HEADER_FIRST: u64 = 1 << 10;

/// Numbers of members of the header of a page.
const N_UNPACKED: i64 = 2;
const N_PACKED: i64 = 3;
const VERSION_2: i64 = 8;
/// Numbers of members of its part of version 2: lengths of levels, which are never packed.
const N_LEVELS: [i64; 2] = [5, 6];

/// The sizes of a page, in bytes.
struct Header {
    n_header: u64,
    n_packed: u64,
    n_unpacked: u64,
    /// Of these, the levels before what is packed.
    n_levels: u64,
}

/// What is wrong with the pages in `length` bytes from `start`, if anything.
pub(super) fn wrong(
    file: &mut (impl Read + Seek),
    start: u64,
    length: u64,
    is_gzip: bool,
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
        if is_gzip
            && n_packed.saturating_mul(GZIP_RATIO_MAX) > PAGE_MAX
            && unpacks_to_more(file, at, &page)?
        {
            let what = format!("a page that unpacks to more than its {n_unpacked} bytes");
            return Ok(Some(what));
        }
        at += page.n_header + n_packed;
        n_left -= page.n_header + n_packed;
    }
    Ok(None)
}

/// Whether a page of gzip, whose header is at `at`, unpacks to more than it says. What cannot be
/// unpacked is the decoder's to name.
fn unpacks_to_more(file: &mut (impl Read + Seek), at: u64, page: &Header) -> io::Result<bool> {
    let n_max = page.n_unpacked.saturating_sub(page.n_levels);
    file.seek(SeekFrom::Start(at + page.n_header + page.n_levels))?;
    let packed = file.take(page.n_packed.saturating_sub(page.n_levels));
    let mut unpacked = MultiGzDecoder::new(packed).take(n_max + 1);
    Ok(io::copy(&mut unpacked, &mut io::sink()).is_ok_and(|n| n > n_max))
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
    let (mut id, mut n_packed, mut n_unpacked, mut n_levels) = (0, None, None, 0);
    while let Some(kind) = walk.member(&mut id).ok()? {
        match (id, kind) {
            (N_PACKED, _) => n_packed = Some(size(&mut walk)?),
            (N_UNPACKED, _) => n_unpacked = Some(size(&mut walk)?),
            (VERSION_2, STRUCT) => {
                let mut id = 0;
                while let Some(kind) = walk.member(&mut id).ok()? {
                    match N_LEVELS.contains(&id) {
                        true => n_levels += size(&mut walk)?,
                        false => walk.skip(kind, 1).ok()?,
                    }
                }
            }
            _ => walk.skip(kind, 0).ok()?,
        }
    }
    Some(Header {
        n_header: (bytes.len() - walk.0.len()) as u64,
        n_packed: n_packed?,
        n_unpacked: n_unpacked?,
        n_levels,
    })
}

/// A size, of 31 bits as the format has them.
fn size(walk: &mut Walk<'_>) -> Option<u64> {
    let n = i32::try_from(walk.signed().ok()?).ok()?;
    u64::try_from(n).ok()
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Write};

    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    /// A size as a number of the compact protocol.
    fn number(n: usize) -> Vec<u8> {
        let mut left = n << 1;
        let mut bytes = Vec::new();
        while left > 0x7F {
            bytes.push(left as u8 | 0x80);
            left >>= 7;
        }
        bytes.push(left as u8);
        bytes
    }

    /// A page of `n` bytes in gzip after `levels`, which claims `n_unpacked`.
    fn page(levels: &[u8], n: usize, n_unpacked: usize) -> Vec<u8> {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
        gzip.write_all(&vec![7; n]).unwrap();
        let packed = [levels, &gzip.finish().unwrap()].concat();
        // Member 8 with the lengths of definition and repetition levels.
        let counts = [&[0x5C, 0x55][..], &number(levels.len()), &[0x15, 0, 0, 0]].concat();
        [
            &[0x25][..],
            &number(n_unpacked),
            &[0x15],
            &number(packed.len()),
            &counts,
            &packed,
        ]
        .concat()
    }

    #[track_caller]
    fn found(bytes: &[u8], is_gzip: bool) -> Option<String> {
        wrong(&mut Cursor::new(bytes), 0, bytes.len() as u64, is_gzip).unwrap()
    }

    #[test]
    fn a_page_of_gzip_cannot_unpack_to_more_than_it_claims() {
        let n = 1 << 21;
        for levels in [&[][..], &[1, 2, 3]] {
            let n_page = n + levels.len();
            assert_eq!(found(&page(levels, n, n_page), true), None);
            let lie = page(levels, n, n_page - 1);
            let error = format!("a page that unpacks to more than its {} bytes", n_page - 1);
            assert_eq!(found(&lie, true), Some(error));
            // Other codecs stop at what is claimed.
            assert_eq!(found(&lie, false), None);
        }
    }

    #[test]
    fn pages_must_fill_the_column_and_the_column_be_in_the_file() {
        let two = [page(&[], 9, 9), page(&[], 5, 5)].concat();
        assert_eq!(found(&two, false), None);
        let cut = &two[..two.len() - 1];
        let longer = "a page that is longer than the column";
        assert_eq!(found(cut, false).unwrap(), longer);
        let rest = [&two[..], &[0x25]].concat();
        assert_eq!(
            found(&rest, false).unwrap(),
            "a page whose header is broken"
        );
        let beyond = "pages beyond the end of the file";
        for (start, length) in [(1, two.len() as u64), (u64::MAX, 2)] {
            let wrong = wrong(&mut Cursor::new(&two), start, length, false).unwrap();
            assert_eq!(wrong.unwrap(), beyond);
        }
    }

    #[test]
    fn a_header_may_be_longer_than_what_is_read_of_it_at_first() {
        let text = [&[0x88, 0x27][..], &[0; 5000]].concat();
        let bytes = [&[0x25, 2, 0x15, 2, 0x58], &text[..], &[0, 7]].concat();
        assert_eq!(found(&bytes, false), None);
    }
}
