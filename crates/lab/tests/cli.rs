//! The program from outside: help, explanations, failures, exit codes.

use std::io::Read;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tenon_records::{Metric, NewRun, Split, Status, Store};

fn tenon(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tenon"));
    command.args(args);
    for name in ["TENON_THREADS", "TENON_ISA", "TENON_DATA", "COLUMNS"] {
        command.env_remove(name);
    }
    command
}

fn output(args: &[&str]) -> Output {
    tenon(args).output().expect("the program starts")
}

/// Text of a stream; lines without spaces at their ends, which help texts have.
fn text(bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    let lines = text.lines().map(|line| format!("{}\n", line.trim_end()));
    lines.collect()
}

/// What the program prints when all is well.
#[track_caller]
fn stdout(args: &[&str]) -> String {
    let output = output(args);
    let (said, code) = (text(&output.stderr), output.status.code());
    assert_eq!((said.as_str(), code), ("", Some(0)), "{args:?}");
    text(&output.stdout)
}

/// Both streams and the exit code of a failure.
fn failure(args: &[&str]) -> String {
    let output = output(args);
    let code = output.status.code().expect("an exit code");
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    format!("$ tenon {}\n{out}{err}exit {code}\n", args.join(" "))
}

#[track_caller]
fn json(args: &[&str]) -> (Value, i32) {
    let output = output(args);
    let document = serde_json::from_slice(&output.stdout);
    let code = output.status.code().expect("an exit code");
    (document.unwrap_or_else(|e| panic!("{args:?}: {e}")), code)
}

const COMMANDS: [&[&str]; 22] = [
    &["train"],
    &["eval"],
    &["generate"],
    &["predict"],
    &["contacts"],
    &["inspect"],
    &["gradcheck"],
    &["bench"],
    &["bench", "train"],
    &["bench", "forward"],
    &["bench", "generate"],
    &["bench", "kernels"],
    &["fetch"],
    &["fetch", "hub"],
    &["runs"],
    &["runs", "ls"],
    &["runs", "show"],
    &["runs", "compare"],
    &["runs", "best"],
    &["explain"],
    &["models"],
    &["models", "ls"],
];

#[test]
fn help_of_every_command() {
    let mut shown = stdout(&["--help"]);
    for command in COMMANDS {
        let args = [command, &["--help"]].concat();
        shown += &format!("\n# tenon {}\n{}", command.join(" "), stdout(&args));
    }
    insta::assert_snapshot!("help", shown);
}

#[test]
fn every_topic_is_explained() {
    let mut shown = stdout(&["explain"]);
    for topic in ["environment", "exit-codes", "json", "limits", "metrics"] {
        shown += &format!("\n# {topic}\n{}", stdout(&["explain", topic]));
    }
    insta::assert_snapshot!("explain", shown);
}

#[test]
fn every_key_of_a_configuration_is_explained() {
    let all = stdout(&["explain", "config"]);
    insta::assert_snapshot!("explain_config", all);
    let section = stdout(&["explain", "config", "evaluation"]);
    assert!(all.contains(&section), "{section}");
    let key = stdout(&["explain", "config", "training.lr_decay"]);
    assert!(key.starts_with("training.lr_schedule\n"), "{key}");
}

#[test]
fn explanations_as_documents_have_a_version() {
    for topic in [
        "config",
        "environment",
        "exit-codes",
        "json",
        "limits",
        "metrics",
    ] {
        let (document, code) = json(&["explain", topic, "--json"]);
        assert_eq!(
            (&document["schema_version"], code),
            (&Value::from(1), 0),
            "{topic}"
        );
    }
    let (schema, _) = json(&["--json", "explain", "config"]);
    let rate = &schema["properties"]["training"]["properties"]["learning_rate"];
    assert_eq!(rate["exclusiveMinimum"], 0.0);
    let (families, _) = json(&["models", "ls", "--json"]);
    assert_eq!(families["families"][1]["name"], "gpt2");
}

#[test]
fn failures_say_what_is_wrong_and_what_to_do() {
    let calls: [&[&str]; 11] = [
        &["frobnicate"],
        &["train"],
        &["train", "a.yaml", "--resum"],
        &["generate", "m"],
        &["generate", "m", "--prompt", "a", "--temperature", "-1"],
        &["generate", "m", "--prompt", "a", "--greedy", "--top-k", "3"],
        &["runs", "ls", "--status", "dead"],
        &["runs", "compare", "one"],
        &["explain", "confg"],
        &["explain", "config", "learning_rate"],
        &["explain", "limits", "x"],
    ];
    let shown: Vec<String> = calls.iter().map(|args| failure(args)).collect();
    insta::assert_snapshot!("failures", shown.join("\n"));
}

#[test]
fn failures_are_documents_when_asked() {
    let calls: [(&[&str], &str, i32); 4] = [
        (&["frobnicate", "--json"], "usage", 2),
        (&["--json", "train"], "usage", 2),
        (&["explain", "confg", "--json"], "usage", 2),
        (
            &["runs", "ls", "--runs", "no/such/folder", "--json"],
            "io",
            4,
        ),
    ];
    for (args, kind, code) in calls {
        let (document, exit) = json(args);
        let error = document["error"].as_object().expect("an error");
        let keys: Vec<&str> = error.keys().map(String::as_str).collect();
        assert_eq!(keys, ["kind", "message", "where", "hint"], "{args:?}");
        assert_eq!(
            (&error["kind"], exit),
            (&Value::from(kind), code),
            "{args:?}"
        );
        assert_eq!(document["schema_version"], 1);
    }
}

#[test]
fn without_arguments_help_is_shown_as_a_usage_error() {
    let output = output(&[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    assert!(text(&output.stderr).contains("Usage: tenon"));
    assert!(stdout(&["--version"]).starts_with("tenon "));
}

#[test]
fn a_bad_environment_is_a_usage_error() {
    let run = |name: &str, value: &str| {
        let output = tenon(&["models", "ls"]).env(name, value).output();
        let output = output.expect("the program starts");
        (output.status.code(), text(&output.stderr))
    };
    let (code, said) = run("TENON_THREADS", "many");
    assert_eq!(code, Some(2));
    assert!(said.contains("`TENON_THREADS` cannot be `many`"), "{said}");
    assert_eq!(run("TENON_ISA", "sse").0, Some(2));
    assert_eq!(run("TENON_ISA", "scalar").0, Some(0));
}

#[test]
fn no_colour_away_from_a_terminal() {
    let output = output(&["explain", "confg"]);
    assert!(!text(&output.stderr).contains('\u{1b}'));
}

#[test]
fn a_reader_that_leaves_is_no_failure() {
    let mut child = tenon(&["explain", "config"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let mut said = String::new();
    let mut stderr = child.stderr.take().expect("a pipe");
    stderr.read_to_string(&mut said).expect("UTF-8");
    let code = child.wait().expect("it ends").code();
    assert_eq!((said.as_str(), code), ("", Some(0)));
}

/// Two runs of which `b` is better.
fn store(folder: &Path) {
    let mut store = Store::open(&folder.join("tenon.db")).expect("a new store");
    for (name, loss) in [("a", 2.5), ("b", 1.5)] {
        let id = store.create_run(&NewRun {
            name,
            kind: "train",
            created_utc: "2026-01-02T03:04:05.000Z",
            dir: name,
            seed: 0,
            isa: "scalar",
            threads: 1,
            version: "0.1.0",
            config_json: "{}",
            trial: None,
        });
        let run = id.expect("a new name");
        let metric = |step, value| Metric {
            run,
            step,
            epoch: None,
            split: Split::Validation,
            name: "loss",
            value,
        };
        let metrics = [metric(1, 4.0), metric(2, loss)];
        store.append_metrics(&metrics).expect("room");
        let end = "2026-01-02T03:05:05.000Z";
        store
            .finish_run(run, Status::Done, end, None)
            .expect("it runs");
    }
}

#[test]
fn runs_are_listed_shown_compared_and_judged() {
    let folder = tempfile::tempdir().expect("a folder");
    store(folder.path());
    let runs = folder.path().to_str().expect("UTF-8");
    let of = |args: &[&str]| stdout(&[&["runs", "--runs", runs], args].concat());
    let list = of(&["ls"]);
    assert!(list.lines().count() == 4 && list.contains("1.5"), "{list}");
    let sorted = of(&["ls", "--best", "loss", "--limit", "1"]);
    assert!(
        sorted.contains(" b ") && !sorted.contains(" a "),
        "{sorted}"
    );
    assert_eq!(of(&["ls", "--status", "failed"]), "no runs\n");
    assert!(of(&["show", "a"]).contains("2.5"));
    assert!(of(&["compare", "a", "b"]).contains("loss"));
    assert!(of(&["best", "loss"]).starts_with("b: validation/loss 1.5"));
    let (best, _) = json(&["runs", "best", "--runs", runs, "--json"]);
    assert_eq!(best["best"]["run"]["name"], "b");
    let (missing, code) = json(&["runs", "show", "c", "--runs", runs, "--json"]);
    assert_eq!(
        (&missing["error"]["kind"], code),
        (&Value::from("usage"), 2)
    );
}
