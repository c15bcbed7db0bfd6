//! Masked language models from a FASTA file.

use std::fs;
use std::path::Path;

use serde_json::Value;
use tenon_data::source::{read_fasta, unigram_perplexity};

use crate::place::Place;

const CONFIG: &str = "\
model: {family: esm2, max_seq_len: 128, n_blocks: 2, n_heads: 4, d_model: 48}
data: {path: proteins.fasta, tokenizer: esm}
training:
  max_steps: 150
  batch_size: 16
  optimizer: adamw
  learning_rate: 4.0e-3
  warmup_steps: 10
";

/// The example's sequences have motifs: who looks at neighbours guesses better than by frequency.
#[test]
fn a_masked_model_learns_more_than_the_frequencies_of_residues() {
    let place = Place::new();
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../configs/proteins.fasta");
    fs::copy(&example, place.path("proteins.fasta")).unwrap();
    fs::write(place.path("masked.yaml"), CONFIG).unwrap();
    place.succeed(&["train", "masked.yaml", "--name", "masked"]);
    let facts = place.succeed(&["eval", "runs/masked", "--json"]);
    let facts: Value = serde_json::from_str(&facts).unwrap();
    let found = facts["perplexity"].as_f64().expect("a perplexity");
    let (records, _) = read_fasta(&example).unwrap();
    let texts = records.iter().map(|record| record.sequence.as_str());
    let unigram = unigram_perplexity(texts).unwrap();
    assert!(
        found < 0.9 * unigram,
        "{found} beside {unigram} of frequencies"
    );

    let head: String = records[..3]
        .iter()
        .map(|record| format!(">{}\n{}\n", record.id, record.sequence))
        .collect();
    fs::write(place.path("three.fasta"), head).unwrap();
    let of = |task: &'static str, out: &'static str| {
        let line = [
            "predict",
            "runs/masked",
            "--task",
            task,
            "--data",
            "three.fasta",
        ];
        let line: Vec<&str> = line.into_iter().chain(["--out", out, "--json"]).collect();
        serde_json::from_str::<Value>(&place.succeed(&line)).unwrap()
    };
    let embedded = of("embed", "embeddings.safetensors");
    assert_eq!(
        (&embedded["sequences"], &embedded["width"]),
        (&3.into(), &48.into())
    );
    let scored = of("mutations", "scores.tsv");
    let rows = scored["rows"].as_array().unwrap();
    let n_residues: usize = records[..3]
        .iter()
        .map(|record| record.sequence.len())
        .sum();
    assert_eq!(rows.len(), n_residues);
    assert!(
        rows.iter()
            .all(|row| row["log_prob"].as_f64().unwrap() < 0.0)
    );
}

/// Geneformer's way: counts, ranks, and a BERT with ReLU over them. By hand: in the first cell ga
/// is 5/10·10⁴/1, gb 3/10·10⁴/2 and gc 2/10·10⁴/0.5.
#[test]
fn single_cells_are_ranked_and_learned() {
    let place = Place::new();
    place.write(
        "counts.csv",
        "gene,cell0,cell1,cell2,cell3\nga,5,0,1,9\ngb,3,4,1,0\ngc,2,4,0,1\nother,0,1,1,1\n",
    );
    place.write("medians.json", r#"{"ga": 1.0, "gb": 2.0, "gc": 0.5}"#);
    let tokens = r#"{"<pad>": 0, "<mask>": 1, "ga": 2, "gb": 3, "gc": 4}"#;
    place.write("tokens.json", tokens);
    let line =
        "data rank counts.csv --medians medians.json --tokens tokens.json --out ranked --json";
    let facts = place.succeed(&line.split(' ').collect::<Vec<_>>());
    let facts: Value = serde_json::from_str(&facts).unwrap();
    assert_eq!(
        (&facts["cells"], &facts["genes_unknown"]),
        (&4.into(), &1.into())
    );
    let cells = fs::read_to_string(place.path("ranked/cells.jsonl")).unwrap();
    let first: Value = serde_json::from_str(cells.lines().next().unwrap()).unwrap();
    assert_eq!(
        (&first["cell"], &first["text"]),
        (&"cell0".into(), &"ga gc gb".into())
    );
    place.write(
        "geneformer.yaml",
        "model: {family: bert, activation: relu, max_seq_len: 16, n_blocks: 1, d_model: 12}\n\
         data: {path: ranked/cells.jsonl, tokenizer: ranked, validation_fraction: 0.25}\n\
         training: {max_steps: 3, batch_size: 2, learning_rate: 1.0e-3}\n",
    );
    place.succeed(&["train", "geneformer.yaml"]);
    assert!(
        place
            .path("runs/geneformer/model/gene_medians.json")
            .is_file()
    );
}
