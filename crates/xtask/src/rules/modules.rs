//! Every file of a crate is part of its program: some `mod` names it.

use std::collections::BTreeSet;

use tenon_base::Result;

use super::House;
use crate::Problem;

/// Files that Cargo itself finds.
const ROOTS: &[&str] = &["lib.rs", "main.rs"];

/// Judges every Rust file in a `src` folder.
pub(super) fn check(house: &House) -> Result<Vec<Problem>> {
    let mut named: BTreeSet<(&str, &str)> = BTreeSet::new();
    for (path, source) in &house.tree.rust {
        let Some((owner, _)) = path.split_once("/src/") else {
            continue;
        };
        let names = (0..source.tokens.len()).filter(|i| source.tokens[*i].text == "mod");
        let names = names.filter_map(|i| source.tokens.get(i + 1));
        named.extend(names.map(|token| (owner, token.text.as_str())));
        // `#[path = "…"]` names a file instead.
        let literals = (0..source.tokens.len()).filter(|i| source.is_literal(*i));
        let files = literals.map(|i| source.tokens[i].text.trim_matches('"'));
        named.extend(
            files
                .filter(|text| text.ends_with(".rs"))
                .map(|text| (owner, text)),
        );
    }
    let is_lost = |path: &&String| {
        let Some((owner, inside)) = path.split_once("/src/") else {
            return false;
        };
        let module = inside
            .strip_suffix("/mod.rs")
            .or(inside.strip_suffix(".rs"));
        let name = module
            .and_then(|module| module.rsplit('/').next())
            .unwrap_or_default();
        let file = inside.rsplit('/').next().unwrap_or_default();
        let is_program = ROOTS.contains(&inside) || inside.starts_with("bin/");
        !is_program && !named.contains(&(owner, name)) && !named.contains(&(owner, file))
    };
    let lost = house.tree.rust.keys().filter(is_lost);
    let problem = |path| Problem::new(path, 0, "no `mod` names this file", "name it or remove it");
    Ok(lost.map(problem).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::problems;

    #[test]
    fn a_file_that_nobody_names_is_seen() {
        let files = [
            (
                "crates/a/src/lib.rs",
                "mod b;\n#[cfg(test)]\n#[path = \"c_tests.rs\"]\nmod tests;\n",
            ),
            ("crates/a/src/b/mod.rs", "mod d;\n"),
            ("crates/a/src/b/d.rs", ""),
            ("crates/a/src/c_tests.rs", ""),
            ("crates/a/src/lost.rs", ""),
            ("crates/b/src/d.rs", ""),
            ("crates/b/src/bin/e.rs", ""),
            ("crates/a/tests/f.rs", ""),
        ];
        let expected = ["crates/a/src/lost.rs", "crates/b/src/d.rs"];
        let expected = expected.map(|path| format!("{path}:0: no `mod` names this file"));
        assert_eq!(problems(check, &files), expected);
    }
}
