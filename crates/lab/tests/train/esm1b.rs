//! A fresh model with ESM-1b's positions: trained, saved, read, and gone on with.

use std::fs;

use serde_json::Value;
use tenon_base::files::RealDisk;
use tenon_models::checkpoint::Checkpoint;

use crate::place::Place;

const CONFIG: &str = "\
model: {family: esm2, position_embedding_type: absolute, max_seq_len: 12, n_blocks: 1, n_heads: 2,
        d_model: 16}
data: {path: proteins.fasta, tokenizer: esm, validation_fraction: 0.25}
training: {max_steps: 2, batch_size: 4, learning_rate: 1.0e-2, eval_every: 2}
";

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn learned_positions_are_trained_saved_and_read() {
    let place = Place::new();
    let residues = |i: usize| (0..4 + i % 9).map(move |j| b"MKTAYIAKQR"[(i * 3 + j * j) % 10]);
    let protein = |i: usize| {
        let text: String = residues(i).map(char::from).collect();
        format!(">p{i}\n{text}\n")
    };
    place.write("proteins.fasta", (0..16).map(protein).collect::<String>());
    place.write("learned.yaml", CONFIG);
    place.succeed(&["train", "learned.yaml"]);
    let hub = fs::read_to_string(place.path("runs/learned/model/config.json")).unwrap();
    let hub = json(&hub);
    assert_eq!(hub["architectures"][0], "EsmForMaskedLM");
    assert_eq!(hub["position_embedding_type"], "absolute");
    assert_eq!(hub["emb_layer_norm_before"], true);
    // Padding has the id 1, so the first position is the row 2.
    assert_eq!(hub["max_position_embeddings"], 14);
    let weights = place.path("runs/learned/model/model.safetensors");
    let weights = Checkpoint::open(&RealDisk, &weights).unwrap();
    let table = weights
        .tensor("esm.embeddings.position_embeddings.weight")
        .unwrap();
    assert_eq!(table.shape, [14, 16]);
    let text = place.succeed(&["inspect", "runs/learned"]);
    assert!(text.starts_with("esm2 with learned positions, "), "{text}");

    let loss = |run: &str| {
        let facts = json(&place.succeed(&["eval", run, "--json"]));
        facts["loss"].as_f64().unwrap()
    };
    let on = "model: {from: runs/learned}\n";
    let rest = &CONFIG[CONFIG.find("data:").unwrap()..];
    let rest = rest
        .replace("1.0e-2", "1.0e-30")
        .replace("tokenizer: esm, ", "");
    place.write("on.yaml", format!("{on}{rest}"));
    place.succeed(&["train", "on.yaml"]);
    assert_eq!(loss("runs/on"), loss("runs/learned"));
    let (code, said) = place.fail(&["convert", "runs/learned", "fused", "--to", "fused"]);
    let message = "`esm2` with learned positions has no layout of fused layers";
    assert!(code == 3 && said.contains(message), "{code}: {said}");

    // Padding is no token of a row.
    let mut model = tenon::Model::load(&place.path("runs/learned")).unwrap();
    model.forward(&[vec![0, 5, 6, 2], vec![0, 2]]).unwrap();
    let error = model
        .forward(&[vec![0, 2], vec![0, 5, 1, 6, 2]])
        .unwrap_err();
    assert_eq!(error.message(), "the token at 2 is padding");
}

/// Learned positions begin behind the id of padding, so there must be one.
#[test]
fn a_tokenizer_without_padding_is_refused() {
    let place = Place::new();
    place.write(
        "proteins.fasta",
        ">a\nMKTAY\n>b\nAKQR\n>c\nMKAY\n>d\nTTQR\n",
    );
    let words = ["<cls>", "<eos>", "<unk>", "<mask>"].into_iter();
    let residues = "MKTAYIQR".chars().map(String::from);
    let words: Vec<String> = words.map(str::to_owned).chain(residues).collect();
    place.write("words/vocab.txt", words.join("\n"));
    place.write(
        "bare.yaml",
        CONFIG.replace("tokenizer: esm", "tokenizer: words"),
    );
    let (code, said) = place.fail(&["train", "bare.yaml"]);
    let message = "the tokenizer has no padding token";
    assert!(code == 2 && said.contains(message), "{code}: {said}");
    assert!(said.contains("data.tokenizer"), "{said}");
    let rotary = "model.position_embedding_type=rotary";
    place.succeed(&["train", "bare.yaml", "--set", rotary]);
}
