//! The named tensors of what was saved: a dictionary of them, or one that a training script wrapped
//! with other things.

use std::collections::BTreeSet;

use tenon_base::limits::TENSORS_MAX;
use tenon_base::{Error, Result};

use super::super::pickle::{Heap, Loaded, Node, Tensor, Value};

/// Keys under which training scripts keep the tensors.
const WRAPPERS: &[&str] = &["state_dict", "model_state_dict", "model"];
/// As many keys as an error lists.
const LISTED_MAX: usize = 20;

type Items<'a> = &'a [(Value, Value)];
type Named<'a> = Vec<(String, &'a Tensor)>;

/// The tensors, and the entries that are none.
///
/// Beside the tensors themselves, a scalar such as a version is left out; anything larger is an
/// error, since it could hold weights. Beside a wrapped dictionary, everything is left out:
/// optimiser, epoch, configuration.
pub(super) fn tensors(loaded: &Loaded) -> Result<(Named<'_>, Vec<String>)> {
    let heap = &loaded.heap;
    let Some(top) = heap.dict(&loaded.root) else {
        return Err(Error::data(format!(
            "the file holds {}, expected a dictionary of tensors",
            kind(heap, &loaded.root)
        )));
    };
    if has_tensor(heap, top) {
        return flat(heap, top);
    }
    let wrapped: Vec<(&str, Items<'_>)> =
        top.iter().filter_map(|item| wrapper(heap, item)).collect();
    match wrapped.as_slice() {
        [(name, items)] => {
            let (tensors, mut skipped) = flat(heap, items)?;
            skipped.extend(others(top, name));
            Ok((tensors, skipped))
        }
        [] => Err(Error::data(format!(
            "the file holds no tensors by name; its keys are {}",
            listed(top)
        ))
        .hint(format!(
            "tensors are read from the file itself or from under `{}`",
            WRAPPERS.join("`, `")
        ))),
        [(first, _), (second, _), ..] => Err(Error::data(format!(
            "the file holds tensors under `{first}` and under `{second}`"
        ))
        .hint("save only one of them")),
    }
}

fn wrapper<'a>(heap: &'a Heap, (key, value): &'a (Value, Value)) -> Option<(&'a str, Items<'a>)> {
    let Value::Text(key) = key else {
        return None;
    };
    let items = heap.dict(value).filter(|items| has_tensor(heap, items))?;
    WRAPPERS.contains(&&**key).then_some((&**key, items))
}

fn has_tensor(heap: &Heap, items: Items<'_>) -> bool {
    let is_tensor = |value| matches!(heap.node(value), Some(Node::Tensor(_)));
    items.iter().any(|(_, value)| is_tensor(value))
}

fn flat<'a>(heap: &'a Heap, items: Items<'a>) -> Result<(Named<'a>, Vec<String>)> {
    if items.len() as u64 > TENSORS_MAX {
        return Err(Error::data(format!(
            "the file has {} tensors, beyond `TENSORS_MAX`, {TENSORS_MAX}",
            items.len()
        )));
    }
    let (mut tensors, mut skipped) = (Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for (key, value) in items {
        let Value::Text(name) = key else {
            let kind = kind(heap, key);
            return Err(Error::data(format!("the name of a tensor is {kind}")));
        };
        if !seen.insert(name) {
            return Err(Error::data(format!("the key `{name}` is there twice")));
        }
        match (heap.node(value), value) {
            (Some(Node::Tensor(tensor)), _) => tensors.push((name.to_string(), &**tensor)),
            (
                None,
                Value::None | Value::Bool(_) | Value::Int(_) | Value::Float(_) | Value::Text(_),
            ) => skipped.push(name.to_string()),
            _ => {
                let kind = kind(heap, value);
                return Err(Error::data(format!("`{name}` among the tensors is {kind}"))
                    .hint("save the tensors alone, under a name each"));
            }
        }
    }
    Ok((tensors, skipped))
}

/// The keys beside the wrapped tensors.
fn others(top: Items<'_>, wrapper: &str) -> Vec<String> {
    let keys = top.iter().map(|(key, _)| shown(key));
    keys.filter(|key| key != wrapper).collect()
}

fn shown(key: &Value) -> String {
    match key {
        Value::Text(name) => name.to_string(),
        Value::Int(n) => n.to_string(),
        _ => "a key that is no text".to_owned(),
    }
}

fn listed(items: Items<'_>) -> String {
    let names = items.iter().take(LISTED_MAX);
    let names = names.map(|(key, _)| format!("`{}`", shown(key).escape_debug()));
    let names: Vec<String> = names.collect();
    match items.len() {
        0 => "none".to_owned(),
        n if n > LISTED_MAX => format!("{} and {} more", names.join(", "), n - LISTED_MAX),
        _ => names.join(", "),
    }
}

fn kind(heap: &Heap, value: &Value) -> &'static str {
    match value {
        Value::None => "nothing",
        Value::Bool(_) => "a truth value",
        Value::Int(_) | Value::Float(_) => "a number",
        Value::Text(_) => "a text",
        Value::Bytes(_) => "bytes",
        Value::Global(_) => "a type",
        Value::Node(_) => match heap.node(value) {
            Some(Node::List(_)) => "a list",
            Some(Node::Tuple(_)) => "a tuple",
            Some(Node::Set(_)) => "a set",
            Some(Node::Dict { .. }) => "a dictionary",
            Some(Node::Tensor(_)) => "a tensor",
            Some(Node::Storage(_)) => "a storage",
            Some(Node::NumpyType(_)) | None => "a type",
        },
    }
}
