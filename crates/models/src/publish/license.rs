//! Which licence a converted model may have, and its text.

use std::path::Path;

use serde_json::Value;
use tenon_base::files::Disk;
use tenon_base::{Error, Result};

use super::CARD_FILE;
use crate::hub::HubConfig;

/// An approved licence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct License {
    /// Its SPDX identifier.
    pub spdx: &'static str,
    /// Its whole text, where it is short enough to be carried.
    text: Option<&'static str>,
    /// Where the whole text stands.
    url: &'static str,
    /// Approved licences under which a model of this one may be given on.
    gives: &'static [&'static str],
    /// What its text has, and what the texts of its relatives have.
    known_by: (&'static [&'static str], &'static [&'static str]),
}

/// The licences that a result may have without the source naming them.
pub const APPROVED: [License; 5] = [
    License {
        spdx: "MIT",
        text: Some(include_str!("licenses/mit.txt")),
        url: "https://spdx.org/licenses/MIT.html",
        gives: &["MIT", "Apache-2.0", "BSD-3-Clause"],
        known_by: (
            &["permission is hereby granted, free of charge, to any person obtaining a copy"],
            &["commons clause", "redistribution and use in source"],
        ),
    },
    License {
        spdx: "Apache-2.0",
        text: Some(include_str!("../../../../LICENSE-APACHE")),
        url: "https://www.apache.org/licenses/LICENSE-2.0",
        gives: &["Apache-2.0"],
        known_by: (
            &["apache license", "version 2.0, january 2004"],
            &["commons clause", "use-based restrictions"],
        ),
    },
    License {
        spdx: "BSD-3-Clause",
        text: Some(include_str!("licenses/bsd-3-clause.txt")),
        url: "https://spdx.org/licenses/BSD-3-Clause.html",
        gives: &["BSD-3-Clause"],
        known_by: (
            &[
                "redistribution and use in source and binary forms",
                "neither the name",
            ],
            &["commons clause", "all advertising materials"],
        ),
    },
    License {
        spdx: "CC-BY-4.0",
        text: None,
        url: "https://creativecommons.org/licenses/by/4.0/legalcode",
        gives: &["CC-BY-4.0"],
        known_by: (
            &["attribution 4.0 international"],
            &["noncommercial", "sharealike", "noderivatives"],
        ),
    },
    License {
        spdx: "CC0-1.0",
        text: None,
        url: "https://creativecommons.org/publicdomain/zero/1.0/legalcode",
        gives: &["MIT", "Apache-2.0", "BSD-3-Clause", "CC-BY-4.0", "CC0-1.0"],
        known_by: (&["cc0 1.0 universal"], &[]),
    },
];

/// Names of licence files, in the order in which they are looked for.
const FILES: [&str; 3] = ["LICENSE", "LICENSE.txt", "LICENSE.md"];

/// What is said about a source's licence.
#[derive(Clone, Debug, Default)]
struct Source {
    /// Names that were found, as they were written, and where.
    names: Vec<(String, &'static str)>,
    /// The text of its licence file.
    text: Option<String>,
}

/// The licence of a result, with all that is to be written of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Grant {
    /// The name in the card.
    pub(crate) name: String,
    /// The text of the licence file.
    pub(crate) text: String,
    /// The source's licence file, where it is another text.
    pub(crate) source_text: Option<String>,
    /// What the source calls its own.
    pub(crate) source_name: Option<String>,
}

/// Whether a result can be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Decision {
    /// Under this licence.
    Publish(Grant),
    /// It cannot, for this reason.
    LeaveOut(String),
}

fn approved(name: &str) -> Option<&'static License> {
    let mut all = APPROVED.iter();
    all.find(|license| license.spdx.eq_ignore_ascii_case(name))
}

/// Decides under which licence what is made from the model in `source` may be published.
///
/// # Errors
/// `Usage` when a licence or a card was asked for and cannot be given.
pub(crate) fn decide(
    disk: &dyn Disk,
    source: &Path,
    config: &HubConfig,
    asked: Option<&str>,
    card: bool,
) -> Result<Decision> {
    let found = Source::read(disk, source, config)?;
    let decision = match asked {
        Some(name) => found.under(name).map(Decision::Publish),
        None => found.own().map_or_else(
            |reason| Ok(Decision::LeaveOut(reason)),
            |grant| Ok(Decision::Publish(grant)),
        ),
    };
    match decision? {
        Decision::LeaveOut(reason) if card => Err(Error::usage(format!("no card: {reason}"))
            .hint(format!("name a licence with `--license`: {}", list()))),
        decision => Ok(decision),
    }
}

/// The approved names.
fn list() -> String {
    let names: Vec<&str> = APPROVED.iter().map(|license| license.spdx).collect();
    names.join(", ")
}

impl Source {
    fn read(disk: &dyn Disk, folder: &Path, config: &HubConfig) -> Result<Source> {
        let mut source = Source::default();
        if let Some(text) = read_text(disk, &folder.join(CARD_FILE))? {
            let names = in_front_matter(&text).into_iter();
            source
                .names
                .extend(names.map(|name| (name, "its README.md")));
        }
        let stated = config.extra.get("license").and_then(Value::as_str);
        if let Some(name) = stated.filter(|name| !name.trim().is_empty()) {
            source
                .names
                .push((name.trim().to_owned(), "its config.json"));
        }
        for file in FILES {
            if let Some(text) = read_text(disk, &folder.join(file))? {
                if let Some(license) = recognise(&text) {
                    source
                        .names
                        .push((license.spdx.to_owned(), "its licence file"));
                }
                source.text = Some(text);
                break;
            }
        }
        Ok(source)
    }

    /// The source's own licence, or why a result may not have it.
    fn own(&self) -> std::result::Result<Grant, String> {
        let Some((name, _)) = self.names.first() else {
            return Err("the source names no licence".to_owned());
        };
        if self
            .names
            .iter()
            .any(|(other, _)| !other.eq_ignore_ascii_case(name))
        {
            return Err(format!(
                "the source names several licences: {}",
                self.said()
            ));
        }
        match approved(name) {
            Some(license) => Ok(self.grant(license.spdx, Some(license))),
            None => Err(format!(
                "the source's licence `{name}` is none of {}",
                list()
            )),
        }
    }

    /// The licence that was asked for.
    fn under(&self, name: &str) -> Result<Grant> {
        let license = approved(name);
        let allows = |(own, _): &(String, &str)| match (approved(own), license) {
            (Some(own), Some(license)) => own.gives.contains(&license.spdx),
            _ => own.eq_ignore_ascii_case(name),
        };
        if self.names.is_empty() && license.is_none() {
            let message = format!("the licence `{name}` is not approved, nor the source's");
            return Err(Error::usage(message).hint(format!("approved: {}", list())));
        }
        if !self.names.iter().all(allows) {
            let said = self.said();
            let message = format!("a model under {said} cannot be published under `{name}`");
            return Err(Error::usage(message).hint("name the source's own licence"));
        }
        Ok(self.grant(license.map_or(name, |license| license.spdx), license))
    }

    fn said(&self) -> String {
        let names = self.names.iter();
        let said: Vec<String> = names
            .map(|(name, place)| format!("`{name}` ({place})"))
            .collect();
        said.join(", ")
    }

    fn grant(&self, name: &str, license: Option<&License>) -> Grant {
        let same = |text: &String| license.is_none() || recognise(text) == license.copied();
        // The source's own text has the names of those who have the rights.
        let (text, source_text) = match &self.text {
            Some(text) if same(text) => (text.clone(), None),
            other => (full_text(name, license), other.clone()),
        };
        Grant {
            name: license.map_or_else(|| name.to_owned(), |license| license.spdx.to_lowercase()),
            text,
            source_text,
            source_name: self.names.first().map(|(name, _)| name.clone()),
        }
    }
}

fn full_text(name: &str, license: Option<&License>) -> String {
    match license {
        Some(License {
            text: Some(text), ..
        }) => (*text).to_owned(),
        Some(License { url, spdx, .. }) => {
            format!("This model is licensed under {spdx}.\n\nThe text of the licence: {url}\n")
        }
        None => format!(
            "This model is licensed under `{name}`, the licence of the model that it was made \
             from.\n\nThe terms are those that came with that model.\n"
        ),
    }
}

/// The one licence whose text this is.
fn recognise(text: &str) -> Option<License> {
    let words: Vec<&str> = text.split_whitespace().collect();
    let text = words.join(" ").to_lowercase();
    let is = |license: &&License| {
        let (has, lacks) = license.known_by;
        let named = license.text.is_none() && text.contains(&license.url.to_lowercase());
        (named || has.iter().all(|part| text.contains(part)))
            && !lacks.iter().any(|part| text.contains(part))
    };
    let mut found = APPROVED.iter().filter(is);
    found.next().filter(|_| found.next().is_none()).copied()
}

fn read_text(disk: &dyn Disk, path: &Path) -> Result<Option<String>> {
    match disk.exists(path)? {
        true => Ok(String::from_utf8(disk.read(path)?).ok()),
        false => Ok(None),
    }
}

/// The values of `license` in the block between `---` lines, or of `license_name` beside `other`.
fn in_front_matter(text: &str) -> Vec<String> {
    let mut lines = text.lines();
    if lines.next().is_none_or(|line| line.trim_end() != "---") {
        return Vec::new();
    }
    let lines: Vec<&str> = lines.take_while(|line| line.trim_end() != "---").collect();
    let values = |key: &str| -> Vec<String> {
        let Some(at) = lines.iter().position(|line| line.starts_with(key)) else {
            return Vec::new();
        };
        let items = lines[at + 1..].iter().map(|line| line.trim());
        let items = items.map_while(|line| line.strip_prefix("- "));
        let first = &lines[at][key.len()..];
        let all = [first].into_iter().chain(items);
        let plain = all.map(|value| value.trim().trim_matches(['"', '\'', '[', ']']).to_owned());
        plain.filter(|value| !value.is_empty()).collect()
    };
    let names = values("license:");
    match names.as_slice() {
        [name] if name == "other" => values("license_name:"),
        _ => names,
    }
}

#[cfg(test)]
#[path = "license_tests.rs"]
mod tests;
