//! What does not fit, all of it at once.

use std::collections::BTreeSet;

use tenon_base::suggest;
use tenon_base::{Error, Result};

use super::want::Want;

#[derive(Default)]
pub(super) struct Misfit {
    pub(super) missing: Vec<String>,
    pub(super) unknown: Vec<String>,
    pub(super) misshaped: Vec<String>,
}

/// As many names as one list of an error shows.
pub(super) const LISTED_MAX: usize = 20;

impl Misfit {
    /// A tensor that no rule and no drop names.
    pub(super) fn unnamed(&mut self, name: &str, wanted: &[Want], used: &BTreeSet<&str>) {
        self.unknown.push(unknown(name, wanted, used));
    }

    pub(super) fn into_result(self) -> Result<()> {
        let mut message = String::from("the checkpoint does not fit the model");
        let lists = [
            (
                "missing",
                "the model needs, the checkpoint lacks",
                &self.missing,
            ),
            ("unknown", "the model has no place for", &self.unknown),
            ("mis-shaped", "the shape differs", &self.misshaped),
        ];
        if lists.iter().all(|(.., list)| list.is_empty()) {
            return Ok(());
        }
        for (title, meaning, list) in lists {
            if list.is_empty() {
                continue;
            }
            message.push_str(&format!("\n  {title} ({}, {meaning}):", list.len()));
            for line in list.iter().take(LISTED_MAX) {
                message.push_str(&format!("\n    {line}"));
            }
            if list.len() > LISTED_MAX {
                message.push_str(&format!("\n    and {} more", list.len() - LISTED_MAX));
            }
        }
        Err(Error::data(message))
    }
}

/// What to say of a tensor without a rule: which parameter it repeats, or which it may be.
fn unknown(name: &str, wanted: &[Want], used: &BTreeSet<&str>) -> String {
    if let Some(want) = wanted
        .iter()
        .find(|want| want.names.iter().any(|other| other == name))
    {
        let names = want
            .names
            .iter()
            .filter(|other| used.contains(other.as_str()));
        let first = names.map(String::as_str).next().unwrap_or_default();
        return format!("{name} (the same parameter as {first})");
    }
    let open = wanted
        .iter()
        .flat_map(|want| &want.names)
        .map(String::as_str);
    match suggest::nearest(name, open.filter(|other| !used.contains(other))) {
        Some(near) => format!("{name} (did you mean {near}?)"),
        None => name.to_owned(),
    }
}
