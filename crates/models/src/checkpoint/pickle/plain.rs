//! A pickle of plain data as a tree.

use std::collections::BTreeSet;

use tenon_base::limits::{PICKLE_BYTES_MAX, PICKLE_DEPTH_MAX};
use tenon_base::{Error, Result};

use super::globals::Scope;
use super::heap::{Heap, Node, Value};
use super::machine::load;

/// Plain data: what JSON has, and tuples, sets and bytes.
#[derive(Clone, Debug, PartialEq)]
pub enum PlainValue {
    /// Nothing.
    None,
    /// A truth value.
    Bool(bool),
    /// An integer of 64 bits, also one of numpy.
    Int(i64),
    /// A float, also one of numpy.
    Float(f64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A list.
    List(Vec<PlainValue>),
    /// A tuple.
    Tuple(Vec<PlainValue>),
    /// A set, in the order of the file.
    Set(Vec<PlainValue>),
    /// A dictionary, in the order of the file; keys are scalars, each there once.
    Dict(Vec<(PlainValue, PlainValue)>),
}

/// As many values as shared containers may add to those that a pickle makes.
const REPEATED_MAX: u64 = 1 << 20;

/// Reads a pickle of plain data without executing anything: scalars, lists, tuples, sets,
/// dictionaries (also `OrderedDict`), bytes and numpy's numbers. What is shared becomes copies.
///
/// # Errors
/// Of kind data, with what to do: a pickle that needs anything else, names it and its byte; one
/// that is damaged, goes beyond a limit, repeats a key, refers to itself or has bytes after its
/// end.
pub fn read_plain(bytes: &[u8]) -> Result<PlainValue> {
    let loaded = load(bytes, Scope::Plain)?;
    let n_after = bytes.len() - loaded.n_bytes;
    if n_after > 0 {
        return Err(Error::data(format!("{n_after} bytes follow the pickle")));
    }
    let mut tree = Tree {
        heap: &loaded.heap,
        n_values: 0,
        n_bytes: 0,
    };
    tree.grow(&loaded.root, 0)
}

struct Tree<'a> {
    heap: &'a Heap,
    n_values: u64,
    /// Bytes of texts and bytes.
    n_bytes: u64,
}

impl Tree<'_> {
    fn grow(&mut self, value: &Value, depth: u64) -> Result<PlainValue> {
        self.n_values += 1;
        if self.n_values > self.heap.n_values() + REPEATED_MAX {
            return Err(Error::data(format!(
                "the pickle repeats more than {REPEATED_MAX} of its values"
            )));
        }
        if depth > PICKLE_DEPTH_MAX {
            return Err(Error::data(format!(
                "the pickle's values are nested beyond `PICKLE_DEPTH_MAX`, {PICKLE_DEPTH_MAX}, or \
                 refer to themselves"
            )));
        }
        match value {
            Value::None => Ok(PlainValue::None),
            Value::Bool(value) => Ok(PlainValue::Bool(*value)),
            Value::Int(value) => Ok(PlainValue::Int(*value)),
            Value::Float(value) => Ok(PlainValue::Float(*value)),
            Value::Text(text) => {
                self.count_bytes(text.len())?;
                Ok(PlainValue::Text(text.to_string()))
            }
            Value::Bytes(bytes) => {
                self.count_bytes(bytes.len())?;
                Ok(PlainValue::Bytes(bytes.to_vec()))
            }
            Value::Global(_) => Err(not_plain()),
            Value::Node(_) => match self.heap.node(value) {
                Some(Node::List(items)) => self.grow_all(items, depth).map(PlainValue::List),
                Some(Node::Tuple(items)) => self.grow_all(items, depth).map(PlainValue::Tuple),
                Some(Node::Set(items)) => self.grow_all(items, depth).map(PlainValue::Set),
                Some(Node::Dict { items, .. }) => self.grow_dict(items, depth),
                _ => Err(not_plain()),
            },
        }
    }

    fn count_bytes(&mut self, n: usize) -> Result<()> {
        self.n_bytes = self.n_bytes.saturating_add(n as u64);
        match self.n_bytes > PICKLE_BYTES_MAX {
            true => Err(Error::data(format!(
                "the pickle repeats its texts beyond `PICKLE_BYTES_MAX`, {PICKLE_BYTES_MAX}"
            ))),
            false => Ok(()),
        }
    }

    fn grow_all(&mut self, items: &[Value], depth: u64) -> Result<Vec<PlainValue>> {
        items
            .iter()
            .map(|item| self.grow(item, depth + 1))
            .collect()
    }

    fn grow_dict(&mut self, items: &[(Value, Value)], depth: u64) -> Result<PlainValue> {
        let mut seen = BTreeSet::new();
        let mut pairs = Vec::with_capacity(items.len());
        for (key, value) in items {
            let key = self.grow(key, depth + 1)?;
            if !seen.insert(canonical(&key)?) {
                return Err(Error::data(format!("the key {key:?} is there twice")));
            }
            pairs.push((key, self.grow(value, depth + 1)?));
        }
        Ok(PlainValue::Dict(pairs))
    }
}

fn not_plain() -> Error {
    Error::data("the pickle holds a class or a type, which is no plain data")
}

/// What makes a key equal to another: numbers by value, as in Python.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    None,
    Int(i64),
    /// The bits of a float that is no whole number.
    Float(u64),
    Text(String),
    Bytes(Vec<u8>),
}

fn canonical(key: &PlainValue) -> Result<Key> {
    Ok(match key {
        PlainValue::None => Key::None,
        PlainValue::Bool(value) => Key::Int((*value).into()),
        PlainValue::Int(value) => Key::Int(*value),
        PlainValue::Float(value) if value.fract() == 0.0 && value.abs() < 2f64.powi(63) => {
            Key::Int(*value as i64)
        }
        PlainValue::Float(value) => Key::Float(value.to_bits()),
        PlainValue::Text(text) => Key::Text(text.clone()),
        PlainValue::Bytes(bytes) => Key::Bytes(bytes.clone()),
        _ => {
            return Err(Error::data(
                "a key of a dictionary is a list, tuple, set or dictionary",
            ));
        }
    })
}
