//! Heads that tell classes of tokens, labels and numbers, from a table to what they predict.

use std::fmt::Write;
use std::fs;

use serde_json::Value;

use crate::place::Place;

const RESIDUES: &[u8] = b"ACDEFGHIKLMNPQRSTVWY";
const HYDROPHOBIC: &str = "AVILMFWY";

fn config(head: &str, data: &str, steps: usize) -> String {
    format!(
        "model: {{family: esm2, max_seq_len: 24, n_blocks: 1, n_heads: 2, d_model: 16, {head}}}\n\
         data: {{path: {data}, tokenizer: esm, validation_fraction: 0.25}}\n\
         training: {{max_steps: {steps}, batch_size: 8, learning_rate: 1.0e-2, optimizer: adamw}}\n"
    )
}

/// Sequences whose residues have no order to learn.
fn sequences(n: usize) -> impl Iterator<Item = String> {
    (0..n).map(|i| {
        let residue = |j: usize| RESIDUES[(i * 7 + j * (i + 3) + j * j) % 20] as char;
        (0..5 + i % 11).map(residue).collect()
    })
}

fn is_hydrophobic(residue: char) -> bool {
    HYDROPHOBIC.contains(residue)
}

/// `H` under each hydrophobic residue, `-` under the others.
fn marks(sequence: &str) -> String {
    let mark = |residue| if is_hydrophobic(residue) { 'H' } else { '-' };
    sequence.chars().map(mark).collect()
}

fn token_table(n: usize) -> String {
    let mut text = "text,label\n".to_owned();
    for sequence in sequences(n) {
        writeln!(text, "{sequence},{}", marks(&sequence)).unwrap();
    }
    text
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn number(facts: &Value, name: &str) -> f64 {
    let value = facts[name].as_f64();
    value.unwrap_or_else(|| panic!("no `{name}` in {facts}"))
}

/// Which residues are hydrophobic is learned far beyond always telling the commoner class, and
/// evaluation and prediction agree about it.
#[test]
fn classes_of_tokens_are_learned_judged_and_told() {
    let place = Place::new();
    place.write("data.csv", token_table(80));
    place.write("token.yaml", config("head: token", "data.csv", 60));
    place.succeed(&["train", "token.yaml"]);
    let hub = fs::read_to_string(place.path("runs/token/model/config.json")).unwrap();
    let hub = json(&hub);
    assert_eq!(hub["architectures"][0], "EsmForTokenClassification");
    assert_eq!(
        (&hub["id2label"]["0"], &hub["label2id"]["H"]),
        (&"-".into(), &1.into())
    );

    let facts = json(&place.succeed(&["eval", "runs/token", "--json"]));
    let support = [0, 1].map(|i| number(&facts["of_each"][i], "support"));
    assert_eq!(number(&facts, "counted"), support[0] + support[1]);
    let majority = support[0].max(support[1]) / (support[0] + support[1]);
    assert!(majority < 0.7, "{facts}");
    for name in ["accuracy", "f1_macro", "matthews_corrcoef"] {
        assert!(number(&facts, name) > 0.95, "{facts}");
    }
    let lines = fs::read_to_string(place.path("runs/token/report.md")).unwrap();
    assert!(lines.contains("| validation accuracy |") && !lines.contains("perplexity"));
    assert!(
        lines.contains("tenon predict runs/token/model --task head") && !lines.contains("generate")
    );

    place.write("new.fasta", ">one\nWKDL\n>two\nAE\n");
    let line = "predict runs/token --task head --data new.fasta --out out.tsv --json";
    let told = json(&place.succeed(&line.split(' ').collect::<Vec<_>>()));
    assert_eq!(told["problem_type"], "token_classification");
    let table = fs::read_to_string(place.path("out.tsv")).unwrap();
    let mut table = table.lines();
    assert_eq!(table.next(), Some("sequence\tposition\ttoken\tlabel\t-\tH"));
    let rows: Vec<Vec<&str>> = table.map(|line| line.split('\t').collect()).collect();
    let labels: String = rows.iter().map(|row| row[3]).collect();
    assert_eq!(labels, marks("WKDLAE"));
    assert_eq!(rows[5][..3], ["two", "2", "E"]);
    for row in &rows {
        let sum: f64 = row[4..].iter().map(|p| p.parse::<f64>().unwrap()).sum();
        assert!((sum - 1.0).abs() < 1e-9, "{row:?}");
    }
}

/// Lists of JSON say the same as characters, and named labels keep their order.
#[test]
fn labels_of_tokens_may_be_lists_and_named() {
    let place = Place::new();
    let mut text = String::new();
    for sequence in sequences(24) {
        let labels: Vec<String> = marks(&sequence).chars().map(String::from).collect();
        let record = serde_json::json!({"text": sequence, "label": labels});
        writeln!(text, "{record}").unwrap();
    }
    place.write("lists.jsonl", text);
    place.write("text.csv", token_table(24));
    let head = "head: token, labels: [H, '-', unseen]";
    let losses = ["lists.jsonl", "text.csv"].map(|data| {
        place.write("token.yaml", config(head, data, 2));
        place.succeed(&["train", "token.yaml", "--name", data]);
        let facts = json(&place.succeed(&["eval", &format!("runs/{data}"), "--json"]));
        assert_eq!(facts["of_each"][2]["label"], "unseen");
        assert_eq!(facts["of_each"][2]["support"], 0);
        number(&facts, "loss")
    });
    assert_eq!(losses[0], losses[1]);
}

#[test]
fn labels_that_do_not_fit_their_tokens_are_refused() {
    let place = Place::new();
    let refused = |table: &str, head: &str, messages: &[&str]| {
        place.write("data.csv", table);
        place.write("head.yaml", config(head, "data.csv", 1));
        let (code, said) = place.fail(&["train", "head.yaml"]);
        assert_eq!(code, 3, "{said}");
        for message in messages {
            assert!(said.contains(message), "{said}");
        }
    };
    let long = "text,label\nAW,HE\nAPG,HEEE\nAG,EH\nAK,EH\n";
    refused(
        long,
        "head: token",
        &["4 labels for 3 tokens", "data.csv:3"],
    );
    let other = "text,label\nAW,HE\nAPG,HEX\nAG,EH\nAK,EH\n";
    let named = "head: token, labels: [H, E]";
    refused(other, named, &["no class `X`", "data.csv:3", "`H`, `E`"]);
    let lists = "text,label\nAW,a\nAP,\"[\"\"a\"\",\"\"b\"\"]\"\nAG,b\nAK,b\n";
    let hint = "multi_label_classification";
    refused(
        lists,
        "head: sequence",
        &["holds a list", "data.csv:3", hint],
    );
    let regression = "head: sequence, problem_type: regression";
    for wrong in ["NaN", "inf", "high"] {
        let table = format!("text,label\nAW,1\nAP,{wrong}\nAG,2\nAK,3\n");
        let message = format!("holds `{wrong}`, which is no finite number");
        refused(&table, regression, &[&message, "data.csv:3"]);
    }
    refused(
        "text,label\nAW,1\nAP,\nAG,2\n",
        regression,
        &["is empty", "data.csv:3"],
    );
    refused(
        "text,labels\nAW,1\nAP,2\n",
        regression,
        &["did you mean `labels`?"],
    );
}

/// Sequences with or without a tryptophan and a proline, one in half and one in a third of them.
fn marked(n: usize) -> impl Iterator<Item = (String, bool, bool)> {
    (0..n).map(|i| {
        let rest = (0..3 + i % 5).map(|j| b"AGLKV"[(i * 7 + j * j) % 5] as char);
        let mut sequence: String = rest.collect();
        let (aromatic, bent) = (i % 2 == 0, i % 3 == 0);
        for (residue, is_there) in [('W', aromatic), ('P', bent)] {
            if is_there {
                sequence.insert(i % sequence.len(), residue);
            }
        }
        (sequence, aromatic, bent)
    })
}

/// Numbers that follow from two residues, in two columns.
#[test]
fn numbers_are_learned_judged_and_told() {
    let place = Place::new();
    let mut text = "text,charge,weight\n".to_owned();
    for (sequence, aromatic, bent) in marked(80) {
        let (charge, weight) = (2 * i32::from(bent) - 1, 0.5 + f64::from(aromatic));
        writeln!(text, "{sequence},{charge},{weight}").unwrap();
    }
    place.write("data.csv", text);
    let columns = ["--set", "data.label_column=[charge, weight]"];
    let head = "head: sequence, problem_type: regression";
    place.write("numbers.yaml", config(head, "data.csv", 120));
    let smooth = ["--set", "training.label_smoothing=0.1"];
    let line = [&["train", "numbers.yaml"], &columns[..], &smooth[..]].concat();
    let (code, said) = place.fail(&line);
    let message = "means nothing to a problem";
    assert!(code == 2 && said.contains(message), "{said}");
    place.succeed(&[&["train", "numbers.yaml"], &columns[..]].concat());
    let hub = fs::read_to_string(place.path("runs/numbers/model/config.json")).unwrap();
    let hub = json(&hub);
    assert_eq!(hub["problem_type"], "regression");
    assert_eq!(hub["id2label"]["1"], "weight");
    let facts = json(&place.succeed(&["eval", "runs/numbers", "--json"]));
    for of_one in facts["of_each"].as_array().unwrap() {
        assert!(number(of_one, "pearson") > 0.9, "{facts}");
        assert!(number(of_one, "spearman") > 0.8, "{facts}");
    }
    // The loss is of numbers in 32 bits.
    let gap = number(&facts, "mse") - number(&facts, "loss");
    assert!(gap.abs() < 1e-6, "{facts}");
    // The folder alone says which columns are told.
    let line = ["eval", "runs/numbers/model", "--data", "data.csv", "--json"];
    assert_eq!(json(&place.succeed(&line))["counted"], 80);

    place.write("new.fasta", ">one\nWKDLW\n");
    let line = "predict runs/numbers --task head --data new.fasta --out out.tsv --json";
    let told = json(&place.succeed(&line.split(' ').collect::<Vec<_>>()));
    assert!(told["rows"][0]["values"]["charge"].is_f64(), "{told}");
    let table = fs::read_to_string(place.path("out.tsv")).unwrap();
    assert_eq!(table.lines().next(), Some("sequence\tcharge\tweight"));
}

#[test]
fn several_labels_are_learned_judged_and_told() {
    let place = Place::new();
    let mut text = "text,label\n".to_owned();
    for (sequence, aromatic, bent) in marked(80) {
        let aromatic = if aromatic { "aromatic" } else { "" };
        let bent = if bent { "bent" } else { "" };
        writeln!(text, "{sequence},{aromatic}; {bent}").unwrap();
    }
    place.write("data.csv", text);
    let head = "head: sequence, problem_type: multi_label_classification";
    place.write("labels.yaml", config(head, "data.csv", 400));
    place.succeed(&["train", "labels.yaml"]);
    let facts = json(&place.succeed(&["eval", "runs/labels", "--json"]));
    assert_eq!(facts["of_each"][1]["label"], "bent");
    for name in ["f1_micro", "f1_macro"] {
        assert!(number(&facts, name) > 0.9, "{facts}");
    }
    let line = "predict runs/labels --task head --data data.csv --out out.tsv --json";
    let told = json(&place.succeed(&line.split(' ').collect::<Vec<_>>()));
    for row in told["rows"].as_array().unwrap() {
        let labels = row["labels"].as_array().unwrap();
        for name in ["aromatic", "bent"] {
            let is_told = number(&row["values"], name) > 0.5;
            assert_eq!(labels.contains(&name.into()), is_told, "{row}");
        }
    }
    let table = fs::read_to_string(place.path("out.tsv")).unwrap();
    assert!(table.contains("\taromatic;bent\t"), "{table}");
}

/// Numbers of sequences join with the file that they came from, whichever rows are empty.
#[test]
fn sequences_without_a_name_are_called_by_their_lines() {
    let place = Place::new();
    let row = |(i, text): (usize, String)| format!("r{i},{text},{}\n", ["a", "b"][i % 2]);
    let rows: String = sequences(16).enumerate().map(row).collect();
    place.write("data.csv", format!("id,sequence,label\n{rows}"));
    let data = "data.csv, text_column: sequence";
    place.write("run.yaml", config("head: sequence", data, 1));
    place.succeed(&["train", "run.yaml"]);
    let line = |data| {
        let line = ["predict", "runs/run", "--task", "head", "--out", "out.tsv"];
        [&line[..], &["--data", data]].concat()
    };
    let named = |line: &[&str]| {
        place.succeed(line);
        let table = fs::read_to_string(place.path("out.tsv")).unwrap();
        let rows = table.lines().skip(1);
        let name = |row: &str| row.split('\t').next().unwrap().to_owned();
        rows.map(name).collect::<Vec<_>>()
    };
    place.write("new.csv", "id,sequence\na,WK\nb,\nc,AE\n");
    assert_eq!(named(&line("new.csv")), ["2", "4"]);
    place.write("new.txt", "AE\n\nWK\n");
    assert_eq!(named(&line("new.txt")), ["1", "3"]);
    place.write("other.csv", "id,residues\na,WK\n");
    let (code, said) = place.fail(&line("other.csv"));
    assert!(code == 3 && said.contains("`sequence`"), "{code}: {said}");
    let told = [&line("other.csv")[..], &["--text-column", "residues"]].concat();
    assert_eq!(named(&told), ["2"]);
}
