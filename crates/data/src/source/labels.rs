//! A label beside each text, from another column of the same records.

use std::collections::{BTreeMap, BTreeSet};

use tenon_base::{Error, Result};

use super::Rows;
use super::records::{Wanted, read_wanted};

/// What column `column` holds for each row, found by its file and line: text, or a whole number or
/// boolean as its text.
///
/// # Errors
/// `Data` when there is no such column, when a label is empty, or when the rows are no records.
pub fn labels(rows: &Rows, column: &str) -> Result<Vec<String>> {
    let wanted: BTreeSet<_> = (0..rows.len()).map(|i| rows.record(i).0).collect();
    let mut by_file = BTreeMap::new();
    for path in wanted {
        let records = read_wanted(path, Wanted::classes(&[column]))?;
        let by_line: BTreeMap<u64, String> = records
            .into_iter()
            .filter_map(|(line, mut texts)| Some((line, texts.pop()?)))
            .collect();
        by_file.insert(path, by_line);
    }
    let label = |i: usize| {
        let (path, line) = rows.record(i);
        match by_file[path].get(&line).map(String::as_str) {
            Some(label) if !label.is_empty() => Ok(label.to_owned()),
            _ => Err(Error::data(format!("column `{column}` is empty")).at(rows.place(i))),
        }
    };
    (0..rows.len()).map(label).collect()
}
