//! Every command that the README shows is one that the program takes.

use std::path::{Path, PathBuf};

use clap::Parser;
use tenon::cli::Cli;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Words of a command line; text between double quotes is one word.
fn words(line: &str) -> Vec<String> {
    let parts = line
        .split('"')
        .enumerate()
        .flat_map(|(i, part)| match i % 2 {
            0 => part.split_whitespace().map(str::to_owned).collect(),
            _ => vec![part.to_owned()],
        });
    parts.collect()
}

/// Arguments of each call of the program in the shell blocks.
fn calls(readme: &str) -> Vec<Vec<String>> {
    let mut is_shell = false;
    let mut calls = Vec::new();
    for line in readme.lines() {
        if line.starts_with("```") {
            is_shell = line == "```sh";
        } else if is_shell {
            let words = words(line);
            let at = words.iter().position(|w| w == "--" || w == "tenon");
            let is_call = words[0] == "tenon" || words[..2] == ["cargo", "run"];
            if let (true, Some(at)) = (is_call, at) {
                calls.push(words[at + 1..].to_vec());
            }
        }
    }
    calls
}

#[test]
fn every_command_of_the_readme_parses() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let calls = calls(&readme);
    assert!(calls.len() >= 6, "{calls:?}");
    for call in &calls {
        let args = std::iter::once("tenon".to_owned()).chain(call.iter().cloned());
        Cli::try_parse_from(args).unwrap_or_else(|e| panic!("{call:?}: {e}"));
        for file in call.iter().filter(|word| word.starts_with("configs/")) {
            assert!(root().join(file).is_file(), "{file}");
        }
    }
}
