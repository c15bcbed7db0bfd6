//! `tenon fetch` through the program, with a model hub on the loopback interface; and what the
//! other commands make of what was fetched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;
use tenon_testkit::{HubServer, Kept, Mishap};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// A hub with the smallest GPT-2 that the family is proved with, and a home for the cache.
struct Place {
    hub: HubServer,
    home: TempDir,
}

fn golden() -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    crates
        .expect("a workspace")
        .join("models/tests/goldens/gpt2_small/model")
}

fn place() -> Place {
    let hub = HubServer::start("org/name", COMMIT);
    let home = tempfile::tempdir().expect("a folder");
    let read = |name: &str| fs::read(golden().join(name)).expect("a file");
    hub.put("config.json", &read("config.json"), Kept::Plain);
    hub.put(
        "model.safetensors",
        &read("model.safetensors"),
        Kept::Linked,
    );
    hub.put("pytorch_model.bin", b"the same", Kept::Linked);
    hub.put("sub/notes.txt", b"notes", Kept::Plain);
    Place { hub, home }
}

impl Place {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenon"));
        command.args(args).current_dir(self.home.path());
        for name in [
            "HF_TOKEN",
            "HF_HUB_CACHE",
            "HF_HUB_OFFLINE",
            "SSL_CERT_FILE",
            "TENON_DATA",
        ] {
            command.env_remove(name);
        }
        for name in ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"] {
            command.env_remove(name);
        }
        command.env("TENON_ISA", "scalar").env("TENON_THREADS", "1");
        command.env("HF_HOME", self.home.path().join("hf"));
        command.env("HF_ENDPOINT", self.hub.url());
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().expect("the program starts")
    }

    fn snapshot(&self) -> PathBuf {
        let folder = self.home.path().join("hf/hub/models--org--name/snapshots");
        folder.join(COMMIT)
    }

    #[track_caller]
    fn fails(&self, args: &[&str], code: i32, words: &str) {
        let output = self.run(args);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
        assert_eq!(text(&output.stdout), "", "{args:?}");
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

#[test]
fn stdout_is_the_folder_and_stderr_tells_each_file() {
    let place = place();
    let output = place.run(&["fetch", "hub", "org/name"]);
    let (out, said) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!(out, format!("{}\n", place.snapshot().display()));
    for words in [
        "2 files",
        "config.json",
        "model.safetensors",
        "hash compared",
        COMMIT,
    ] {
        assert!(said.contains(words), "{said}");
    }
    let again = place.run(&["fetch", "hub", "org/name"]);
    assert_eq!(text(&again.stdout), out);
    assert_eq!(text(&again.stderr).matches("in the cache").count(), 2);
}

#[test]
fn the_document_names_every_file() {
    let place = place();
    let args = [
        "fetch",
        "hub",
        "org/name@main",
        "--include",
        "sub/",
        "--include",
        "*.bin",
    ];
    let output = place.run(&[&args[..], &["--json"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!(document["schema_version"], 1);
    assert_eq!(document["repo"], "org/name");
    assert_eq!(document["revision"], "main");
    assert_eq!(document["commit"], COMMIT);
    assert_eq!(document["path"], place.snapshot().to_str().expect("UTF-8"));
    let files = document["files"].as_array().expect("files");
    let names: Vec<&str> = files
        .iter()
        .filter_map(|file| file["name"].as_str())
        .collect();
    assert_eq!(names, ["pytorch_model.bin", "sub/notes.txt"]);
    let hash = tenon_base::hash::sha256(b"the same");
    assert_eq!(
        (&files[0]["sha256"], &files[0]["etag"]),
        (&hash.clone().into(), &hash.into())
    );
    assert_eq!(files[1]["sha256"], Value::Null);
    assert_eq!(
        (&files[1]["bytes"], &files[1]["reused"]),
        (&5.into(), &false.into())
    );
    let all = place.run(&["fetch", "hub", "org/name", "--all", "--json"]);
    let all: Value = serde_json::from_slice(&all.stdout).expect("one document");
    assert_eq!(all["files"].as_array().map(Vec::len), Some(4));
}

#[test]
fn exit_codes_tell_usage_data_and_network_apart() {
    let place = place();
    place.fails(&["fetch"], 2, "Usage");
    place.fails(&["fetch", "hub", "../x"], 2, "no name of a repository");
    place.fails(&["fetch", "hub", "org/name@../x"], 2, "no revision");
    place.fails(
        &["fetch", "hub", "org/other"],
        2,
        "no repository `org/other`",
    );
    place.fails(
        &["fetch", "hub", "org/name@v1.1"],
        2,
        "did you mean `v1.0`?",
    );
    place.fails(
        &["fetch", "hub", "org/name", "--include", "*.h5"],
        2,
        "fits `*.h5`",
    );
    place.hub.mishap("GET /contents/", Mishap::Garbled);
    place.fails(&["fetch", "hub", "org/name"], 3, "hash");
    let gated = Mishap::Status(403, &[("X-Error-Code", "GatedRepo")]);
    place.hub.mishap("HEAD /org/name", gated);
    place.fails(
        &["fetch", "hub", "org/name", "--all"],
        4,
        "accept the conditions",
    );
    let mut unreachable = place.command(&["fetch", "hub", "org/name"]);
    let output = unreachable
        .env("HF_ENDPOINT", "http://127.0.0.1:1")
        .output();
    assert_eq!(output.expect("the program starts").status.code(), Some(4));
    let mut offline = place.command(&["fetch", "hub", "org/other", "--json"]);
    let output = offline
        .env("HF_HUB_OFFLINE", "1")
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(4));
    let document: Value = serde_json::from_slice(&output.stdout).expect("one document");
    assert_eq!(document["error"]["kind"], "io");
}

#[test]
fn the_token_is_that_of_the_environment_or_of_the_file() {
    let place = place();
    place.hub.want_token("hf_secret");
    place.fails(&["fetch", "hub", "org/name"], 2, "HF_TOKEN");
    let mut wrong = place.command(&["fetch", "hub", "org/name"]);
    let output = wrong
        .env("HF_TOKEN", "hf_wrong")
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(2));
    assert!(!text(&output.stderr).contains("hf_wrong"));
    fs::create_dir_all(place.home.path().join("hf")).expect("room");
    fs::write(place.home.path().join("hf/token"), "hf_secret\n").expect("room");
    let output = place.run(&["fetch", "hub", "org/name"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let seen = place.hub.take_seen();
    let leaked = |seen: &&tenon_testkit::Seen| seen.elsewhere && seen.authorization.is_some();
    assert_eq!(seen.iter().find(leaked), None);
}

#[test]
fn commands_take_the_name_of_what_was_fetched() {
    let place = place();
    place.fails(&["inspect", "org/name"], 3, "tenon fetch hub org/name");
    place.fails(
        &["predict", "org/name@v1", "--inputs", "i", "--out", "o"],
        3,
        "org/name@v1",
    );
    assert_eq!(place.hub.take_seen(), [], "nothing is loaded unasked");
    assert_eq!(
        place.run(&["fetch", "hub", "org/name"]).status.code(),
        Some(0)
    );
    place.hub.take_seen();
    let inspected = place.run(&["inspect", "org/name", "--json"]);
    assert_eq!(
        inspected.status.code(),
        Some(0),
        "{}",
        text(&inspected.stderr)
    );
    let document: Value = serde_json::from_slice(&inspected.stdout).expect("one document");
    assert_eq!(document["family"], "gpt2");
    let by_path = place.run(&[
        "inspect",
        place.snapshot().to_str().expect("UTF-8"),
        "--json",
    ]);
    assert_eq!(inspected.stdout, by_path.stdout);
    assert_eq!(place.hub.take_seen(), []);
    // A folder that is there is a path, whatever the cache has.
    fs::create_dir_all(place.home.path().join("org")).expect("room");
    place.fails(
        &["inspect", "org/name"],
        3,
        "there is no model or run `org/name`",
    );
}

const CONFIG: &str = "\
model: {family: custom, n_blocks: 1, n_heads: 2, d_model: 16, d_ffn: 32, max_seq_len: 64}
data: {dataset: corpus, corpus: {bytes: 20000, persons: 10}, tokenizer: byte}
training: {max_steps: 1, batch_size: 2}
";

#[test]
fn what_was_published_and_fetched_is_trained_further_and_writes() {
    let place = place();
    let home = place.home.path();
    fs::write(home.join("a.yaml"), CONFIG).expect("room");
    let trained = place.run(&["train", "a.yaml"]);
    assert_eq!(trained.status.code(), Some(0), "{}", text(&trained.stderr));
    for file in fs::read_dir(home.join("runs/a/model")).expect("a folder") {
        let file = file.expect("a file");
        let name = file.file_name().into_string().expect("UTF-8");
        let content = fs::read(file.path()).expect("a file");
        place.hub.put(&name, &content, Kept::Plain);
    }
    let (_, rest) = CONFIG.split_once('\n').expect("lines");
    let config = format!("model: {{from: org/name}}\n{rest}");
    fs::write(home.join("b.yaml"), config).expect("room");
    place.fails(&["train", "b.yaml"], 2, "tenon fetch hub org/name");
    assert_eq!(place.hub.take_seen(), [], "nothing is loaded unasked");
    assert_eq!(
        place.run(&["fetch", "hub", "org/name"]).status.code(),
        Some(0)
    );
    let further = place.run(&["train", "b.yaml"]);
    assert_eq!(further.status.code(), Some(0), "{}", text(&further.stderr));
    let inspected = place.run(&["inspect", "b.yaml"]);
    assert_eq!(
        inspected.status.code(),
        Some(0),
        "{}",
        text(&inspected.stderr)
    );
    let args = [
        "generate",
        "org/name",
        "--prompt",
        "Q:",
        "--max-new-tokens",
        "2",
    ];
    let written = place.run(&args);
    assert_eq!(written.status.code(), Some(0), "{}", text(&written.stderr));
}
