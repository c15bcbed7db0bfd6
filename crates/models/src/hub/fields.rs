//! The keys of a JSON object, each taken once; what is left over was not understood.

use serde_json::{Map, Value};
use tenon_base::suggest;
use tenon_base::{Error, Result};

use crate::json;

/// Takes keys out of an object and collects every problem, so that one run reports all of them.
pub(super) struct Fields {
    map: Map<String, Value>,
    /// Put before each key in messages: `` or `rope_parameters.`.
    scope: String,
    asked: Vec<&'static str>,
    problems: Vec<String>,
}

impl Fields {
    pub(super) fn new(map: Map<String, Value>) -> Self {
        Fields {
            map,
            scope: String::new(),
            asked: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Records something that is wrong.
    pub(super) fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// What a key holds, without taking it.
    pub(super) fn look(&self, key: &str) -> Option<&Value> {
        self.map.get(key)
    }

    /// A size that must be given. 0 stands for a value that was refused.
    pub(super) fn size(&mut self, key: &'static str) -> usize {
        if !self.map.contains_key(key) {
            self.asked.push(key);
            let problem = format!("key `{}{key}` is missing", self.scope);
            self.problem(problem);
            return 0;
        }
        self.size_or(key, 0)
    }

    /// A size, `default` when absent.
    pub(super) fn size_or(&mut self, key: &'static str, default: usize) -> usize {
        self.take(key, "a non-negative integer", |value| {
            usize::try_from(value.as_u64()?).ok()
        })
        .unwrap_or(default)
    }

    /// A size that may be absent or null.
    pub(super) fn size_opt(&mut self, key: &'static str) -> Option<usize> {
        let read = |value: &Value| match value {
            Value::Null => Some(None),
            _ => Some(Some(usize::try_from(value.as_u64()?).ok()?)),
        };
        self.take(key, "a non-negative integer or null", read)
            .flatten()
    }

    /// A size, null for none, and `default` when absent.
    pub(super) fn size_or_null(
        &mut self,
        key: &'static str,
        default: Option<usize>,
    ) -> Option<usize> {
        match self.map.contains_key(key) {
            true => self.size_opt(key),
            false => {
                self.asked.push(key);
                default
            }
        }
    }

    /// A number that must be given. 0 stands for a value that was refused.
    pub(super) fn number(&mut self, key: &'static str) -> f64 {
        if !self.map.contains_key(key) {
            self.asked.push(key);
            let problem = format!("key `{}{key}` is missing", self.scope);
            self.problem(problem);
        }
        self.number_or(key, 0.0)
    }

    /// A number, `default` when absent.
    pub(super) fn number_or(&mut self, key: &'static str, default: f64) -> f64 {
        self.number_opt(key).unwrap_or(default)
    }

    /// A number that may be absent, but not null.
    pub(super) fn number_opt(&mut self, key: &'static str) -> Option<f64> {
        self.take(key, "a number", Value::as_f64)
    }

    /// A number, `None` when absent or null.
    pub(super) fn number_or_null(&mut self, key: &'static str) -> Option<f64> {
        let read = |value: &Value| match value {
            Value::Null => Some(None),
            _ => Some(Some(value.as_f64()?)),
        };
        self.take(key, "a number or null", read).flatten()
    }

    /// A boolean, `default` when absent.
    pub(super) fn flag_or(&mut self, key: &'static str, default: bool) -> bool {
        self.take(key, "a boolean", Value::as_bool)
            .unwrap_or(default)
    }

    /// A boolean, false when absent or null.
    pub(super) fn flag_or_null(&mut self, key: &'static str) -> bool {
        let read = |value: &Value| match value {
            Value::Null => Some(false),
            _ => value.as_bool(),
        };
        self.take(key, "a boolean or null", read).unwrap_or(false)
    }

    /// A name from a list, `default` when absent.
    pub(super) fn choice_or<T: Copy>(
        &mut self,
        key: &'static str,
        choices: &[(&str, T)],
        default: T,
    ) -> T {
        let names: Vec<String> = choices
            .iter()
            .map(|(name, _)| format!("`{name}`"))
            .collect();
        let expected = format!("one of {}", names.join(", "));
        let read = |value: &Value| {
            let text = value.as_str()?;
            choices
                .iter()
                .find(|(name, _)| *name == text)
                .map(|&(_, choice)| choice)
        };
        self.take(key, &expected, read).unwrap_or(default)
    }

    /// A key whose other values would change what the model computes.
    pub(super) fn only(&mut self, key: &'static str, supported: &[Value]) {
        let names: Vec<String> = supported.iter().map(|value| format!("`{value}`")).collect();
        let expected = format!("only {}", names.join(" or "));
        self.take(key, &expected, |value| {
            supported.contains(value).then_some(())
        });
    }

    /// A token id, absent or null for none.
    pub(super) fn id(&mut self, key: &'static str) -> Option<u32> {
        let read = |value: &Value| match value {
            Value::Null => Some(None),
            _ => Some(Some(id(value)?)),
        };
        self.take(key, "a token id or null", read).flatten()
    }

    /// A token id, null for none, and `default` when absent.
    pub(super) fn id_or(&mut self, key: &'static str, default: Option<u32>) -> Option<u32> {
        match self.map.contains_key(key) {
            true => self.id(key),
            false => default,
        }
    }

    /// Token ids: one, a list, or none when absent or null.
    pub(super) fn ids(&mut self, key: &'static str) -> Vec<u32> {
        let read = |value: &Value| match value {
            Value::Null => Some(Vec::new()),
            Value::Array(items) => items.iter().map(id).collect(),
            _ => Some(vec![id(value)?]),
        };
        self.take(key, "a token id, a list of them or null", read)
            .unwrap_or_default()
    }

    /// An object with keys of its own; absent or null is `None`. Give it back with
    /// [`Fields::close`].
    pub(super) fn object(&mut self, key: &'static str) -> Option<Fields> {
        let read = |value: &Value| match value {
            Value::Null => Some(None),
            Value::Object(map) => Some(Some(map.clone())),
            _ => None,
        };
        let map = self.take(key, "an object or null", read).flatten()?;
        Some(Fields {
            scope: format!("{}{key}.", self.scope),
            ..Fields::new(map)
        })
    }

    /// Ends an object: every key that is left in it is a problem.
    pub(super) fn close(&mut self, inner: Fields) {
        let (_, problems) = inner.split(&[]);
        self.problems.extend(problems);
    }

    /// Ends the reading. Keys in `tolerated` are returned; any other key that is left is a problem.
    pub(super) fn finish(self, tolerated: &[&[&'static str]]) -> Result<Map<String, Value>> {
        let (rest, problems) = self.split(tolerated);
        match problems.as_slice() {
            [] => Ok(rest),
            [problem] => Err(Error::data(problem.clone())),
            _ => Err(Error::data(format!(
                "{} problems:\n  {}",
                problems.len(),
                problems.join("\n  ")
            ))),
        }
    }

    fn split(mut self, tolerated: &[&[&'static str]]) -> (Map<String, Value>, Vec<String>) {
        let mut kept = Map::new();
        for (key, value) in std::mem::take(&mut self.map) {
            if tolerated.iter().any(|list| list.contains(&key.as_str())) {
                kept.insert(key, value);
                continue;
            }
            let known = self.asked.iter().chain(tolerated.iter().copied().flatten());
            let near = suggest::nearest(&key, known.copied());
            let near = near
                .map(|near| format!(", did you mean `{near}`?"))
                .unwrap_or_default();
            self.problems
                .push(format!("unknown key `{}{key}`{near}", self.scope));
        }
        (kept, self.problems)
    }

    fn take<T>(
        &mut self,
        key: &'static str,
        expected: &str,
        read: impl Fn(&Value) -> Option<T>,
    ) -> Option<T> {
        self.asked.push(key);
        let value = self.map.shift_remove(key)?;
        let taken = read(&value);
        if taken.is_none() {
            let shown = shown(&value);
            self.problem(format!(
                "`{}{key}` is {shown}, supported: {expected}",
                self.scope
            ));
        }
        taken
    }
}

fn id(value: &Value) -> Option<u32> {
    u32::try_from(value.as_u64()?).ok()
}

/// A value in a message; long ones by what they are.
fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => json::kind(value).to_owned(),
        Value::String(text) if text.len() > 60 => json::kind(value).to_owned(),
        _ => format!("`{value}`"),
    }
}
