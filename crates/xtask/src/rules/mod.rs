//! The rules of the house, one topic a file.

mod budget;
mod dependencies;
mod docs;
mod floors;
mod habits;
mod layers;
mod modules;
mod places;
pub mod ratchet;
pub mod readme;
mod text;
mod unsafe_code;
mod words;

use tenon_base::Result;

use crate::Problem;
use crate::metadata::Workspace;
use crate::tree::Tree;

/// What the rules judge.
#[derive(Debug, Default)]
pub(crate) struct House {
    /// The files of the checkout.
    pub(crate) tree: Tree,
    /// The packages and what they depend on.
    pub(crate) workspace: Workspace,
}

type Rule = fn(&House) -> Result<Vec<Problem>>;

/// Every rule.
pub(crate) const RULES: &[Rule] = &[
    layers::check,
    modules::check,
    unsafe_code::check,
    ratchet::check,
    text::check,
    habits::check,
    places::check,
    words::check,
    docs::check,
    floors::check,
    readme::check,
    dependencies::check,
    budget::check,
];

/// Whether a whole Rust file is a test, a benchmark or an example, by its name.
fn is_test_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let in_folder = ["/tests/", "/benches/", "/examples/"]
        .iter()
        .any(|f| path.contains(f));
    in_folder || name == "tests.rs" || name.ends_with("_tests.rs")
}

/// Whether `path` is `place`, or lies in it when `place` ends with a slash.
fn is_in(path: &str, place: &str) -> bool {
    path == place || place.ends_with('/') && path.starts_with(place)
}

#[cfg(test)]
mod testing {
    use super::*;

    /// A house with the given files and no packages.
    pub(super) fn house(files: &[(&str, &str)]) -> House {
        let mut house = House::default();
        for (path, text) in files {
            house.tree.add(path, (*text).to_owned()).unwrap();
        }
        house
    }

    /// The problems that a rule finds in the given files, as `path:line: message`.
    pub(super) fn problems(rule: Rule, files: &[(&str, &str)]) -> Vec<String> {
        listed(rule(&house(files)).unwrap())
    }

    /// Problems without their hints.
    pub(super) fn listed(problems: Vec<Problem>) -> Vec<String> {
        let line = |p: Problem| format!("{}:{}: {}", p.path, p.line, p.message);
        problems.into_iter().map(line).collect()
    }

    #[test]
    fn test_files_are_known_by_their_names() {
        for path in [
            "crates/a/tests/x.rs",
            "crates/a/src/b_tests.rs",
            "crates/a/benches/c.rs",
        ] {
            assert!(is_test_file(path), "{path}");
        }
        for path in ["crates/a/src/contests.rs", "crates/xtask/src/test_count.rs"] {
            assert!(!is_test_file(path), "{path}");
        }
    }

    #[test]
    fn a_place_is_a_file_or_a_folder() {
        assert!(is_in("a/b.rs", "a/b.rs") && is_in("a/b.rs", "a/"));
        assert!(!is_in("ab/c.rs", "a") && !is_in("a/b.rs", "a"));
    }
}
