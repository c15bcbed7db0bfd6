//! Words that say something about where and how the tree was made, not about the tree.

use tenon_base::Result;

use super::House;
use crate::Problem;

/// A word, and the files that may contain it. Each word is written in two parts, so that this file
/// does not contain what it forbids.
const WORDS: &[(&str, &[&str])] = &[
    (concat!("/wo", "rk/"), &[]),
    (concat!("/tmp/", "bash"), &[]),
    (concat!("/tmp/", "wt"), &[]),
    (concat!("/ho", "me/"), &[]),
    (concat!("/ro", "ot/"), &[]),
    (concat!("cra", "tes.io"), &[]),
    (concat!("py", "pi."), &[]),
    (concat!("npm", "js."), &[]),
    // The one function that looks for data sets beside the checkout.
    (concat!("../sha", "red"), &["crates/testkit/src/shared.rs"]),
    (concat!("ses", "sion"), &[]),
    (concat!("iss", "ue #"), &[]),
];

/// Files that a tool writes.
const GENERATED: &[&str] = &["Cargo.lock"];

/// Judges the text of every file: in Rust files comments and literals, elsewhere everything.
pub(super) fn check(house: &House) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for (path, text) in &house.tree.texts {
        if GENERATED.contains(&path.as_str()) {
            continue;
        }
        match house.tree.rust.get(path) {
            Some(source) => {
                for comment in &source.comments {
                    problems.extend(found(path, comment.line, &comment.text));
                }
                for i in (0..source.tokens.len()).filter(|i| source.is_literal(*i)) {
                    let token = &source.tokens[i];
                    problems.extend(found(path, token.line, &token.text));
                }
            }
            None => problems.extend(found(path, 1, text)),
        }
    }
    Ok(problems)
}

/// The forbidden words of a text that starts at line `first`.
fn found(path: &str, first: usize, text: &str) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (line, text) in (first..).zip(text.lines()) {
        let text = text.to_lowercase();
        for (word, places) in WORDS {
            if text.contains(word) && !places.contains(&path) {
                let message = format!("`{word}`");
                let hint = "say it in words that hold for every reader and machine";
                problems.push(Problem::new(path, line, message, hint));
            }
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::problems;

    #[test]
    fn every_word_is_found_in_prose_comments_and_strings() {
        for (word, _) in WORDS {
            let prose = format!("one\nsee {}\n", word.to_uppercase());
            let code = format!("// one\n// {word}\nconst A: &str = \"\n{word}\";\n");
            let found = problems(check, &[("a.md", &prose), ("a.rs", &code)]);
            let lines = [format!("a.md:2: `{word}`"), format!("a.rs:2: `{word}`")];
            assert_eq!(found[..2], lines, "{found:?}");
            assert_eq!(found[2], format!("a.rs:4: `{word}`"));
        }
    }

    #[test]
    fn a_foreign_library_may_name_its_types() {
        let text = concat!("fn f(a: Ses", "sion) {}\n");
        assert_eq!(problems(check, &[("a.rs", text)]).len(), 0);
    }

    #[test]
    fn a_word_is_free_in_its_place() {
        let text = concat!("const A: &str = \"../sha", "red\";\n");
        let files = [("crates/testkit/src/shared.rs", text), ("a.rs", text)];
        assert_eq!(problems(check, &files).len(), 1);
    }
}
