//! Facts and proofs without data.

use crate::home::{fails, golden, json, not_a_number, shown, stdout, write};

#[test]
fn inspect_of_models_runs_and_configurations() {
    let facts = stdout(&["inspect", "tiny.yaml", "--plan"]);
    // Sizes of buffers are the planner's to choose.
    let (about, rest) = facts.split_once("\nmemory for ").expect("memory");
    assert!(
        rest.starts_with("512 tokens in 8 sequences, f32\n"),
        "{rest}"
    );
    let (_, plan) = rest
        .split_once("\nplan of a training step\n")
        .expect("a plan");
    let first = plan.lines().nth(2).expect("a call");
    assert!(first.starts_with(" forward    embed "), "{plan}");
    insta::assert_snapshot!("inspect", about);
    // A run is what its configuration says, and the same without a look at the data.
    assert_eq!(stdout(&["inspect", "tiny", "--plan"]), facts);
    let document = json(&["inspect", "tiny.yaml", "--plan"]);
    let (v, s, d, f) = (257, 64, 16, 32);
    let parameters = v * d + s * d + (4 * d * d + 2 * d * f + 4 * d) + d * v;
    assert_eq!(document["parameters"], parameters);
    let calls = document["plan"].as_array().expect("a plan");
    assert_eq!(
        (&calls[0]["pass"], &calls[0]["operator"]),
        (&"forward".into(), &"embedding".into())
    );
    assert_eq!(calls.last().expect("calls")["pass"], "backward");
    let peak = document["memory"][1]["peak_bytes"].as_u64().expect("bytes");
    let alive = calls
        .iter()
        .filter_map(|call| call["alive_bytes"].as_u64())
        .max();
    assert!(alive < Some(peak), "{alive:?} of {peak}");
    let llama = json(&["inspect", &shown(&golden("llama").join("model"))]);
    assert_eq!(
        (&llama["family"], llama.get("plan")),
        (&"llama".into(), None)
    );
    let folder = tempfile::tempdir().expect("a folder");
    let wrong = write(
        &folder,
        "wrong.yaml",
        "model: {d_modle: 8}\ndata: {dataset: corpus}\n",
    );
    fails(&["inspect", &wrong], 2, "d_model");
    fails(
        &["inspect", &write(&folder, "notes.txt", "text")],
        2,
        "neither a folder nor",
    );
}

#[test]
fn gradcheck_proves_every_family() {
    for family in ["custom", "gpt2", "llama"] {
        let proof = json(&["gradcheck", &shown(&golden(family).join("model"))]);
        assert_eq!(proof["passed"], true, "{family}");
        let tensors = proof["tensors"].as_array().expect("a list");
        assert!(tensors.iter().all(|tensor| tensor["verdict"] != "differs"));
        let model = shown(&golden(family).join("model"));
        let parameters = json(&["inspect", &model])["layers"].clone();
        assert!(tensors.len() >= parameters.as_array().map_or(0, Vec::len));
    }
    let text = stdout(&["gradcheck", "tiny.yaml"]);
    let last = text.lines().last().expect("a verdict");
    assert!(last.starts_with("pass  13 tensors, limit 1e-6"), "{text}");
    assert_eq!(json(&["gradcheck", "tiny", "--seed", "2"])["passed"], true);
}

/// Weights with which no derivative can be taken.
#[test]
fn gradcheck_tells_a_loss_that_is_not_finite() {
    let gpt2 = golden("gpt2").join("model");
    let broken = not_a_number(&gpt2);
    fails(&["gradcheck", &shown(broken.path())], 3, "finite");
}

#[test]
fn the_families_that_are_listed_are_those_that_can_be_made() {
    let families = json(&["models", "ls"]);
    for family in families["families"].as_array().expect("a list") {
        let name = family["name"].as_str().expect("a name");
        let folder = tempfile::tempdir().expect("a folder");
        let masked = ["bert", "esm2", "amplify", "codonfm"].contains(&name);
        let tokenizer = if masked { "esm" } else { "byte" };
        let config = format!(
            "model: {{family: {name}}}\ndata: {{dataset: corpus, tokenizer: {tokenizer}}}\n\
             training: {{batch_size: 1, max_steps: 1}}\n"
        );
        let facts = json(&["inspect", &write(&folder, "default.yaml", config)]);
        assert_eq!(facts["family"], name);
        let blocks = facts["layers"].as_array().expect("a list").iter();
        let last = blocks.filter_map(|layer| layer["blocks"][1].as_u64()).max();
        let n_blocks = family["defaults"]["n_blocks"].as_u64().expect("a number");
        assert_eq!(last, Some(n_blocks - 1), "{name}");
    }
}
