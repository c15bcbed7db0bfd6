//! Runs within a budget of memory.

use serde_json::Value;

use crate::place::Place;

/// Activations of some 70 MB, many times what the program itself takes more or less.
const WIDE: &str = "
experiment_name: wide
model: {family: gpt2, n_blocks: 4, n_heads: 2, d_model: 64, d_ffn: 256, max_seq_len: 128}
data: {dataset: corpus, tokenizer: byte, layout: packed, corpus: {bytes: 60000, persons: 3}}
training: {max_steps: 3, batch_size: 32, optimizer: adamw, learning_rate: 0.01, log_every: 1}
";

fn json(place: &Place, args: &[&str]) -> Value {
    serde_json::from_str(&place.succeed(args)).expect("a document")
}

#[track_caller]
fn bytes(plan: &Value, key: &str) -> u64 {
    let n = plan[key].as_u64();
    n.unwrap_or_else(|| panic!("{key} in {plan}"))
}

#[test]
fn a_run_stays_within_its_budget_and_has_the_bits_of_one_without() {
    let place = Place::new();
    place.write("wide.yaml", WIDE);
    let dry = |set: &str| {
        let args = ["train", "wide.yaml", "--dry-run", "--json", "--set", set];
        json(&place, &args)["memory"]["plan"].clone()
    };
    let kept = dry("training.recompute=none");
    let roomy = dry("training.memory_budget=1TiB");
    let full = dry("training.recompute=full");
    assert_eq!(roomy["recompute"], "none");
    assert_eq!(
        bytes(&roomy, "planned_bytes"),
        bytes(&kept, "planned_bytes")
    );
    let (most, least) = (bytes(&kept, "planned_bytes"), bytes(&full, "planned_bytes"));
    assert!(most - least > 20 << 20, "{most} and {least}");
    let budget = (2 * least + most) / 3 + bytes(&roomy, "program_bytes");
    let set = format!("training.memory_budget={budget}");
    let document = json(&place, &["train", "wide.yaml", "--json", "--set", &set]);
    let plan = &document["memory"];
    assert_eq!(plan["recompute"], "blocks", "{plan}");
    assert!(bytes(plan, "recomputed_blocks") >= 1, "{plan}");
    assert!(plan["repeated_percent"].as_f64() > Some(1.0), "{plan}");
    let planned = bytes(plan, "planned_bytes");
    assert!(planned + bytes(plan, "program_bytes") <= budget, "{plan}");
    assert_eq!(planned, bytes(&document, "peak_bytes"));
    if let Some(measured) = document["peak_rss_bytes"].as_u64() {
        assert!(measured <= budget, "{measured} of {budget}");
    }
    let plain = ["train", "wide.yaml", "--name", "plain", "--json"];
    assert_eq!(json(&place, &plain)["memory"]["recompute"], "selective");
    assert_eq!(place.end("wide"), place.end("plain"));
}

#[test]
fn the_budget_may_change_when_a_run_continues() {
    let place = Place::new();
    place.succeed(&["train", "tiny.yaml", "--name", "calm"]);
    let some = ["train", "tiny.yaml", "--set", "training.memory_budget=1GiB"];
    place.succeed(&[&some[..], &["--set", "training.recompute=full"]].concat());
    let checkpoints = place.path("runs/tiny/checkpoints");
    let steps = crate::place::steps(&checkpoints);
    for step in steps.iter().skip(2) {
        std::fs::remove_dir_all(checkpoints.join(step)).expect("a checkpoint");
    }
    let resumed = ["train", "tiny.yaml", "--resume", "latest", "--set"];
    place.succeed(&[&resumed[..], &["training.memory_budget=2GiB"]].concat());
    assert_eq!(place.end("tiny"), place.end("calm"));
}

#[test]
fn inspect_tells_what_the_budget_leads_to() {
    let place = Place::new();
    place.write("wide.yaml", WIDE);
    let facts = json(&place, &["inspect", "wide.yaml", "--json"]);
    assert_eq!(facts["training"]["recompute"], "selective");
    let rows = facts["memory"].as_array().expect("purposes");
    let purposes: Vec<&str> = rows.iter().filter_map(|r| r["purpose"].as_str()).collect();
    assert_eq!(purposes.len(), 1 + 2 + 3 + 1, "{purposes:?}");
    let peak = |purpose: &str| {
        let row = rows.iter().find(|row| row["purpose"] == purpose);
        bytes(row.expect("a row"), "peak_bytes")
    };
    // The run's own plan, which has a little more room for the bounds of documents.
    let dry = json(&place, &["train", "wide.yaml", "--dry-run", "--json"]);
    let planned = bytes(&dry["memory"]["plan"], "planned_bytes");
    let told = peak("selective recompute");
    assert!(planned.abs_diff(told) < told / 100, "{planned} and {told}");
    let budget = WIDE.replace("max_steps: 3", "max_steps: 3, memory_budget: 2MB");
    place.write("narrow.yaml", budget);
    let text = place.succeed(&["inspect", "narrow.yaml"]);
    assert!(text.contains("training: refused: "), "{text}");
    for word in ["operations repeated", "blocks", "largest tenants"] {
        assert!(text.contains(word), "{word} in {text}");
    }
}
