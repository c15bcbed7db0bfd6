//! Continuations of prompts.

use crate::home::{fails, json, stdout, write};

#[test]
fn generate_streams_text_and_lists_continuations() {
    let args = [
        "generate",
        "tiny",
        "--prompt",
        "Q: What",
        "--max-new-tokens",
        "12",
        "--greedy",
    ];
    let document = json(&args);
    let one = &document["generations"][0];
    assert_eq!(one["prompt"], "Q: What");
    assert_eq!(one["reason"], "length");
    assert_eq!(one["tokens"].as_array().map(Vec::len), Some(12));
    let logprobs = one["logprobs"].as_array().expect("a list");
    assert!(logprobs.len() == 12 && logprobs.iter().all(|x| x.as_f64() < Some(0.0)));
    let text = one["text"].as_str().expect("text");
    assert_eq!(stdout(&args), format!("{text}\n"));
    let sample = &json(&["eval", "tiny", "--generate"])["samples"][0];
    assert_eq!(sample["text"], text);

    let folder = tempfile::tempdir().expect("a folder");
    let prompts = write(&folder, "prompts.txt", "Q: What\n\nA: It\n");
    let batch = [
        "generate",
        "tiny",
        "--prompts",
        &prompts,
        "--greedy",
        "--max-new-tokens",
        "12",
    ];
    let documents = json(&batch);
    assert_eq!(documents["generations"].as_array().map(Vec::len), Some(2));
    assert_eq!(documents["generations"][0], *one);
    let shown = stdout(&batch);
    assert!(
        shown.starts_with("> Q: What\n") && shown.contains("\n> A: It\n"),
        "{shown}"
    );
}

#[test]
fn generate_draws_by_its_seed_and_obeys_its_filters() {
    let text = |more: &[&str]| stdout(&[&["generate", "tiny", "--prompt", "a"], more].concat());
    assert_eq!(text(&["--seed", "1"]), text(&["--seed", "1"]));
    assert_ne!(text(&["--seed", "1"]), text(&["--seed", "2"]));
    let greedy = text(&["--greedy"]);
    assert_eq!(text(&["--top-k", "1", "--seed", "3"]), greedy);
    assert_eq!(text(&["--top-p", "1e-9", "--seed", "3"]), greedy);
    assert_eq!(text(&["--temperature", "0"]), greedy);
    assert_ne!(text(&["--greedy", "--repetition-penalty", "5"]), greedy);
    let full = json(&[
        "generate",
        "tiny",
        "--prompt",
        "a",
        "--max-new-tokens",
        "100000",
    ]);
    assert_eq!(full["generations"][0]["reason"], "context_full");
    let empty = json(&["generate", "tiny", "--prompt", "", "--max-new-tokens", "2"]);
    assert_eq!(
        empty["generations"][0]["tokens"].as_array().map(Vec::len),
        Some(2)
    );
    let long = "a".repeat(65);
    fails(
        &["generate", "tiny", "--prompt", &long],
        2,
        "the prompt has 65 tokens",
    );
}
