//! The commands that the README shows.

use tenon_base::Result;

use super::House;
use crate::Problem;
use crate::{markdown, shell};

/// The file whose commands are judged.
const README: &str = "README.md";
/// What `cargo` is asked to do in it; `xtask` is this crate.
const CARGO_COMMANDS: &[&str] = &["build", "doc", "install", "run", "test", "xtask"];

/// A command that a Markdown file shows in a block of shell code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Its line in the file, counted from 1.
    pub line: usize,
    /// Its words without prompt, comment and variables; `None` when a quote is left open.
    pub words: Option<Vec<String>>,
}

/// The commands in the `sh` blocks of a Markdown file, in order.
pub fn commands(markdown: &str) -> Vec<Command> {
    let blocks = markdown::blocks(markdown).into_iter();
    let shell_blocks = blocks.filter(|block| block.language == "sh");
    let of_block = |block: markdown::Block| {
        let commands = shell::commands(&block.text).into_iter();
        let first = block.line;
        commands.map(move |(at, words)| Command {
            line: first + at,
            words,
        })
    };
    shell_blocks.flat_map(of_block).collect()
}

/// The arguments of every call of the binary in a Markdown file, `tenon …` as well as
/// `cargo run … -- …`, with the line: what the command line's own parser must accept.
pub fn tenon_arguments(markdown: &str) -> Vec<(usize, Vec<String>)> {
    let arguments = |command: Command| {
        let words = command.words?;
        let rest = match words.first()?.as_str() {
            "tenon" => &words[1..],
            "cargo" if words.get(1).is_some_and(|word| word == "run") => {
                &words[words.iter().position(|word| word == "--")? + 1..]
            }
            _ => return None,
        };
        Some((command.line, rest.to_vec()))
    };
    commands(markdown)
        .into_iter()
        .filter_map(arguments)
        .collect()
}

/// Judges the commands of the README, as far as that needs no command line parser.
pub(super) fn check(house: &House) -> Result<Vec<Problem>> {
    let readme = house.tree.texts.get(README).map_or("", String::as_str);
    let spans = markdown::code_spans(readme).into_iter();
    let spans = spans
        .filter(|span| span.text.starts_with("cargo "))
        .map(|span| Command {
            line: span.line,
            words: shell::words(&span.text),
        });
    let problem = |command: Command| {
        let (message, hint) = match command.words {
            None => ("a quote is left open".to_owned(), "close it".to_owned()),
            Some(words) if words[0] == "cargo" => cargo_problem(house, &words)?,
            Some(_) => return None,
        };
        Some(Problem::new(README, command.line, message, hint))
    };
    Ok(commands(readme)
        .into_iter()
        .chain(spans)
        .filter_map(problem)
        .collect())
}

fn cargo_problem(house: &House, words: &[String]) -> Option<(String, String)> {
    let subject = words.get(1).map_or("", String::as_str);
    if !CARGO_COMMANDS.contains(&subject) {
        let hint = format!("known are {CARGO_COMMANDS:?}");
        return Some((format!("`cargo {subject}` is not known here"), hint));
    }
    let own = words.split(|word| word == "--").next().unwrap_or_default();
    for pair in own.windows(2) {
        let (option, value) = (pair[0].as_str(), pair[1].as_str());
        let is_crate = |name: &str| house.workspace.crates.iter().any(|c| c.name == name);
        let name = value.strip_prefix("tenon-").unwrap_or_default();
        if ["-p", "--package"].contains(&option) && !is_crate(name) {
            let hint = "name a member of the workspace".to_owned();
            return Some((format!("package `{value}` is not there"), hint));
        }
        if option == "--path" && !house.tree.has(value) {
            let hint = "name a folder of the checkout".to_owned();
            return Some((format!("path `{value}` is not there"), hint));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::problems;

    fn readme(code: &str) -> String {
        format!("# a\n```sh\n{code}\n```\n")
    }

    fn found(code: &str) -> Vec<String> {
        problems(check, &[(README, &readme(code)), ("crates/lab/a.rs", "")])
    }

    #[test]
    fn a_command_that_cannot_run_is_seen() {
        assert_eq!(
            found("cargo trian"),
            ["README.md:3: `cargo trian` is not known here"]
        );
        assert_eq!(found("ls\ncargo test -p tenon-x").len(), 1);
        assert_eq!(found("cargo install --path crates/xyz").len(), 1);
        assert_eq!(
            found("tenon eval 'x"),
            ["README.md:3: a quote is left open"]
        );
    }

    #[test]
    fn good_commands_pass() {
        for code in [
            "cargo test --workspace",
            "cargo install --path crates/lab",
            "ls -l",
            "",
        ] {
            assert_eq!(found(code).len(), 0, "{code}");
        }
        assert_eq!(found("cargo run -- eval -p x").len(), 0);
    }

    #[test]
    fn arguments_of_the_binary_are_found_behind_cargo_too() {
        let text = readme("$ tenon train a.yaml\ncargo run --release -- eval b\ncargo test");
        let expected = [(3, vec!["train", "a.yaml"]), (4, vec!["eval", "b"])];
        let found = tenon_arguments(&text);
        for ((line, words), (at, arguments)) in expected.iter().zip(&found) {
            assert_eq!((line, words.len()), (at, arguments.len()));
            assert!(words.iter().eq(arguments));
        }
        assert_eq!(found.len(), 2);
    }
}
