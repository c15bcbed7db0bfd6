//! `tenon train` from outside: the run's folder, exact resume after a kill or Ctrl-C, and bad
//! input.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

const TINY: &str = "
experiment_name: tiny
model: {family: gpt2, n_blocks: 1, n_heads: 2, d_model: 16, max_seq_len: 32, dropout: 0.1}
data: {dataset: corpus, tokenizer: char, layout: packed, corpus: {bytes: 20000, persons: 3}}
training:
  max_steps: 12
  batch_size: 4
  optimizer: adamw
  learning_rate: 0.01
  lr_schedule: cosine
  eval_every: 5
  checkpoint_every: 2
  log_every: 2
evaluation: {generation_prompts: ['Q: '], max_new_tokens: 8}
";

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Place {
        let place = Place {
            folder: tempfile::tempdir().unwrap(),
        };
        place.write("tiny.yaml", TINY);
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenon"));
        command.args(args).current_dir(self.folder.path());
        for name in ["TENON_ISA", "TENON_DATA"] {
            command.env_remove(name);
        }
        command.env("TENON_THREADS", "1");
        command
    }

    fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    #[track_caller]
    fn succeed(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The exit code and what was said of a failure.
    fn fail(&self, args: &[&str]) -> (i32, String) {
        let output = self.run(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap_or(-1), said)
    }

    /// Bytes of the finished weights and the lines of metrics without their clock readings.
    fn end(&self, run: &str) -> (Vec<u8>, Vec<String>) {
        let folder = self.path("runs").join(run);
        let weights = fs::read(folder.join("model/model.safetensors")).unwrap();
        let lines = fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
        let timeless = |line: &str| {
            let mut value: Value = serde_json::from_str(line).unwrap();
            value["tokens_per_second"] = Value::Null;
            value.to_string()
        };
        (weights, lines.lines().map(timeless).collect())
    }
}

fn steps(checkpoints: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(checkpoints) else {
        return Vec::new();
    };
    let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|n| n.starts_with("step-")).collect();
    names.sort();
    names
}

#[test]
fn a_run_leaves_what_the_contract_says() {
    let place = Place::new();
    let text = place.succeed(&["train", "tiny.yaml"]);
    assert!(text.contains("> Q: "), "{text}");
    assert!(text.contains("the corpus' entropy allows"), "{text}");
    let run = place.path("runs/tiny");
    for name in [
        "config.resolved.yaml",
        "metrics.jsonl",
        "report.md",
        "model/config.json",
        "model/model.safetensors",
        "model/tokenizer.json",
        "plots/loss.png",
        "plots/loss.svg",
        "plots/learning_rate.png",
        "plots/grad_norm.png",
    ] {
        assert!(run.join(name).is_file(), "{name}");
    }
    let (_, lines) = place.end("tiny");
    let first: Value = serde_json::from_str(&lines[0]).unwrap();
    for key in [
        "step",
        "epoch",
        "split",
        "loss",
        "learning_rate",
        "grad_norm",
        "tokens",
        "tokens_per_second",
    ] {
        assert!(first.get(key).is_some(), "{key} in {first}");
    }
    let listed = place.succeed(&["runs", "ls"]);
    assert!(
        listed.contains("tiny") && listed.contains("done"),
        "{listed}"
    );
}

#[test]
fn the_resolved_configuration_repeats_the_run() {
    let place = Place::new();
    place.succeed(&["train", "tiny.yaml"]);
    place.succeed(&["train", "runs/tiny/config.resolved.yaml", "--name", "again"]);
    assert_eq!(place.end("tiny").0, place.end("again").0);
}

#[test]
fn threads_change_no_bit_of_a_run() {
    let place = Place::new();
    place.succeed(&["train", "tiny.yaml"]);
    let mut command = place.command(&["train", "tiny.yaml", "--name", "wide"]);
    assert!(
        command
            .env("TENON_THREADS", "3")
            .output()
            .unwrap()
            .status
            .success()
    );
    assert_eq!(place.end("tiny"), place.end("wide"));
}

#[test]
fn d12_a_killed_run_resumes_to_the_same_bits() {
    let place = Place::new();
    place.succeed(&["train", "tiny.yaml", "--name", "calm"]);
    let calm = place.end("calm");
    for (i, wanted) in ["step-000002", "step-000006", "step-000010"]
        .iter()
        .enumerate()
    {
        let name = format!("killed{i}");
        let mut child = place
            .command(&["train", "tiny.yaml", "--name", &name])
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let checkpoints = place.path("runs").join(&name).join("checkpoints");
        while !steps(&checkpoints).iter().any(|s| s >= &wanted.to_string()) {
            if child.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = child.kill();
        child.wait().unwrap();
        place.succeed(&["train", "tiny.yaml", "--name", &name, "--resume", "latest"]);
        assert_eq!(place.end(&name), calm, "killed at {wanted}");
    }
}

#[test]
fn ctrl_c_saves_and_exits_130_and_the_run_resumes_to_the_same_bits() {
    let place = Place::new();
    let long = [
        "--set",
        "training.max_steps=400",
        "--set",
        "training.eval_every=100",
    ];
    let train = |name: &'static str| [&["train", "tiny.yaml", "--name", name][..], &long].concat();
    place.succeed(&train("calm"));
    let mut child = place
        .command(&train("stopped"))
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let checkpoints = place.path("runs/stopped/checkpoints");
    while steps(&checkpoints).is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let interrupted = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupted.unwrap().success());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    assert!(!steps(&checkpoints).is_empty());
    let listed = place.succeed(&["runs", "ls"]);
    assert!(listed.contains("interrupted"), "{listed}");
    place.succeed(&[&train("stopped")[..], &["--resume", "latest"]].concat());
    assert_eq!(place.end("stopped"), place.end("calm"));
}

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
fn a_run_does_not_resume_under_another_configuration() {
    let place = Place::new();
    place.succeed(&["train", "tiny.yaml"]);
    let resume = ["train", "tiny.yaml", "--resume", "latest", "--set"];
    let (code, said) = place.fail(&[&resume[..], &["training.learning_rate=0.5"]].concat());
    assert_eq!(code, 2);
    assert!(said.contains("`training.learning_rate`"), "{said}");
    place.succeed(&[&resume[..], &["training.max_steps=14"]].concat());
    let (_, lines) = place.end("tiny");
    assert!(lines.last().unwrap().contains("\"step\":14"), "{lines:?}");
}

#[test]
fn resuming_what_never_started_exits_2() {
    let (code, said) = Place::new().fail(&["train", "tiny.yaml", "--resume", "latest"]);
    assert_eq!(code, 2);
    assert!(said.contains("there is no run `tiny` to resume"), "{said}");
}

/// The example configuration of the reference plan, as it was written, on a folder of the data
/// set's schema.
#[test]
fn the_reference_configuration_trains_as_given() {
    let place = Place::new();
    let verbatim = include_str!("../../../configs/custom_transformer.yaml");
    place.write("custom.yaml", verbatim);
    let rows = |n: usize, salt: usize| -> String {
        let row = |i: usize| {
            let text = format!("Lesson {i}. The sum of {i} and {salt} is {}. ", i + salt).repeat(6);
            serde_json::json!({ "source": "made", "s": "s", "textbook": text }).to_string() + "\n"
        };
        (0..n).map(row).collect()
    };
    let set = "data/nampdn-ai/tiny-textbooks";
    place.write(&format!("{set}/train.jsonl"), rows(40, 3));
    place.write(&format!("{set}/test.jsonl"), rows(8, 5));
    let mut command = place.command(&[
        "train",
        "custom.yaml",
        "--set",
        "training.max_steps=2",
        "--set",
        "data.subset_size=40",
        "--set",
        "training.batch_size=2",
        "--json",
    ]);
    let output = command
        .env("TENON_DATA", place.path("data"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let document: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(document["steps"], 2);
    let config = fs::read_to_string(place.path("runs/custom/model/config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["model_type"], "custom_transformer");
    assert_eq!(config["vocab_size"], 50257);
}

#[test]
fn a_dry_run_says_what_a_run_would_take_and_leaves_nothing() {
    let place = Place::new();
    let text = place.succeed(&["train", "tiny.yaml", "--dry-run"]);
    for word in ["parameters", "memory", "steps", "time", "tokens"] {
        assert!(text.contains(word), "{word} in {text}");
    }
    assert!(!place.path("runs").exists());
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
fn training_starts_from_a_model_folder() {
    let place = Place::new();
    place.succeed(&["train", "tiny.yaml"]);
    place.write(
        "on.yaml",
        "model: {from: runs/tiny/model}\n\
         data: {dataset: corpus, tokenizer: model, layout: packed, \
         corpus: {bytes: 20000, persons: 3}}\n\
         training: {max_steps: 2, batch_size: 4, learning_rate: 1e-9}\n",
    );
    place.succeed(&["train", "on.yaml"]);
    let loss = |run: &str, at: fn(&[String]) -> String| -> f64 {
        let (_, lines) = place.end(run);
        let validation: Vec<String> = lines
            .into_iter()
            .filter(|l| l.contains("validation"))
            .collect();
        let row: Value = serde_json::from_str(&at(&validation)).unwrap();
        row["loss"].as_f64().unwrap()
    };
    let last = |lines: &[String]| lines.last().unwrap().clone();
    let (before, after) = (loss("tiny", last), loss("on", last));
    assert!((before - after).abs() < 1e-3, "{before} and {after}");
}
