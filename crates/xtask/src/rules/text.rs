//! The shape of text files: white space, the last line; comments that are no sentences.

use tenon_base::Result;

use super::House;
use crate::Problem;

/// Text files that are data: their bytes are not ours to arrange.
const DATA: &[&str] = &["/tests/goldens/", ".snap", "LICENSE-APACHE"];
/// What a line under or over a banner is made of.
const RULER: &[char] = &['-', '=', '*', '#', '~', '_', '─', '═'];
/// So many ruler characters in a row make a banner.
const RULER_LEN: usize = 4;

/// Judges every text file.
pub(super) fn check(house: &House) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for (path, text) in &house.tree.texts {
        if !DATA.iter().any(|part| path.contains(part)) {
            white_space(path, text, &mut problems);
        }
    }
    for (path, source) in &house.tree.rust {
        for comment in source.comments.iter().filter(|c| is_banner(&c.text)) {
            problems.push(banner(path, comment.line));
        }
    }
    for (path, text) in house
        .tree
        .texts
        .iter()
        .filter(|(path, _)| has_hash_comments(path))
    {
        let lines = (1..).zip(text.lines());
        let banners = lines.filter(|(_, line)| line.trim().starts_with('#') && is_banner(line));
        problems.extend(banners.map(|(line, _)| banner(path, line)));
    }
    Ok(problems)
}

fn white_space(path: &str, text: &str, problems: &mut Vec<Problem>) {
    for (at, line) in (1..).zip(text.split('\n')) {
        // Two spaces at the end break a line in Markdown; a backslash does so visibly.
        if line.ends_with([' ', '\t', '\r']) {
            problems.push(Problem::new(
                path,
                at,
                "white space at the end",
                "remove it",
            ));
        }
    }
    if !text.is_empty() && (!text.ends_with('\n') || text.ends_with("\n\n")) {
        let message = "does not end with exactly one line break";
        problems.push(Problem::new(path, 0, message, "end it with one"));
    }
}

fn banner(path: &str, line: usize) -> Problem {
    let hint = "remove it; a section that needs a title is a module";
    Problem::new(path, line, "a banner instead of a comment", hint)
}

fn has_hash_comments(path: &str) -> bool {
    [".py", ".sh", ".toml", ".yaml", ".ci/run"]
        .iter()
        .any(|end| path.ends_with(end))
}

fn is_banner(comment: &str) -> bool {
    let is_table = |line: &str| line.contains('|');
    comment.lines().filter(|line| !is_table(line)).any(|line| {
        let mut run = (' ', 0);
        line.chars().any(|c| {
            run = (c, if c == run.0 { run.1 + 1 } else { 1 });
            RULER.contains(&c) && run.1 >= RULER_LEN
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::problems;

    #[test]
    fn files_end_with_one_line_break() {
        let files = [
            ("a.md", "x"),
            ("b.md", "x\n"),
            ("c.md", "x\n\n"),
            ("d.md", ""),
            ("e.md", "\n"),
        ];
        assert_eq!(problems(check, &files).len(), 2);
    }

    #[test]
    fn white_space_at_the_end_is_seen() {
        let found = problems(check, &[("a.md", "a \nb\t\nc\r\nd\n")]);
        assert_eq!(found.len(), 3, "{found:?}");
    }

    #[test]
    fn banners_are_known_in_every_dress() {
        for comment in [
            "// -----",
            "// ==== Data ====",
            "/* ***** */",
            "# ---- x",
            "// ────",
        ] {
            assert!(is_banner(comment), "{comment}");
        }
        for comment in [
            "// a --- b",
            "//! | a |\n//! |-----|",
            "/// # Errors",
            "// x -> y",
        ] {
            assert!(!is_banner(comment), "{comment}");
        }
    }

    #[test]
    fn a_ruler_in_a_string_is_no_banner() {
        assert_eq!(
            problems(check, &[("a.rs", "const A: &str = \"// -----\";\n")]).len(),
            0
        );
    }
}
