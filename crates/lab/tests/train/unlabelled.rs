//! Tokens without a label: neither learned nor judged, but told.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::place::Place;

/// Files of a model that `transformers` computed, see `make_unlabelled.py` there.
fn recorded(name: &str) -> String {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/train/unlabelled");
    folder.join(name).display().to_string()
}

fn config(head: &str, data: &str, steps: usize) -> String {
    format!(
        "model: {{family: esm2, max_seq_len: 16, n_blocks: 1, n_heads: 2, d_model: 16, \
         head: token{head}}}\n\
         data: {{path: {data}, tokenizer: esm, validation_fraction: 0.25}}\n\
         training: {{max_steps: {steps}, batch_size: 8, learning_rate: 1.0e-2, \
         optimizer: adamw, log_every: 1}}\n"
    )
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn said(place: &Place, line: &[&str]) -> String {
    let output = place.run(line);
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{line:?}: {said}");
    said
}

/// Gaps in each spelling are what -100 is to `transformers`; a row of gaps is reported.
#[test]
fn the_loss_is_that_of_ignored_labels() {
    let place = Place::new();
    let expected = json(&fs::read_to_string(recorded("expected.json")).unwrap());
    let (model, rows) = (recorded("model"), recorded("rows.jsonl"));
    let line = ["eval", &model, "--data", &rows, "--json"];
    let facts = json(&place.succeed(&line));
    let gap = facts["loss"].as_f64().unwrap() - expected["loss"].as_f64().unwrap();
    assert!(gap.abs() < 1e-6, "{facts}");
    assert_eq!(facts["counted"], expected["counted"]);
    let each = facts["of_each"].as_array().unwrap().iter();
    let support: Vec<&Value> = each.map(|of_one| &of_one["support"]).collect();
    assert_eq!(support, [4, 3, 3]);
    let said = said(&place, &line);
    let note = "1 of 3 rows have no label and do not count, the first: ";
    assert!(
        said.contains(note) && said.contains("rows.jsonl:3"),
        "{said}"
    );
}

/// Sequences with a class of each residue, in which every third has none.
fn table(n: usize, gap: char) -> String {
    let mut text = "text,label\n".to_owned();
    for i in 0..n {
        let residue = |j: usize| b"AVKD"[(i * 7 + j * (i + 3) + j * j) % 4] as char;
        let sequence: String = (0..4 + i % 7).map(residue).collect();
        let class = |(j, residue)| match (j % 3, residue) {
            (2, _) => gap,
            (_, 'A' | 'V') => 'H',
            _ => 'E',
        };
        let labels: String = sequence.chars().enumerate().map(class).collect();
        writeln!(text, "{sequence},{labels}").unwrap();
    }
    text
}

#[test]
fn residues_without_a_label_are_not_learned_but_told() {
    let place = Place::new();
    place.write("data.csv", table(48, '?'));
    place.write("gaps.yaml", config("", "data.csv", 60));
    place.succeed(&["train", "gaps.yaml"]);
    let facts = json(&place.succeed(&["eval", "runs/gaps", "--json"]));
    assert_eq!(facts["of_each"].as_array().unwrap().len(), 2, "{facts}");
    assert!(facts["accuracy"].as_f64().unwrap() > 0.9, "{facts}");
    let all = ["eval", "runs/gaps", "--data", "data.csv", "--json"];
    let n_labels = table(48, '?').matches(['H', 'E']).count();
    assert_eq!(json(&place.succeed(&all))["counted"], n_labels);

    // What is told has no gaps.
    let line = "predict runs/gaps --task head --data data.csv --out out.tsv";
    place.succeed(&line.split(' ').collect::<Vec<_>>());
    let told = fs::read_to_string(place.path("out.tsv")).unwrap();
    let n_residues: usize = table(48, '?')
        .lines()
        .skip(1)
        .map(|row| row.len() / 2)
        .sum();
    assert_eq!(told.lines().count(), 1 + n_residues);

    // The same run where other characters mean the same.
    let first = place.end("gaps");
    for gap in ['-', '.'] {
        place.write("data.csv", table(48, gap));
        let name = format!("gaps{}", u32::from(gap));
        let named = ["--set", "model.labels=[E, H]", "--name", &name];
        place.succeed(&[&["train", "gaps.yaml"], &named[..]].concat());
        assert_eq!(place.end(&name), first);
    }
}

/// A dash is a class like any other where nobody names the classes, and that is said.
#[test]
fn a_dash_may_be_a_class() {
    let place = Place::new();
    place.write("data.csv", table(24, '-'));
    place.write("dash.yaml", config("", "data.csv", 1));
    let note = "`-` is a class of its own; name the classes in `model.labels`";
    let found = said(&place, &["train", "dash.yaml"]);
    assert!(found.contains(note), "{found}");
    let facts = json(&place.succeed(&["eval", "runs/dash", "--json"]));
    assert_eq!(facts["of_each"][0]["label"], "-");
    let labels = ["--set", "model.labels=['-', E, H]", "--name", "named"];
    let found = said(&place, &[&["train", "dash.yaml"], &labels[..]].concat());
    assert!(!found.contains(note), "{found}");
    // A question mark is a class where it is named.
    place.write("data.csv", table(24, '?'));
    let labels = ["--set", "model.labels=['?', E, H]", "--name", "asked"];
    place.succeed(&[&["train", "dash.yaml"], &labels[..]].concat());
    let facts = json(&place.succeed(&["eval", "runs/asked", "--json"]));
    assert!(facts["of_each"][0]["support"].as_u64().unwrap() > 0);
}

/// The same table with labels in lists.
fn lists(table: &str, label: impl Fn(char) -> Value) -> String {
    let record = |row: &str| {
        let (text, labels) = row.split_once(',').unwrap();
        let labels: Vec<Value> = labels.chars().map(&label).collect();
        serde_json::json!({"text": text, "label": labels}).to_string() + "\n"
    };
    table.lines().skip(1).map(record).collect()
}

/// Lists of labels mean what the same texts mean: one run, one loss.
#[test]
fn gaps_in_lists_are_those_of_texts() {
    let place = Place::new();
    let loss = |name: &str, data: &str, text: String, labels: &str| {
        place.write(data, text);
        place.write("lists.yaml", config(labels, data, 2));
        let found = said(&place, &["train", "lists.yaml", "--name", name]);
        let facts = json(&place.succeed(&["eval", &format!("runs/{name}"), "--json"]));
        let n_classes = facts["of_each"].as_array().unwrap().len();
        (facts["loss"].as_f64().unwrap(), n_classes, found)
    };
    let named = ", labels: [E, H]";
    let (expected, n, _) = loss("text", "text.csv", table(24, '?'), "");
    assert_eq!(n, 2);
    let text = |c: char| Value::from(c.to_string());
    let none = |c: char| if c == '-' { Value::Null } else { text(c) };
    let number = |c: char| if c == '-' { Value::from(-100) } else { text(c) };
    let dash = table(24, '-');
    for (name, list, labels) in [
        ("asked", lists(&table(24, '?'), text), ""),
        ("named", lists(&dash, text), named),
        ("absent", lists(&dash, none), ""),
        ("number", lists(&dash, number), ""),
    ] {
        let (loss, n, _) = loss(name, "lists.jsonl", list, labels);
        assert_eq!((loss, n), (expected, 2), "{name}");
    }
    // A class where nobody names the classes, and the advice that is given helps.
    let (_, n, found) = loss("dash", "lists.jsonl", lists(&dash, text), "");
    assert!(
        n == 3 && found.contains("`-` is a class of its own"),
        "{found}"
    );
    // A class that is named -100 is one.
    let numbered = lists(&dash, number);
    let (_, n, _) = loss(
        "hundred",
        "lists.jsonl",
        numbered,
        ", labels: ['-100', E, H]",
    );
    assert_eq!(n, 3);
    let facts = json(&place.succeed(&["eval", "runs/hundred", "--json"]));
    assert!(
        facts["of_each"][0]["support"].as_u64().unwrap() > 0,
        "{facts}"
    );
}

#[test]
fn rows_without_any_label_are_counted_or_refused() {
    let place = Place::new();
    let rows = "AVK,HHE\nKDA,???\nDKV,EEH\nVVD,HHE\nAKD,HEE\nDDA,EEH\n";
    place.write("train.csv", format!("text,label\n{rows}"));
    place.write("validation.csv", "text,label\nAVK,HHE\n");
    let data = "DIR, text_column: text".replace("DIR", &place.path("").display().to_string());
    place.write("bare.yaml", config("", &data, 2));
    let found = said(&place, &["train", "bare.yaml"]);
    let note = "1 of 6 training rows have no label and do not count, the first: ";
    assert!(
        found.contains(note) && found.contains("train.csv:3"),
        "{found}"
    );
    let report = fs::read_to_string(place.path("runs/bare/report.md")).unwrap();
    assert!(report.contains("1 dropped"), "{report}");

    place.write("validation.csv", "text,label\nAVK,???\nAVD,???\n");
    let (code, said) = place.fail(&["train", "bare.yaml", "--name", "none"]);
    assert_eq!(code, 3, "{said}");
    let message = "no token of 2 rows has a label";
    assert!(
        said.contains(message) && said.contains("validation.csv:2"),
        "{said}"
    );
    let short = "text,label\nAVK,H?\n";
    place.write("validation.csv", short);
    let (_, said) = place.fail(&["train", "bare.yaml", "--name", "short"]);
    assert!(
        said.contains("2 labels for 3 tokens") && said.contains("`?`"),
        "{said}"
    );
}
