//! A folder with a tiny configuration, and the program run in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const TINY: &str = "
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

pub(crate) struct Place {
    folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Place {
        let place = Place {
            folder: tempfile::tempdir().unwrap(),
        };
        place.write("tiny.yaml", TINY);
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tenon"));
        command.args(args).current_dir(self.folder.path());
        for name in ["TENON_ISA", "TENON_DATA"] {
            command.env_remove(name);
        }
        command.env("TENON_THREADS", "1");
        command
    }

    pub(crate) fn run(&self, args: &[&str]) -> Output {
        self.command(args).output().unwrap()
    }

    #[track_caller]
    pub(crate) fn succeed(&self, args: &[&str]) -> String {
        let output = self.run(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The exit code and what was said of a failure.
    pub(crate) fn fail(&self, args: &[&str]) -> (i32, String) {
        let output = self.run(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code().unwrap_or(-1), said)
    }

    /// Bytes of the finished weights and the lines of metrics without their clock readings.
    pub(crate) fn end(&self, run: &str) -> (Vec<u8>, Vec<String>) {
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

pub(crate) fn steps(checkpoints: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(checkpoints) else {
        return Vec::new();
    };
    let names = entries.map(|e| e.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|n| n.starts_with("step-")).collect();
    names.sort();
    names
}
