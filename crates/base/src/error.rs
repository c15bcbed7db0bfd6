//! One error type for every crate: what happened, where, and what to do about it.

use std::fmt;

/// The result type of every fallible function in the workspace.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a command failed; decides its exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A check, tier or gate judged the subject bad, or training was aborted on NaN.
    Judged,
    /// Wrong usage or configuration.
    Usage,
    /// Data or checkpoint content that cannot be used.
    Data,
    /// Disk, permissions, network.
    Io,
    /// Ctrl-C, after the checkpoint was saved.
    Interrupted,
}

impl Kind {
    /// The process exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::Judged => 1,
            Kind::Usage => 2,
            Kind::Data => 3,
            Kind::Io => 4,
            Kind::Interrupted => 130,
        }
    }

    /// The name used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Judged => "judged",
            Kind::Usage => "usage",
            Kind::Data => "data",
            Kind::Io => "io",
            Kind::Interrupted => "interrupted",
        }
    }
}

/// An error. Messages are lower-case fragments that read after `error: `, with names and paths in
/// backticks.
#[derive(Debug)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    kind: Kind,
    message: String,
    place: Option<String>,
    excerpt: Option<String>,
    hint: Option<String>,
    others: Vec<Error>,
}

impl Error {
    /// An error of the given kind.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error(Box::new(Inner {
            kind,
            message: message.into(),
            place: None,
            excerpt: None,
            hint: None,
            others: Vec::new(),
        }))
    }

    /// Judged bad: exit 1.
    pub fn judged(message: impl Into<String>) -> Self {
        Self::new(Kind::Judged, message)
    }

    /// Usage or configuration: exit 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// Data or checkpoint content: exit 3.
    pub fn data(message: impl Into<String>) -> Self {
        Self::new(Kind::Data, message)
    }

    /// Input/output: exit 4. `what` reads like "cannot write"; the path and the system's reason
    /// follow it.
    pub fn io(what: &str, path: &std::path::Path, reason: &std::io::Error) -> Self {
        Self::new(Kind::Io, format!("{what} `{}`: {reason}", path.display()))
    }

    /// Adds the place, `file:line:column` or a file or node path.
    pub fn at(mut self, place: impl Into<String>) -> Self {
        self.0.place = Some(place.into());
        self
    }

    /// Adds the source lines with carets that are printed under the place.
    pub fn excerpt(mut self, excerpt: impl Into<String>) -> Self {
        self.0.excerpt = Some(excerpt.into());
        self
    }

    /// Adds what to do about it.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.0.hint = Some(hint.into());
        self
    }

    /// Adds further problems found in the same run; they are shown after this one.
    pub fn with_others(mut self, others: Vec<Error>) -> Self {
        self.0.others.extend(others);
        self
    }

    /// The kind.
    pub fn kind(&self) -> Kind {
        self.0.kind
    }

    /// The message without place and hint.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// The place, when known.
    pub fn place(&self) -> Option<&str> {
        self.0.place.as_deref()
    }

    /// What to do, when known.
    pub fn hint_text(&self) -> Option<&str> {
        self.0.hint.as_deref()
    }

    /// This error and the further problems found in the same run, in order.
    pub fn all(&self) -> impl Iterator<Item = &Error> {
        std::iter::once(self).chain(&self.0.others)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.message)?;
        if let Some(place) = &self.0.place {
            write!(f, "\n  --> {place}")?;
        }
        if let Some(excerpt) = &self.0.excerpt {
            write!(f, "\n{excerpt}")?;
        }
        if let Some(hint) = &self.0.hint {
            write!(f, "\nhint: {hint}")?;
        }
        for other in &self.0.others {
            write!(f, "\nerror: {other}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_reads_from_what_to_where_to_what_to_do() {
        let error = Error::data("tensor `w` overlaps `b`")
            .at("model.safetensors")
            .hint("fetch it");
        let text = "tensor `w` overlaps `b`\n  --> model.safetensors\nhint: fetch it";
        assert_eq!(error.to_string(), text);
        assert_eq!(error.kind().exit_code(), 3);
    }

    #[test]
    fn further_problems_follow_the_first() {
        let error = Error::usage("one")
            .hint("h")
            .with_others(vec![Error::usage("two").at("x:1:1")]);
        assert_eq!(error.to_string(), "one\nhint: h\nerror: two\n  --> x:1:1");
        let messages: Vec<&str> = error.all().map(Error::message).collect();
        assert_eq!(messages, ["one", "two"]);
    }
}
