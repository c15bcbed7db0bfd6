//! Delta encodings of texts, whose decoder takes memory for as many lengths as a page claims.
//!
//! `DELTA_LENGTH_BYTE_ARRAY` is a section of lengths and then the bytes of all values;
//! `DELTA_BYTE_ARRAY` has a section before it with how many bytes each value shares with the value
//! before it. Sections are packed by `DELTA_BINARY_PACKED` (`Encodings.md` of the format).

use parquet::basic::Encoding;

use super::headers::PAGE_MAX;
use super::thrift::Walk;

/// Most lengths of a page: the decoder keeps each in four bytes.
const LENGTHS_MAX: u64 = PAGE_MAX / 4;
/// Most bits of the difference of two lengths.
const WIDTH_MAX: u8 = 32;
/// A block is cut into parts of a multiple of so many numbers.
const PART: u64 = 32;

/// Refuses the values of a page, without their levels, where they claim more than `n_values`
/// lengths or unpack to more than a page may hold. Other encodings claim nothing.
pub(super) fn check(encoding: Encoding, values: &[u8], n_values: u64) -> Result<(), String> {
    let mut walk = Walk(values);
    match encoding {
        Encoding::DELTA_LENGTH_BYTE_ARRAY => section(&mut walk, n_values).map(drop),
        Encoding::DELTA_BYTE_ARRAY => {
            let shared = section(&mut walk, n_values)?;
            if shared > PAGE_MAX {
                return Err(format!("the values of a page share {shared} bytes"));
            }
            section(&mut walk, n_values).map(drop)
        }
        _ => Ok(()),
    }
}

/// Passes over a section of lengths and gives their sum; negative ones, which the decoder refuses,
/// count as nothing.
fn section(walk: &mut Walk<'_>, n_values: u64) -> Result<u64, String> {
    let block = walk.unsigned().map_err(ends)?;
    let n_parts = walk.unsigned().map_err(ends)?;
    let n = walk.unsigned().map_err(ends)?;
    let first = walk.signed().map_err(ends)?;
    if n > n_values {
        return Err(format!("a page of {n_values} values claims {n} lengths"));
    }
    if n > LENGTHS_MAX {
        return Err(format!(
            "a page claims {n} lengths, of {LENGTHS_MAX} at most"
        ));
    }
    let part = block.checked_div(n_parts).unwrap_or(0);
    if part == 0 || part % PART != 0 || part.checked_mul(n_parts) != Some(block) {
        return Err(format!(
            "a page packs its lengths by {block} in {n_parts} parts"
        ));
    }
    let mut length = first as i32;
    let mut sum = if n == 0 { 0 } else { length.max(0) as u64 };
    let mut n_left = n.saturating_sub(1);
    while n_left > 0 {
        let least = walk.signed().map_err(ends)? as i32;
        for &width in walk.take(n_parts).map_err(ends)? {
            if n_left == 0 {
                break;
            }
            if width > WIDTH_MAX {
                return Err(format!("a page packs its lengths in {width} bits"));
            }
            let n_bytes = (part / 8).checked_mul(width.into());
            let packed = walk.take(n_bytes.unwrap_or(u64::MAX)).map_err(ends)?;
            let n_here = part.min(n_left);
            for i in 0..n_here as usize {
                let difference = bits(packed, i * usize::from(width), width) as i32;
                length = length.wrapping_add(least).wrapping_add(difference);
                sum += length.max(0) as u64;
            }
            n_left -= n_here;
        }
    }
    Ok(sum)
}

fn ends(_: &'static str) -> String {
    "the lengths of a page end early".to_owned()
}

/// The number of `width` bits, 32 at most, from the bit `at`, the lowest bit first.
fn bits(bytes: &[u8], at: usize, width: u8) -> u32 {
    let mut word = [0; 8];
    let last = bytes.len().min(at / 8 + 5);
    let taken = &bytes[(at / 8).min(last)..last];
    word[..taken.len()].copy_from_slice(taken);
    let mask = (1u64 << width) - 1;
    (u64::from_le_bytes(word) >> (at % 8) & mask) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A section of one block of 128 numbers in four parts: `n` of them from `first`, the first
    /// part in `width` bits.
    fn packed(n: &[u8], first: u8, width: u8, parts: &[u8]) -> Vec<u8> {
        let head = [&[0x80, 1, 4][..], n, &[first << 1, 0, width, 0, 0, 0]].concat();
        [&head, parts].concat()
    }

    #[test]
    fn lengths_are_summed_over_parts() {
        // 3, then differences 1, 2, 3, 0 in two bits.
        let bytes = packed(&[5], 3, 2, &[0b0011_1001, 0, 0, 0, 0, 0, 0, 0, 77]);
        let mut walk = Walk(&bytes);
        assert_eq!(section(&mut walk, 5).unwrap(), 3 + 4 + 6 + 9 + 9);
        assert_eq!(walk.0, [77]);
        // One number needs no block, none no number.
        for (n, sum) in [(1, 3), (0, 0)] {
            assert_eq!(section(&mut Walk(&[0x80, 1, 4, n, 6]), 1).unwrap(), sum);
        }
        // 32 bits that do not begin at a byte's first.
        assert_eq!(bits(&[0xF0, 0xFF, 0xFF, 0xFF, 0x0F], 4, 32), u32::MAX);
    }

    #[track_caller]
    fn refused(encoding: Encoding, bytes: &[u8], n_values: u64, error: &str) {
        assert_eq!(check(encoding, bytes, n_values).unwrap_err(), error);
    }

    #[test]
    fn suffixes_are_counted_as_well_as_prefixes() {
        let prefixes = packed(&[2], 0, 0, &[]);
        let good = [&prefixes[..], &packed(&[2], 1, 0, &[])].concat();
        check(Encoding::DELTA_BYTE_ARRAY, &good, 2).unwrap();
        let lie = [&prefixes[..], &packed(&[3], 1, 0, &[])].concat();
        let error = "a page of 2 values claims 3 lengths";
        refused(Encoding::DELTA_BYTE_ARRAY, &lie, 2, error);
        // As lengths alone, the first section is all there is to count.
        check(Encoding::DELTA_LENGTH_BYTE_ARRAY, &lie, 2).unwrap();
        refused(
            Encoding::DELTA_BYTE_ARRAY,
            &prefixes,
            2,
            "the lengths of a page end early",
        );
    }

    #[test]
    fn a_page_that_claims_as_many_values_as_lengths_still_has_a_limit() {
        let bytes = packed(&[0x80, 0x80, 0x80, 0x80, 8], 0, 0, &[]);
        refused(
            Encoding::DELTA_LENGTH_BYTE_ARRAY,
            &bytes,
            1 << 31,
            "a page claims 2147483648 lengths, of 268435456 at most",
        );
    }

    #[test]
    fn values_that_share_more_than_a_page_holds_are_refused() {
        let mebibyte = [0x80, 0x80, 0x80, 1];
        let head = [&[0x80, 0x80, 1, 4, 0x81, 0x10][..], &mebibyte].concat();
        let bytes = [&head[..], &[0, 0, 0, 0, 0]].concat();
        refused(
            Encoding::DELTA_BYTE_ARRAY,
            &bytes,
            2049,
            "the values of a page share 2148532224 bytes",
        );
    }

    #[test]
    fn sections_that_cannot_be_unpacked_are_refused() {
        let lengths = Encoding::DELTA_LENGTH_BYTE_ARRAY;
        for (bytes, error) in [
            (
                &[0x80, 1, 0, 1, 0][..],
                "a page packs its lengths by 128 in 0 parts",
            ),
            (&[0, 1, 1, 0], "a page packs its lengths by 0 in 1 parts"),
            (
                &[0x80, 1, 8, 1, 0],
                "a page packs its lengths by 128 in 8 parts",
            ),
            (
                &[0x80, 1, 4, 2, 0, 0, 33, 0, 0, 0],
                "a page packs its lengths in 33 bits",
            ),
            (
                &[0x80, 1, 4, 2, 0, 0, 1, 0, 0, 0],
                "the lengths of a page end early",
            ),
            (&[], "the lengths of a page end early"),
        ] {
            refused(lengths, bytes, 9, error);
        }
    }
}
