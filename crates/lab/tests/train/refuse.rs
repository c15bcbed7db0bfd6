//! Bad input: what is said, the exit code, and that nothing is lost.

use crate::place::{Place, TINY};

#[test]
fn a_name_that_is_taken_exits_2() {
    let place = Place::new();
    place.succeed(&["train", "tiny.yaml"]);
    let before = place.end("tiny");
    let (code, said) = place.fail(&["train", "tiny.yaml"]);
    assert_eq!(code, 2);
    assert!(
        said.contains("the name `tiny` is taken") && said.contains("--resume latest"),
        "{said}"
    );
    assert_eq!(place.end("tiny"), before);
}

#[test]
fn training_that_is_not_finite_is_given_up_with_exit_1() {
    let place = Place::new();
    let (code, said) = place.fail(&[
        "train",
        "tiny.yaml",
        "--set",
        "training.learning_rate=1e30",
        "--set",
        "training.max_nan_count=3",
        "--set",
        "training.max_grad_norm=null",
        "--set",
        "training.optimizer=sgd",
        "--set",
        "training.max_steps=50",
        "--set",
        "training.eval_every=null",
    ]);
    assert_eq!(code, 1, "{said}");
    assert!(
        said.contains("3 steps had a loss or gradient that is not finite"),
        "{said}"
    );
}

#[test]
fn bad_data_exits_3_and_names_the_place() {
    let place = Place::new();
    place.write("empty.txt", "");
    place.write(
        "binary.txt",
        [0x50, 0x4b, 0x03, 0x04, 0x00, 0xff, 0xfe, 0x00],
    );
    place.write(
        "rows.jsonl",
        "{\"txt\": \"a\", \"id\": \"1\"}\n{\"txt\": \"b\", \"id\": \"2\"}\n",
    );
    place.write("broken.jsonl", "{\"text\": \"a\"}\n{\"text\": \n");
    place.write(
        "data.yaml",
        TINY.replace("dataset: corpus", "path: PATH")
            .replace(", corpus: {bytes: 20000, persons: 3}", ""),
    );
    for (file, part) in [
        ("empty.txt", "empty.txt"),
        ("binary.txt", "binary.txt"),
        ("rows.jsonl", "txt"),
        ("broken.jsonl", "broken.jsonl:2"),
        ("absent.txt", "absent.txt"),
    ] {
        let set = format!("data.path={file}");
        let (code, said) = place.fail(&["train", "data.yaml", "--set", &set]);
        let wanted = if file == "absent.txt" { [3, 4] } else { [3, 3] };
        assert!(wanted.contains(&code), "{file}: {code} {said}");
        assert!(said.contains(part), "{file}: {said}");
        assert!(
            !place.path("runs/tiny").exists(),
            "{file} left a run behind"
        );
    }
}

#[test]
fn a_vocabulary_smaller_than_the_ids_exits_2() {
    let place = Place::new();
    let (code, said) = place.fail(&["train", "tiny.yaml", "--set", "model.vocab_size=5"]);
    assert_eq!(code, 2);
    assert!(
        said.contains("`model.vocab_size` 5 is less than the tokenizer's"),
        "{said}"
    );
}

#[test]
fn a_folder_that_cannot_be_written_exits_4() {
    let place = Place::new();
    place.write("file", "not a folder");
    let (code, said) = place.fail(&["train", "tiny.yaml", "--runs", "file/runs"]);
    assert_eq!(code, 4, "{said}");
    assert!(said.contains("file/runs"), "{said}");
}

#[test]
fn one_long_text_is_not_read_to_its_first_tokens_only() {
    let place = Place::new();
    place.write(
        "book.txt",
        "It was a dark and stormy night; the rain fell in torrents. ".repeat(90),
    );
    place.write(
        "book.yaml",
        "model: {n_blocks: 1, n_heads: 1, d_model: 8, d_ffn: 8, max_seq_len: 32}\n\
         data: {path: book.txt, tokenizer: byte}\n\
         training: {max_steps: 1, batch_size: 2}\n",
    );
    let (code, said) = place.fail(&["train", "book.yaml"]);
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("`data.layout: packed`"), "{said}");
    place.succeed(&["train", "book.yaml", "--set", "data.layout=packed"]);
}

#[test]
fn a_memory_budget_that_is_too_small_exits_2_before_anything_is_written() {
    let place = Place::new();
    let budget = "training.memory_budget=1MiB";
    let (code, said) = place.fail(&["train", "tiny.yaml", "--set", budget]);
    assert_eq!(code, 2, "{said}");
    for part in [
        "at least",
        "weights",
        "the budget is 1.00 MiB",
        "training.memory_budget",
    ] {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!place.path("runs").exists(), "a run was left behind");
}

#[test]
fn a_warm_up_longer_than_the_run_exits_2() {
    let place = Place::new();
    let epochs = [
        "--set",
        "training.max_steps=null",
        "--set",
        "training.num_epochs=1",
    ];
    let warmup = ["--set", "training.warmup_steps=100000"];
    let (code, said) = place.fail(&[&["train", "tiny.yaml"][..], &epochs, &warmup].concat());
    assert_eq!(code, 2, "{said}");
    assert!(said.contains("warm-up"), "{said}");
}

#[test]
fn a_model_of_masked_tokens_needs_a_mask() {
    let place = Place::new();
    place.write("one.fasta", ">a\nMKTAYIAKQR\n");
    place.write(
        "masked.yaml",
        "model: {family: esm2, n_blocks: 1, n_heads: 2, d_model: 8}\n\
         data: {path: one.fasta, tokenizer: byte}\ntraining: {max_steps: 1, batch_size: 1}\n",
    );
    let (code, said) = place.fail(&["train", "masked.yaml"]);
    assert_eq!(code, 2, "{said}");
    assert!(
        said.contains("`byte` has no token that hides another"),
        "{said}"
    );
}
