//! Lengths of files, functions and lines. Those above the habit are listed in a file with today's
//! number; the list only shrinks.

use std::collections::BTreeMap;

use tenon_base::{Error, Result};

use super::House;
use crate::Problem;
use crate::tree::Tree;

/// Lines of a file, without exception.
pub const FILE_LINES_MAX: usize = 700;
/// Lines of a file by habit.
pub const FILE_LINES_HABIT: usize = 350;
/// Lines of a function by habit, from the word `fn` to the closing brace.
pub const FUNCTION_LINES_HABIT: usize = 70;
/// Columns of a line of code by habit.
pub const COLUMNS_HABIT: usize = 100;
/// The list of exceptions, from the root of the checkout.
pub const LIST: &str = "crates/xtask/ratchet.txt";

const HEAD: &str = "\
# Exceptions with today's number: files with more than 350 lines, functions with more than 70,
# files with lines of more than 100 columns (how many). Numbers only shrink: `cargo xtask tidy
# --update` lowers them and drops lines that are no longer needed.
";

/// Files whose lines have a limit; tables and manifests may be wider.
const CODE: &[&str] = &[".rs", ".py", ".sh", ".ci/run"];

/// What can be listed, and the number up to which nothing needs to be.
const KINDS: &[(&str, usize)] = &[
    ("file", FILE_LINES_HABIT),
    ("function", FUNCTION_LINES_HABIT),
    ("wide", 0),
];

/// What is measured: `file PATH`, `function PATH NAME` or `wide PATH`.
type Lengths = BTreeMap<String, usize>;

fn habit(subject: &str) -> usize {
    let kind = subject.split(' ').next();
    let found = KINDS.iter().find(|(name, _)| Some(*name) == kind);
    found.map_or(0, |(_, habit)| *habit)
}

/// Judges the length of every Rust file and function.
pub(super) fn check(house: &House) -> Result<Vec<Problem>> {
    let listed = parse(house.tree.texts.get(LIST).map_or("", String::as_str))?;
    let measured = measure(&house.tree);
    let mut problems = Vec::new();
    for (subject, n) in &measured {
        let path = subject.split(' ').nth(1).unwrap_or_default();
        let max = *listed.get(subject).unwrap_or(&habit(subject));
        if is_over(subject, *n) {
            let message = format!("{n} lines, the limit is {FILE_LINES_MAX}");
            let hint = "split it by topic; this limit has no exceptions";
            problems.push(Problem::new(path, 0, message, hint));
        } else if *n > max {
            let message = format!("`{subject}` has {n}, its limit is {max}");
            let hint =
                format!("shorten it; if that would be worse, list `{subject} {n}` in {LIST}");
            problems.push(Problem::new(path, 0, message, hint));
        }
    }
    for (subject, max) in &listed {
        if measured.get(subject).is_none_or(|n| n < max) {
            let message = format!("`{subject}` is below {max} by now");
            problems.push(Problem::new(
                LIST,
                0,
                message,
                "run `cargo xtask tidy --update`",
            ));
        }
    }
    Ok(problems)
}

/// The list of exceptions with every number lowered to what the tree has, and lines that are no
/// longer needed left out. Nothing is added or raised. Fails when the list cannot be read.
pub fn lowered(tree: &Tree) -> Result<String> {
    let listed = parse(tree.texts.get(LIST).map_or("", String::as_str))?;
    let measured = measure(tree);
    let lower = |(subject, max): (String, usize)| {
        let n = *measured.get(&subject)?;
        Some((subject, n.min(max)))
    };
    Ok(written(&listed.into_iter().filter_map(lower).collect()))
}

/// The list of exceptions that accepts the tree as it is; a decision for a commit of its own. Files
/// above the hard limit are left out.
pub fn accepted(tree: &Tree) -> String {
    let mut lengths = measure(tree);
    lengths.retain(|subject, n| !is_over(subject, *n));
    written(&lengths)
}

/// Whether a file is longer than any file may be.
fn is_over(subject: &str, n: usize) -> bool {
    subject.starts_with("file ") && n > FILE_LINES_MAX
}

fn written(lengths: &Lengths) -> String {
    let lines = lengths
        .iter()
        .map(|(subject, n)| format!("{subject} {n}\n"));
    HEAD.to_owned() + &lines.collect::<String>()
}

/// Everything that is longer than the habit.
fn measure(tree: &Tree) -> Lengths {
    let mut lengths = Lengths::new();
    for (path, source) in &tree.rust {
        lengths.insert(format!("file {path}"), tree.texts[path].lines().count());
        for function in source.functions() {
            // Two functions of one name in one file share a line: the longer one counts.
            let longest = lengths
                .entry(format!("function {path} {}", function.name))
                .or_default();
            *longest = function.n_lines.max(*longest);
        }
    }
    let is_code = |path: &str| CODE.iter().any(|end| path.ends_with(end));
    for (path, text) in tree.texts.iter().filter(|(path, _)| is_code(path)) {
        let is_wide = |line: &&str| line.chars().count() > COLUMNS_HABIT;
        lengths.insert(format!("wide {path}"), text.lines().filter(is_wide).count());
    }
    lengths.retain(|subject, n| *n > habit(subject));
    lengths
}

fn parse(text: &str) -> Result<Lengths> {
    let mut lengths = Lengths::new();
    let lines = (1..)
        .zip(text.lines())
        .filter(|(_, line)| !line.starts_with('#'));
    for (at, line) in lines.filter(|(_, line)| !line.is_empty()) {
        let parts = line
            .rsplit_once(' ')
            .and_then(|(subject, n)| Some((subject, n.parse().ok()?)));
        let kind = line.split(' ').next().unwrap_or_default();
        let n_words = if kind == "function" { 4 } else { 3 };
        let is_known = KINDS.iter().any(|(name, _)| *name == kind);
        let is_known = is_known && line.split(' ').count() == n_words;
        match parts.filter(|_| is_known) {
            Some((subject, n)) => lengths.insert(subject.to_owned(), n),
            None => {
                let error = Error::data(format!("`{line}` is no exception"));
                let hint = "write `file PATH N`, `function PATH NAME N` or `wide PATH N`";
                return Err(error.at(format!("{LIST}:{at}")).hint(hint));
            }
        };
    }
    Ok(lengths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::{house, problems};

    fn file(n_lines: usize) -> String {
        "//\n".repeat(n_lines)
    }

    fn function(n_lines: usize) -> String {
        format!("fn f() {{\n{}}}\n", "//\n".repeat(n_lines - 2))
    }

    #[test]
    fn the_habit_is_met_or_listed() {
        assert_eq!(problems(check, &[("a.rs", &file(350))]).len(), 0);
        let found = problems(check, &[("a.rs", &file(351))]);
        assert_eq!(found, ["a.rs:0: `file a.rs` has 351, its limit is 350"]);
        let listed = [("a.rs", &*file(351)), (LIST, "file a.rs 351\n")];
        assert_eq!(problems(check, &listed).len(), 0);
    }

    #[test]
    fn functions_have_a_habit_of_their_own() {
        assert_eq!(problems(check, &[("a.rs", &function(70))]).len(), 0);
        let found = problems(check, &[("a.rs", &function(71))]);
        assert_eq!(found, ["a.rs:0: `function a.rs f` has 71, its limit is 70"]);
        let listed = [("a.rs", &*function(71)), (LIST, "function a.rs f 71\n")];
        assert_eq!(problems(check, &listed).len(), 0);
    }

    #[test]
    fn the_hundredth_column_is_the_last() {
        let (fits, wide) = ("é".repeat(100) + "\n", "é".repeat(101) + "\n");
        let found = problems(check, &[("a.py", &fits), ("b.py", &wide), ("c.md", &wide)]);
        assert_eq!(found, ["b.py:0: `wide b.py` has 1, its limit is 0"]);
        let listed = [("b.py", &*wide), (LIST, "wide b.py 1\n")];
        assert_eq!(problems(check, &listed).len(), 0);
    }

    #[test]
    fn a_listed_length_may_not_grow_and_must_not_lag() {
        for (n, what) in [(381, "its limit is 380"), (379, "by now"), (300, "by now")] {
            let found = problems(check, &[("a.rs", &file(n)), (LIST, "file a.rs 380\n")]);
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(found[0].contains(what), "{found:?}");
        }
    }

    #[test]
    fn the_hard_limit_has_no_exceptions() {
        let found = problems(check, &[("a.rs", &file(701)), (LIST, "file a.rs 701\n")]);
        assert_eq!(found, ["a.rs:0: 701 lines, the limit is 700"]);
    }

    #[test]
    fn an_update_only_shrinks_and_acceptance_takes_all() {
        let list = "file a.rs 380\nfile b.rs 360\nfile c.rs 400\nfile gone.rs 400\n";
        let files = [
            ("a.rs", &*file(370)),
            ("b.rs", &file(390)),
            ("c.rs", &file(10)),
            ("new.rs", &file(400)),
            ("over.rs", &file(701)),
            (LIST, list),
        ];
        let tree = house(&files).tree;
        let text = lowered(&tree).unwrap();
        assert_eq!(text, format!("{HEAD}file a.rs 370\nfile b.rs 360\n"));
        let grown = "file a.rs 370\nfile b.rs 390\nfile new.rs 400\n";
        assert_eq!(accepted(&tree), format!("{HEAD}{grown}"));
    }

    #[test]
    fn a_list_that_does_not_read_names_the_line() {
        for line in [
            "file a.rs many",
            "file a.rs",
            "folder a 1",
            "function a.rs 80",
        ] {
            let error = parse(&format!("# x\n{line}\n")).unwrap_err();
            assert_eq!(error.place(), Some("crates/xtask/ratchet.txt:2"), "{line}");
        }
    }
}
