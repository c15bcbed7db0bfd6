//! Problems in a text, each with its place, collected and reported together.
//!
//! ```text
//! error: unknown key `learning_rte`
//!   --> run.yaml:14:3
//! 14 |   learning_rte: 3e-4
//!    |   ^^^^^^^^^^^^ did you mean `learning_rate`?
//! hint: `tenon explain config` lists every key
//! ```

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use crate::files::Disk;
use crate::limits::{CONFIG_BYTES_MAX, CONFIG_PROBLEMS_MAX};
use crate::{Error, Kind, Result, units};

/// A place in a text: line and column from 1, length in characters (0 for a point).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// Length in characters, within the line.
    pub len: u32,
}

/// A text with the name that messages call it by; cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Source(Arc<(String, String)>);

impl Source {
    /// A text in memory. A byte order mark is dropped.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Source {
        let mut text = text.into();
        if text.starts_with('\u{feff}') {
            text.remove(0);
        }
        Source(Arc::new((name.into(), text)))
    }

    /// A text from bytes.
    ///
    /// # Errors
    /// `Usage` when the bytes are not UTF-8 or more than [`CONFIG_BYTES_MAX`].
    pub fn from_bytes(name: impl Into<String>, bytes: Vec<u8>) -> Result<Source> {
        let name = name.into();
        if bytes.len() as u64 > CONFIG_BYTES_MAX {
            let (actual, limit) = (
                units::bytes(bytes.len() as u64),
                units::bytes(CONFIG_BYTES_MAX),
            );
            let message = format!("the file has {actual}, the limit is {limit}");
            return Err(Error::usage(message).at(name));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Source::new(name, text)),
            Err(e) => {
                let good = &e.as_bytes()[..e.utf8_error().valid_up_to()];
                let line = good.iter().filter(|&&byte| byte == b'\n').count() + 1;
                Err(
                    Error::usage(format!("the file is not UTF-8 from byte {}", good.len()))
                        .at(format!("{name}:{line}"))
                        .hint("save the file as UTF-8"),
                )
            }
        }
    }

    /// Reads a file.
    pub fn load(disk: &dyn Disk, path: &Path) -> Result<Source> {
        Source::from_bytes(path.display().to_string(), disk.read(path)?)
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.0.0
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0.1
    }

    /// A line by its number from 1, without its end; `None` past the last line.
    pub fn line(&self, line: u32) -> Option<&str> {
        self.text().lines().nth(line.checked_sub(1)? as usize)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Source({:?})", self.name())
    }
}

/// Where a problem is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// In a text, shown with its line and carets.
    Text(Source, Span),
    /// Anywhere else that has a name: a whole file, `--set training.lr=0.1`.
    Named(String),
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    message: String,
    place: Place,
    label: Option<String>,
    hint: Option<String>,
}

impl Diagnostic {
    /// A problem; `message` is a lower-case fragment with names in backticks.
    pub fn new(place: Place, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            message: message.into(),
            place,
            label: None,
            hint: None,
        }
    }

    /// Adds what is written after the carets, such as ``did you mean `lr`?``.
    pub fn label(mut self, label: impl Into<String>) -> Diagnostic {
        self.label = Some(label.into());
        self
    }

    /// Adds what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Diagnostic {
        self.hint = Some(hint.into());
        self
    }

    /// The message alone.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The problem as an error of its own.
    pub fn into_error(self, kind: Kind) -> Error {
        let message = match (&self.place, &self.label) {
            (Place::Named(_), Some(label)) => format!("{}: {label}", self.message),
            _ => self.message,
        };
        let error = Error::new(kind, message);
        match self.place {
            Place::Text(source, span) => {
                let place = format!("{}:{}:{}", source.name(), span.line, span.column);
                let excerpt = excerpt(&source, span, self.label.as_deref());
                with_hint(error.at(place).excerpt(excerpt), self.hint)
            }
            // There is no line to write the label under, so the message takes it.
            Place::Named(name) => with_hint(error.at(name), self.hint),
        }
    }
}

fn with_hint(error: Error, hint: Option<String>) -> Error {
    match hint {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Problems in the order in which they were found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Diagnostics(Vec<Diagnostic>);

impl Diagnostics {
    /// Adds a problem.
    pub fn push(&mut self, problem: Diagnostic) {
        self.0.push(problem);
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Iterates in order.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.0.iter()
    }

    /// `Ok` without problems; otherwise one error of kind `Usage` that shows them all, texts in the
    /// order of their lines, up to [`CONFIG_PROBLEMS_MAX`].
    pub fn into_result(mut self) -> Result<()> {
        // A problem without a line comes last; the sort keeps the order in which equals were found.
        self.0.sort_by_key(|problem| match &problem.place {
            Place::Text(_, span) => (span.line, span.column),
            Place::Named(_) => (u32::MAX, u32::MAX),
        });
        let found = self.0.len();
        let shown = found.min(CONFIG_PROBLEMS_MAX as usize);
        let mut errors = self
            .0
            .into_iter()
            .take(shown)
            .map(|p| p.into_error(Kind::Usage));
        let Some(first) = errors.next() else {
            return Ok(());
        };
        let mut others: Vec<Error> = errors.collect();
        if found > shown {
            others.push(Error::usage(format!(
                "{} more problems are not shown",
                found - shown
            )));
        }
        Err(first.with_others(others))
    }
}

/// A name or value taken from a file, fit for a message: control characters are replaced and what
/// exceeds 80 characters is cut.
pub fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 80;
    let mut shown: String = text.chars().take(CHARS_MAX).map(visible).collect();
    if text.chars().nth(CHARS_MAX).is_some() {
        shown.push('…');
    }
    shown
}

/// Control characters could rewrite the terminal, so they are never printed as they are.
fn visible(c: char) -> char {
    let turns_text = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}');
    let turns_text = turns_text || matches!(c, '\u{2066}'..='\u{2069}');
    match c {
        '\t' => ' ',
        c if c.is_control() || turns_text => '\u{fffd}',
        c => c,
    }
}

/// The line of a span with carets and a label under it, without a line end after the last line.
fn excerpt(source: &Source, span: Span, label: Option<&str>) -> String {
    const BEFORE_MAX: usize = 60;
    const LINE_MAX: usize = 120;
    let line: Vec<char> = source
        .line(span.line)
        .unwrap_or("")
        .chars()
        .map(visible)
        .collect();
    let column = (span.column.max(1) as usize - 1).min(line.len());
    // A document on a single line must not flood the terminal: show a window around the place.
    let start = if line.len() > LINE_MAX {
        column.saturating_sub(BEFORE_MAX)
    } else {
        0
    };
    let end = line.len().min(start + LINE_MAX);
    let (before, after) = (
        if start > 0 { "…" } else { "" },
        if end < line.len() { "…" } else { "" },
    );
    let window: String = line[start..end].iter().collect();

    let number = span.line.to_string();
    let gutter = " ".repeat(number.len());
    let indent = " ".repeat(column - start + before.chars().count());
    let carets = "^".repeat((span.len as usize).min(end.saturating_sub(column)).max(1));
    let label = label.map(|label| format!(" {label}")).unwrap_or_default();
    format!("{number} | {before}{window}{after}\n{gutter} | {indent}{carets}{label}")
}

#[cfg(test)]
#[path = "diag_tests.rs"]
mod tests;
