//! What no Rust file contains: unfinished code, silenced lints, skipped tests, blind match arms.

use tenon_base::Result;

use super::House;
use crate::Problem;
use crate::rust::Source;

/// Macros of unfinished code.
const MACROS: &[&str] = &["todo", "unimplemented", "dbg"];
/// Enums that everyone who matches on them must answer in full, so that a new arm does not compile
/// before it is dealt with everywhere.
const CLOSED_ENUMS: &[&str] = &["Prim"];

/// Judges every Rust file.
pub(super) fn check(house: &House) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for (path, source) in &house.tree.rust {
        let at = |i: usize| source.tokens[i].line;
        for i in 0..source.tokens.len() {
            if let Some((message, hint)) = token_problem(source, i) {
                problems.push(Problem::new(path, at(i), message, hint));
            }
            if let Some(arm) = blind_arm(source, i) {
                let message = "a match on a closed enum has an arm for everything";
                problems.push(Problem::new(path, at(arm), message, "name the arms"));
            }
        }
        for (name, i) in source.paths() {
            if CLOSED_ENUMS
                .iter()
                .any(|e| name.ends_with(&format!("{e}::*")))
            {
                let message = format!("`{name}` hides which arms a match has");
                problems.push(Problem::new(path, at(i), message, "spell the enum's name"));
            }
        }
    }
    Ok(problems)
}

fn token_problem(source: &Source, i: usize) -> Option<(String, &'static str)> {
    let text = source.tokens[i].text.as_str();
    if MACROS.contains(&text) && source.matches(i + 1, &["!"]) {
        return Some((format!("`{text}!`"), "finish it, or leave it out"));
    }
    if text != "#" {
        return None;
    }
    let open = i + 1 + usize::from(source.matches(i + 1, &["!"]));
    if !source.matches(open, &["["]) {
        return None;
    }
    let inside = open + 1..source.tokens[open].partner;
    if source.matches(open + 1, &["ignore"]) {
        return Some(("an ignored test".to_owned(), "assert what is true today"));
    }
    let allows = |i: &usize| source.matches(*i, &["allow", "("]);
    inside.into_iter().find(allows).map(|_| {
        let hint = "use `#[expect(.., reason = \"..\")]`, which tells when it is no longer needed";
        ("`allow` silences a lint for good".to_owned(), hint)
    })
}

/// The arm for everything in the match that starts at token `i`, when it names a closed enum.
fn blind_arm(source: &Source, i: usize) -> Option<usize> {
    if source.tokens[i].text != "match" {
        return None;
    }
    let open = (i + 1..source.tokens.len()).find(|j| source.tokens[*j].text == "{")?;
    let arms = top_level(source, open);
    let names_closed = |j: &&usize| {
        let is_closed = CLOSED_ENUMS.contains(&source.tokens[**j].text.as_str());
        is_closed && source.matches(**j + 1, &["::"])
    };
    arms.iter().find(names_closed)?;
    // A binding is fine: it hands the value on to a match that names the arms.
    let is_blind = |j: &&usize| source.matches(**j, &["_", "=>"]);
    arms.iter().find(is_blind).copied()
}

/// The tokens between a bracket and its partner that lie in no further bracket.
fn top_level(source: &Source, open: usize) -> Vec<usize> {
    let mut inside = Vec::new();
    let mut i = open + 1;
    while i < source.tokens[open].partner {
        inside.push(i);
        i = source.tokens[i].partner.max(i) + 1;
    }
    inside
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::problems;

    fn found(text: &str) -> usize {
        problems(check, &[("crates/engine/src/a.rs", text)]).len()
    }

    #[test]
    fn unfinished_code_is_seen() {
        assert_eq!(found("fn f() { todo!() }"), 1);
        assert_eq!(found("fn f() { unimplemented!(\"x\"); dbg!(1); }"), 2);
        assert_eq!(found("fn todo() { let _ = \"todo!()\"; }"), 0);
    }

    #[test]
    fn lints_are_expected_never_allowed() {
        assert_eq!(found("#![allow(dead_code)]"), 1);
        assert_eq!(found("#[cfg_attr(test, allow(dead_code))] fn f() {}"), 1);
        assert_eq!(
            found("#[expect(dead_code, reason = \"x\")] fn f() { allow(1); }"),
            0
        );
    }

    #[test]
    fn no_test_is_ignored() {
        assert_eq!(found("#[test]\n#[ignore]\nfn f() {}"), 1);
        assert_eq!(found("#[test]\n#[ignore = \"slow\"]\nfn f() {}"), 1);
    }

    #[test]
    fn a_match_on_a_closed_enum_names_its_arms() {
        assert_eq!(found("fn f() { match p { Prim::Add => 1, _ => 2 } }"), 1);
        assert_eq!(
            found("fn f() { match p { Prim::Add => { 1 } other => g(other) } }"),
            0
        );
        assert_eq!(
            found("fn f() { match p { Prim::Add | Prim::Mul => 1, Prim::Erf => 2 } }"),
            0
        );
        assert_eq!(found("fn f() { match p { Other::Add => 1, _ => 2 } }"), 0);
        assert_eq!(
            found("fn f() { match n { 0 => g(Prim::Add), _ => g(Prim::Mul) } }"),
            0
        );
        assert_eq!(found("use crate::Prim::*;"), 1);
    }
}
