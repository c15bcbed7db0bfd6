//! Things that one place owns: printing, the disk, the clock, the environment, unordered maps.

use tenon_base::Result;

use super::{House, is_in, is_test_file};
use crate::Problem;
use crate::rust::Source;

/// Something that only some places may name.
struct Owned {
    /// The path or macro, as it is written or imported.
    names: &'static [&'static str],
    /// Files, and folders when they end with a slash.
    places: &'static [&'static str],
    /// What to do instead.
    instead: &'static str,
}

const OWNED: &[Owned] = &[
    Owned {
        names: &["std::fs"],
        places: &[
            "crates/base/src/files.rs",
            // Files that a user names are streamed, or looked at before they are read.
            "crates/data/src/source/",
            "crates/data/src/vocab/files.rs",
            "crates/models/src/checkpoint/map.rs",
            // What the kernel tells of processes is no file on a disk.
            "crates/records/src/process.rs",
            "crates/testkit/",
            "crates/xtask/",
        ],
        instead: "go through `base::files`, so that tests can fail the disk",
    },
    Owned {
        names: &["Instant::now", "SystemTime::now"],
        places: &["crates/base/src/clock.rs"],
        instead: "take a `base::clock::Clock`",
    },
    Owned {
        names: &[
            "env::var",
            "env::var_os",
            "env::vars",
            "env::vars_os",
            "env::set_var",
        ],
        places: &["crates/base/src/knobs.rs", "crates/xtask/"],
        instead: "add a knob to `base::knobs`, so that it is documented",
    },
    Owned {
        names: &["HashMap", "HashSet"],
        places: &[],
        instead: "use `BTreeMap`, `BTreeSet` or `Vec`: order reaches the output sooner or later",
    },
];

/// Macros that print; libraries return values and hand events to whoever shows them.
const PRINTING: &[&str] = &["println", "eprintln", "print", "eprint"];
const PRINTERS: &[&str] = &[
    "crates/lab/src/main.rs",
    "crates/lab/src/cli/",
    "crates/testkit/src/shared.rs",
];

/// Judges every Rust file, tests left out.
pub(super) fn check(house: &House) -> Result<Vec<Problem>> {
    let mut problems = Vec::new();
    for (path, source) in house
        .tree
        .rust
        .iter()
        .filter(|(path, _)| !is_test_file(path))
    {
        for owned in OWNED {
            if !owned.places.iter().any(|place| is_in(path, place)) {
                problems.extend(owned_problems(path, source, owned));
            }
        }
        if !PRINTERS.iter().any(|place| is_in(path, place)) {
            problems.extend(printing(path, source));
        }
    }
    Ok(problems)
}

fn owned_problems(path: &str, source: &Source, owned: &Owned) -> Vec<Problem> {
    let mut problems: Vec<Problem> = Vec::new();
    for (name, at) in source.paths() {
        let line = source.tokens[at].line;
        let Some(found) = owned.names.iter().find(|owned| contains_path(&name, owned)) else {
            continue;
        };
        // One `use` tree can name the same thing several times.
        let is_told = problems.last().is_some_and(|p| p.line == line);
        if !source.is_test_line(line) && !is_told {
            let message = format!("`{found}` outside its places");
            problems.push(Problem::new(path, line, message, owned.instead));
        }
    }
    problems
}

/// Whether the segments of `part` follow one another in `path`.
fn contains_path(path: &str, part: &str) -> bool {
    format!("::{path}::").contains(&format!("::{part}::"))
}

fn printing(path: &str, source: &Source) -> Vec<Problem> {
    let prints = |i: &usize| {
        let token = &source.tokens[*i];
        let is_macro = PRINTING.contains(&token.text.as_str()) && source.matches(*i + 1, &["!"]);
        is_macro && !source.is_test_line(token.line)
    };
    let problem = |i: usize| {
        let token = &source.tokens[i];
        let message = format!("`{}!` outside the binary", token.text);
        Problem::new(
            path,
            token.line,
            message,
            "return it, or hand it to an event",
        )
    };
    (0..source.tokens.len())
        .filter(prints)
        .map(problem)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::testing::problems;

    fn found(path: &str, text: &str) -> usize {
        problems(check, &[(path, text)]).len()
    }

    #[test]
    fn the_disk_is_behind_its_door() {
        let text = "use std::{fs, io};\nfn f() { std::fs::read(\"a\"); }\n";
        assert_eq!(found("crates/data/src/a.rs", text), 2);
        assert_eq!(found("crates/base/src/files.rs", text), 0);
        assert_eq!(found("crates/data/tests/a.rs", text), 0);
        let tests = "#[cfg(test)]\nmod tests { use std::fs; }\n";
        assert_eq!(found("crates/data/src/a.rs", tests), 0);
    }

    #[test]
    fn clock_and_environment_have_one_owner_each() {
        let text = "use std::time::Instant;\nfn f() { Instant::now(); std::env::var(\"A\"); }\n";
        assert_eq!(found("crates/train/src/a.rs", text), 2);
        assert_eq!(found("crates/base/src/clock.rs", text), 1);
        assert_eq!(
            found("crates/train/src/a.rs", "const A: &str = env!(\"A\");"),
            0
        );
    }

    #[test]
    fn unordered_maps_are_refused() {
        let path = "crates/data/src/a.rs";
        assert_eq!(
            found(path, "use std::collections::{BTreeMap, HashMap};\n"),
            1
        );
        assert_eq!(found(path, "struct MyHashMap;\n"), 0);
    }

    #[test]
    fn only_the_binary_prints() {
        let text = "fn f() { println!(\"a\"); }\n";
        assert_eq!(found("crates/lab/src/train.rs", text), 1);
        assert_eq!(found("crates/lab/src/main.rs", text), 0);
        assert_eq!(
            found("crates/lab/src/train.rs", "fn f() { let println = 1; }"),
            0
        );
    }
}
