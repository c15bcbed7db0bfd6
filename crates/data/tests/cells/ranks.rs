//! Cells to ranked genes.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;
use tenon_base::Kind;
use tenon_data::batch::{Layout, LoaderSpec, Masker, Masking, Objective, Order, Partial, Redraw};
use tenon_data::cells::{GeneVocabulary, GenesAre, rank_cell, rank_cells, read_table};
use tenon_data::{Batch, Loader};

use super::{Files, TABLE, first, is_data, second, table};

fn recorded() -> Value {
    serde_json::from_str(include_str!("../golden/ranked_cells.json")).unwrap()
}

/// c1 has 10 counts: A 1000, B 2000, C 2000, D 2000 after normalisation; the three ties keep the
/// order of the matrix.
#[test]
fn a_cell_is_ranked_as_by_hand() {
    let counts = table("a.csv", TABLE, None).unwrap();
    assert_eq!(rank_cell(&counts, 0, &first(), 2048).unwrap(), [3, 4, 5, 2]);
    assert_eq!(rank_cell(&counts, 1, &first(), 2048).unwrap(), [4]);
    assert_eq!(rank_cell(&counts, 2, &first(), 2048).unwrap(), [0u32; 0]);
    assert_eq!(
        rank_cell(&counts, 0, &second(), 4096).unwrap(),
        [2, 5, 6, 9, 4, 3]
    );
    assert_eq!(rank_cell(&counts, 0, &second(), 4).unwrap(), [2, 5, 6, 3]);
    assert_eq!(rank_cell(&counts, 0, &first(), 2).unwrap(), [3, 4]);
}

#[test]
fn cells_without_known_genes_are_counted() {
    let counts = table("a.csv", TABLE, None).unwrap();
    let (tokens, facts) = rank_cells(&counts, &second(), 4).unwrap();
    assert_eq!(tokens.n_documents(), 2);
    assert_eq!(tokens.document(0), [2, 5, 6, 3]);
    assert_eq!(tokens.document(1), [2, 6, 3]);
    assert_eq!((facts.n_cells, facts.n_empty, facts.n_truncated), (2, 1, 1));
    assert_eq!(facts.n_genes_unknown, 1);
}

/// `golden/ranked_cells.py` computed the same with numpy.
#[test]
fn numpy_ranks_the_same() {
    let recorded = recorded();
    let map = |name: &str| recorded[name].as_object().unwrap().clone().into_iter();
    let medians: BTreeMap<String, f64> = map("medians")
        .map(|(name, value)| (name, value.as_f64().unwrap()))
        .collect();
    let tokens: BTreeMap<String, u32> = map("tokens")
        .map(|(name, value)| (name, value.as_u64().unwrap() as u32))
        .collect();
    let vocabulary = GeneVocabulary::from_maps(&medians, &tokens).unwrap();
    let genes: Vec<&str> = recorded["genes"]
        .as_array()
        .unwrap()
        .iter()
        .map(text)
        .collect();
    let mut csv = format!("cell,{}\n", genes.join(","));
    for (i, row) in recorded["counts"].as_array().unwrap().iter().enumerate() {
        let row: Vec<String> = row
            .as_array()
            .unwrap()
            .iter()
            .map(Value::to_string)
            .collect();
        csv += &format!("c{i},{}\n", row.join(","));
    }
    let files = Files::new(&[("a.csv", &csv)]);
    let counts = read_table(&files.path("a.csv"), None, &vocabulary).unwrap();
    let context = recorded["context"].as_u64().unwrap() as usize;
    let (mut n_cut, mut n_compared) = (0, 0);
    for (i, expected) in recorded["ranked"].as_array().unwrap().iter().enumerate() {
        let expected: Vec<u32> = ids(expected);
        let whole = rank_cell(&counts, i, &vocabulary, 4096).unwrap();
        assert_eq!(whole[1..whole.len() - 1], expected, "cell {i}");
        let cut = rank_cell(&counts, i, &vocabulary, context).unwrap();
        let n_kept = expected.len().min(context - 2);
        assert_eq!(cut[1..cut.len() - 1], expected[..n_kept]);
        n_cut += usize::from(n_kept < expected.len());
        n_compared += expected.len();
    }
    assert!(n_cut > 5 && n_compared > 300);
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn ids(value: &Value) -> Vec<u32> {
    let ids = value.as_array().unwrap().iter();
    ids.map(|id| id.as_u64().unwrap() as u32).collect()
}

#[test]
fn a_matrix_of_unknown_genes_or_without_room() {
    let counts = table("a.csv", "cell,P,Q\nc,1,2\n", Some(GenesAre::Columns)).unwrap();
    let error = rank_cells(&counts, &first(), 10).unwrap_err();
    is_data(error, "none of the 2 genes is in the vocabulary", "");
    let counts = table("a.csv", "cell,A,P\nc,0,2\n", None).unwrap();
    is_data(
        rank_cells(&counts, &first(), 10).unwrap_err(),
        "no cell has a count",
        "",
    );
    let counts = table("a.csv", TABLE, None).unwrap();
    for error in [
        rank_cells(&counts, &second(), 2).unwrap_err(),
        rank_cell(&counts, 0, &second(), 2).unwrap_err(),
        rank_cell(&counts, 0, &first(), 0).unwrap_err(),
    ] {
        assert_eq!(error.kind(), Kind::Usage, "{error}");
    }
}

#[test]
fn ranked_cells_are_masked_like_any_sequence() {
    let vocabulary = second();
    let counts = table("a.csv", TABLE, None).unwrap();
    let (tokens, _) = rank_cells(&counts, &vocabulary, 4096).unwrap();
    let masker = Masker::new(&vocabulary, Masking::STANDARD).unwrap();
    let spec = LoaderSpec {
        layout: Layout::OnePerRow,
        length_max: 2048,
        batch_size: 2,
        order: Order::InOrder,
        partial: Partial::Keep,
    };
    let objective = Objective::Masked {
        masker,
        seed: 0,
        redraw: Redraw::EachEpoch,
    };
    let mut loader = Loader::with_objective(Arc::new(tokens), spec, objective).unwrap();
    for _ in 0..30 {
        let mut batch = Batch::default();
        loader.next(&mut batch);
        assert!(batch.n_loss_tokens >= 2);
        assert!(batch.ids.iter().all(|id| ![7, 8].contains(id)));
    }
}
