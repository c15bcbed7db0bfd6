//! Classes of sequences from a table with labels.

use std::fmt::Write;
use std::fs;

use serde_json::Value;

use crate::place::Place;

const MODEL: &str = "family: esm2, max_seq_len: 16, n_blocks: 1, n_heads: 2, d_model: 16";

fn config(model: &str, data: &str) -> String {
    format!(
        "model: {{{model}}}\n\
         data: {{path: {data}, tokenizer: esm, validation_fraction: 0.25}}\n\
         training: {{max_steps: 60, batch_size: 8, learning_rate: 1.0e-2, optimizer: adamw}}\n"
    )
}

/// The class says which of two residues a sequence holds.
fn table(n: usize, first: usize) -> String {
    let mut text = "text,label\n".to_owned();
    for i in first..first + n {
        let rest: String = (0..3 + i % 5)
            .map(|j| b"AGLKV"[(i * 7 + j * j) % 5] as char)
            .collect();
        let (residue, label) = [("W", "rare, aromatic"), ("P", "bent")][i % 2];
        let at = i % rest.len();
        writeln!(text, "{}{residue}{},\"{label}\"", &rest[..at], &rest[at..]).unwrap();
    }
    text
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[test]
fn classes_are_learned_named_and_judged() {
    let place = Place::new();
    place.write("data.csv", table(80, 0));
    place.write("held_out.csv", table(20, 300));
    let model = format!("{MODEL}, head: sequence");
    place.write("classes.yaml", config(&model, "data.csv"));
    place.succeed(&["train", "classes.yaml"]);
    let hub = fs::read_to_string(place.path("runs/classes/model/config.json")).unwrap();
    let hub = json(&hub);
    assert_eq!(hub["architectures"][0], "EsmForSequenceClassification");
    assert_eq!(hub["id2label"]["0"], "bent");
    assert_eq!(hub["label2id"]["rare, aromatic"], 1);
    let own = json(&place.succeed(&["eval", "runs/classes", "--json"]));
    let line = ["eval", "runs/classes", "--data", "held_out.csv", "--json"];
    let other = json(&place.succeed(&line));
    for (facts, n) in [(own, 20), (other, 20)] {
        assert_eq!(facts["counted"], n, "{facts}");
        assert!(facts["accuracy"].as_f64().unwrap() > 0.9, "{facts}");
        assert_eq!(facts["of_each"][0]["label"], "bent", "{facts}");
        assert!(facts.get("perplexity").is_none() && facts.get("bits_per_byte").is_none());
    }

    place.write("unknown.csv", "text,label\nAWG,bend\nAPG,bent\n");
    let line = ["eval", "runs/classes", "--data", "unknown.csv"];
    let (code, said) = place.fail(&line);
    assert_eq!(code, 3);
    assert!(said.contains("no class `bend`"), "{said}");
    assert!(
        said.contains("unknown.csv:2") && said.contains("`bent`"),
        "{said}"
    );
}

/// The encoder of a masked model goes on under a fresh head.
#[test]
fn a_model_of_tokens_gets_a_new_head() {
    let place = Place::new();
    place.write("data.csv", table(24, 0));
    place.write("masked.yaml", config(MODEL, "data.csv"));
    place.succeed(&["train", "masked.yaml", "--set", "training.max_steps=2"]);
    place.write(
        "tuned.yaml",
        config("from: runs/masked, head: sequence", "data.csv"),
    );
    let frozen = [
        "--set",
        "training.max_steps=1",
        "--set",
        "training.learning_rate=1e-30",
    ];
    let line = [&["train", "tuned.yaml"], &frozen[..]].concat();
    let output = place.run(&line);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("`head.pool.weight`"), "{said}");
    let weights = |run: &str| {
        let path = place.path(&format!("runs/{run}/model"));
        let folder = tenon_models::folder::load(&tenon_base::files::RealDisk, &path).unwrap();
        folder.weights.tensors
    };
    let (before, after) = (weights("masked"), weights("tuned"));
    let mut n_kept = 0;
    for tensor in &after {
        match before.iter().find(|other| other.name == tensor.name) {
            Some(other) => {
                n_kept += 1;
                assert!(*other.bytes == *tensor.bytes, "{}", tensor.name);
            }
            None => assert!(tensor.name.starts_with("head."), "{}", tensor.name),
        }
    }
    assert_eq!(after.len(), n_kept + 4);
}

/// As many outputs of another problem are no reason to keep the old ones.
#[test]
fn another_problem_gets_a_new_head() {
    let place = Place::new();
    place.write("data.csv", table(24, 0));
    let model = format!("{MODEL}, head: sequence");
    place.write("classes.yaml", config(&model, "data.csv"));
    place.succeed(&["train", "classes.yaml", "--set", "training.max_steps=1"]);
    let head = "from: runs/classes, head: sequence, problem_type: multi_label_classification, \
                labels: [bent, 'rare, aromatic']";
    place.write("labels.yaml", config(head, "data.csv"));
    let output = place.run(&["train", "labels.yaml", "--set", "training.max_steps=1"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let fresh = "`head.sequence.weight`, `head.sequence.bias` start fresh";
    assert!(said.contains(fresh), "{said}");
    assert!(!said.contains("head.pool"), "{said}");
}

#[test]
fn what_cannot_be_told_is_refused() {
    let place = Place::new();
    place.write("data.csv", table(12, 0));
    let model = format!("{MODEL}, head: sequence");
    place.write("classes.yaml", config(&model, "data.csv"));
    let refused = |code, set: &str, message: &str| {
        let (found, said) = place.fail(&["train", "classes.yaml", "--set", set]);
        assert!(found == code && said.contains(message), "{found}: {said}");
    };
    refused(3, "data.label_column=kind", "no column `kind`");
    refused(2, "data.layout=packed", "one document a sequence");
    refused(3, "model.family=codonfm", "has no head for classes");
    refused(3, "data.label_column=lable", "did you mean `label`?");
    refused(
        2,
        "data.label_column=[text, label]",
        "labels stand in one column",
    );
    refused(2, "model.problem_type=ranking", "model.problem_type");
    refused(2, "model.family=llama", "`llama` has no head for classes");
    for labels in ["[]", "[bent]"] {
        let message = format!("`model.labels` names {} class", usize::from(labels != "[]"));
        refused(2, &format!("model.labels={labels}"), &message);
    }
    place.write("data.csv", "text,label\nAW,one\nAP,one\nAG,one\n");
    refused(3, "training.max_steps=1", "nothing to tell");
    place.write("data.csv", "text,label\nAW,one\nAP,\nAG,two\nAK,two\n");
    refused(3, "training.max_steps=1", "data.csv:3");
    // Labels of tokens are no class of a text, those with gaps neither.
    for list in ["[H, E]", "[H, null]", "[-100, 1]"] {
        let list = list.replace('H', "\"H\"").replace('E', "\"E\"");
        let row = format!("{{\"text\": \"AW\", \"label\": {list}}}\n");
        place.write("data.jsonl", row.repeat(8));
        place.write("classes.yaml", config(&model, "data.jsonl"));
        refused(
            3,
            "training.max_steps=1",
            "holds a list where a text has one class",
        );
    }
}
