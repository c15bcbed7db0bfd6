//! The values of a configuration that was read.

use std::collections::BTreeMap;
use std::path::Path;

use super::{DefaultValue, Key, Schema, Type};
use crate::diag::{Diagnostic, Place, Span};
use crate::yaml::{self, Node, Value};

/// A configuration with its places.
///
/// Every getter gives the value as written, or the default where that is a literal, or `None`: for
/// keys that are absent without such a default, for keys with a problem, and, where a key has
/// several types, for a value of another of them.
///
/// # Panics
/// Getters panic when the path is not in the schema or its type cannot hold what is asked for: a
/// mistake of the program, not of the user.
#[derive(Clone, Debug)]
pub struct Values {
    schema: &'static Schema,
    whole: Place,
    entries: BTreeMap<&'static str, Entry>,
    sections: BTreeMap<String, Place>,
}

#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The key as written: an alias's last part, or the path on the command line.
    pub(super) name: String,
    pub(super) place: Place,
    /// `None` for a value that was refused.
    pub(super) content: Option<Content>,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Value(Value),
    Tables(Vec<Values>),
}

impl Values {
    pub(super) fn new(
        schema: &'static Schema,
        whole: Place,
        entries: BTreeMap<&'static str, Entry>,
        sections: BTreeMap<String, Place>,
    ) -> Values {
        Values {
            schema,
            whole,
            entries,
            sections,
        }
    }

    fn key(&self, path: &str) -> &'static Key {
        let key = self.schema.keys().find(|key| key.path == path);
        key.unwrap_or_else(|| panic!("`{path}` is not a key of the {}", self.schema.name))
    }

    /// The value or the literal default, after a check that the key can hold what is asked for.
    fn value(&self, path: &str, what: &str, holds: fn(&Type) -> bool) -> Option<Value> {
        let key = self.key(path);
        assert!(key.kind.any(holds), "`{path}` never holds {what}");
        match self.entries.get(path) {
            None => key.default.literal(),
            Some(Entry {
                content: Some(Content::Value(value)),
                ..
            }) => Some(value.clone()),
            Some(_) => None,
        }
    }

    /// A boolean.
    pub fn bool(&self, path: &str) -> Option<bool> {
        match self.value(path, "a boolean", |kind| matches!(kind, Type::Bool))? {
            Value::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// An integer, or bytes.
    pub fn int(&self, path: &str) -> Option<i64> {
        let holds = |kind: &Type| matches!(kind, Type::Int { .. } | Type::Bytes);
        match self.value(path, "an integer", holds)? {
            Value::Int(value) => Some(value),
            _ => None,
        }
    }

    /// An integer as a size. `None` also for one that is negative.
    pub fn size(&self, path: &str) -> Option<usize> {
        self.int(path).and_then(|n| usize::try_from(n).ok())
    }

    /// A number; finite.
    pub fn float(&self, path: &str) -> Option<f64> {
        match self.value(path, "a number", |kind| matches!(kind, Type::Float(_)))? {
            Value::Float(value) => Some(value),
            Value::Int(value) => Some(value as f64),
            _ => None,
        }
    }

    /// A string, a path as text, or the word of an enumeration.
    pub fn str(&self, path: &str) -> Option<&str> {
        let key = self.key(path);
        assert!(key.kind.any(Type::is_text), "`{path}` never holds a string");
        match (self.entries.get(path), key.default) {
            (None, DefaultValue::Str(text)) => Some(text),
            (
                Some(Entry {
                    content: Some(Content::Value(Value::Str(text))),
                    ..
                }),
                _,
            ) => Some(text),
            _ => None,
        }
    }

    /// A path, as written.
    pub fn path(&self, path: &str) -> Option<&Path> {
        self.str(path).map(Path::new)
    }

    /// A list of strings.
    pub fn strs(&self, path: &str) -> Option<Vec<String>> {
        self.list(path, |item| match item {
            Value::Str(text) => Some(text),
            _ => None,
        })
    }

    /// A list of integers.
    pub fn ints(&self, path: &str) -> Option<Vec<i64>> {
        self.list(path, |item| match item {
            Value::Int(n) => Some(n),
            _ => None,
        })
    }

    /// A list of numbers.
    pub fn floats(&self, path: &str) -> Option<Vec<f64>> {
        self.list(path, |item| match item {
            Value::Int(n) => Some(n as f64),
            Value::Float(x) => Some(x),
            _ => None,
        })
    }

    fn list<T>(&self, path: &str, item: fn(Value) -> Option<T>) -> Option<Vec<T>> {
        match self.value(path, "a list", |kind| matches!(kind, Type::List(_)))? {
            Value::Seq(nodes) => nodes.into_iter().map(|node| item(node.value)).collect(),
            _ => None,
        }
    }

    /// The items of a list of mappings; empty when the key is absent.
    pub fn tables(&self, path: &str) -> &[Values] {
        let key = self.key(path);
        let holds = key.kind.any(|kind| matches!(kind, Type::Tables(_)));
        assert!(holds, "`{path}` never holds a list of mappings");
        match self.entries.get(path) {
            Some(Entry {
                content: Some(Content::Tables(tables)),
                ..
            }) => tables,
            _ => &[],
        }
    }

    /// Whatever the key holds, for keys of type [`Type::Any`] and for those of several types.
    pub fn any(&self, path: &str) -> Option<Value> {
        self.value(path, "a value", |_| true)
    }

    /// Whether the user gave the key a value.
    pub fn is_set(&self, path: &str) -> bool {
        let key = self.key(path);
        self.entries
            .get(key.path)
            .is_some_and(|entry| entry.content.is_some())
    }

    /// Where the user gave the key a value in the text; `None` for `--set` and for absent keys.
    pub fn span_of(&self, path: &str) -> Option<Span> {
        match self.entries.get(self.key(path).path)?.place {
            Place::Text(_, span) => Some(span),
            Place::Named(_) => None,
        }
    }

    /// A problem with a key, at the place where its value is written; for an absent key at its
    /// section, or else the whole file.
    pub fn problem(&self, path: &str, message: impl Into<String>) -> Diagnostic {
        let path = self.key(path).path;
        let entry = self.entries.get(path).map(|entry| &entry.place);
        let section = || {
            path.rsplit_once('.')
                .and_then(|(home, _)| self.sections.get(home))
        };
        let place = entry.or_else(section).unwrap_or(&self.whole);
        Diagnostic::new(place.clone(), message)
    }

    /// Fills in what followed from other keys or from the data, so that the resolved configuration
    /// says it. A value that the user gave stays.
    ///
    /// # Panics
    /// When the value is not of the key's type.
    pub fn derive(&mut self, path: &str, value: Value) {
        let key = self.key(path);
        assert!(key.kind.takes(&value), "`{path}` cannot hold {value:?}");
        let place = self.whole.clone();
        let entry = Entry {
            name: path.to_owned(),
            place,
            content: Some(Content::Value(value)),
        };
        self.entries.entry(key.path).or_insert(entry);
    }

    /// Every key that has a value, under its own name and in the order of the schema.
    ///
    /// Reading it again under the same schema gives the same values, whatever the defaults become.
    pub fn resolved_yaml(&self) -> String {
        yaml::emit(&self.resolved())
    }

    fn resolved(&self) -> Value {
        let mut root = Vec::new();
        for key in self.schema.keys() {
            let value = match self.entries.get(key.path) {
                None => key.default.literal(),
                Some(Entry {
                    content: Some(Content::Value(value)),
                    ..
                }) => Some(value.clone()),
                Some(Entry {
                    content: Some(Content::Tables(tables)),
                    ..
                }) => Some(seq(tables.iter().map(Values::resolved))),
                Some(Entry { content: None, .. }) => None,
            };
            if let Some(value) = value {
                insert(&mut root, key.path, value);
            }
        }
        Value::Map(root)
    }
}

/// Puts a value at a path of nested mappings.
fn insert(map: &mut Vec<(yaml::Key, Node)>, path: &str, value: Value) {
    let (name, rest) = match path.split_once('.') {
        Some((name, rest)) => (name, Some(rest)),
        None => (path, None),
    };
    let Some(rest) = rest else {
        map.push((key(name), node(value)));
        return;
    };
    let row = map
        .iter()
        .position(|(key, _)| key.name == name)
        .unwrap_or_else(|| {
            map.push((key(name), node(Value::Map(Vec::new()))));
            map.len() - 1
        });
    if let Value::Map(inner) = &mut map[row].1.value {
        insert(inner, rest, value);
    }
}

const NOWHERE: Span = Span {
    line: 1,
    column: 1,
    len: 0,
};

fn key(name: &str) -> yaml::Key {
    yaml::Key {
        span: NOWHERE,
        name: name.to_owned(),
    }
}

/// A value that was not read from a text.
pub(super) fn node(value: Value) -> Node {
    Node {
        span: NOWHERE,
        value,
    }
}

/// A list of values that were not read from a text.
pub(super) fn seq(items: impl Iterator<Item = Value>) -> Value {
    Value::Seq(items.map(node).collect())
}
