//! Models, data and readers that are not what they should be.

use std::fs;
use std::io::Read;
use std::process::Stdio;

use crate::home::{HOME, changed, fails, golden, not_a_number, shown, tenon, write};

#[test]
fn models_that_are_not_there_or_lie_are_told() {
    let gpt2 = golden("gpt2").join("model");
    let commands: [&[&str]; 4] = [
        &["inspect"],
        &["gradcheck"],
        &["generate", "--prompt", "a"],
        &["predict", "--inputs", "tiny.yaml", "--out", "o.safetensors"],
    ];
    let file = "model.safetensors";
    let short = changed(&gpt2, file, |bytes| bytes[..bytes.len() / 2].to_vec());
    let empty = changed(&gpt2, file, |_| Vec::new());
    let config = changed(&gpt2, "config.json", |_| b"{}".to_vec());
    for command in commands {
        let of = |model: &str, words: &str| {
            let args = [&command[..1], &[model], &command[1..]].concat();
            fails(&args, 3, words);
        };
        of("no/such", "there is no model or run `no/such`");
        of("tiney", "did you mean the run `tiny`?");
        of("runs", "it has no `config.json`");
        if command[0] == "generate" {
            of(&shown(&gpt2), "has no tokenizer");
            continue;
        }
        of(&shown(short.path()), file);
        of(&shown(empty.path()), file);
        of(&shown(config.path()), "config.json");
    }
}

#[test]
fn data_that_lies_is_told() {
    let folder = tempfile::tempdir().expect("a folder");
    let eval = |path: &str, words: &str| fails(&["eval", "tiny", "--data", path], 3, words);
    eval(
        &write(&folder, "binary.txt", [0, 159, 146, 150, 0]),
        "binary.txt",
    );
    eval(&write(&folder, "empty.txt", ""), "empty.txt");
    eval("no/such.txt", "no file or folder `no/such.txt`");
    eval("nobody/nothing", "nobody/nothing");
    let generate = |path: &str, code: i32, words: &str| {
        fails(&["generate", "tiny", "--prompts", path], code, words);
    };
    generate(&write(&folder, "binary", [255, 254]), 3, "binary");
    generate(&write(&folder, "none", "\n\n"), 3, "none");
    generate(
        &write(&folder, "none.jsonl", "{\"promt\": \"a\"}\n"),
        3,
        "prompt",
    );
    generate("no/such.txt", 4, "no/such.txt");
}

/// A loss that is no number is judged bad, not reported.
#[test]
fn weights_that_are_no_numbers_are_judged_bad() {
    let broken = not_a_number(&HOME.path().join("runs/tiny/model"));
    let model = shown(broken.path());
    let folder = tempfile::tempdir().expect("a folder");
    let file = write(&folder, "text.txt", "some text");
    fails(&["eval", &model, "--data", &file], 1, "the loss is NaN");
    fails(&["generate", &model, "--prompt", "a"], 1, "NaN");
}

/// The tokenizer may know more ids than the model.
#[test]
fn ids_outside_the_vocabulary_are_told() {
    let model = HOME.path().join("runs/tiny/model");
    let folder = tempfile::tempdir().expect("a folder");
    let small = "model: {family: gpt2, n_blocks: 1, n_heads: 2, d_model: 8, max_seq_len: 16}\n\
                 data: {path: abc.txt, documents: lines, tokenizer: char}\n\
                 training: {max_steps: 1, batch_size: 1}\n";
    fs::write(folder.path().join("abc.txt"), "abc\nbca\ncab\n").expect("room");
    fs::write(folder.path().join("abc.yaml"), small).expect("room");
    let trained = tenon(folder.path(), &["train", "abc.yaml"]).output();
    assert!(trained.expect("the program starts").status.success());
    let mixed = folder.path().join("runs/abc/model");
    for name in [
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
    ] {
        fs::copy(model.join(name), mixed.join(name)).expect("a tokenizer's file");
    }
    let mixed = shown(&mixed);
    fails(
        &["generate", &mixed, "--prompt", "xyz"],
        3,
        "outside a vocabulary of 4 ids",
    );
    let text = write(&folder, "text.txt", "xyz");
    fails(
        &["eval", &mixed, "--data", &text],
        3,
        "outside a vocabulary of 4 ids",
    );
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let calls: [&[&str]; 3] = [
        &["generate", "tiny", "--prompt", "a"],
        &["generate", "tiny", "--prompt", "a", "--json"],
        &["inspect", "tiny", "--plan"],
    ];
    for args in calls {
        let child = tenon(HOME.path(), args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = child.expect("the program starts");
        drop(child.stdout.take());
        let mut said = String::new();
        let mut stderr = child.stderr.take().expect("a pipe");
        stderr.read_to_string(&mut said).expect("UTF-8");
        let code = child.wait().expect("it ends").code();
        assert_eq!((said.as_str(), code), ("", Some(0)), "{args:?}");
    }
}
