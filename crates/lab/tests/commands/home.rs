//! A small run that tests only read, and the program to run in its folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

use serde_json::Value;
use tempfile::TempDir;

const CONFIG: &str = "\
model: {family: custom, n_blocks: 1, n_heads: 2, d_model: 16, d_ffn: 32, max_seq_len: 64}
data: {dataset: corpus, corpus: {bytes: 20000, persons: 10}, tokenizer: byte}
training: {max_steps: 8, batch_size: 8, learning_rate: 0.1, checkpoint_every: 4}
evaluation: {generation_prompts: ['Q: What'], max_new_tokens: 12, temperature: 0}
";

/// A folder with a configuration `tiny.yaml` and its run `runs/tiny`, which tests only read.
pub(crate) static HOME: LazyLock<TempDir> = LazyLock::new(|| {
    let home = tempfile::tempdir().expect("a folder");
    fs::write(home.path().join("tiny.yaml"), CONFIG).expect("room");
    let trained = tenon(home.path(), &["train", "tiny.yaml"]).output();
    let trained = trained.expect("the program starts");
    let said = String::from_utf8_lossy(&trained.stderr).into_owned();
    assert_eq!(trained.status.code(), Some(0), "{said}");
    home
});

/// The program in a folder, on the instruction set whose bits every processor has.
pub(crate) fn tenon(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenon"));
    command.args(args).current_dir(folder);
    command.env_remove("TENON_DATA").env_remove("COLUMNS");
    command.env("TENON_ISA", "scalar").env("TENON_THREADS", "2");
    command
}

pub(crate) fn output(args: &[&str]) -> Output {
    let output = tenon(HOME.path(), args).output();
    output.expect("the program starts")
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

/// What the program prints when all is well.
#[track_caller]
pub(crate) fn stdout(args: &[&str]) -> String {
    let output = output(args);
    let (said, code) = (text(&output.stderr), output.status.code());
    assert_eq!((said.as_str(), code), ("", Some(0)), "{args:?}");
    text(&output.stdout)
}

#[track_caller]
pub(crate) fn json(args: &[&str]) -> Value {
    let args = [args, &["--json"]].concat();
    let document: Value = serde_json::from_str(&stdout(&args)).expect("one document");
    assert_eq!(document["schema_version"], 1, "{args:?}");
    document
}

/// Kind, message and exit code of a failure, told both ways.
#[track_caller]
pub(crate) fn failure(args: &[&str]) -> (String, i32) {
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
pub(crate) fn fails(args: &[&str], exit: i32, words: &str) {
    let (said, code) = failure(args);
    assert_eq!(code, exit, "{args:?}: {said}");
    assert!(said.contains(words), "{args:?}: {said}");
}

/// A model of `crates/models/tests/goldens`.
pub(crate) fn golden(family: &str) -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let goldens = crates.expect("a workspace").join("models/tests/goldens");
    goldens.join(format!("{family}_small"))
}

pub(crate) fn shown(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

pub(crate) fn write(folder: &TempDir, name: &str, content: impl AsRef<[u8]>) -> String {
    let path = folder.path().join(name);
    fs::write(&path, content).expect("room");
    shown(&path)
}

/// A copy of a model's folder with one file changed.
pub(crate) fn changed(from: &Path, name: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) -> TempDir {
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

/// A copy of a model's folder whose f32 weights are no numbers.
pub(crate) fn not_a_number(from: &Path) -> TempDir {
    changed(from, "model.safetensors", |mut bytes| {
        let start = 8 + u64::from_le_bytes(bytes[..8].try_into().expect("8 bytes")) as usize;
        for value in bytes[start..].chunks_exact_mut(4) {
            value.copy_from_slice(&f32::NAN.to_le_bytes());
        }
        bytes
    })
}
