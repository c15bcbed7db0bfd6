//! Parquet as a source: shards of splits, columns as text, and every file that is refused.

use std::path::{Path, PathBuf};

use tenon_base::{Error, Kind};
use tenon_data::source::{
    DataSet, Documents, ReadOptions, Split, labels, open, read_columns, read_files,
};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/parquet")
        .join(name)
}

fn options(column: Option<&str>) -> ReadOptions {
    ReadOptions {
        column: column.map(str::to_owned),
        documents: Documents::Whole,
    }
}

#[track_caller]
fn says(error: &Error, kind: Kind, parts: &[&str]) {
    assert_eq!(error.kind(), kind, "{error}");
    for part in parts {
        assert!(
            error.to_string().contains(part),
            "{part:?} is not in:\n{error}"
        );
    }
}

#[track_caller]
fn refused(path: &Path, column: Option<&str>, parts: &[&str]) {
    let error = read_files(&[path.to_owned()], &options(column)).unwrap_err();
    says(&error, Kind::Data, parts);
}

#[track_caller]
fn refused_bytes(bytes: &[u8], parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.parquet");
    std::fs::write(&path, bytes).unwrap();
    refused(&path, None, parts);
}

#[test]
fn a_hub_folder_of_shards_is_the_data_set_of_the_same_json_lines() {
    let read = |format: &str| open(&fixture("set").join(format), &options(None)).unwrap();
    let (columns, lines) = (read("parquet"), read("jsonl"));
    let texts = |data: &DataSet, split| -> Vec<String> {
        data.splits[&split].texts().map(str::to_owned).collect()
    };
    for (split, n) in [(Split::Train, 60), (Split::Validation, 12)] {
        assert_eq!(texts(&columns, split), texts(&lines, split));
        assert_eq!(columns.splits[&split].len(), n);
    }
    assert_eq!((columns.splits.len(), columns.unsplit), (2, None));
    // Row 40 is the first of the second shard.
    let shard = fixture("set/parquet/data/train-00001-of-00002.parquet");
    assert_eq!(
        columns.splits[&Split::Train].place(40),
        format!("{}:1", shard.display())
    );
}

#[test]
fn empty_texts_are_counted_and_rows_keep_their_numbers_across_row_groups() {
    let path = fixture("same/uncompressed.parquet");
    let rows = read_files(std::slice::from_ref(&path), &options(None)).unwrap();
    assert_eq!((rows.len(), rows.n_empty()), (10, 2));
    let lines: Vec<String> = (0..10).map(|i| rows.place(i)).collect();
    let numbers = [1, 2, 3, 4, 6, 7, 8, 9, 11, 12];
    assert_eq!(lines, numbers.map(|n| format!("{}:{n}", path.display())));
}

#[test]
fn columns_and_labels_are_those_of_json_lines() {
    let read = |name: &str| read_columns(&fixture(name), &["sequence", "id"]).unwrap();
    assert_eq!(read("proteins.parquet"), read("proteins.jsonl"));
    let of = |name: &str, column: &str| {
        let rows = read_files(&[fixture(name)], &options(Some("sequence"))).unwrap();
        labels(&rows, column).unwrap()
    };
    for column in ["family", "known", "id"] {
        assert_eq!(of("proteins.parquet", column), of("proteins.jsonl", column));
    }
    assert_eq!(of("proteins.parquet", "family")[..3], ["0", "1", "0"]);
    assert_eq!(
        of("proteins.parquet", "known")[..3],
        ["true", "false", "false"]
    );
}

#[test]
fn what_is_no_text_is_refused_with_the_words_and_row_of_json_lines() {
    for (column, what) in [
        ("note", "column `note` holds null, not text"),
        ("label", "column `label` holds a number, not text"),
        ("flag", "column `flag` holds a boolean, not text"),
        ("tags", "column `tags` holds an array, not text"),
        ("messages", "column `messages` holds an array, not text"),
        ("meta", "column `meta` holds an object, not text"),
    ] {
        refused(
            &fixture("rows.jsonl"),
            Some(column),
            &[what, "rows.jsonl:1"],
        );
        refused(
            &fixture("same/zstd.parquet"),
            Some(column),
            &[what, "zstd.parquet:1"],
        );
    }
    let rows = read_files(&[fixture("same/zstd.parquet")], &options(None)).unwrap();
    let error = labels(&rows, "label").unwrap_err();
    says(&error, Kind::Data, &["holds null", "zstd.parquet:5"]);
}

#[test]
fn values_that_json_does_not_know_say_what_they_are() {
    for (column, kind) in [
        ("bytes", "bytes"),
        ("day", "a time"),
        ("moment", "a time"),
        ("price", "decimal numbers"),
        ("nan", "a number that is not finite"),
        ("map", "a map"),
        ("nothing", "null"),
    ] {
        let what = format!("column `{column}` holds {kind}, not text");
        refused(
            &fixture("refused/kinds.parquet"),
            Some(column),
            &[&what, "kinds.parquet:1"],
        );
    }
}

#[test]
fn a_missing_column_lists_the_columns_and_the_nearest() {
    refused(
        &fixture("proteins.parquet"),
        Some("sequense"),
        &[
            "no column `sequense`",
            "`id`, `sequence`",
            "did you mean `sequence`?",
        ],
    );
    refused(
        &fixture("proteins.parquet"),
        None,
        &["none is called `text`", "text_column"],
    );
    refused(
        &fixture("refused/twice.parquet"),
        None,
        &["two columns are called `text`"],
    );
}

#[test]
fn codecs_that_are_not_built_in_and_encryption_are_named() {
    let brotli = fixture("refused/brotli.parquet");
    refused(
        &brotli,
        None,
        &["column `text` is packed with Brotli", "brotli.parquet"],
    );
    assert_eq!(read_columns(&brotli, &["open"]).unwrap().len(), 20);
    for name in ["encrypted", "encrypted_column"] {
        let path = fixture(&format!("refused/{name}.parquet"));
        refused(
            &path,
            None,
            &["the file is encrypted", "without encryption", name],
        );
    }
}

#[test]
fn files_that_are_no_parquet_files() {
    refused_bytes(b"", &["the file is empty"]);
    refused_bytes(b"{\"text\": \"x\"}\n", &["not a Parquet file", "rename it"]);
    refused_bytes(b"PAR1", &["not a whole Parquet file", "download"]);
    refused_bytes(b"PAR1\xff\xff\xff\xffPAR1", &["not a whole Parquet file"]);
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n";
    refused_bytes(pointer, &["a pointer of Git LFS", "git lfs pull"]);
    refused(
        &fixture("refused/no_rows.parquet"),
        None,
        &["the file holds no records"],
    );
    let packed = Path::new("a.parquet.gz");
    refused(packed, None, &["cannot read `.parquet.gz`", "unpack it"]);
    let error = read_files(&[fixture("absent.parquet")], &options(None)).unwrap_err();
    says(&error, Kind::Io, &["cannot read", "absent.parquet"]);
}
