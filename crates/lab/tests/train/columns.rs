//! Columns of numbers and the outputs of a head that tells them.

use std::fmt::Write;
use std::fs;

use serde_json::Value;

use crate::place::Place;

/// A run of few steps whose head tells numbers; the keys stand in sections `model` and `data`.
fn config(model: &str, data: &str) -> String {
    format!(
        "model: {{family: esm2, max_seq_len: 8, n_blocks: 1, n_heads: 1, d_model: 8, \
         head: sequence, problem_type: regression{model}}}\n\
         data: {{tokenizer: esm, validation_fraction: 0.25, {data}}}\n\
         training: {{max_steps: 2, batch_size: 8}}\n"
    )
}

fn two_columns() -> String {
    let row = |text: String, i: usize| text + &format!("A{},{i},{}\n", &"GLKV"[i % 4..], 10 * i);
    (0..16).fold("text,charge,weight\n".to_owned(), row)
}

fn lists() -> String {
    let mut text = String::new();
    for i in 0..16 {
        let record = serde_json::json!({"text": "AGLKV"[i % 4..], "label": [0.1, i]});
        writeln!(text, "{record}").unwrap();
    }
    text
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn names(facts: &Value) -> Vec<&str> {
    let each = facts["of_each"].as_array().unwrap().iter();
    each.map(|of_one| of_one["label"].as_str().unwrap())
        .collect()
}

/// Columns are told by their place: the same names in another order would swap the targets.
#[test]
fn columns_in_another_order_than_the_names_are_refused() {
    let place = Place::new();
    place.write("data.csv", two_columns());
    let given = "path: data.csv, label_column: [charge, weight]";
    let refused = |line: &[&str], at: &str, order: &str| {
        let (code, said) = place.fail(line);
        assert!(code == 2 && said.contains(at), "{code}: {said}");
        assert!(said.contains(order), "{said}");
    };
    let swapped = config(", labels: [weight, charge]", given);
    place.write("swapped.yaml", swapped);
    let line = ["train", "swapped.yaml"];
    refused(&line, "data.label_column", "`weight`, `charge`");

    place.write("numbers.yaml", config("", given));
    place.succeed(&["train", "numbers.yaml"]);
    let order = "`charge`, `weight`";
    let own = ["eval", "runs/numbers", "--label-column", "weight,charge"];
    refused(&own, "--label-column", order);
    let other = [&own[..], &["--data", "data.csv"]].concat();
    refused(&other, "--label-column", order);
    place.succeed(&["eval", "runs/numbers", "--label-column", "charge,weight"]);

    // Names that are no columns rename them.
    place.write("renamed.yaml", config(", labels: [a, b]", given));
    place.succeed(&["train", "renamed.yaml"]);
    let facts = json(&place.succeed(&["eval", "runs/renamed", "--json"]));
    assert_eq!(names(&facts), ["a", "b"]);
}

/// A run knows which columns it learned, whatever its outputs are named.
#[test]
fn numbers_of_a_list_are_judged_again() {
    let place = Place::new();
    place.write("lists.jsonl", lists());
    for (run, labels, outputs) in [
        ("numbered", "", ["label_0", "label_1"]),
        ("named", ", labels: [a, b]", ["a", "b"]),
    ] {
        let file = format!("{run}.yaml");
        place.write(&file, config(labels, "path: lists.jsonl"));
        place.succeed(&["train", &file]);
        let resolved = place.path(&format!("runs/{run}/config.resolved.yaml"));
        let resolved = fs::read_to_string(resolved).unwrap();
        assert!(resolved.contains("label_column: label\n"), "{resolved}");
        let (run, folder) = (format!("runs/{run}"), format!("bare/{run}"));
        fs::create_dir_all(place.path(&folder)).unwrap();
        for file in fs::read_dir(place.path(&run).join("model")).unwrap() {
            let file = file.unwrap();
            let copy = place.path(&folder).join(file.file_name());
            fs::copy(file.path(), copy).unwrap();
        }
        let data = ["--data", "lists.jsonl"];
        for line in [
            vec!["eval", &run, "--json"],
            [&["eval", &run, "--json"], &data[..]].concat(),
            [&["eval", &folder, "--json"], &data[..]].concat(),
        ] {
            assert_eq!(names(&json(&place.succeed(&line))), outputs, "{line:?}");
        }
    }
}
