//! Verdicts over data: of a run, of a checkpoint, of a hub folder.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::home::{HOME, changed, fails, json, shown, stdout, tenon, write};

#[test]
fn eval_of_a_run() {
    insta::assert_snapshot!("eval", stdout(&["eval", "tiny", "--generate"]));
    let mut document = json(&["eval", "tiny", "--generate"]);
    let fields = document.as_object_mut().expect("an object");
    for value in fields.values_mut().filter(|value| value.is_f64()) {
        let exact = value.as_f64().expect("a number");
        *value = format!("{exact:.4}").into();
    }
    insta::assert_snapshot!("eval_json", format!("{document:#}"));
}

#[test]
fn eval_means_the_same_model_by_every_name() {
    let by_name = json(&["eval", "tiny"]);
    for name in [
        "runs/tiny",
        "runs/tiny/model",
        "runs/tiny/checkpoints/step-000008",
    ] {
        let by_path = json(&["eval", name]);
        assert_eq!(by_path["loss"], by_name["loss"], "{name}");
        assert_eq!(by_path["data"], by_name["data"], "{name}");
    }
    let earlier = json(&["eval", "runs/tiny/checkpoints/step-000004"]);
    assert_ne!(earlier["loss"], by_name["loss"]);
    let elsewhere = shown(&HOME.path().join("runs"));
    let output = tenon(
        Path::new("/"),
        &["eval", "tiny", "--runs", &elsewhere, "--json"],
    )
    .output();
    let document: Value = serde_json::from_slice(&output.expect("it starts").stdout).expect("one");
    assert_eq!(document["loss"], by_name["loss"]);
}

#[test]
fn eval_agrees_with_the_last_validation_of_the_run() {
    let log = fs::read_to_string(HOME.path().join("runs/tiny/metrics.jsonl")).expect("a log");
    let mut rows = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let last = rows.rfind(|row| row["split"] == "validation");
    let last = last.expect("a validation")["loss"]
        .as_f64()
        .expect("a number");
    let loss = json(&["eval", "tiny"])["loss"].as_f64().expect("a number");
    assert!((loss - last).abs() < 1e-9, "{loss} and {last}");
}

#[test]
fn eval_reads_other_data_and_its_parts() {
    let folder = tempfile::tempdir().expect("a folder");
    let body = "{\"body\": \"Q: What is 3 plus 4?\"}\n{\"body\": \"seven\"}\n";
    let file = write(&folder, "held_out.jsonl", body);
    let whole = json(&["eval", "tiny", "--data", &file, "--text-column", "body"]);
    assert_eq!(whole["data"]["split"], "all");
    assert_eq!(whole["data"]["documents"], 2);
    // Each document's first byte is given, and its end is learned.
    assert_eq!(
        (&whole["tokens"], &whole["bytes"]),
        (&25.into(), &23.into())
    );
    write(&folder, "train.jsonl", body.repeat(3));
    fs::remove_file(&file).expect("it is there");
    write(&folder, "test.jsonl", body);
    let path = shown(folder.path());
    let of = |split: &[&str]| {
        let data = ["eval", "tiny", "--data", &path, "--text-column", "body"];
        json(&[&data, split].concat())
    };
    assert_eq!(of(&[])["data"]["split"], "test");
    assert_eq!(of(&[])["loss"], whole["loss"]);
    assert_eq!(of(&["--split", "train"])["data"]["documents"], 6);
    assert_eq!(of(&["--split", "all"])["data"]["documents"], 8);
    let one = of(&["--split", "train", "--max-batches", "1"]);
    assert_eq!(one["batches"], 1);
    let validation = [
        "--data",
        &path,
        "--text-column",
        "body",
        "--split",
        "validation",
    ];
    let none = [&["eval", "tiny"], &validation[..]].concat();
    fails(&none, 2, "has no split `validation`");
    let no_column = ["eval", "tiny", "--data", &path, "--text-column", "tex"];
    fails(&no_column, 3, "tex");
    fails(
        &["eval", "tiny", "--split", "test"],
        2,
        "a run has no part `test`",
    );
}

/// Without a run, documents are packed: every token but the first of a document counts.
#[test]
fn eval_of_a_hub_folder_counts_every_token() {
    let copy = changed(&HOME.path().join("runs/tiny/model"), "", |content| content);
    let model = shown(copy.path());
    let folder = tempfile::tempdir().expect("a folder");
    let file = write(&folder, "long.txt", "abcdefgh".repeat(40));
    let judged = json(&["eval", &model, "--data", &file]);
    assert_eq!(judged["data"]["layout"], "packed, documents apart");
    // 320 bytes and an end in blocks of 64 targets, of which the first byte is none.
    assert_eq!(judged["tokens"], 321 - 1);
    let of_run = json(&["eval", "tiny", "--data", &file]);
    assert_eq!(of_run["data"]["layout"], "one_per_row");
    assert_eq!(of_run["tokens"], 63);
    fails(&["eval", &model], 2, "has no data of its own");
    let corpus = json(&["eval", &model, "--data", "corpus", "--max-batches", "2"]);
    assert_eq!(corpus["batches"], 2);
}

/// Killed between a checkpoint and the end, a run has no `model` folder.
#[test]
fn a_run_that_has_not_ended_is_its_newest_checkpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join("runs/half");
    let from = HOME.path().join("runs/tiny");
    fs::create_dir_all(run.join("checkpoints")).expect("room");
    fs::copy(
        from.join("config.resolved.yaml"),
        run.join("config.resolved.yaml"),
    )
    .expect("a copy");
    for (step, name) in [
        ("step-000004", "step-000004"),
        ("step-000008", "step-000010"),
    ] {
        let model = run.join("checkpoints").join(name).join("model");
        fs::create_dir_all(&model).expect("room");
        for file in fs::read_dir(from.join("checkpoints").join(step).join("model")).expect("some") {
            let file = file.expect("a file");
            fs::copy(file.path(), model.join(file.file_name())).expect("a copy");
        }
    }
    fs::create_dir(run.join("checkpoints/unfinished-step-000012")).expect("room");
    let output = tenon(folder.path(), &["eval", "half", "--json"]).output();
    let output = output.expect("the program starts");
    let document: Value = serde_json::from_slice(&output.stdout).expect("a document");
    assert_eq!(document["loss"], json(&["eval", "tiny"])["loss"]);
    assert_eq!(document["model"], "runs/half/checkpoints/step-000010/model");
}
