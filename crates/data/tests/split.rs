//! Splits: complete, disjoint, reproducible, never empty.

use std::collections::BTreeMap;
use std::path::PathBuf;

use proptest::prelude::*;
use tenon_base::Kind;
use tenon_data::source::{DataSet, Rows, Split};
use tenon_data::split::{by_fraction, train_validation};

fn rows(texts: &[String]) -> Rows {
    let mut rows = Rows::new();
    rows.begin_file(PathBuf::from("a.txt"));
    for (index, text) in texts.iter().enumerate() {
        rows.push(index as u64 + 1, text).unwrap();
    }
    rows
}

fn numbered(n: usize) -> Rows {
    rows(&(0..n).map(|i| format!("row {i}")).collect::<Vec<_>>())
}

#[test]
fn one_text_gives_its_tail() {
    let split = by_fraction(&rows(&["abcdefghi\nj".into()]), 0.2, 0).unwrap();
    assert_eq!(split.train.text(0), "abcdefghi");
    assert_eq!(
        (split.validation.text(0), split.validation.place(0).as_str()),
        ("\nj", "a.txt:1")
    );
}

#[test]
fn a_text_too_short_to_divide() {
    let error = by_fraction(&rows(&["ab".into()]), 0.01, 0).unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert!(error.to_string().contains("too short"), "{error}");
    assert!(by_fraction(&rows(&["é".into()]), 0.5, 0).is_err());
}

#[test]
fn a_fraction_outside_zero_and_one() {
    for fraction in [0.0, 1.0, -0.5, f64::NAN, f64::INFINITY] {
        assert_eq!(
            by_fraction(&numbered(5), fraction, 0).unwrap_err().kind(),
            Kind::Usage
        );
    }
    assert_eq!(
        by_fraction(&Rows::new(), 0.5, 0).unwrap_err().kind(),
        Kind::Data
    );
}

#[test]
fn rows_are_drawn_by_the_seed() {
    let split = |seed| by_fraction(&numbered(1000), 0.1, seed).unwrap();
    assert_eq!(split(1), split(1));
    assert_ne!(split(1), split(2));
    assert_eq!(split(1).validation.len(), 100);
    // Not simply the last rows: drawn from everywhere.
    let first: usize = split(1).validation.text(0)[4..].parse().unwrap();
    assert!(first < 100, "{first}");
}

#[test]
fn the_files_own_splits_come_first() {
    let set = |names: &[Split]| DataSet {
        splits: names
            .iter()
            .map(|&split| (split, rows(&[split.name().into()])))
            .collect(),
        unsplit: None,
        ignored: Vec::new(),
    };
    let all = [Split::Train, Split::Validation, Split::Test];
    let own = train_validation(set(&all), 0.5, 0).unwrap();
    assert_eq!(
        (own.train.text(0), own.validation.text(0)),
        ("train", "validation")
    );
    let own = train_validation(set(&[Split::Train, Split::Test]), 0.5, 0).unwrap();
    assert_eq!(
        (own.train.text(0), own.validation.text(0)),
        ("train", "test")
    );
    let divided = train_validation(set(&[Split::Train]), 0.4, 0).unwrap();
    assert_eq!(
        (divided.train.text(0), divided.validation.text(0)),
        ("tra", "in")
    );
    let error = train_validation(set(&[Split::Test]), 0.5, 0).unwrap_err();
    assert!(error.message().contains("no train split"));
    let unsplit = DataSet {
        splits: BTreeMap::new(),
        unsplit: Some(numbered(4)),
        ignored: Vec::new(),
    };
    assert_eq!(
        train_validation(unsplit, 0.25, 0).unwrap().validation.len(),
        1
    );
}

#[test]
fn a_subset_is_the_first_rows() {
    let subset = numbered(5).subset(2).unwrap();
    assert_eq!(subset.texts().collect::<Vec<_>>(), ["row 0", "row 1"]);
    assert_eq!(subset.n_bytes(), 10);
    for n in [0, 6] {
        let error = numbered(5).subset(n).unwrap_err();
        assert!(error.hint_text().unwrap().contains("between 1 and 5"));
    }
}

proptest! {
    #[test]
    fn every_row_is_on_one_side(
        n in 2usize..200, fraction in 0.001f64..0.999, seed in any::<u64>(),
    ) {
        let rows = numbered(n);
        let split = by_fraction(&rows, fraction, seed).unwrap();
        prop_assert!(!split.train.is_empty() && !split.validation.is_empty());
        let mut all: Vec<&str> = split.train.texts().chain(split.validation.texts()).collect();
        let mut expected: Vec<&str> = rows.texts().collect();
        all.sort_unstable();
        expected.sort_unstable();
        prop_assert_eq!(all, expected);
    }

    #[test]
    fn the_two_parts_of_a_text_join(text in "\\PC{2,60}", fraction in 0.01f64..0.99) {
        if let Ok(split) = by_fraction(&rows(std::slice::from_ref(&text)), fraction, 0) {
            prop_assert_eq!(split.train.text(0).to_owned() + split.validation.text(0), text);
        }
    }
}
