//! Training from Parquet files: the same run as from the same rows in JSON lines.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::place::Place;

/// A folder or file of the Parquet files that are read in the tests of tenon-data.
fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../data/tests/parquet")
        .join(name)
}

/// Trains on both formats of a data set and compares weights and metrics to the bit.
fn same_run(place: &Place, config: &str, parquet: &str, jsonl: &str) {
    for (name, data) in [("columns", parquet), ("lines", jsonl)] {
        let text = config.replace("DATA", &fixture(data).display().to_string());
        place.write(&format!("{name}.yaml"), text);
        place.succeed(&["train", &format!("{name}.yaml")]);
    }
    let (weights, lines) = place.end("columns");
    assert!(lines.iter().any(|line| line.contains("validation")));
    assert_eq!((weights, lines), place.end("lines"));
}

#[test]
fn a_hub_folder_of_shards_trains_as_the_same_rows_in_json_lines() {
    let place = Place::new();
    let config = "\
model: {family: gpt2, n_blocks: 1, n_heads: 2, d_model: 16, max_seq_len: 32}
data: {path: DATA, tokenizer: char, layout: packed}
training: {max_steps: 6, batch_size: 4, learning_rate: 1.0e-2, eval_every: 3, log_every: 1}
";
    same_run(&place, config, "set/parquet", "set/jsonl");
    let shard = fixture("set/parquet/data/train-00001-of-00002.parquet");
    let data = shard.display().to_string();
    let facts = place.succeed(&["eval", "runs/columns", "--data", &data, "--json"]);
    let facts: Value = serde_json::from_str(&facts).unwrap();
    assert!(facts["perplexity"].as_f64().unwrap() > 1.0);
}

#[test]
fn a_masked_model_learns_from_a_column_of_sequences() {
    let place = Place::new();
    let config = "\
model: {family: esm2, max_seq_len: 32, n_blocks: 1, n_heads: 2, d_model: 16}
data: {path: DATA, text_column: sequence, tokenizer: esm, validation_fraction: 0.25}
training: {max_steps: 6, batch_size: 8, learning_rate: 4.0e-3, eval_every: 3, log_every: 1}
";
    same_run(&place, config, "proteins.parquet", "proteins.jsonl");
}

#[test]
fn whole_numbers_and_booleans_tell_classes() {
    for (column, names) in [("family", ["0", "1"]), ("known", ["false", "true"])] {
        let place = Place::new();
        let config = format!(
            "model: {{family: esm2, max_seq_len: 32, n_blocks: 1, n_heads: 2, d_model: 16, \
             head: sequence}}\n\
             data: {{path: DATA, text_column: sequence, label_column: {column}, \
             tokenizer: esm, validation_fraction: 0.25}}\n\
             training: {{max_steps: 2, batch_size: 8, learning_rate: 4.0e-3}}\n"
        );
        same_run(&place, &config, "proteins.parquet", "proteins.jsonl");
        let hub = fs::read_to_string(place.path("runs/columns/model/config.json")).unwrap();
        let hub: Value = serde_json::from_str(&hub).unwrap();
        for (id, name) in names.iter().enumerate() {
            assert_eq!(hub["id2label"][id.to_string()], *name);
        }
    }
}

#[test]
fn a_broken_file_is_refused_as_data_without_a_bug() {
    let place = Place::new();
    let whole = fs::read(fixture("proteins.parquet")).unwrap();
    place.write("cut.parquet", &whole[..whole.len() - 9]);
    let mut changed = whole.clone();
    changed[4..200].fill(0xFF);
    place.write("changed.parquet", changed);
    place.write("whole.parquet", whole);
    for (path, column, word) in [
        ("cut.parquet", "id", "not a whole Parquet file"),
        ("changed.parquet", "id", "a page whose header is broken"),
        ("whole.parquet", "sequense", "did you mean `sequence`?"),
    ] {
        let data = format!("data: {{path: {path}, text_column: {column}, tokenizer: char}}");
        let model = "model: {family: gpt2, n_blocks: 1, n_heads: 2, d_model: 16, max_seq_len: 32}";
        place.write(
            "refused.yaml",
            format!("{model}\n{data}\ntraining: {{max_steps: 2}}\n"),
        );
        let (code, said) = place.fail(&["train", "refused.yaml"]);
        assert_eq!(code, 3, "{said}");
        assert!(
            said.contains(word) && !said.contains("a bug"),
            "{word} in {said}"
        );
    }
}
