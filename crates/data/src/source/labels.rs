//! Labels beside each text, from other columns of the same records.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use tenon_base::{Error, Result};

use super::Rows;
use super::records::read_cells;
use crate::batch::NOT_COUNTED;

/// What column `column` holds for each row, found by its file and line. Numbers and truth values
/// are their text.
///
/// # Errors
/// `Data` when there is no such column, when a label is empty, or when the rows are no records.
pub fn labels(rows: &Rows, column: &str) -> Result<Vec<String>> {
    let labels: Vec<String> = cells(rows, &[column])?.into_iter().flatten().collect();
    match labels.iter().position(String::is_empty) {
        Some(i) => Err(Error::data(format!("column `{column}` is empty")).at(rows.place(i))),
        None => Ok(labels),
    }
}

/// What these columns hold for each row, in their order; lists are their JSON text.
///
/// # Errors
/// As [`labels`], but a cell may be empty.
pub fn cells(rows: &Rows, columns: &[&str]) -> Result<Vec<Vec<String>>> {
    let wanted: BTreeSet<_> = (0..rows.len()).map(|i| rows.record(i).0).collect();
    let mut by_file = BTreeMap::new();
    for path in wanted {
        let by_line: BTreeMap<u64, Vec<String>> = read_cells(path, columns)?.into_iter().collect();
        by_file.insert(path, by_line);
    }
    let cells = |i: usize| {
        let (path, line) = rows.record(i);
        by_file[path].get(&line).cloned().ok_or_else(|| {
            let names = columns.join("`, `");
            Error::data(format!("no record with `{names}` is here any more")).at(rows.place(i))
        })
    };
    (0..rows.len()).map(cells).collect()
}

/// The items of a cell that is a list of JSON: texts as they are, numbers and truth values as their
/// text. `None` when it is none, or has other items.
pub fn list_items(cell: &str) -> Option<Vec<String>> {
    let items: Vec<Value> = serde_json::from_str(cell.trim_start()).ok()?;
    items.into_iter().map(text_of).collect()
}

/// As [`list_items`], where items may be missing: `null`, an empty text, and unless `is_name` says
/// that `-100` names something, the number -100, which other tools write for "not counted".
pub fn list_items_or_none(
    cell: &str,
    is_name: impl Fn(&str) -> bool,
) -> Option<Vec<Option<String>>> {
    let items: Vec<Value> = serde_json::from_str(cell.trim_start()).ok()?;
    let is_counted = is_name(&NOT_COUNTED.to_string());
    let is_none = |number: f64| number == f64::from(NOT_COUNTED) && !is_counted;
    let item = |item: Value| match &item {
        Value::Null => Some(None),
        Value::String(text) if text.is_empty() => Some(None),
        Value::Number(number) if number.as_f64().is_some_and(is_none) => Some(None),
        _ => text_of(item).map(Some),
    };
    items.into_iter().map(item).collect()
}

fn text_of(item: Value) -> Option<String> {
    match item {
        Value::String(text) => Some(text),
        Value::Number(_) | Value::Bool(_) => Some(item.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
