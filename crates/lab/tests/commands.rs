//! The commands around a trained model, through the program: a small run, and the small models that
//! the families are proved with.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;

use serde_json::Value;
use tempfile::TempDir;
use tenon_base::files::RealDisk;
use tenon_models::checkpoint::Checkpoint;

const CONFIG: &str = "\
model: {family: custom, n_blocks: 1, n_heads: 2, d_model: 16, d_ffn: 32, max_seq_len: 64}
data: {dataset: corpus, corpus: {bytes: 20000, persons: 10}, tokenizer: byte}
training: {max_steps: 8, batch_size: 8, learning_rate: 0.1, checkpoint_every: 4}
evaluation: {generation_prompts: ['Q: What'], max_new_tokens: 12, temperature: 0}
";

/// A folder with a configuration `tiny.yaml` and its run `runs/tiny`, which tests only read.
static HOME: LazyLock<TempDir> = LazyLock::new(|| {
    let home = tempfile::tempdir().expect("a folder");
    fs::write(home.path().join("tiny.yaml"), CONFIG).expect("room");
    let trained = tenon(home.path(), &["train", "tiny.yaml"]).output();
    let trained = trained.expect("the program starts");
    let said = String::from_utf8_lossy(&trained.stderr).into_owned();
    assert_eq!(trained.status.code(), Some(0), "{said}");
    home
});

/// The program in a folder, on the instruction set whose bits every processor has.
fn tenon(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenon"));
    command.args(args).current_dir(folder);
    command.env_remove("TENON_DATA").env_remove("COLUMNS");
    command.env("TENON_ISA", "scalar").env("TENON_THREADS", "2");
    command
}

fn output(args: &[&str]) -> Output {
    let output = tenon(HOME.path(), args).output();
    output.expect("the program starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// What the program prints when all is well.
#[track_caller]
fn stdout(args: &[&str]) -> String {
    let output = output(args);
    let (said, code) = (text(&output.stderr), output.status.code());
    assert_eq!((said.as_str(), code), ("", Some(0)), "{args:?}");
    text(&output.stdout)
}

#[track_caller]
fn json(args: &[&str]) -> Value {
    let args = [args, &["--json"]].concat();
    let document: Value = serde_json::from_str(&stdout(&args)).expect("one document");
    assert_eq!(document["schema_version"], 1, "{args:?}");
    document
}

/// Kind, message and exit code of a failure, told both ways.
#[track_caller]
fn failure(args: &[&str]) -> (String, i32) {
    let plain = output(args);
    let code = plain.status.code().expect("an exit code");
    assert_eq!(text(&plain.stdout), "", "{args:?}");
    let told = output(&[args, &["--json"]].concat());
    assert_eq!(told.status.code(), Some(code), "{args:?}");
    let document: Value = serde_json::from_slice(&told.stdout).expect("a document");
    let message = document["error"]["message"].as_str().expect("a message");
    let said = text(&plain.stderr);
    assert!(said.contains(message), "{said} lacks {message}");
    (said, code)
}

#[track_caller]
fn fails(args: &[&str], exit: i32, words: &str) {
    let (said, code) = failure(args);
    assert_eq!(code, exit, "{args:?}: {said}");
    assert!(said.contains(words), "{args:?}: {said}");
}

/// A model of `crates/models/tests/goldens`.
fn golden(family: &str) -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let goldens = crates.expect("a workspace").join("models/tests/goldens");
    goldens.join(format!("{family}_small"))
}

fn shown(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

fn write(folder: &TempDir, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = folder.path().join(name);
    fs::write(&path, content).expect("room");
    shown(&path)
}

/// A copy of a model's folder with one file changed.
fn changed(from: &Path, name: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) -> TempDir {
    let copy = tempfile::tempdir().expect("a folder");
    for file in fs::read_dir(from).expect("a folder") {
        let file = file.expect("a file");
        let content = fs::read(file.path()).expect("a file");
        let content = match file.file_name() == name {
            true => change(content),
            false => content,
        };
        fs::write(copy.path().join(file.file_name()), content).expect("room");
    }
    copy
}

#[test]
fn eval_of_a_run() {
    let table = stdout(&["eval", "tiny", "--generate"]);
    insta::assert_snapshot!("eval", table);
    insta::assert_snapshot!(
        "eval_json",
        stdout(&["eval", "tiny", "--generate", "--json"])
    );
}

#[test]
fn eval_means_the_same_model_by_every_name() {
    let by_name = json(&["eval", "tiny"]);
    for name in [
        "runs/tiny",
        "runs/tiny/model",
        "runs/tiny/checkpoints/step-000008",
    ] {
        let by_path = json(&["eval", name]);
        assert_eq!(by_path["loss"], by_name["loss"], "{name}");
        assert_eq!(by_path["data"], by_name["data"], "{name}");
    }
    let earlier = json(&["eval", "runs/tiny/checkpoints/step-000004"]);
    assert_ne!(earlier["loss"], by_name["loss"]);
    let elsewhere = shown(&HOME.path().join("runs"));
    let output = tenon(
        Path::new("/"),
        &["eval", "tiny", "--runs", &elsewhere, "--json"],
    )
    .output();
    let document: Value = serde_json::from_slice(&output.expect("it starts").stdout).expect("one");
    assert_eq!(document["loss"], by_name["loss"]);
}

#[test]
fn eval_agrees_with_the_last_validation_of_the_run() {
    let log = fs::read_to_string(HOME.path().join("runs/tiny/metrics.jsonl")).expect("a log");
    let rows = log
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    let last = rows.filter(|row| row["split"] == "validation").last();
    let last = last.expect("a validation")["loss"]
        .as_f64()
        .expect("a number");
    let loss = json(&["eval", "tiny"])["loss"].as_f64().expect("a number");
    assert!((loss - last).abs() < 1e-9, "{loss} and {last}");
}

#[test]
fn eval_reads_other_data_and_its_parts() {
    let folder = tempfile::tempdir().expect("a folder");
    let body = "{\"body\": \"Q: What is 3 plus 4?\"}\n{\"body\": \"seven\"}\n";
    let file = write(&folder, "held_out.jsonl", body);
    let whole = json(&["eval", "tiny", "--data", &file, "--text-column", "body"]);
    assert_eq!(whole["data"]["split"], "all");
    assert_eq!(whole["data"]["documents"], 2);
    // Each document's first byte is given, and its end is learned.
    assert_eq!(
        (&whole["tokens"], &whole["bytes"]),
        (&25.into(), &23.into())
    );
    write(&folder, "train.jsonl", body.repeat(3));
    fs::remove_file(&file).expect("it is there");
    write(&folder, "test.jsonl", body);
    let path = shown(folder.path());
    let of = |split: &[&str]| {
        let data = ["eval", "tiny", "--data", &path, "--text-column", "body"];
        json(&[&data, split].concat())
    };
    assert_eq!(of(&[])["data"]["split"], "test");
    assert_eq!(of(&[])["loss"], whole["loss"]);
    assert_eq!(of(&["--split", "train"])["data"]["documents"], 6);
    assert_eq!(of(&["--split", "all"])["data"]["documents"], 8);
    let one = of(&["--split", "train", "--max-batches", "1"]);
    assert_eq!(one["batches"], 1);
    let validation = [
        "--data",
        &path,
        "--text-column",
        "body",
        "--split",
        "validation",
    ];
    let none = [&["eval", "tiny"], &validation[..]].concat();
    fails(&none, 2, "has no split `validation`");
    let no_column = ["eval", "tiny", "--data", &path, "--text-column", "tex"];
    fails(&no_column, 3, "tex");
    fails(
        &["eval", "tiny", "--split", "test"],
        2,
        "a run has no part `test`",
    );
}

/// Without a run, documents are packed: every token but the first of a document counts.
#[test]
fn eval_of_a_hub_folder_counts_every_token() {
    let copy = changed(&HOME.path().join("runs/tiny/model"), "", |content| content);
    let model = shown(copy.path());
    let folder = tempfile::tempdir().expect("a folder");
    let file = write(&folder, "long.txt", "abcdefgh".repeat(40));
    let judged = json(&["eval", &model, "--data", &file]);
    assert_eq!(judged["data"]["layout"], "packed, documents apart");
    // 320 bytes and an end in blocks of 64 targets, of which the first byte is none.
    assert_eq!(judged["tokens"], 321 - 1);
    let of_run = json(&["eval", "tiny", "--data", &file]);
    assert_eq!(of_run["data"]["layout"], "one_per_row");
    assert_eq!(of_run["tokens"], 63);
    fails(&["eval", &model], 2, "has no data of its own");
    let corpus = json(&["eval", &model, "--data", "corpus", "--max-batches", "2"]);
    assert_eq!(corpus["batches"], 2);
}

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

#[test]
fn predict_writes_what_the_model_computes() {
    let folder = tempfile::tempdir().expect("a folder");
    for family in ["custom", "gpt2", "llama"] {
        let model = shown(&golden(family).join("model"));
        let inputs = shown(&golden(family).join("inputs.safetensors"));
        let out = shown(&folder.path().join(family));
        let args = [
            "predict", &model, "--inputs", &inputs, "--out", &out, "--grads",
        ];
        let args = [&args[..], &["--dtype", "f64"]].concat();
        let facts = json(&args);
        let file = Checkpoint::open(&RealDisk, Path::new(&out)).expect("a file");
        let expected = golden(family).join("expected.safetensors");
        let expected = Checkpoint::open(&RealDisk, &expected).expect("a golden");
        for wanted in expected.tensors() {
            let got = file.tensor(wanted.name).expect(wanted.name);
            assert_eq!(got.shape, wanted.shape, "{}", wanted.name);
        }
        for name in ["loss", "logits"] {
            let of = |file: &Checkpoint| file.tensor(name).and_then(|t| t.to_f64()).expect(name);
            let (got, wanted) = (of(&file), of(&expected));
            // Padding is 0 here, and the first row has none.
            let row = (got.len() / 4).max(1);
            let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-8 + 1e-5 * b.abs();
            assert!(
                got.iter().zip(&wanted).take(row).all(close),
                "{family} {name}"
            );
        }
        let listed = facts["outputs"].as_array().map(Vec::len);
        assert_eq!(listed, Some(file.names().len()));
        let table = stdout(&args);
        assert!(
            table.contains("logits") && table.contains(", loss "),
            "{table}"
        );
    }
}

#[test]
fn predict_refuses_what_it_cannot_read_or_write() {
    let model = shown(&golden("gpt2").join("model"));
    let inputs = shown(&golden("gpt2").join("inputs.safetensors"));
    let folder = tempfile::tempdir().expect("a folder");
    let out = shown(&folder.path().join("out"));
    let predict = |inputs: &str, out: &str, code: i32, words: &str| {
        fails(
            &["predict", &model, "--inputs", inputs, "--out", out],
            code,
            words,
        );
    };
    predict("no/such", &out, 3, "there is no file `no/such`");
    let file = write(&folder, "file", "text");
    predict(&file, &out, 3, &file);
    // Below a file there is no folder to write into, whoever asks.
    predict(&inputs, &format!("{file}/out"), 4, "file/out");
    let bytes = fs::read(&inputs).expect("inputs");
    let half = write(&folder, "half.safetensors", &bytes[..bytes.len() - 8]);
    predict(&half, &out, 3, "half.safetensors");
    let header = b"{\"input_ids\":{\"dtype\":\"I64\",\"shape\":[1,2],\"data_offsets\":[0,16]}}";
    let ids = [1u64, 1_000_000].map(u64::to_le_bytes).concat();
    let length = (header.len() as u64).to_le_bytes();
    let large = [&length[..], header, &ids].concat();
    let large = write(&folder, "large.safetensors", large);
    predict(&large, &out, 3, "outside the vocabulary");
    let grads = [
        "predict", &model, "--inputs", &large, "--out", &out, "--grads",
    ];
    fails(&grads, 3, "outside the vocabulary");
    assert!(!Path::new(&out).exists());
}

#[test]
fn inspect_of_models_runs_and_configurations() {
    let facts = stdout(&["inspect", "tiny.yaml", "--plan"]);
    insta::assert_snapshot!("inspect", facts);
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
    let broken = changed(&gpt2, "model.safetensors", |mut bytes| {
        let start = 8 + u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
        for value in bytes[start..].chunks_exact_mut(4) {
            value.copy_from_slice(&f32::NAN.to_le_bytes());
        }
        bytes
    });
    fails(&["gradcheck", &shown(broken.path())], 3, "finite");
}

#[test]
fn the_families_that_are_listed_are_those_that_can_be_made() {
    let families = json(&["models", "ls"]);
    for family in families["families"].as_array().expect("a list") {
        let name = family["name"].as_str().expect("a name");
        let folder = tempfile::tempdir().expect("a folder");
        let config = format!(
            "model: {{family: {name}}}\ndata: {{dataset: corpus, tokenizer: byte}}\n\
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

/// Killed between a checkpoint and the end, a run has no `model` folder.
#[test]
fn a_run_that_has_not_ended_is_its_newest_checkpoint() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = folder.path().join("runs/half");
    let from = HOME.path().join("runs/tiny");
    fs::create_dir_all(run.join("checkpoints")).expect("room");
    fs::copy(
        from.join("config.resolved.yaml"),
        run.join("config.resolved.yaml"),
    )
    .expect("a copy");
    for (step, name) in [
        ("step-000004", "step-000004"),
        ("step-000008", "step-000010"),
    ] {
        let model = run.join("checkpoints").join(name).join("model");
        fs::create_dir_all(&model).expect("room");
        for file in fs::read_dir(from.join("checkpoints").join(step).join("model")).expect("some") {
            let file = file.expect("a file");
            fs::copy(file.path(), model.join(file.file_name())).expect("a copy");
        }
    }
    fs::create_dir(run.join("checkpoints/unfinished-step-000012")).expect("room");
    let output = tenon(folder.path(), &["eval", "half", "--json"]).output();
    let output = output.expect("the program starts");
    let document: Value = serde_json::from_slice(&output.stdout).expect("a document");
    assert_eq!(document["loss"], json(&["eval", "tiny"])["loss"]);
    assert_eq!(document["model"], "runs/half/checkpoints/step-000010/model");
}
