//! How many lines each crate may have: growth is a decision, not an accident.

use tenon_base::Result;

use super::House;
use crate::Problem;

/// Lines of Rust in `src/` of each crate, unit tests included.
const LINES_MAX: &[(&str, usize)] = &[
    ("base", 7_000),
    ("kernels", 9_000),
    ("engine", 10_200),
    ("models", 18_700),
    ("data", 9_950),
    ("train", 6_000),
    ("eval", 8_000),
    ("export", 8_000),
    ("tuners", 8_000),
    ("records", 6_000),
    ("dashboard", 6_000),
    ("lab", 16_700),
    ("testkit", 3_000),
    ("xtask", 4_000),
];

/// Judges the size of every crate.
pub(super) fn check(house: &House) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for subject in &house.workspace.crates {
        let folder = format!("crates/{}/src/", subject.name);
        let files = house.tree.texts.iter();
        let own = files.filter(|(path, _)| path.starts_with(&folder) && path.ends_with(".rs"));
        let n: usize = own.map(|(_, text)| text.lines().count()).sum();
        let manifest = format!("crates/{}/Cargo.toml", subject.name);
        match LINES_MAX.iter().find(|(name, _)| *name == subject.name) {
            Some((_, max)) if n <= *max => {}
            Some((_, max)) => {
                let message = format!("{n} lines in `src`, the budget is {max}");
                let hint = "take something out, or raise the budget and say why in the commit";
                problems.push(Problem::new(manifest, 0, message, hint));
            }
            None => {
                let hint = "give it a line in `LINES_MAX` of the budget rule";
                problems.push(Problem::new(manifest, 0, "a crate without a budget", hint));
            }
        }
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metadata::Crate;
    use crate::rules::testing::{house, listed};

    fn judged(name: &str, n_lines: usize) -> Vec<String> {
        let text = "\n".repeat(n_lines);
        let path = format!("crates/{name}/src/lib.rs");
        let mut house = house(&[(&path, &text), ("crates/base/tests/a.rs", "\n\n")]);
        let dependencies = Vec::new();
        house.workspace.crates.push(Crate {
            name: name.to_owned(),
            dependencies,
        });
        listed(check(&house).unwrap())
    }

    #[test]
    fn the_budget_itself_may_be_spent() {
        assert_eq!(judged("base", 7_000).len(), 0);
        let over = "crates/base/Cargo.toml:0: 7001 lines in `src`, the budget is 7000";
        assert_eq!(judged("base", 7_001), [over]);
    }

    #[test]
    fn a_new_crate_needs_a_budget() {
        assert_eq!(judged("cloud", 1).len(), 1);
    }
}
