//! YAML 1.2 (and so JSON) as a tree in which every value knows its place.
//!
//! Stricter than the format: one document, no tags, no merge keys, no duplicate keys, keys are
//! scalars. Aliases are written out within a budget.

mod emit;
mod parse;
mod scalar;

pub use emit::{emit, number};
pub use parse::parse;

use crate::Result;
use crate::diag::{Diagnostics, Source, Span};

/// A value with its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Where it is written; an alias's own place for a value that an alias stands for.
    pub span: Span,
    /// What it is.
    pub value: Value,
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`; `yes`, `no`, `on` and `off` are strings.
    Bool(bool),
    /// An integer; one beyond 64 bits is refused.
    Int(i64),
    /// A number with a point or an exponent, `.inf` or `.nan`.
    Float(f64),
    /// Everything else, and everything quoted.
    Str(String),
    /// A sequence.
    Seq(Vec<Node>),
    /// A mapping in the order of the text. Keys differ from each other.
    Map(Vec<(Key, Node)>),
}

/// A key of a mapping: the text of a scalar, with its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Key {
    /// Where it is written.
    pub span: Span,
    /// Its text; `1` and `"1"` are the same key.
    pub name: String,
}

impl Value {
    /// What a message calls a value of this type, with its article.
    pub fn type_name(&self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Int(_) => "an integer",
            Value::Float(_) => "a number",
            Value::Str(_) => "a string",
            Value::Seq(_) => "a list",
            Value::Map(_) => "a mapping",
        }
    }

    /// The value of a key, when this is a mapping that has it.
    pub fn get(&self, name: &str) -> Option<&Node> {
        let Value::Map(entries) = self else {
            return None;
        };
        entries
            .iter()
            .find(|(key, _)| key.name == name)
            .map(|(_, node)| node)
    }
}

/// Parses a text that stands alone.
///
/// # Errors
/// `Usage` with every duplicate key and bad scalar, or the first syntax error.
pub fn read(source: &Source) -> Result<Node> {
    let mut problems = Diagnostics::default();
    let node = parse(source, &mut problems);
    problems.into_result()?;
    Ok(node.expect("a text without problems has a value"))
}

#[cfg(test)]
mod tests;
