//! Building the resolved text of a section, key by key.

use serde_json::Value as Json;
use tenon_base::diag::Span;
use tenon_base::yaml::{Key, Node, Value};

const NOWHERE: Span = Span {
    line: 1,
    column: 1,
    len: 0,
};

/// A key with its value, for a mapping that was not read from a text.
pub(super) fn pair(name: &str, value: Value) -> (Key, Node) {
    let key = Key {
        span: NOWHERE,
        name: name.to_owned(),
    };
    (key, node(value))
}

fn node(value: Value) -> Node {
    Node {
        span: NOWHERE,
        value,
    }
}

/// The same value in JSON; numbers of a configuration are finite.
pub(super) fn json(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(value) => Json::from(*value),
        Value::Int(n) => Json::from(*n),
        Value::Float(x) => Json::from(*x),
        Value::Str(text) => Json::from(text.as_str()),
        Value::Seq(items) => items.iter().map(|item| json(&item.value)).collect(),
        Value::Map(entries) => {
            let pairs = entries.iter();
            let pairs = pairs.map(|(key, node)| (key.name.clone(), json(&node.value)));
            Json::Object(pairs.collect())
        }
    }
}

/// A mapping that grows in the order of its keys.
#[derive(Default)]
pub(super) struct Section(Vec<(Key, Node)>);

impl Section {
    pub(super) fn from_pairs(pairs: Vec<(Key, Node)>) -> Section {
        Section(pairs)
    }

    pub(super) fn put(&mut self, name: &str, value: Value) {
        self.0.push(pair(name, value));
    }

    /// Sizes and seeds come from `i64` values, so they fit.
    pub(super) fn int(&mut self, name: &str, n: impl TryInto<i64>) {
        self.put(name, Value::Int(n.try_into().unwrap_or(i64::MAX)));
    }

    pub(super) fn int_or_absent(&mut self, name: &str, n: Option<impl TryInto<i64>>) {
        if let Some(n) = n {
            self.int(name, n);
        }
    }

    pub(super) fn float(&mut self, name: &str, x: f64) {
        self.put(name, Value::Float(x));
    }

    pub(super) fn int_or_null(&mut self, name: &str, n: Option<impl TryInto<i64>>) {
        match n {
            Some(n) => self.int(name, n),
            None => self.put(name, Value::Null),
        }
    }

    pub(super) fn float_or_null(&mut self, name: &str, x: Option<f64>) {
        self.put(name, x.map_or(Value::Null, Value::Float));
    }

    pub(super) fn bool(&mut self, name: &str, value: bool) {
        self.put(name, Value::Bool(value));
    }

    pub(super) fn text(&mut self, name: &str, text: impl Into<String>) {
        self.put(name, Value::Str(text.into()));
    }

    pub(super) fn texts(&mut self, name: &str, texts: &[String]) {
        let items = texts.iter().map(|text| node(Value::Str(text.clone())));
        self.put(name, Value::Seq(items.collect()));
    }

    pub(super) fn into_value(self) -> Value {
        Value::Map(self.0)
    }
}
