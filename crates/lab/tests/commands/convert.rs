//! `tenon convert`: what it writes beside the weights, and when it refuses.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::home::{HOME, json, output, text};

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_run_becomes_a_folder_with_its_card() {
    let out = HOME.path().join("published");
    let target = out.to_str().unwrap();
    let done = json(&["convert", "tiny", target, "--to", "hub", "--license", "MIT"]);
    assert_eq!(done["license"], "mit");
    assert_eq!(done["files"], serde_json::json!(["model.safetensors"]));
    for name in ["LICENSE", "README.md", "config.json", "tokenizer.json"] {
        assert!(names(&out).contains(&name.to_owned()), "{name}");
    }
    let card = fs::read_to_string(out.join("README.md")).unwrap();
    let log = fs::read_to_string(HOME.path().join("runs/tiny/metrics.jsonl")).unwrap();
    let rows = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap());
    let losses = rows.filter(|row| row["split"] == "validation");
    let best = losses
        .map(|row| row["loss"].as_f64().unwrap())
        .fold(f64::INFINITY, f64::min);
    assert!(
        card.contains(&format!("| validation loss | {best:.4} |")),
        "{card}"
    );
    assert!(
        card.contains("Trained by the run tiny on the corpus of Tenon."),
        "{card}"
    );
    assert!(!card.contains(HOME.path().to_str().unwrap()));
}

#[test]
fn shards_have_the_size_that_was_asked_for() {
    let out = HOME.path().join("sharded");
    let target = out.to_str().unwrap();
    let size = ["--max-shard-size", "20kB"];
    let done = output(
        &[
            ["convert", "runs/tiny", target, "--to", "hub"].as_slice(),
            &size,
        ]
        .concat(),
    );
    assert_eq!(done.status.code(), Some(0), "{}", text(&done.stderr));
    let said = text(&done.stderr);
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("the source names no licence") && said.contains("--license"));
    let all = names(&out);
    assert!(
        all.contains(&"model-00001-of-00003.safetensors".to_owned()),
        "{all:?}"
    );
    assert!(!all.contains(&"README.md".to_owned()));
}

#[test]
fn a_card_without_a_licence_and_a_size_without_sense_are_mistakes_of_usage() {
    let target = HOME.path().join("refused");
    let call = [
        "convert",
        "runs/tiny",
        target.to_str().unwrap(),
        "--to",
        "hub",
    ];
    for (more, message) in [
        (vec!["--card"], "no card: the source names no licence"),
        (vec!["--license", "openrail"], "`openrail` is not approved"),
        (vec!["--max-shard-size", "big"], "no size"),
        (vec!["--max-shard-size", "0"], "no size"),
    ] {
        let done = output(&[call.as_slice(), &more].concat());
        assert_eq!(done.status.code(), Some(2), "{more:?}");
        assert!(
            text(&done.stderr).contains(message),
            "{}",
            text(&done.stderr)
        );
    }
    assert!(!target.exists());
}
