//! Why a pickle is not read.

use tenon_base::{Error, limits};

/// What is wrong at one opcode; [`Fault::error`] adds where.
#[derive(Debug)]
pub(super) enum Fault {
    /// It asks for something that is not allowed; reads after "the pickle ".
    Refused(String),
    /// It is no pickle; reads after a colon.
    Broken(String),
    /// It is larger than a named limit of [`limits`].
    Limit(&'static str),
}

/// What an opcode gives.
pub(super) type Step<T> = Result<T, Fault>;

/// As many characters of a name as an error shows.
const SHOWN_MAX: usize = 80;

impl Fault {
    /// A refusal.
    pub(super) fn refused<T>(what: impl Into<String>) -> Step<T> {
        Err(Fault::Refused(what.into()))
    }

    /// A defect.
    pub(super) fn broken<T>(what: impl Into<String>) -> Step<T> {
        Err(Fault::Broken(what.into()))
    }

    /// The error for the opcode `op` at byte `at`.
    pub(super) fn error(self, op: &str, at: usize) -> Error {
        match self {
            Fault::Refused(what) => {
                Error::data(format!("the pickle {what} ({op} at byte {at}): refused"))
                    .hint("convert it to safetensors on a machine that trusts it")
            }
            Fault::Broken(what) => {
                Error::data(format!("the pickle is damaged at byte {at} ({op}): {what}"))
                    .hint("download or copy the file again")
            }
            Fault::Limit(name) => {
                let limit = limits::LIMITS.iter().find(|limit| limit.name == name);
                let value = limit.map_or(0, |limit| limit.value);
                Error::data(format!(
                    "the pickle goes beyond `{name}`, {value}, at byte {at} ({op})"
                ))
                .hint("convert it to safetensors on a machine that trusts it")
            }
        }
    }
}

/// A name out of a file as an error shows it: escaped, and not longer than a line.
pub(super) fn shown(name: &str) -> String {
    let escaped = name.escape_debug();
    match name.chars().count() > SHOWN_MAX {
        true => escaped.take(SHOWN_MAX).chain("…".chars()).collect(),
        false => escaped.collect(),
    }
}
