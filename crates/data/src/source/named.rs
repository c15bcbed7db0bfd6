//! Named data sets: which names are known and where they are looked for.

use std::path::{Component, Path, PathBuf};

use tenon_base::suggest::nearest;
use tenon_base::{Error, Result};

/// A public data set with a short name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownDataSet {
    /// Short name.
    pub name: &'static str,
    /// `organisation/name` at the hub.
    pub hub: &'static str,
    /// Column that holds the text.
    pub column: &'static str,
}

const fn row(name: &'static str, hub: &'static str, column: &'static str) -> KnownDataSet {
    KnownDataSet { name, hub, column }
}

/// Data sets that a configuration may name shortly.
pub const KNOWN_DATA_SETS: &[KnownDataSet] = &[
    row("tinystories", "roneneldan/TinyStories", "text"),
    row("tiny-textbooks", "nampdn-ai/tiny-textbooks", "textbook"),
    row(
        "tiny-strange-textbooks",
        "nampdn-ai/tiny-strange-textbooks",
        "textbook",
    ),
    row("tiny-codes", "nampdn-ai/tiny-codes", "code"),
    row("fineweb-edu-10b", "HuggingFaceFW/fineweb-edu", "text"),
];

/// The known data set of a short or hub name.
pub fn known(name: &str) -> Option<&'static KnownDataSet> {
    KNOWN_DATA_SETS
        .iter()
        .find(|set| set.name == name || set.hub == name)
}

/// The file or folder of a named data set: `<root>/<name>` with or without an extension, for each
/// of `roots` in order. Data error, with all places that were looked at, when there is none.
pub fn locate(name: &str, roots: &[&Path]) -> Result<PathBuf> {
    let plain = Path::new(name)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if !plain || name.is_empty() || name.contains('\\') {
        return Err(
            Error::usage(format!("`{name}` is not the name of a data set"))
                .hint("a name is `name` or `organisation/name`; give a path as `data.path`"),
        );
    }
    let mut names = vec![name];
    if let Some(set) = known(name) {
        names.extend(
            [set.hub, set.name]
                .into_iter()
                .filter(|other| *other != name),
        );
    }
    let mut looked = Vec::new();
    for root in roots {
        for name in &names {
            let base = root.join(name);
            for extension in ["", ".txt", ".jsonl", ".csv", ".parquet"] {
                let mut path = base.clone().into_os_string();
                path.push(extension);
                let path = PathBuf::from(path);
                if path.exists() {
                    return Ok(path);
                }
            }
            looked.push(format!("`{}`", base.display()));
        }
    }
    Err(not_found(name, &looked))
}

fn not_found(name: &str, looked: &[String]) -> Error {
    let places = match looked {
        [] => "nowhere: no folder of data sets is set".to_owned(),
        _ => format!(
            "for {} (also with .txt, .jsonl, .csv, .parquet)",
            looked.join(", ")
        ),
    };
    let hint = match known(name) {
        Some(set) => format!("run `tenon fetch dataset {}`, or set `TENON_DATA`", set.hub),
        None if name.contains('/') => {
            format!(
                "run `tenon fetch dataset {name}`, or set `TENON_DATA` to the folder that holds it"
            )
        }
        None => {
            let names = KNOWN_DATA_SETS.iter().map(|set| set.name);
            match nearest(name, names.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!(
                    "known names are {}; set `TENON_DATA` to the folder that holds other sets",
                    names.collect::<Vec<_>>().join(", ")
                ),
            }
        }
    };
    Error::data(format!("data set `{name}` not found; looked {places}")).hint(hint)
}
