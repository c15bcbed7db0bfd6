//! `tenon bench` from outside: its keys, its relations, and questions that it refuses. No test
//! looks at how long anything takes.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

const TINY: &str = "
experiment_name: tiny
model: {family: gpt2, n_blocks: 2, n_heads: 2, d_model: 16, max_seq_len: 32, dropout: 0.1}
data: {dataset: corpus, tokenizer: byte, layout: packed, corpus: {bytes: 20000, persons: 3}}
training: {max_steps: 1, batch_size: 3, recompute: selective}
";

/// Keys that the reference script prints too.
const SHARED: [&str; 10] = [
    "who",
    "spec",
    "mode",
    "threads",
    "step_ms",
    "step_cpu_ms",
    "forward_ms",
    "forward_cpu_ms",
    "peak_rss_mib",
    "tokens_per_step",
];

fn folder() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("tiny.yaml"), TINY).unwrap();
    folder
}

fn tenon(folder: &Path, line: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenon"));
    command.args(line.split(' ')).current_dir(folder);
    for name in ["TENON_ISA", "TENON_DATA", "TENON_THREADS"] {
        command.env_remove(name);
    }
    command.output().unwrap()
}

#[track_caller]
fn document(line: &str) -> Value {
    let output = tenon(folder().path(), line);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        (said.as_ref(), output.status.code()),
        ("", Some(0)),
        "{line}"
    );
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{line}: {e}"))
}

#[track_caller]
fn positive(document: &Value, keys: &[&str]) {
    for key in keys {
        let value = document[key].as_f64();
        assert!(value.is_some_and(|x| x > 0.0), "{key}: {}", document[key]);
    }
}

/// The names of the operators; their shares are parts of a whole, the largest first.
#[track_caller]
fn operators(document: &Value) -> Vec<&str> {
    let ops = document["ops"].as_array().expect("a list");
    let shares: Vec<f64> = ops.iter().filter_map(|op| op["share"].as_f64()).collect();
    assert!(
        (shares.iter().sum::<f64>() - 1.0).abs() < 1e-9,
        "{shares:?}"
    );
    assert!(shares.is_sorted_by(|a, b| a >= b), "{shares:?}");
    let mut names: Vec<&str> = ops.iter().filter_map(|op| op["op"].as_str()).collect();
    names.sort_unstable();
    names
}

#[test]
fn a_training_step_has_the_keys_of_the_reference_and_its_operators() {
    let line = "bench train --config tiny.yaml --threads 2 --steps 2 --json";
    let document = document(line);
    for key in SHARED {
        assert!(!document[key].is_null(), "{key}");
    }
    positive(
        &document,
        &[
            "step_ms",
            "step_cpu_ms",
            "forward_ms",
            "planned_peak_mib",
            "gflops",
            "sgemm_gflops",
            "bandwidth_gb_per_s",
            "roofline_ms",
            "step_over_roofline",
            "sgemm_scaling",
            "step_scaling",
        ],
    );
    assert_eq!(document["mode"], "train");
    assert_eq!(document["threads"], 2);
    assert_eq!(document["tokens_per_step"], 3 * 32);
    assert_eq!(
        operators(&document),
        [
            "adamw",
            "add",
            "attention",
            "dropout",
            "embedding",
            "gelu_tanh",
            "layer_norm",
            "linear",
            "linear_xent",
            "zero_gradients",
        ]
    );
    let passes = ["forward_ms", "backward_ms"];
    let both = |op: &Value| passes.map(|pass| op[pass].as_f64() > Some(0.0));
    for op in document["ops"].as_array().unwrap() {
        match op["op"].as_str().unwrap() {
            "linear" | "attention" => assert_eq!(both(op), [true, true], "{op}"),
            // Loss and derivative come from one pass, which is the backward's.
            "adamw" | "linear_xent" => assert_eq!(both(op), [false, true], "{op}"),
            _ => {}
        }
    }
    let planned = document["planned_peak_mib"].as_f64();
    #[cfg(target_os = "linux")]
    {
        assert!(document["peak_rss_mib"].as_f64() >= planned, "{document}");
        positive(&document, &["peak_rss_over_plan"]);
    }
}

#[test]
fn a_forward_pass_has_no_derivatives_and_plans_less() {
    let forward = document("bench forward --config tiny.yaml --steps 1 --json");
    assert_eq!(forward["mode"], "forward");
    let names = operators(&forward);
    assert!(names.contains(&"linear_xent"), "{names:?}");
    for absent in ["adamw", "zero_gradients", "dropout"] {
        assert!(!names.contains(&absent), "{names:?}");
    }
    for op in forward["ops"].as_array().unwrap() {
        assert_eq!(op["backward_ms"], 0.0, "{op}");
    }
    let train = document("bench train --config tiny.yaml --steps 1 --json");
    let peak = |document: &Value| document["planned_peak_mib"].as_f64();
    assert!(peak(&forward) < peak(&train));
}

#[test]
fn one_thread_scales_with_nothing() {
    let document = document("bench forward --config tiny.yaml --threads 1 --steps 1 --json");
    for key in ["sgemm_scaling", "step_scaling"] {
        assert!(document[key].is_null(), "{document}");
        assert!(document.get(key).is_some(), "{document}");
    }
}

#[test]
fn generation_is_told_by_prompt_and_token() {
    let line = "bench generate --config tiny.yaml --prompt-tokens 9 --steps 4 --json";
    let document = document(line);
    for key in SHARED {
        assert!(!document[key].is_null(), "{key}");
    }
    let rates = ["tokens_per_second", "prompt_tokens_per_second"];
    positive(&document, &rates);
    positive(&document, &["roofline_ms", "mib_per_token", "gflops"]);
    positive(&document, &["sgemm_gflops", "bandwidth_gb_per_s"]);
    positive(&document, &["first_token_ms"]);
    for (floor, ratio, best) in [
        ("decode_floor_ms", "decode_ratio", "step_ms_min"),
        ("prefill_floor_ms", "prefill_ratio", "first_token_ms"),
    ] {
        positive(&document, &[floor, ratio, best]);
        let [floor, ratio, best] = [floor, ratio, best].map(|key| document[key].as_f64().unwrap());
        assert!(
            (ratio * floor / best - 1.0).abs() < 1e-9,
            "{ratio} of {floor}: {best}"
        );
    }
    assert_eq!(document["decode_floor_ms"], document["roofline_ms"]);
    assert_eq!(document["prompt_tokens"], 9);
    assert_eq!(document["new_tokens"], 4);
    assert_eq!(document["tokens_per_step"], 1);
    let names = operators(&document);
    assert!(names.contains(&"cached_attention"), "{names:?}");
}

#[test]
fn kernels_stand_beside_their_floors() {
    let document = document("bench kernels --threads 1 --json");
    positive(
        &document,
        &[
            "sgemm_gflops",
            "bandwidth_gb_per_s",
            "cache_gb_per_s",
            "exps_g_per_s",
            "random_words_g_per_s",
        ],
    );
    let kernels = document["kernels"].as_array().unwrap();
    let names: Vec<&str> = kernels
        .iter()
        .filter_map(|k| k["kernel"].as_str())
        .collect();
    for name in ["linear", "attention", "layer norm", "SwiGLU", "AdamW"] {
        assert!(names.contains(&name), "{names:?}");
    }
    for kernel in kernels {
        positive(kernel, &["best_ms", "floor_ms", "value", "floor"]);
        let at_most = kernel["best_ms"].as_f64().map(|best| best * (1.0 + 1e-9));
        assert!(
            kernel["floor_ms"].as_f64() <= at_most || kernel["unit"] == "gflops",
            "{kernel}"
        );
        let bound = kernel["bound"].as_str();
        let of_product = kernel["unit"] == "gflops";
        assert_eq!(bound == Some("product"), of_product, "{kernel}");
        let unit = kernel["unit"].as_str();
        assert!(
            matches!(unit, Some("gflops" | "ns_per_element")),
            "{kernel}"
        );
    }
    // The rate of products is the best of their own.
    let products = kernels.iter().filter(|k| k["unit"] == "gflops");
    let of_product = |k: &&Value| {
        k["kernel"]
            .as_str()
            .is_some_and(|n| n.starts_with("linear"))
    };
    let rates = products
        .filter(of_product)
        .filter_map(|k| k["value"].as_f64());
    let best = rates.max_by(f64::total_cmp).unwrap();
    let told = document["sgemm_gflops"].as_f64().unwrap();
    assert!((best / told - 1.0).abs() < 1e-9, "{best} {told}");
}

#[test]
fn tables_name_the_same_things() {
    let folder = folder();
    let text = |line: &str| {
        let output = tenon(folder.path(), line);
        assert_eq!(output.status.code(), Some(0), "{line}");
        String::from_utf8(output.stdout).unwrap()
    };
    let train = text("bench train --config tiny.yaml --steps 1");
    for word in ["floor of a step", "linear_xent", "adamw", "GFLOP/s", "MiB"] {
        assert!(train.contains(word), "{train}");
    }
    let row = "threads over one";
    assert!(text("bench train --config tiny.yaml --steps 1 --threads 2").contains(row));
    assert!(!text("bench train --config tiny.yaml --steps 1 --threads 1").contains(row));
    let generate = text("bench generate --config tiny.yaml --prompt-tokens 4 --steps 1");
    for word in ["tokens/s", "floor of a token", "cached_attention"] {
        assert!(generate.contains(word), "{generate}");
    }
}

#[test]
fn impossible_questions_are_refused() {
    let folder = folder();
    for (line, hint) in [
        ("bench", "Usage"),
        ("bench train", "--spec"),
        (
            "bench train --spec gpt28m --config tiny.yaml",
            "cannot be used with",
        ),
        ("bench train --spec gpt29m", "gpt28m"),
        ("bench train --config tiny.yaml --steps 0", "--steps"),
        ("bench train --config tiny.yaml --threads 0", "1 to 1024"),
        ("bench train --config tiny.yaml --threads 1025", "1 to 1024"),
        ("bench train --config nothing.yaml", "nothing.yaml"),
        (
            "bench generate --config tiny.yaml --prompt-tokens 29 --steps 2",
            "has 32",
        ),
        (
            "bench generate --config tiny.yaml --prompt-tokens 0",
            "--prompt-tokens",
        ),
        ("bench kernels --spec gpt28m", "--spec"),
    ] {
        let output = tenon(folder.path(), line);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(said.contains(hint), "{line}: {said}");
        assert_ne!(output.status.code(), Some(0), "{line}");
        assert!(!said.contains("bug"), "{line}: {said}");
    }
}
