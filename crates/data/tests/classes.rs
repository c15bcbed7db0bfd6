//! Labels beside texts, and batches with one class a sequence.

use std::num::NonZeroUsize;
use std::sync::Arc;

use tenon_base::Kind;
use tenon_data::batch::{
    Batch, Borders, Layout, Loader, LoaderSpec, NOT_COUNTED, Numbers, Objective, Order, Partial,
    Sight, Tokens,
};
use tenon_data::source::{
    Documents, ReadOptions, Rows, cells, labels, list_items, list_items_or_none, read_files,
};
use tenon_data::split;
use tenon_data::vocab::ByteTokenizer;

fn read(files: &[(&str, &str)]) -> (tempfile::TempDir, Rows) {
    let folder = tempfile::tempdir().unwrap();
    let place = |&(name, content): &(&str, &str)| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path
    };
    let paths: Vec<_> = files.iter().map(place).collect();
    let options = ReadOptions {
        column: Some("text".to_owned()),
        documents: Documents::Whole,
    };
    let rows = read_files(&paths, &options).unwrap();
    (folder, rows)
}

/// Empty texts, quoted line breaks and several files move lines, and a split moves rows.
#[test]
fn labels_stay_beside_their_texts() {
    let (_folder, rows) = read(&[
        ("a.csv", "label,text\nx,ax\nz,\ny,\"a\ny\"\nx,bx\n"),
        (
            "b.jsonl",
            "{\"text\": \"cy\", \"label\": \"y\"}\n\n{\"text\": \"dx\", \"label\": \"x\"}\n",
        ),
    ]);
    let ends_with_its_label = |rows: &Rows| {
        let labels = labels(rows, "label").unwrap();
        assert_eq!(labels.len(), rows.len());
        rows.texts()
            .zip(labels)
            .all(|(text, label)| text.ends_with(&label))
    };
    assert_eq!(rows.len(), 5);
    assert!(ends_with_its_label(&rows));
    for seed in 0..5 {
        let parts = split::by_fraction(&rows, 0.4, seed).unwrap();
        assert!(ends_with_its_label(&parts.train) && ends_with_its_label(&parts.validation));
    }
}

#[test]
fn labels_that_are_not_there_are_named() {
    let (_folder, rows) = read(&[("a.csv", "label,text\nx,ax\n,b\n")]);
    let error = labels(&rows, "label").unwrap_err();
    assert!(error.to_string().contains("a.csv:3"), "{error}");
    let error = labels(&rows, "labels").unwrap_err();
    assert!(error.to_string().contains("no column `labels`"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    std::fs::write(&path, "text").unwrap();
    let options = ReadOptions {
        column: None,
        documents: Documents::Whole,
    };
    let error = labels(&read_files(&[path], &options).unwrap(), "label").unwrap_err();
    assert!(error.to_string().contains("no columns"), "{error}");
}

/// Numbers and lists keep their text, in the order of the columns; a cell may be empty.
#[test]
fn cells_of_several_columns_are_text() {
    let (_folder, rows) = read(&[
        ("a.csv", "b,text,a\n1.5,ax,\n"),
        (
            "b.jsonl",
            "{\"text\": \"x\", \"a\": [1, \"k\"], \"b\": true}\n",
        ),
    ]);
    let found = cells(&rows, &["a", "b"]).unwrap();
    assert_eq!(found, [["", "1.5"], ["[1,\"k\"]", "true"]]);
    assert_eq!(list_items(&found[1][0]).unwrap(), ["1", "k"]);
    for none in ["", "HHE", "[", "[null]", "[[1]]", "{}", "[1] 2"] {
        assert_eq!(list_items(none), None, "{none}");
    }
    let list = r#"["k", null, "", -100, -100.0, "-100", 0, true]"#;
    let items = list_items_or_none(list, |_| false).unwrap();
    let items: Vec<Option<&str>> = items.iter().map(Option::as_deref).collect();
    let there = [Some("-100"), Some("0"), Some("true")];
    assert_eq!(
        items,
        [&[Some("k"), None, None, None, None], &there[..]].concat()
    );
    for none in ["", "null", "[[]]", "[{}]", "[null"] {
        assert_eq!(list_items_or_none(none, |_| false), None, "{none}");
    }
    let named = list_items_or_none("[-100, null, 0]", |name| name == "-100").unwrap();
    assert_eq!(named, [Some("-100".to_owned()), None, Some("0".to_owned())]);
    let (_folder, rows) = read(&[("c.jsonl", "{\"text\": \"x\", \"a\": null}\n")]);
    let error = cells(&rows, &["a"]).unwrap_err();
    assert!(error.message().contains("holds null"), "{error}");
}

const EOS: i32 = 256;

/// Tokens are `abcdef` and an end, `g` and an end, `hij` and an end; four of a document are kept.
#[test]
fn classes_of_tokens_are_cut_with_their_tokens() {
    let none = NOT_COUNTED;
    let classes = vec![0, 1, 2, 3, 4, 5, none, none, none, 6, none, 7, none];
    let told = |classes| Objective::TokenClasses(Arc::new(classes));
    let one = Layout::OnePerRow;
    let mut loader = loader_of(one, told(classes.clone()), Order::InOrder).unwrap();
    // The second document has no class at all.
    assert_eq!(
        (loader.facts().n_documents, loader.facts().n_dropped),
        (2, 1)
    );
    let mut batch = Batch::default();
    loader.next(&mut batch);
    assert_eq!(batch.ids, [97, 98, 99, EOS, 104, 105, 106, EOS]);
    assert_eq!(batch.targets, [0, 1, 2, none, 6, none, 7, none]);
    assert_eq!(
        (batch.n_loss_tokens, &batch.cu_seqlens[..]),
        (5, &[0, 4, 8][..])
    );
    for (wrong, message) in [
        (classes[1..].to_vec(), "12 classes of 13 tokens"),
        (vec![-1; 13], "a token has the class -1"),
    ] {
        let error = loader_of(one, told(wrong), Order::InOrder).unwrap_err();
        assert!(error.message().contains(message), "{error}");
    }
}

#[test]
fn numbers_follow_their_documents() {
    let told = |values: &[f64]| {
        let values = values.to_vec();
        Objective::Numbers(Arc::new(Numbers { width: 2, values }))
    };
    let values = [0.5, 1.0, 2.5, 3.0, 4.5, 5.0];
    let mut loader = loader_of(
        Layout::OnePerRow,
        told(&values),
        Order::Shuffled { seed: 3 },
    );
    let loader = loader.as_mut().unwrap();
    let mut batch = Batch::default();
    for _ in 0..20 {
        loader.next(&mut batch);
        assert_eq!(batch.targets, vec![0; batch.n_seqs()]);
        assert_eq!(batch.n_loss_tokens, batch.n_seqs());
        for (bounds, given) in batch.cu_seqlens.windows(2).zip(batch.given.chunks(2)) {
            let first = batch.ids[bounds[0] as usize];
            let expected = [
                (97, &values[..2]),
                (103, &values[2..4]),
                (104, &values[4..]),
            ];
            assert!(expected.contains(&(first, given)));
        }
    }
    let refused = |values: &[f64], message: &str| {
        let error = loader_of(Layout::OnePerRow, told(values), Order::InOrder).unwrap_err();
        assert!(error.message().contains(message), "{error}");
    };
    refused(&values[1..], "5 numbers of 3 documents with 2 each");
    refused(&[0.5, f64::NAN, 2.5, 3.0, 4.5, 5.0], "NaN is to be told");
}

fn loader(layout: Layout, classes: &[i32], order: Order) -> tenon_base::Result<Loader> {
    loader_of(
        layout,
        Objective::Classes(Arc::new(classes.to_vec())),
        order,
    )
}

fn loader_of(layout: Layout, told: Objective, order: Order) -> tenon_base::Result<Loader> {
    let (_folder, rows) = read(&[("a.csv", "text\nabcdef\ng\nhij\n")]);
    let tokens = Tokens::of_rows(&rows, &ByteTokenizer, NonZeroUsize::MIN).unwrap();
    let spec = LoaderSpec {
        layout,
        length_max: 4,
        batch_size: 2,
        order,
        partial: Partial::Keep,
    };
    Loader::with_objective(Arc::new(tokens), spec, told)
}

#[test]
fn a_sequence_has_one_class_and_keeps_its_end() {
    let mut loader = loader(Layout::OnePerRow, &[2, 0, 1], Order::InOrder).unwrap();
    let mut batch = Batch::default();
    loader.next(&mut batch);
    assert_eq!(batch.ids, [97, 98, 99, EOS, 103, EOS]);
    assert_eq!(batch.cu_seqlens, [0, 4, 6]);
    assert_eq!(batch.positions, [0, 1, 2, 3, 0, 1]);
    assert_eq!((&batch.targets[..], batch.n_loss_tokens), (&[2, 0][..], 2));
    assert_eq!(batch.n_bytes, 0);
    loader.next(&mut batch);
    assert_eq!(batch.ids, [104, 105, 106, EOS]);
    assert_eq!((&batch.targets[..], batch.n_loss_tokens), (&[1][..], 1));
    assert_eq!(loader.facts().n_documents, 3);
}

#[test]
fn classes_follow_shuffled_documents() {
    let order = Order::Shuffled { seed: 3 };
    let mut loader = loader(Layout::OnePerRow, &[2, 0, 1], order).unwrap();
    let mut batch = Batch::default();
    for _ in 0..20 {
        loader.next(&mut batch);
        for (bounds, class) in batch.cu_seqlens.windows(2).zip(&batch.targets) {
            let first = batch.ids[bounds[0] as usize];
            let expected = [(97, 2), (103, 0), (104, 1)];
            assert!(expected.contains(&(first, *class)));
        }
    }
}

#[test]
fn classes_need_documents_of_their_own() {
    let packed = Layout::Packed {
        sight: Sight::Document,
        borders: Borders::Fixed,
    };
    let refused = |layout, classes: &[i32], kind, message: &str| {
        let error = loader(layout, classes, Order::InOrder).unwrap_err();
        assert_eq!(error.kind(), kind);
        assert!(error.message().contains(message), "{error}");
    };
    refused(packed, &[0, 1, 2], Kind::Usage, "one document a sequence");
    refused(
        Layout::OnePerRow,
        &[0, 1],
        Kind::Data,
        "2 classes of 3 documents",
    );
    refused(
        Layout::OnePerRow,
        &[0, -100, 1],
        Kind::Data,
        "document 1 has no class",
    );
}
