//! What the sections need to judge values that belong together.

use std::collections::BTreeSet;

use tenon_base::config::Values;
use tenon_base::diag::{Diagnostic, Diagnostics};

use super::SCHEMA;

/// The values of a text with the problems and notes found so far.
///
/// Keys whose values were refused while reading have no value and are `bad`; a check that involves
/// one is passed over, since it would report a consequence as a second problem.
pub(super) struct Judge<'a> {
    pub(super) values: &'a Values,
    bad: BTreeSet<&'static str>,
    problems: &'a mut Diagnostics,
    notes: Vec<String>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(
        values: &'a Values,
        sets: &[(String, String)],
        problems: &'a mut Diagnostics,
    ) -> Judge<'a> {
        let in_text = SCHEMA
            .keys()
            .filter(|key| values.span_of(key.path).is_some());
        let in_sets = sets
            .iter()
            .filter(|(_, text)| !matches!(text.trim(), "" | "~" | "null" | "Null" | "NULL"))
            .filter_map(|(path, _)| SCHEMA.find(path));
        let given = in_text.chain(in_sets);
        let bad = given.filter(|key| !values.is_set(key.path));
        Judge {
            values,
            bad: bad.map(|key| key.path).collect(),
            problems,
            notes: Vec::new(),
        }
    }

    /// Whether none of the keys holds a value that was refused.
    pub(super) fn fine(&self, paths: &[&str]) -> bool {
        paths.iter().all(|path| !self.bad.contains(path))
    }

    pub(super) fn problem(&mut self, problem: Diagnostic) {
        self.problems.push(problem);
    }

    /// A problem at the value of a key, with what is written after the carets and what to do.
    pub(super) fn fault(&mut self, path: &str, message: String, label: &str, hint: &str) {
        let mut problem = self.values.problem(path, message);
        if !label.is_empty() {
            problem = problem.label(label);
        }
        if !hint.is_empty() {
            problem = problem.hint(hint);
        }
        self.problem(problem);
    }

    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// A note for each of the keys that the user set although nothing reads them.
    pub(super) fn no_effect(&mut self, paths: &[&str], why: &str) {
        for path in paths {
            if self.values.is_set(path) {
                self.note(format!("`{path}` has no effect {why}"));
            }
        }
    }

    pub(super) fn into_notes(self) -> Vec<String> {
        self.notes
    }

    /// A size with a literal default; 0 for a refused one, which nothing goes on to use.
    pub(super) fn size(&self, path: &str) -> usize {
        self.values.size(path).unwrap_or_default()
    }

    /// An integer of at least 0, as [`Judge::size`].
    pub(super) fn int(&self, path: &str) -> u64 {
        self.int_or_none(path).unwrap_or_default()
    }

    pub(super) fn int_or_none(&self, path: &str) -> Option<u64> {
        self.values.int(path).and_then(|n| u64::try_from(n).ok())
    }

    /// A number, as [`Judge::size`].
    pub(super) fn float(&self, path: &str) -> f64 {
        self.values.float(path).unwrap_or_default()
    }

    /// A flag, as [`Judge::size`].
    pub(super) fn flag(&self, path: &str) -> bool {
        self.values.bool(path).unwrap_or_default()
    }

    pub(super) fn text(&self, path: &str) -> Option<String> {
        self.values.str(path).map(str::to_owned)
    }
}
