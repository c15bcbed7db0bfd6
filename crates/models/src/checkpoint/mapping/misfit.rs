//! What does not fit, all of it at once.

use tenon_base::{Error, Result};

#[derive(Default)]
pub(super) struct Misfit {
    pub(super) missing: Vec<String>,
    pub(super) unknown: Vec<String>,
    pub(super) misshaped: Vec<String>,
}

/// As many names as one list of an error shows.
pub(super) const LISTED_MAX: usize = 20;

impl Misfit {
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
