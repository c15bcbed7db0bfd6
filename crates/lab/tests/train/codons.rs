//! Fresh models of codons, in both published variants.

use std::fmt::Write;
use std::fs;

use serde_json::Value;
use tenon_base::files::RealDisk;
use tenon_models::checkpoint::Checkpoint;

use crate::place::Place;

const CONFIG: &str = "\
model: {family: codonfm, inner_norms: false, max_seq_len: 16, n_blocks: 2, n_heads: 2, d_model: 16}
data: {path: genes.fasta, tokenizer: codon, validation_fraction: 0.25}
training: {max_steps: 2, batch_size: 4, learning_rate: 1.0e-2, eval_every: 2}
";

/// Coding sequences of some length.
fn genes() -> String {
    let mut text = String::new();
    for i in 0..16 {
        let codon = |j: usize| ["ATG", "GCT", "AAA", "CTG", "GAT"][(i * 3 + j * j) % 5];
        let gene: String = (0..5 + i % 6).map(codon).collect();
        writeln!(text, ">g{i}\n{gene}").unwrap();
    }
    text
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Tensors that a model computes, by the bits.
fn vectors(place: &Place, model: &str) -> Vec<f64> {
    let out = "embeddings.safetensors";
    let line = ["predict", model, "--task", "embed", "--data", "genes.fasta"];
    place.succeed(&[&line[..], &["--out", out]].concat());
    let file = Checkpoint::open(&RealDisk, &place.path(out)).unwrap();
    file.tensor("embeddings").unwrap().to_f64().unwrap()
}

/// From fresh weights to a folder with the names that NVIDIA publishes, and on from there.
#[test]
fn a_plain_model_is_trained_saved_and_read() {
    let place = Place::new();
    place.write("genes.fasta", genes());
    place.write("plain.yaml", CONFIG);
    let facts = json(&place.succeed(&["inspect", "plain.yaml", "--json"]));
    let said = (&facts["family"], &facts["variant"]);
    assert_eq!(said, (&"codonfm".into(), &"without inner norms".into()));
    let text = place.succeed(&["inspect", "plain.yaml"]);
    assert!(text.starts_with("codonfm without inner norms, "), "{text}");

    place.succeed(&["train", "plain.yaml"]);
    let hub = fs::read_to_string(place.path("runs/plain/model/config.json")).unwrap();
    let hub = json(&hub);
    assert_eq!(hub["model_type"], "codonfm");
    assert_eq!(hub["architectures"][0], "CodonFMForMaskedLM");
    assert_eq!(
        (&hub["hidden_act"], &hub["fuse_qkv_params"]),
        (&"gelu".into(), &true.into())
    );
    let weights = place.path("runs/plain/model/model.safetensors");
    let weights = Checkpoint::open(&RealDisk, &weights).unwrap();
    let layer = "encoder.layers.1";
    for name in [
        format!("{layer}.self_attention.layernorm_qkv.weight"),
        format!("{layer}.layernorm_mlp.fc1_weight"),
        "lm_head.layer_norm_linear.weight".to_owned(),
    ] {
        assert!(weights.tensor(&name).is_ok(), "{name}");
    }
    assert!(!weights.names().any(|name| name.contains("inner")));
    let report = fs::read_to_string(place.path("runs/plain/report.md")).unwrap();
    assert!(report.contains("codonfm without inner norms"), "{report}");

    // The folder alone is the model: the same numbers, and the same after no further step.
    let place_of = |name: &str| place.path(name).join("model");
    fs::create_dir_all(place_of("bare")).unwrap();
    for file in fs::read_dir(place_of("runs/plain")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), place_of("bare").join(file.file_name())).unwrap();
    }
    let own = vectors(&place, "runs/plain");
    assert!(own.iter().all(|x| x.is_finite()) && own.iter().any(|&x| x != 0.0));
    assert_eq!(vectors(&place, "bare/model"), own);
    let loss = |line: &[&str]| json(&place.succeed(line))["loss"].as_f64().unwrap();
    let trained = loss(&["eval", "runs/plain", "--json"]);
    let from = CONFIG.replace(
        "{family: codonfm, inner_norms: false, max_seq_len: 16, n_blocks: 2, n_heads: 2, \
         d_model: 16}",
        "{from: bare/model}",
    );
    place.write("on.yaml", from.replace("1.0e-2", "1.0e-30"));
    place.succeed(&["train", "on.yaml"]);
    assert_eq!(loss(&["eval", "runs/on", "--json"]), trained);
}

#[test]
fn the_variant_with_inner_norms_stays_the_usual_one() {
    let place = Place::new();
    place.write("genes.fasta", genes());
    place.write("usual.yaml", CONFIG.replace("inner_norms: false, ", ""));
    place.succeed(&["train", "usual.yaml"]);
    let hub = fs::read_to_string(place.path("runs/usual/model/config.json")).unwrap();
    assert_eq!(json(&hub)["model_type"], "encodon");
    let listed = json(&place.succeed(&["models", "ls", "--json"]));
    let families = listed["families"].as_array().unwrap();
    let own = families
        .iter()
        .find(|family| family["name"] == "codonfm")
        .unwrap();
    assert!(
        own["about"]
            .as_str()
            .unwrap()
            .contains("`inner_norms: false`"),
        "{own}"
    );
}
