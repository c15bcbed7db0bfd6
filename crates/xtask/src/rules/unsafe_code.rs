//! Where `unsafe` may stand, and that each block says why it is sound. (That a public `unsafe fn`
//! states its terms is a lint of Clippy.)

use tenon_base::Result;

use super::{House, is_in};
use crate::Problem;
use crate::rust::Source;

/// The only places with `unsafe`. Thin modules: what they wrap is unsafe by nature.
const PLACES: &[&str] = &[
    "crates/kernels/",
    "crates/models/src/checkpoint/map.rs",
    // The test that counts allocations is a global allocator.
    "crates/models/tests/allocations.rs",
];

/// Judges every `unsafe`.
pub(super) fn check(house: &House) -> Result<Vec<Problem>> {
    let files = house.tree.rust.iter();
    Ok(files
        .flat_map(|(path, source)| file_problems(path, source))
        .collect())
}

fn file_problems(path: &str, source: &Source) -> Vec<Problem> {
    let is_unsafe = |i: &usize| source.tokens[*i].text == "unsafe";
    let found = (0..source.tokens.len()).filter(is_unsafe);
    let is_allowed = PLACES.iter().any(|place| is_in(path, place));
    let problem = |at: usize| {
        let line = source.tokens[at].line;
        if !is_allowed {
            let hint = "use a safe function of `kernels`, or name a thin module in `PLACES`";
            return Some(Problem::new(
                path,
                line,
                "`unsafe` outside its places",
                hint,
            ));
        }
        let needs_reason = source.matches(at + 1, &["{"]) || source.matches(at + 1, &["impl"]);
        if needs_reason && !says(source, at, "SAFETY:") {
            let hint = "say above it, after `SAFETY:`, why it is sound";
            return Some(Problem::new(path, line, "`unsafe` without a reason", hint));
        }
        None
    };
    found.filter_map(problem).collect()
}

fn says(source: &Source, at: usize, words: &str) -> bool {
    source
        .comments_before(at)
        .any(|comment| comment.text.contains(words))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::problems;

    const KERNEL: &str = "crates/kernels/src/a.rs";

    #[test]
    fn only_the_named_places_have_it() {
        let text = "fn f() {\n  // SAFETY: ok\n  unsafe { g() }\n}\n";
        let found = problems(check, &[("crates/engine/src/a.rs", text), (KERNEL, text)]);
        assert_eq!(
            found,
            ["crates/engine/src/a.rs:3: `unsafe` outside its places"]
        );
    }

    #[test]
    fn a_block_needs_a_reason() {
        let text = "fn f() {\n  // SAFETY: ok\n  g();\n  unsafe { h() }\n}\n";
        let found = problems(check, &[(KERNEL, text)]);
        assert_eq!(found, [format!("{KERNEL}:4: `unsafe` without a reason")]);
    }

    #[test]
    fn the_word_in_a_string_or_comment_is_free() {
        let text = "// unsafe\nconst A: &str = \"unsafe { }\";\n";
        assert_eq!(problems(check, &[("crates/lab/src/a.rs", text)]).len(), 0);
    }
}
