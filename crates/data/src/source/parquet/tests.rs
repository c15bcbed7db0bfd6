//! Values of every way to write the same rows; broken files; lies that would take memory.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tenon_base::{Kind, Result};

use super::Parquet;
use super::guard::guarded;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parquet")
}

fn expected() -> Vec<Value> {
    let text = std::fs::read_to_string(folder().join("rows.jsonl")).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// All rows as objects, with the numbers that they were visited with.
fn rows(path: &Path) -> Result<Vec<(u64, Value)>> {
    let file = Parquet::open(path)?;
    let names = file.columns()?;
    let columns: Vec<usize> = (0..names.len()).collect();
    let mut rows = Vec::new();
    file.each(&columns, &mut |row, values| {
        let named = names.iter().map(|name| (*name).to_owned());
        let members: Map<String, Value> = named.zip(values.iter().cloned()).collect();
        rows.push((row, members.into()));
        Ok(())
    })?;
    Ok(rows)
}

#[test]
fn every_way_to_write_them_gives_the_rows_of_json_lines() {
    let expected = expected();
    let mut n_files = 0;
    for entry in std::fs::read_dir(folder().join("same")).unwrap() {
        let path = entry.unwrap().path();
        let read = rows(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(read.len(), expected.len(), "{}", path.display());
        for ((row, value), number) in read.iter().zip(1..) {
            assert_eq!(*row, number, "{}", path.display());
            assert_eq!(
                value,
                &expected[number as usize - 1],
                "{}:{row}",
                path.display()
            );
        }
        n_files += 1;
    }
    assert_eq!(n_files, 13);
}

#[test]
fn only_the_chosen_columns_are_read_in_their_order() {
    let file = Parquet::open(&folder().join("same/gzip.parquet")).unwrap();
    let names = file.columns().unwrap();
    let index = |name| names.iter().position(|other| *other == name).unwrap();
    let mut read = Vec::new();
    file.each(&[index("label"), index("text")], &mut |_, values| {
        read.push(values.to_vec());
        Ok(())
    })
    .unwrap();
    let of = |row: &Value| vec![row["label"].clone(), row["text"].clone()];
    assert_eq!(read, expected().iter().map(of).collect::<Vec<_>>());
    // The other column is packed with a codec that is not built in.
    let mixed = Parquet::open(&folder().join("refused/brotli.parquet")).unwrap();
    mixed.each(&[1], &mut |_, _| Ok(())).unwrap();
    assert!(mixed.each(&[0], &mut |_, _| Ok(())).is_err());
}

/// A place for changed copies of a file; a panic while one is read fails the test.
struct Copies(tempfile::TempDir);

impl Copies {
    fn new() -> Copies {
        Copies(tempfile::tempdir().unwrap())
    }

    fn read(&self, bytes: &[u8]) -> Result<Vec<(u64, Value)>> {
        let path = self.0.path().join("changed.parquet");
        std::fs::write(&path, bytes).unwrap();
        rows(&path)
    }
}

#[test]
fn a_file_cut_at_any_byte_is_an_error() {
    let copies = Copies::new();
    for name in ["same/snappy", "proteins"] {
        let bytes = std::fs::read(folder().join(format!("{name}.parquet"))).unwrap();
        for n in 0..bytes.len() {
            let error = copies.read(&bytes[..n]).expect_err(name);
            assert_eq!(error.kind(), Kind::Data, "{name} cut at {n}: {error}");
        }
    }
}

#[test]
fn a_changed_byte_is_an_error_or_leaves_the_number_of_rows() {
    let copies = Copies::new();
    for (name, n_rows, step) in [
        ("proteins", 48, 1),
        ("same/v2_zstd", 12, 4),
        ("same/delta", 12, 1),
    ] {
        let mut bytes = std::fs::read(folder().join(format!("{name}.parquet"))).unwrap();
        for i in (0..bytes.len()).step_by(step) {
            let mask = [1, 0x80, 0xFF][i / step % 3];
            bytes[i] ^= mask;
            match copies.read(&bytes) {
                Ok(rows) => assert_eq!(rows.len(), n_rows, "{name} byte {i} ^ {mask}"),
                Err(error) => assert_eq!(error.kind(), Kind::Data, "{name} byte {i}: {error}"),
            }
            bytes[i] ^= mask;
        }
    }
}

#[test]
fn a_changed_byte_of_a_page_with_a_checksum_is_noticed() {
    let bytes = std::fs::read(folder().join("same/checksums.parquet")).unwrap();
    let text = "Zürich".as_bytes();
    let at = bytes
        .windows(text.len())
        .position(|window| window == text)
        .unwrap();
    let mut changed = bytes.clone();
    changed[at] = b'X';
    let error = Copies::new().read(&changed).unwrap_err().to_string();
    assert!(error.contains("CRC"), "{error}");
}

/// A dictionary of 2³¹ − 1 entries would take 64 GB before its first byte is looked at.
#[test]
fn a_dictionary_cannot_claim_more_entries_than_it_has_bytes() {
    let bytes = std::fs::read(folder().join("same/snappy.parquet")).unwrap();
    // The member of a page's header that describes a dictionary, and its first member.
    let at = bytes
        .windows(2)
        .position(|two| two == [0x4C, 0x15])
        .unwrap()
        + 2;
    let huge = [0xFE, 0xFF, 0xFF, 0xFF, 0x0F];
    let mut changed = [&bytes[..at], &huge[..], &bytes[at + 1..]].concat();
    // The next page's largest value loses as many bytes, so that pages still fill the column.
    let largest = [0x28, 0x0B, 0xE6];
    let at = changed
        .windows(3)
        .position(|three| three == largest)
        .unwrap();
    changed[at + 1] -= 4;
    changed.drain(at + 2..at + 6);
    says(&changed, "a dictionary of 2147483647 entries is too short");
}

/// Sixteen texts, all empty, are 64 bytes of lengths.
#[test]
fn a_dictionary_of_texts_has_four_bytes_for_each_entry() {
    let bytes = std::fs::read(folder().join("same/snappy.parquet")).unwrap();
    let at = bytes.windows(2).position(|two| two == [0x4C, 0x15]);
    let mut changed = bytes.clone();
    changed[at.unwrap() + 2] = 17 << 1;
    says(&changed, "a dictionary of 17 entries is too short");
}

/// `delta.parquet` with these bytes instead of `n` bytes from `skip` bytes after `pattern`.
fn delta_with(pattern: &[u8], skip: usize, n: usize, bytes: &[u8]) -> Vec<u8> {
    let file = std::fs::read(folder().join("same/delta.parquet")).unwrap();
    let mut places = file.windows(pattern.len());
    let at = places.position(|window| window == pattern).unwrap() + skip;
    [&file[..at], bytes, &file[at + n..]].concat()
}

#[track_caller]
fn says(bytes: &[u8], part: &str) {
    let error = Copies::new().read(bytes).unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert!(error.to_string().contains(part), "{error}");
}

/// 2⁵⁸ lengths of four bytes cannot be had, which would end the program; 2³³ might be.
#[test]
fn a_page_cannot_claim_more_lengths_than_it_has_values() {
    // Blocks of 128 numbers in four parts, and then the number of lengths of `text`.
    let start = [0x80, 1, 4, 12, 8];
    for (power, claim) in [
        (58, &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 4][..]),
        (33, &[0x80, 0x80, 0x80, 0x80, 0x20]),
    ] {
        let changed = delta_with(&start, 3, claim.len(), claim);
        let claimed = 1u64 << power;
        says(
            &changed,
            &format!("a page of 12 values claims {claimed} lengths"),
        );
    }
}

#[test]
fn a_page_cannot_claim_more_shared_lengths_than_it_has_values() {
    // Those of `note`, nine of whose values are no nulls.
    let changed = delta_with(&[0x80, 1, 4, 9, 0], 3, 5, &[0x80, 0x80, 0x80, 0x80, 0x20]);
    says(&changed, "a page of 12 values claims 8589934592 lengths");
}

#[test]
fn a_page_cannot_claim_to_unpack_to_more_than_its_bytes_allow() {
    // The page of `text`: 136 bytes in 75.
    let sizes = [0x15, 0x90, 2, 0x15, 0x96, 1];
    let changed = delta_with(&sizes, 1, 2, &[0xFE, 0xFF, 0xFF, 0xFF, 0x0F]);
    says(
        &changed,
        "column `text` of row group 0 has a page of 2147483647 bytes in 75",
    );
    let changed = delta_with(&sizes, 4, 2, &[0xFE, 0xFF, 0xFF, 0xFF, 0x0F]);
    says(
        &changed,
        "column `text` of row group 0 has a page that is longer than the column",
    );
}

/// The largest value of the page, as its header tells it; what follows would be part of the text.
#[test]
fn a_text_in_the_header_of_a_page_cannot_be_longer_than_the_column() {
    let minimum = [0x28, 0x0B, 0xE6, 0x97, 0xA5];
    let changed = delta_with(&minimum, 1, 6, &[0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]);
    says(
        &changed,
        "column `text` of row group 0 has a page whose header is broken",
    );
}

/// Levels of lists are runs: few bytes are any number of values, all of which may be one row's.
#[test]
fn a_page_of_lists_cannot_claim_any_number_of_values() {
    let counts = [0x15, 0x22, 0x15, 0x0E];
    let mut changed = delta_with(&counts, 1, 1, &[0x80, 0x80, 0x80, 0x20]);
    // The header keeps its length without the least value.
    let least = [0x18, 1, b'a', 0x11, 0x11];
    let at = changed.windows(5).position(|five| five == least).unwrap();
    changed.drain(at..at + 3);
    says(
        &changed,
        "a page has 33554432 values of lists, of 16777216 at most",
    );
}

#[test]
fn a_panic_of_the_decoder_is_an_error() {
    let error = guarded::<()>(|| panic!("no such thing")).unwrap_err();
    assert_eq!(error, "it contradicts itself (no such thing)");
    assert_eq!(guarded(|| Ok(3)), Ok(3));
}

/// A file of one column below so many groups.
fn nested(n_groups: usize) -> Vec<u8> {
    let mut list = vec![0x48, 1, b'r', 0x15, 2, 0];
    for _ in 0..n_groups {
        list.extend([0x35, 0, 0x18, 1, b'g', 0x15, 2, 0]);
    }
    list.extend([0x15, 2, 0x25, 0, 0x18, 1, b'c', 0]);
    let n = n_groups + 2;
    let n = [n as u8 | 0x80, (n >> 7) as u8 | 0x80, (n >> 14) as u8];
    let head = [0x15, 2, 0x19, 0xFC];
    let footer = [&head[..], &n, &list, &[0x16, 0, 0x19, 0x0C, 0]].concat();
    let length = (footer.len() as u32).to_le_bytes();
    [b"PAR1", &footer[..], &length, b"PAR1"].concat()
}

/// The decoder would leave the stack, which ends the program.
#[test]
fn a_schema_nested_too_deep_is_refused() {
    let copies = Copies::new();
    assert!(copies.read(&nested(3)).unwrap().is_empty());
    let error = copies.read(&nested(100_000)).unwrap_err().to_string();
    assert!(error.contains("nested more than 64 deep"), "{error}");
}
