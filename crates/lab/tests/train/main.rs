//! `tenon train` from outside: what a run leaves, exact resume, bad input.

mod classes;
mod codons;
mod columns;
mod esm1b;
mod heads;
mod masked;
mod memory;
mod parquet;
mod place;
mod refuse;
mod resume;
mod unlabelled;

use std::fs;

use serde_json::Value;

use place::Place;

#[test]
fn a_run_leaves_what_the_contract_says() {
    let place = Place::new();
    let text = place.succeed(&["train", "tiny.yaml"]);
    assert!(text.contains("> Q: "), "{text}");
    assert!(text.contains("the corpus' entropy allows"), "{text}");
    let run = place.path("runs/tiny");
    for name in [
        "config.resolved.yaml",
        "metrics.jsonl",
        "report.md",
        "model/config.json",
        "model/model.safetensors",
        "model/tokenizer.json",
        "plots/loss.png",
        "plots/loss.svg",
        "plots/learning_rate.png",
        "plots/grad_norm.png",
    ] {
        assert!(run.join(name).is_file(), "{name}");
    }
    let (_, lines) = place.end("tiny");
    let first: Value = serde_json::from_str(&lines[0]).unwrap();
    for key in [
        "step",
        "epoch",
        "split",
        "loss",
        "learning_rate",
        "grad_norm",
        "tokens",
        "tokens_per_second",
    ] {
        assert!(first.get(key).is_some(), "{key} in {first}");
    }
    let listed = place.succeed(&["runs", "ls"]);
    assert!(
        listed.contains("tiny") && listed.contains("done"),
        "{listed}"
    );
}

/// The example configuration of the reference plan, as it was written, on a folder of the data
/// set's schema.
#[test]
fn the_reference_configuration_trains_as_given() {
    let place = Place::new();
    let verbatim = include_str!("../../../../configs/custom_transformer.yaml");
    place.write("custom.yaml", verbatim);
    let rows = |n: usize, salt: usize| -> String {
        let row = |i: usize| {
            let text = format!("Lesson {i}. The sum of {i} and {salt} is {}. ", i + salt).repeat(6);
            serde_json::json!({ "source": "made", "s": "s", "textbook": text }).to_string() + "\n"
        };
        (0..n).map(row).collect()
    };
    let set = "data/nampdn-ai/tiny-textbooks";
    place.write(&format!("{set}/train.jsonl"), rows(40, 3));
    place.write(&format!("{set}/test.jsonl"), rows(8, 5));
    let mut command = place.command(&[
        "train",
        "custom.yaml",
        "--set",
        "training.max_steps=2",
        "--set",
        "data.subset_size=40",
        "--set",
        "training.batch_size=2",
        "--json",
    ]);
    let output = command
        .env("TENON_DATA", place.path("data"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["steps"], 2);
    let config = fs::read_to_string(place.path("runs/custom/model/config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["model_type"], "custom_transformer");
    assert_eq!(config["vocab_size"], 50257);
}

#[test]
fn a_dry_run_says_what_a_run_would_take_and_leaves_nothing() {
    let place = Place::new();
    let text = place.succeed(&["train", "tiny.yaml", "--dry-run"]);
    for word in ["parameters", "memory", "steps", "time", "tokens"] {
        assert!(text.contains(word), "{word} in {text}");
    }
    assert!(!place.path("runs").exists());
}

#[test]
fn training_starts_from_a_model_folder() {
    let place = Place::new();
    place.succeed(&["train", "tiny.yaml"]);
    place.write(
        "on.yaml",
        "model: {from: runs/tiny/model}\n\
         data: {dataset: corpus, tokenizer: model, layout: packed, \
         corpus: {bytes: 20000, persons: 3}}\n\
         training: {max_steps: 2, batch_size: 4, learning_rate: 1e-9}\n",
    );
    place.succeed(&["train", "on.yaml"]);
    let loss = |run: &str, at: fn(&[String]) -> String| -> f64 {
        let (_, lines) = place.end(run);
        let validation: Vec<String> = lines
            .into_iter()
            .filter(|l| l.contains("validation"))
            .collect();
        let row: Value = serde_json::from_str(&at(&validation)).unwrap();
        row["loss"].as_f64().unwrap()
    };
    let last = |lines: &[String]| lines.last().unwrap().clone();
    let (before, after) = (loss("tiny", last), loss("on", last));
    assert!((before - after).abs() < 1e-3, "{before} and {after}");
}
