//! Project chores: the rules of the house (`tidy`) and the last line of a CI run (`count`).
//!
//! [`tidy`] reads a checkout and returns every broken rule. A rule is one file in `rules/` with a
//! `check` function and one line in the list there; its exceptions are a `const` at its head, each
//! with a reason.

pub mod markdown;
pub mod metadata;
mod problem;
mod rules;
pub mod rust;
pub mod shell;
pub mod test_count;
pub mod tree;

use std::path::{Path, PathBuf};

use tenon_base::Result;

pub use problem::Problem;
pub use rules::{ratchet, readme};

/// The root folder of the checkout that Cargo runs this crate from.
pub fn workspace_root() -> PathBuf {
    // Asked at run time: two checkouts can share their build outputs.
    let here = std::env::var_os("CARGO_MANIFEST_DIR");
    let here = here.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&here).join("../..")
}

/// Every broken rule of the checkout at `root`, ordered by place. Fails when the checkout cannot be
/// read, or a Rust file in it does not lex.
pub fn tidy(root: &Path) -> Result<Vec<Problem>> {
    let house = rules::House {
        tree: tree::read(root)?,
        workspace: metadata::read(root)?,
    };
    let mut problems = Vec::new();
    for rule in rules::RULES {
        problems.extend(rule(&house)?);
    }
    problems.sort();
    Ok(problems)
}
