//! FASTA and packed files: every way a file can lie, and synthetic proteins.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use proptest::prelude::*;
use tenon_base::{Kind, Result};
use tenon_data::Rows;
use tenon_data::source::{
    Documents, FastaRecord, ProteinSpec, ReadOptions, Split, open, proteins, read_columns,
    read_fasta, read_files, unigram_perplexity,
};

fn options() -> ReadOptions {
    ReadOptions {
        column: None,
        documents: Documents::Whole,
    }
}

fn rows(name: &str, content: &[u8]) -> Result<Rows> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    read_files(&[path], &options())
}

fn records(content: &[u8]) -> Vec<FastaRecord> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.fasta");
    std::fs::write(&path, content).unwrap();
    read_fasta(&path).unwrap().0
}

fn texts(rows: &Rows) -> Vec<&str> {
    rows.texts().collect()
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::default());
    packer.write_all(content).unwrap();
    packer.finish().unwrap()
}

#[track_caller]
fn rejects(content: impl AsRef<[u8]>, message: &str, place: &str) {
    let error = rows("a.fa", content.as_ref()).unwrap_err();
    assert_eq!(error.kind(), Kind::Data, "{error}");
    assert!(
        error.message().contains(message),
        "{message:?} not in {error}"
    );
    let found = error.place().unwrap();
    assert!(
        found.ends_with(place),
        "{place:?} is not the end of {found:?}"
    );
}

#[test]
fn records_have_ids_descriptions_and_lines() {
    let found = records(b">sp|P1|A_HUMAN  Some protein OS=Homo\nMKT\nAY\n\n> b\nMM\n>c\tx\nW");
    let record = |id: &str, description: &str, sequence: &str, line| FastaRecord {
        id: id.into(),
        description: description.into(),
        sequence: sequence.into(),
        line,
    };
    assert_eq!(
        found,
        [
            record("sp|P1|A_HUMAN", "Some protein OS=Homo", "MKTAY", 1),
            record("b", "", "MM", 5),
            record("c", "x", "W", 7),
        ]
    );
}

#[test]
fn every_extension_of_sequences_is_known_and_rows_name_the_header() {
    for name in ["a.fa", "a.fasta", "a.FAA", "a.fna", "a.ffn"] {
        let rows = rows(name, b">a\nMK\nT\n>b\nGG\n").unwrap();
        assert_eq!(texts(&rows), ["MKT", "GG"]);
        assert!(rows.place(1).ends_with(&format!("{name}:4")));
        assert!(rows.notes().is_empty());
    }
}

#[test]
fn line_ends_blanks_comments_and_a_byte_order_mark_are_no_letters() {
    let text = "\u{FEFF};comment\r\n>a\r\nM K\tT\r\n;x\r\n\r\nAY\r\n".as_bytes();
    assert_eq!(texts(&rows("a.fa", text).unwrap()), ["MKTAY"]);
    assert_eq!(texts(&rows("a.fa", b"\n \n>a\nM-.X\n").unwrap()), ["M-.X"]);
}

#[test]
fn lower_case_is_read_as_upper_and_a_last_stop_is_left_out_and_both_are_told() {
    let rows = rows("a.fa", b">a\nMkt*\n>b\nmm*\n\n>c\nM\n").unwrap();
    assert_eq!(texts(&rows), ["MKT", "MM", "M"]);
    let notes = rows.notes();
    assert!(notes[0].contains("4 lower-case letters"), "{notes:?}");
    assert!(notes[1].contains("`*` of 2 sequences"), "{notes:?}");
    assert_eq!(rows.select(&[1]).notes(), notes);
}

#[test]
fn a_file_that_does_not_begin_with_a_header() {
    rejects("MKT\n>a\nM\n", "text before the first header", "a.fa:1:1");
    rejects("\n  MKT\n", "text before the first header", "a.fa:2:3");
}

#[test]
fn a_record_without_a_sequence() {
    rejects(">a\n>b\nM\n", "record `a` has no sequence", "a.fa:1:1");
    rejects(">a\nM\n>b x\n\n", "record `b` has no sequence", "a.fa:3:1");
    rejects(">a\n*\n", "record `a` has no sequence", "a.fa:1:1");
}

#[test]
fn a_header_without_an_id_or_with_one_of_before() {
    rejects(">\nM\n", "a header without an id", "a.fa:1:2");
    rejects(">a\nM\n>  \nM\n", "a header without an id", "a.fa:3:2");
    rejects(
        ">a\nM\n>a again\nK\n",
        "id `a` is already that of the record in line 1",
        "a.fa:3:2",
    );
}

#[test]
fn a_stop_inside_a_sequence() {
    rejects(
        ">a\nMK*T\n",
        "a stop `*` inside the sequence of `a`",
        "a.fa:2:3",
    );
    rejects(">a\nMK*\nT\n", "a stop `*` inside", "a.fa:2:3");
    rejects(">a\nMK**\n", "a stop `*` inside", "a.fa:2:3");
}

#[test]
fn letters_that_are_none() {
    rejects(
        ">a\nMK1T\n",
        "character '1' in the sequence of `a`",
        "a.fa:2:3",
    );
    rejects(">a\nMKT\nA>b\n", "character '>'", "a.fa:3:2");
    rejects(">a\rMKT\r>b\rM\n", "record `a` has no sequence", "a.fa:1:1");
    rejects(">a\nMK\rT\n", "character '\\r'", "a.fa:2:3");
    rejects(b">a\nM\xc3\xa9\n", "character 'é'", "a.fa:2:2");
    rejects(b">a\nM\xff\n", "in the sequence of `a`", "a.fa:2:2");
    rejects(b">a\nM\0\n", "character '\\0'", "a.fa:2:2");
    rejects(b">a\xff\nM\n", "a header that is not UTF-8", "a.fa:1:3");
}

#[test]
fn files_without_records() {
    rejects("", "the file is empty", "a.fa");
    rejects("\n\n", "no records", "a.fa");
    rejects(";only a comment\n", "no records", "a.fa");
}

#[test]
fn a_fasta_file_has_no_columns() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.fa");
    std::fs::write(&path, ">a\nM\n").unwrap();
    assert_eq!(read_columns(&path, &["x"]).unwrap_err().kind(), Kind::Usage);
}

#[test]
fn packed_files_are_read_as_what_they_hold() {
    let fasta = gzip(b">a\nMKT\n>b\nGG\n");
    assert_eq!(texts(&rows("a.fasta.gz", &fasta).unwrap()), ["MKT", "GG"]);
    let parts = [gzip(b">a\nMKT\n>b"), gzip(b"c\nGG\n")].concat();
    assert_eq!(texts(&rows("a.fa.gz", &parts).unwrap()), ["MKT", "GG"]);
    let lines = gzip(b"{\"text\": \"x\"}\n{\"text\": \"y\"}\n");
    assert_eq!(texts(&rows("a.jsonl.GZ", &lines).unwrap()), ["x", "y"]);
    assert_eq!(
        texts(&rows("a.csv.gz", &gzip(b"text\nx\n")).unwrap()),
        ["x"]
    );
    assert_eq!(texts(&rows("a.txt.gz", &gzip(b"one")).unwrap()), ["one"]);
}

#[test]
fn packed_files_that_lie() {
    let whole = gzip(b">a\nMKTAYIAKQRQISFVKSHFSRQLEERLGLIEVQ\n");
    let mut wrong_sum = whole.clone();
    let at = wrong_sum.len() - 6;
    wrong_sum[at] ^= 1;
    for content in [&whole[..whole.len() - 9], &wrong_sum, b"plain text"] {
        let error = rows("a.fa.gz", content).unwrap_err();
        assert_eq!(error.kind(), Kind::Data, "{error}");
        assert!(error.message().contains("not a whole gzip file"), "{error}");
        assert!(error.place().unwrap().ends_with("a.fa.gz"));
    }
    let error = rows("a.tar.gz", &whole).unwrap_err();
    assert!(error.message().contains("cannot read `.tar`"), "{error}");
}

#[test]
fn splits_of_packed_sequences_are_found() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("train.fasta.gz"), gzip(b">a\nMK\n")).unwrap();
    std::fs::write(folder.path().join("valid.fasta.gz"), gzip(b">a\nGG\n")).unwrap();
    let data = open(folder.path(), &options()).unwrap();
    assert_eq!(texts(&data.splits[&Split::Train]), ["MK"]);
    assert_eq!(texts(&data.splits[&Split::Validation]), ["GG"]);
}

#[test]
fn synthetic_proteins_are_reproducible_and_each_stands_alone() {
    let spec = ProteinSpec {
        seed: 3,
        n_proteins: 50,
        n_families: 3,
    };
    let made = proteins(spec).unwrap();
    assert_eq!(made, proteins(spec).unwrap());
    let fewer = proteins(ProteinSpec {
        n_proteins: 20,
        ..spec
    })
    .unwrap();
    assert_eq!(made.sequences[..20], fewer.sequences);
    assert_ne!(made, proteins(ProteinSpec { seed: 4, ..spec }).unwrap());
    assert!((0..3).all(|family| made.families.contains(&family)));
    let n_letters: usize = made.sequences.iter().map(String::len).sum();
    let part = made.n_motif_residues as f64 / n_letters as f64;
    assert!((0.7..0.9).contains(&part), "{part}");
}

#[test]
fn synthetic_proteins_come_back_from_their_file() {
    let made = proteins(ProteinSpec::SMALL).unwrap();
    let read = rows("a.fasta", made.fasta().as_bytes()).unwrap();
    assert_eq!(texts(&read), made.sequences);
    assert_eq!(texts(&made.rows().unwrap()), made.sequences);
    let n_columns = made.fasta().lines().map(str::len).max();
    assert_eq!(n_columns, Some(60));
}

#[test]
fn the_example_file_is_what_the_generator_writes() {
    let file = include_str!("../../../configs/proteins.fasta");
    assert!(file.len() < 100_000, "{}", file.len());
    assert!(file == proteins(ProteinSpec::SMALL).unwrap().fasta());
}

#[test]
fn impossible_numbers_of_proteins() {
    for (n_proteins, n_families) in [(0, 1), (1, 0), (usize::MAX, 1), (1, usize::MAX)] {
        let spec = ProteinSpec {
            seed: 0,
            n_proteins,
            n_families,
        };
        assert_eq!(proteins(spec).unwrap_err().kind(), Kind::Usage);
    }
}

#[test]
fn the_unigram_perplexity_is_that_of_the_letters() {
    let of = |texts: &[&str]| unigram_perplexity(texts.iter().copied()).unwrap();
    assert!((of(&["ABCD", "DCBA"]) - 4.0).abs() < 1e-12);
    assert_eq!(of(&["AAAA"]), 1.0);
    // H = ln 4 − ¾ ln 3.
    assert!((of(&["AAAB"]) - 4.0 / 3f64.powf(0.75)).abs() < 1e-12);
    assert_eq!(unigram_perplexity([""]).unwrap_err().kind(), Kind::Data);
    let made = proteins(ProteinSpec::SMALL).unwrap();
    let perplexity = of(&made
        .sequences
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>());
    assert!((12.0..20.0).contains(&perplexity), "{perplexity}");
}

proptest! {
    #[test]
    fn sequences_come_back_however_they_are_broken(
        sequences in prop::collection::vec("[A-Z.-]{1,90}", 1..6),
        width in 1usize..30,
        windows in any::<bool>(),
    ) {
        let end = if windows { "\r\n" } else { "\n" };
        let mut text = String::new();
        for (i, sequence) in sequences.iter().enumerate() {
            text += &format!(">id{i} d{end}");
            for line in sequence.as_bytes().chunks(width) {
                text += std::str::from_utf8(line).unwrap();
                text += end;
            }
        }
        let found: Vec<String> =
            records(text.as_bytes()).into_iter().map(|record| record.sequence).collect();
        prop_assert_eq!(found, sequences);
    }

    #[test]
    fn no_bytes_panic(
        bytes in prop::collection::vec(prop::sample::select(&b">a;*M \n\r\xff1"[..]), 0..60),
    ) {
        let _ = rows("a.fa", &bytes);
        let _ = rows("a.fa.gz", &bytes);
    }
}
