//! Sources: every way a file can lie, folders, names, the corpus.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use tempfile::TempDir;
use tenon_base::{Error, Kind};
use tenon_data::source::{
    CorpusSpec, DataSet, Documents, ReadOptions, Split, corpus, discover, locate, open,
    read_columns, read_files,
};

fn options(column: Option<&str>, documents: Documents) -> ReadOptions {
    ReadOptions {
        column: column.map(str::to_owned),
        documents,
    }
}

fn folder(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    folder
}

fn read(
    name: &str,
    content: impl AsRef<[u8]>,
    options: &ReadOptions,
) -> Result<Vec<String>, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    std::fs::write(&path, content).unwrap();
    let rows = read_files(&[path], options)?;
    Ok(rows.texts().map(str::to_owned).collect())
}

#[track_caller]
fn rejects(name: &str, content: impl AsRef<[u8]>, column: Option<&str>, expected: &[&str]) {
    let error = read(name, content, &options(column, Documents::Whole)).unwrap_err();
    assert_eq!(error.kind(), Kind::Data, "{error}");
    for part in expected {
        assert!(
            error.to_string().contains(part),
            "{part:?} is not in:\n{error}"
        );
    }
}

#[test]
fn text_is_read_as_whole_lines_paragraphs_or_between_separators() {
    let text = "one\r\ntwo\n\n \nthree\n<|endoftext|>\n\nfour\n";
    let by = |documents| read("a.txt", text, &options(None, documents)).unwrap();
    assert_eq!(by(Documents::Whole), [text]);
    assert_eq!(
        by(Documents::Lines),
        ["one", "two", " ", "three", "<|endoftext|>", "four"]
    );
    assert_eq!(
        by(Documents::Paragraphs),
        ["one\r\ntwo", "three\n<|endoftext|>", "four"]
    );
    let separated = by(Documents::Separated("<|endoftext|>".into()));
    assert_eq!(separated, ["one\r\ntwo\n\n \nthree", "four"]);
}

#[test]
fn rows_know_their_file_and_line() {
    let folder = folder(&[
        ("b.txt", "x\n\n\ny"),
        ("a.jsonl", "\n{\"text\": \"t\"}\n{\"text\": \"\"}\n"),
    ]);
    let paths = [folder.path().join("b.txt"), folder.path().join("a.jsonl")];
    let rows = read_files(&paths, &options(None, Documents::Paragraphs)).unwrap();
    let places: Vec<String> = (0..rows.len()).map(|i| rows.place(i)).collect();
    let expected = [(&paths[0], 1), (&paths[0], 4), (&paths[1], 2)];
    assert_eq!(
        places,
        expected.map(|(path, line)| format!("{}:{line}", path.display()))
    );
    assert_eq!((rows.n_empty(), rows.n_bytes()), (1, 3));
    let separated = options(None, Documents::Separated("--\n".into()));
    let rows = read_files(&paths[..1], &separated).unwrap();
    assert_eq!(rows.place(0), format!("{}:1", paths[0].display()));
}

#[test]
fn jsonl_and_json_and_csv_give_a_column() {
    let jsonl = "{\"a\": 1, \"story\": \"x\\ny\"}\r\n\n{\"story\": \"z\"}";
    let story = options(Some("story"), Documents::Whole);
    assert_eq!(read("a.jsonl", jsonl, &story).unwrap(), ["x\ny", "z"]);
    assert_eq!(read("a.json", jsonl, &story).unwrap(), ["x\ny", "z"]);
    let array = "[{\"story\": \"x\"},\n {\"story\": \"z\"}]";
    assert_eq!(read("a.json", array, &story).unwrap(), ["x", "z"]);
    let csv = "id,story\n1,\"x\ny, \"\"q\"\"\"\n2,z\n";
    assert_eq!(read("a.csv", csv, &story).unwrap(), ["x\ny, \"q\"", "z"]);
    assert_eq!(
        read("a.tsv", "id\tstory\n1\tx, y\n", &story).unwrap(),
        ["x, y"]
    );
}

#[test]
fn without_a_name_the_column_is_text_or_the_only_one() {
    let any = options(None, Documents::Whole);
    assert_eq!(read("a.csv", "id,text\n1,x\n", &any).unwrap(), ["x"]);
    assert_eq!(read("a.csv", "story\nx\n", &any).unwrap(), ["x"]);
    rejects(
        "a.csv",
        "id,story\n1,x\n",
        None,
        &["`id`, `story`", "a.csv:1", "text_column"],
    );
}

#[test]
fn a_byte_order_mark_is_no_text() {
    let any = options(None, Documents::Whole);
    assert_eq!(read("a.txt", "\u{FEFF}x", &any).unwrap(), ["x"]);
    assert_eq!(read("a.csv", "\u{FEFF}text\nx\n", &any).unwrap(), ["x"]);
    assert_eq!(
        read("a.jsonl", "\u{FEFF}{\"text\": \"x\"}", &any).unwrap(),
        ["x"]
    );
    rejects("a.txt", "\u{FEFF}", None, &["the file is empty"]);
}

#[test]
fn a_missing_column_lists_the_columns() {
    let expected = [
        "no column `textbok`",
        "`id`, `textbook`",
        "did you mean `textbook`?",
    ];
    rejects("a.csv", "id,textbook\n1,x\n", Some("textbok"), &expected);
    rejects(
        "a.jsonl",
        "{\"id\": 1, \"textbook\": \"x\"}",
        Some("textbok"),
        &expected,
    );
}

#[test]
fn a_column_missing_in_a_later_record_names_its_line() {
    let content = "{\"text\": \"x\"}\n\n{\"other\": \"y\"}";
    rejects("a.jsonl", content, None, &["no column `text`", "a.jsonl:3"]);
}

#[test]
fn a_bad_json_line_names_line_and_column() {
    rejects(
        "a.jsonl",
        "{\"text\": \"x\"}\n{\"text\": x}\n",
        None,
        &["bad JSON", "a.jsonl:2:10"],
    );
    rejects(
        "a.jsonl",
        "{\"text\": \"x\"} trailing",
        None,
        &["bad JSON", "a.jsonl:1:15"],
    );
    rejects(
        "a.json",
        "[{\"text\": \"x\"},\n{]",
        None,
        &["bad JSON", "a.json:2:2"],
    );
}

#[test]
fn a_record_that_is_no_object_or_a_value_that_is_no_text() {
    rejects(
        "a.jsonl",
        "[1, 2]",
        None,
        &["a record is an array, not an object", "a.jsonl:1"],
    );
    rejects(
        "a.jsonl",
        "{\"text\": null}",
        None,
        &["column `text` holds null"],
    );
    rejects(
        "a.jsonl",
        "{\"text\": 3}",
        None,
        &["column `text` holds a number"],
    );
}

#[test]
fn empty_files() {
    rejects("a.txt", "", None, &["the file is empty", "a.txt"]);
    rejects("a.csv", "", None, &["the file is empty"]);
    rejects("a.csv", "text\n", None, &["no records"]);
    rejects("a.jsonl", "\n \n", None, &["no records"]);
    rejects("a.json", "[]", None, &["no records"]);
    rejects("a.jsonl", "{\"text\": \"\"}", None, &["1 rows, all empty"]);
}

#[test]
fn a_binary_file_names_the_byte() {
    rejects("a.txt", b"abc\xff", None, &["not UTF-8 at byte 3"]);
    rejects("a.txt", b"ab\0c", None, &["a NUL byte at byte 2"]);
    rejects(
        "a.jsonl",
        b"{\"text\": \"x\"}\n{\"text\": \"\xc3(\"}",
        None,
        &["not UTF-8 at byte 24"],
    );
    rejects("a.csv", b"text\n\xfe", None, &["not UTF-8 at byte 5"]);
}

#[test]
fn a_packed_or_columnar_file_says_to_convert_it() {
    rejects(
        "a.feather",
        "ARROW1",
        None,
        &["cannot read `.feather`", "convert or unpack"],
    );
    rejects("a.jsonl.gz", "x", None, &["not a whole gzip file"]);
}

#[test]
fn a_csv_record_of_another_length() {
    rejects(
        "a.csv",
        "a,text\n1,x\n2\n",
        None,
        &["has 1 fields, the header has 2", "a.csv:3"],
    );
}

#[test]
fn a_csv_quote_that_is_never_closed() {
    rejects(
        "a.csv",
        "text\nx\n\"y\nz\n",
        None,
        &["a quote is never closed", "a.csv:3"],
    );
    let inch = read(
        "a.csv",
        "text\n5\" pipe\nx\n",
        &options(None, Documents::Whole),
    )
    .unwrap();
    assert_eq!(inch, ["5\" pipe", "x"]);
}

#[test]
fn a_csv_column_twice() {
    rejects(
        "a.csv",
        "text,text\nx,y\n",
        None,
        &["two columns are called `text`"],
    );
}

#[test]
fn several_columns_are_read_together() {
    let folder = folder(&[("a.csv", "mr,ref\nm1,r1\nm2,r2\n")]);
    let records = read_columns(&folder.path().join("a.csv"), &["ref", "mr"]).unwrap();
    assert_eq!(records[1], (3, vec!["r2".to_owned(), "m2".to_owned()]));
}

fn names(paths: &[PathBuf]) -> Vec<String> {
    paths
        .iter()
        .map(|path| path.file_name().unwrap().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn splits_are_found_by_file_and_folder_names() {
    let folder = folder(&[
        ("train-00001-of-00002.jsonl", "{\"text\": \"b\"}"),
        ("train-00000-of-00002.jsonl", "{\"text\": \"a\"}"),
        ("validation/part.jsonl", "{\"text\": \"v\"}"),
        ("data/set_test.csv", "text\nt\n"),
        ("README.md", "about"),
        ("dataset_infos.json", "{}"),
        ("extra.txt", "e"),
        (".hidden.txt", "h"),
    ]);
    let DataSet {
        splits,
        unsplit,
        ignored,
    } = open(folder.path(), &options(None, Documents::Whole)).unwrap();
    let texts = |split: Split| {
        splits[&split]
            .texts()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(texts(Split::Train), ["a", "b"]);
    assert_eq!(texts(Split::Validation), ["v"]);
    assert_eq!(texts(Split::Test), ["t"]);
    assert_eq!(unsplit, None);
    assert_eq!(
        names(&ignored),
        ["README.md", "dataset_infos.json", "extra.txt"]
    );
}

#[test]
fn a_folder_of_texts_is_read_in_order() {
    let folder = folder(&[
        ("b.txt", "2"),
        ("a.txt", "1"),
        ("LICENSE.txt", "no"),
        ("constraint.txt", "3"),
    ]);
    let data = open(folder.path(), &options(None, Documents::Whole)).unwrap();
    assert_eq!(
        data.unsplit.unwrap().texts().collect::<Vec<_>>(),
        ["1", "2", "3"]
    );
}

#[test]
fn folders_without_data_with_unreadable_or_doubled_files() {
    let reject = |files: &[(&str, &str)], message: &str| {
        let error = discover(folder(files).path()).unwrap_err();
        assert_eq!(error.kind(), Kind::Data);
        assert!(error.to_string().contains(message), "{error}");
    };
    reject(&[("README.md", "x")], "no data files");
    reject(&[("train.arrow", "x")], "cannot read `.arrow`");
    reject(
        &[("train.csv", "x"), ("train.jsonl", "x")],
        "different formats",
    );
    let error = discover(Path::new("no/such/thing")).unwrap_err();
    assert!(error.message().contains("no file or folder"));
}

#[test]
fn a_named_set_is_found_under_its_roots_in_order() {
    let first = folder(&[("shakespeare.txt", "x")]);
    let second = folder(&[
        ("roneneldan/TinyStories/train.txt", "x"),
        ("shakespeare.txt", "y"),
    ]);
    let roots = [first.path(), second.path()];
    assert_eq!(
        locate("shakespeare", &roots).unwrap(),
        first.path().join("shakespeare.txt")
    );
    let stories = second.path().join("roneneldan/TinyStories");
    assert_eq!(locate("roneneldan/TinyStories", &roots).unwrap(), stories);
    assert_eq!(locate("tinystories", &roots).unwrap(), stories);
}

#[test]
fn a_set_that_is_not_there_says_where_it_was_looked_for() {
    let root = folder(&[]);
    let error = locate("tiny-textbooks", &[root.path()]).unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert!(
        error.message().contains("nampdn-ai/tiny-textbooks"),
        "{error}"
    );
    assert!(
        error
            .hint_text()
            .unwrap()
            .contains("tenon fetch dataset nampdn-ai/tiny-textbooks")
    );
    let error = locate("tiny-textbook", &[root.path()]).unwrap_err();
    assert!(
        error
            .hint_text()
            .unwrap()
            .contains("did you mean `tiny-textbooks`?")
    );
    let error = locate("zzz", &[]).unwrap_err();
    assert!(
        error.hint_text().unwrap().contains("tinystories"),
        "{error}"
    );
}

#[test]
fn a_name_cannot_leave_its_root() {
    let root = folder(&[("secret.txt", "x")]);
    for name in ["../secret", "/etc/passwd", "a/../../b", "", ".", "a\\b"] {
        assert_eq!(
            locate(name, &[root.path()]).unwrap_err().kind(),
            Kind::Usage,
            "{name}"
        );
    }
}

fn small_corpus(seed: u64) -> CorpusSpec {
    CorpusSpec {
        seed,
        n_bytes: 60_000,
        n_persons: 12,
    }
}

#[test]
fn a_corpus_is_reproducible_and_depends_on_its_seed() {
    let one = corpus(small_corpus(1)).unwrap();
    assert_eq!(one, corpus(small_corpus(1)).unwrap());
    assert_ne!(one.text, corpus(small_corpus(2)).unwrap().text);
    let longer = corpus(CorpusSpec {
        n_bytes: 90_000,
        ..small_corpus(1)
    })
    .unwrap();
    assert!(longer.text.starts_with(&one.text));
}

#[test]
fn the_documents_tile_the_corpus_and_their_entropies_add_up() {
    let corpus = corpus(small_corpus(5)).unwrap();
    let mut at = 0;
    for document in &corpus.documents {
        assert_eq!(document.start, at);
        let text = &corpus.text[document.start..document.end];
        assert!(text.ends_with(".\n") && !text.contains("\n\n"), "{text}");
        assert!((3..=8).contains(&text.lines().count()));
        // Every document chooses a person, a length, an attribute and a form at least.
        assert!(document.entropy_nats > (12.0 * 6.0 * 5.0 * 3.0f64).ln());
        at = document.end + 1;
    }
    assert_eq!(at, corpus.text.len() + 1);
    let sum: f64 = corpus
        .documents
        .iter()
        .map(|document| document.entropy_nats)
        .sum();
    assert_eq!(sum, corpus.entropy_nats);
    assert!(
        (0.05..0.5).contains(&corpus.nats_per_byte()),
        "{}",
        corpus.nats_per_byte()
    );
    assert!(corpus.text.is_ascii());
    let rows = corpus.rows().unwrap();
    assert_eq!(rows.len(), corpus.documents.len());
    assert_eq!(
        rows.texts().collect::<Vec<_>>().join("\n\n") + "\n",
        corpus.text
    );
}

/// An adaptive order-2 model pays more than the floor: the reported entropy cannot be too high.
#[test]
fn a_simple_model_does_not_beat_the_entropy() {
    let corpus = corpus(small_corpus(5)).unwrap();
    let bytes = corpus.text.as_bytes();
    let mut counts = vec![0u32; 1 << 21];
    let mut totals = vec![0u32; 1 << 14];
    let mut nats = 0.0;
    for window in bytes.windows(3) {
        let context = usize::from(window[0]) << 7 | usize::from(window[1]);
        let cell = context << 7 | usize::from(window[2]);
        let p = (f64::from(counts[cell]) + 0.01) / (f64::from(totals[context]) + 1.28);
        nats -= p.ln();
        counts[cell] += 1;
        totals[context] += 1;
    }
    assert!(
        nats > corpus.entropy_nats,
        "{nats} < {}",
        corpus.entropy_nats
    );
}

#[test]
fn the_answers_to_the_questions_are_in_the_text() {
    let corpus = corpus(small_corpus(5)).unwrap();
    assert_eq!(corpus.questions.len(), 12 * 5 * 2);
    let mut n_found = 0;
    for (prompt, answer) in &corpus.questions {
        for (at, _) in corpus.text.match_indices(prompt.as_str()) {
            assert!(corpus.text[at + prompt.len()..].starts_with(&format!("{answer}\n")));
            n_found += 1;
        }
    }
    assert!(n_found > 100);
}

#[test]
fn the_standard_corpus_is_one_and_a_half_megabytes() {
    let corpus = corpus(CorpusSpec::standard(0)).unwrap();
    assert!((1_500_000..1_501_000).contains(&corpus.text.len()));
}

#[test]
fn a_corpus_of_impossible_size_is_a_usage_error() {
    for spec in [
        CorpusSpec {
            n_persons: 1,
            ..small_corpus(0)
        },
        CorpusSpec {
            n_persons: 41,
            ..small_corpus(0)
        },
        CorpusSpec {
            n_bytes: 0,
            ..small_corpus(0)
        },
    ] {
        assert_eq!(corpus(spec).unwrap_err().kind(), Kind::Usage);
    }
}

proptest! {
    #[test]
    fn no_bytes_make_a_reader_panic(
        content in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..200),
            "[{}\\[\\]\",:\\\\a-c0-9\\n\\r\u{e9} ]{0,200}".prop_map(String::into_bytes),
        ],
        name in prop::sample::select(&["a.txt", "a.jsonl", "a.json", "a.csv", "a.tsv"]),
        documents in prop::sample::select(vec![
            Documents::Whole, Documents::Lines, Documents::Paragraphs,
            Documents::Separated("a".into()),
        ]),
    ) {
        for column in [None, Some("a")] {
            if let Ok(texts) = read(name, &content, &options(column, documents.clone())) {
                prop_assert!(!texts.is_empty() && texts.iter().all(|text| !text.is_empty()));
            }
        }
    }

    #[test]
    fn jsonl_and_csv_give_back_what_was_written(
        texts in prop::collection::vec("[^\0]{1,30}", 1..8),
    ) {
        let jsonl: String = texts
            .iter()
            .map(|text| serde_json::json!({"text": text}).to_string() + "\n")
            .collect();
        let any = options(None, Documents::Whole);
        prop_assert_eq!(&read("a.jsonl", jsonl, &any).unwrap(), &texts);
        let csv: String = std::iter::once("id,text\n".to_owned())
            .chain(texts.iter().map(|text| format!("1,\"{}\"\n", text.replace('"', "\"\""))))
            .collect();
        prop_assert_eq!(&read("a.csv", csv, &any).unwrap(), &texts);
    }
}
