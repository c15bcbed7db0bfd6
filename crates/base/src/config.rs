//! Configuration from tables: every key is one row that knows its path, type, default, meaning and
//! former names. Reading is strict, and every problem is reported in one run.
//!
//! ```
//! use tenon_base::config::{DefaultValue, Key, Schema, Type};
//! use tenon_base::diag::Source;
//!
//! const KEYS: &[Key] = &[
//!     Key::new("training.seed", Type::int(0, i64::MAX), DefaultValue::Int(0), "Run seed."),
//!     Key::new("training.lr", Type::POSITIVE, DefaultValue::Required, "Learning rate."),
//! ];
//! static SCHEMA: Schema = Schema { name: "run", version: 1, tables: &[KEYS] };
//!
//! let source = Source::new("run.yaml", "training: {lr: 1e-3}");
//! let values = SCHEMA.read(&source, &[])?;
//! assert_eq!(values.float("training.lr"), Some(1e-3));
//! assert_eq!(values.int("training.seed"), Some(0));
//! assert!(!values.is_set("training.seed"));
//! # Ok::<(), tenon_base::Error>(())
//! ```

mod docs;
mod range;
mod read;
mod sets;
mod types;
mod values;

pub use range::Range;
pub use types::Type;
pub use values::Values;

use crate::yaml::{self, Value};

/// A key of a configuration.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Sections and name, joined by points: `training.learning_rate`.
    pub path: &'static str,
    /// What it may hold.
    pub kind: Type,
    /// What holds when it is absent.
    pub default: DefaultValue,
    /// What it does: whole sentences for the reference.
    pub doc: &'static str,
    /// Other full paths that are read as this key.
    pub aliases: &'static [&'static str],
}

impl Key {
    /// A row without aliases.
    pub const fn new(
        path: &'static str,
        kind: Type,
        default: DefaultValue,
        doc: &'static str,
    ) -> Key {
        Key {
            path,
            kind,
            default,
            doc,
            aliases: &[],
        }
    }

    /// The row with aliases.
    pub const fn aliases(self, aliases: &'static [&'static str]) -> Key {
        Key { aliases, ..self }
    }

    /// The path and the aliases.
    fn paths(&self) -> impl Iterator<Item = &'static str> + use<> {
        std::iter::once(self.path).chain(self.aliases.iter().copied())
    }
}

/// What holds when a key is absent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DefaultValue {
    /// Nothing: the feature is off.
    Optional,
    /// The key must be given.
    Required,
    /// A boolean.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A number.
    Float(f64),
    /// A string, a path or the value of an enumeration.
    Str(&'static str),
    /// A list of strings.
    StrList(&'static [&'static str]),
    /// Follows from other keys or from the data, in the words of the documentation.
    Derived(&'static str),
}

impl DefaultValue {
    /// The value, where it does not depend on anything else.
    fn literal(self) -> Option<Value> {
        match self {
            DefaultValue::Optional | DefaultValue::Required | DefaultValue::Derived(_) => None,
            DefaultValue::Bool(value) => Some(Value::Bool(value)),
            DefaultValue::Int(value) => Some(Value::Int(value)),
            DefaultValue::Float(value) => Some(Value::Float(value)),
            DefaultValue::Str(value) => Some(Value::Str(value.to_owned())),
            DefaultValue::StrList(items) => Some(values::seq(
                items.iter().map(|item| Value::Str((*item).to_owned())),
            )),
        }
    }

    /// For the documentation and for hints.
    fn text(self) -> String {
        match self {
            DefaultValue::Optional => "none".to_owned(),
            DefaultValue::Required => "required".to_owned(),
            DefaultValue::Derived(words) => words.to_owned(),
            literal => {
                let value = literal.literal().unwrap_or(Value::Null);
                format!("`{}`", yaml::emit(&value).trim_end())
            }
        }
    }
}

/// The keys of a configuration, in the order of the documentation. Each table belongs to the crate
/// that uses its keys.
#[derive(Debug)]
pub struct Schema {
    /// The name of the format, for titles and hints: `config`.
    pub name: &'static str,
    /// Raised when a key changes its meaning or goes.
    pub version: u32,
    /// The rows.
    pub tables: &'static [&'static [Key]],
}

impl Schema {
    /// Every key in order.
    pub fn keys(&self) -> impl Iterator<Item = &'static Key> + use<> {
        self.tables.iter().flat_map(|table| table.iter())
    }

    /// The key with this path or alias.
    pub fn find(&self, path: &str) -> Option<&'static Key> {
        self.keys().find(|key| key.paths().any(|name| name == path))
    }

    /// The names directly below a section (`""` is the root), aliases last, each once.
    fn children(&self, section: &str) -> Vec<&'static str> {
        let aliases = self.keys().flat_map(|key| key.aliases.iter().copied());
        let mut names = Vec::new();
        for path in self.keys().map(|key| key.path).chain(aliases) {
            let Some(rest) = below(path, section) else {
                continue;
            };
            let name = rest.split('.').next().unwrap_or(rest);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    fn has_section(&self, path: &str) -> bool {
        self.keys()
            .any(|key| key.paths().any(|name| below(name, path).is_some()))
    }

    /// What is wrong with the tables themselves; a test of every schema asserts that this is empty.
    pub fn faults(&'static self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut paths: Vec<&str> = Vec::new();
        for key in self.keys() {
            for path in key.paths() {
                if paths.contains(&path) {
                    faults.push(format!("`{path}` names two keys"));
                }
                if self.has_section(path) {
                    faults.push(format!("`{path}` is a key and a section"));
                }
                if path.split('.').any(str::is_empty) {
                    faults.push(format!("`{path}` has an empty part"));
                }
                paths.push(path);
            }
            if !key.doc.ends_with('.') {
                faults.push(format!("the meaning of `{}` is no sentence", key.path));
            }
            if let Some(value) = key.default.literal()
                && !key.kind.takes(&value)
            {
                faults.push(format!("the default of `{}` is not of its type", key.path));
            }
            match key.kind {
                Type::Tables(inner) => faults.extend(inner.faults()),
                Type::AnyOf(_) if key.kind.any(|kind| matches!(kind, Type::Tables(_))) => {
                    faults.push(format!("the mappings of `{}` would not be read", key.path));
                }
                _ => {}
            }
        }
        faults
    }
}

/// The part of a path below a section; `None` when it is not below it.
fn below<'p>(path: &'p str, section: &str) -> Option<&'p str> {
    if section.is_empty() {
        return Some(path);
    }
    path.strip_prefix(section)?.strip_prefix('.')
}

#[cfg(test)]
mod tests;
