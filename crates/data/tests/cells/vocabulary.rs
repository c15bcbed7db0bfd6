//! Dictionaries of genes.

use tenon_base::files::RealDisk;
use tenon_data::cells::{read_medians, read_tokens};
use tenon_data::{Tokenizer, vocab};

use super::{Files, first, is_data, second, vocabulary};

#[test]
fn dictionaries_are_read_from_json_and_csv() {
    let files = Files::new(&[
        ("m.json", r#"{"A": 1.5, "B": 2}"#),
        ("m.csv", "gene,median\nA,1.5\nB,2\n"),
        ("t.json", r#"{"A": 3, "<pad>": 0}"#),
        ("t.csv", "token,id\nA,3\n<pad>,0\n"),
    ]);
    let medians = read_medians(&files.path("m.json")).unwrap();
    assert_eq!(medians, read_medians(&files.path("m.csv")).unwrap());
    assert_eq!(medians["A"], 1.5);
    let tokens = read_tokens(&files.path("t.json")).unwrap();
    assert_eq!(tokens, read_tokens(&files.path("t.csv")).unwrap());
    assert_eq!(tokens["A"], 3);
}

#[test]
fn dictionaries_that_lie() {
    for (name, content, message, place) in [
        ("t.json", "[1]", "a JSON object", "t.json"),
        ("t.json", "{", "bad JSON", "t.json:1:1"),
        (
            "t.json",
            r#"{"A": 1.5}"#,
            "`1.5` is not the id of `A`",
            "t.json",
        ),
        ("t.json", r#"{"A": "1"}"#, "is not the id of `A`", "t.json"),
        (
            "t.csv",
            "token,id\nA,-1\n",
            "`-1` is not the id of `A`",
            "t.csv:2",
        ),
        (
            "t.csv",
            "token,id\nA,1\nA,2\n",
            "`A` stands there twice",
            "t.csv:3",
        ),
        ("t.csv", "token\nA\n", "1 columns where", "t.csv:2"),
        (
            "t.pkl",
            "x",
            "cannot read a dictionary from a `.pkl` file",
            "t.pkl",
        ),
    ] {
        let files = Files::new(&[(name, content)]);
        is_data(read_tokens(&files.path(name)).unwrap_err(), message, place);
    }
}

#[test]
fn vocabularies_that_lie() {
    let rejects = |medians: &[(&str, f64)], tokens: &[(&str, u32)], message: &str| {
        is_data(vocabulary(medians, tokens).unwrap_err(), message, "");
    };
    rejects(&[("A", 0.0)], &[("A", 0)], "the median of `A` is 0");
    rejects(&[("A", f64::NAN)], &[("A", 0)], "the median of `A` is NaN");
    rejects(
        &[("A", 1.0)],
        &[("B", 0)],
        "gene `A` has a median and no id",
    );
    rejects(
        &[("A", 1.0)],
        &[("A", 0), ("B", 0)],
        "`A` and `B` share id 0",
    );
    rejects(&[], &[("A", 0)], "no gene has a median");
    rejects(
        &[("A", 1.0)],
        &[("A", 0), ("<cls>", 1)],
        "only one of `<cls>` and `<eos>`",
    );
    rejects(&[("A B", 1.0)], &[("A B", 0)], "is not the name of a gene");
    rejects(&[("A", 1.0)], &[("A", u32::MAX)], "above the limit");
}

#[test]
fn names_of_genes_are_text() {
    let vocabulary = second();
    let ids = vocabulary.encode("C A\nD").unwrap();
    assert_eq!(ids, [2, 6, 4, 9, 3]);
    assert_eq!(vocabulary.encode_document("C A\nD").unwrap(), ids);
    assert_eq!(vocabulary.decode(&ids), "C A D");
    assert_eq!(first().encode("A").unwrap(), [2]);
    is_data(vocabulary.encode("A Z").unwrap_err(), "gene `Z` is not", "");
    assert_eq!(vocabulary.encode_known("A Z").unwrap().n_unknown, 1);
    assert_eq!(
        (vocabulary.vocab_size(), vocabulary.token_len_bytes(4)),
        (10, 1)
    );
    assert_eq!(vocabulary.special_ids(), [0, 1, 2, 3, 7, 8]);
}

#[test]
fn a_saved_vocabulary_loads_with_its_medians() {
    for saved in [first(), second()] {
        let folder = tempfile::tempdir().unwrap();
        saved.save(&RealDisk, folder.path()).unwrap();
        let loaded = vocab::load(folder.path()).unwrap();
        assert_eq!(loaded.spec_name(), "genes");
        assert_eq!(loaded.specials(), saved.specials());
        assert!(loaded.files() == saved.files());
        std::fs::remove_file(folder.path().join("gene_medians.json")).unwrap();
        let error = vocab::load(folder.path()).err().unwrap();
        is_data(
            error,
            "the medians of the genes are missing",
            "gene_medians.json",
        );
    }
}
