//! Gene medians and token dictionaries in JSON or CSV.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use tenon_base::{Error, Result};

use crate::source::read_text;

/// Median of the non-zero, normalised expression by gene, from a JSON object or a CSV with the
/// columns gene and median under a header.
pub fn read_medians(path: &Path) -> Result<BTreeMap<String, f64>> {
    read_map(path, "median", |text| text.parse::<f64>().ok())
}

/// Id by token, from a JSON object or a CSV with the columns token and id under a header.
pub fn read_tokens(path: &Path) -> Result<BTreeMap<String, u32>> {
    read_map(path, "id", |text| text.parse::<u32>().ok())
}

fn read_map<T>(
    path: &Path,
    what: &str,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<BTreeMap<String, T>> {
    let extension = path.extension().and_then(|e| e.to_str());
    let entries = match extension.unwrap_or_default().to_ascii_lowercase().as_str() {
        "json" => of_json(path)?,
        "csv" => of_csv(path)?,
        other => {
            return Err(
                Error::data(format!("cannot read a dictionary from a `.{other}` file"))
                    .at(path.display().to_string())
                    .hint("write it in Python as JSON: `json.dump(dictionary, file)`"),
            );
        }
    };
    let mut map = BTreeMap::new();
    for (name, text, place) in entries {
        let Some(value) = parse(text.trim()) else {
            let message = format!("`{}` is not the {what} of `{name}`", text.trim());
            return Err(Error::data(message).at(place));
        };
        if map.insert(name.clone(), value).is_some() {
            return Err(Error::data(format!("`{name}` stands there twice")).at(place));
        }
    }
    Ok(map)
}

/// Name, text of the value, and place.
type Entry = (String, String, String);

fn of_json(path: &Path) -> Result<Vec<Entry>> {
    let place = path.display().to_string();
    let json: Value = serde_json::from_str(&read_text(path)?).map_err(|reason| {
        let (line, column) = (reason.line(), reason.column());
        Error::data(format!("bad JSON: {reason}")).at(format!("{place}:{line}:{column}"))
    })?;
    let Some(object) = json.as_object() else {
        return Err(Error::data("a dictionary is a JSON object of names and numbers").at(place));
    };
    let entries = object.iter();
    Ok(entries
        .map(|(name, value)| (name.clone(), value.to_string(), place.clone()))
        .collect())
}

fn of_csv(path: &Path) -> Result<Vec<Entry>> {
    let text = read_text(path)?;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let place = |line: u64| format!("{}:{line}", path.display());
    let mut entries = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|reason| {
            let line = reason.position().map_or(1, csv::Position::line);
            Error::data(format!("bad CSV: {reason}")).at(place(line))
        })?;
        let line = record.position().map_or(0, csv::Position::line);
        if record.len() != 2 {
            let message = format!(
                "{} columns where a name and a number are expected",
                record.len()
            );
            return Err(Error::data(message).at(place(line)));
        }
        entries.push((
            record[0].trim().to_owned(),
            record[1].to_owned(),
            place(line),
        ));
    }
    Ok(entries)
}
