//! Records of JSON lines, JSON arrays, CSV and Parquet: named columns as text.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io::BufRead;
use std::path::Path;

use serde_json::Value;
use tenon_base::suggest::nearest;
use tenon_base::{Error, Result};

use super::discover::{Format, format_of};
use super::parquet::Parquet;
use super::read::{binary, read_failed, read_text, reader};

/// Called with the line and the wanted columns of each record.
type Each<'a> = &'a mut dyn FnMut(u64, &[Cow<'_, str>]) -> Result<()>;

/// The column that is read when none is named.
const TEXT_COLUMN: &str = "text";

/// Names of columns, none for the one that holds the text, and what they may hold.
pub(super) type Wanted<'a> = (&'a [&'a str], Cells);

/// What columns may hold, where a format has more than text.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Cells {
    /// Text alone.
    Text,
    /// Anything but null and objects.
    Any,
}

/// All records of a JSONL, JSON, CSV or Parquet file: the line of each (Parquet: its number from 1)
/// and its `columns` as text. A missing column or a value that is not text is a data error.
pub fn read_columns(path: &Path, columns: &[&str]) -> Result<Vec<(u64, Vec<String>)>> {
    read_table(path, (columns, Cells::Text))
}

/// As [`read_columns`], but numbers, truth values and lists are taken as their JSON text.
pub(super) fn read_cells(path: &Path, columns: &[&str]) -> Result<Vec<(u64, Vec<String>)>> {
    read_table(path, (columns, Cells::Any))
}

fn read_table(path: &Path, wanted: Wanted<'_>) -> Result<Vec<(u64, Vec<String>)>> {
    let format = format_of(path)?;
    if matches!(format, Format::Text | Format::Fasta) {
        return Err(Error::usage("a text or FASTA file has no columns")
            .at(path.display().to_string())
            .hint("use `.jsonl`, `.json`, `.csv`, `.tsv` or `.parquet`"));
    }
    let mut records = Vec::new();
    each_record(path, format, wanted, &mut |line, texts| {
        records.push((line, texts.iter().map(|text| text.to_string()).collect()));
        Ok(())
    })?;
    Ok(records)
}

/// Visits the records of a file.
pub(super) fn each_record(
    path: &Path,
    format: Format,
    wanted: Wanted<'_>,
    each: Each<'_>,
) -> Result<()> {
    match format {
        Format::JsonLines => json_lines(path, wanted, each),
        Format::Json => json_array(path, wanted, each),
        Format::Csv(delimiter) => csv(path, delimiter, wanted, each),
        Format::Parquet => parquet(path, wanted, each),
        Format::Text | Format::Fasta => unreachable!("callers read these as documents"),
    }
}

fn json_lines(path: &Path, wanted: Wanted<'_>, each: Each<'_>) -> Result<()> {
    let mut file = reader(path)?;
    let (mut bytes, mut offset, mut line) = (Vec::new(), 0u64, 0u64);
    let mut names = None;
    loop {
        bytes.clear();
        let n = file
            .read_until(b'\n', &mut bytes)
            .map_err(|reason| read_failed(path, &reason))?;
        if n == 0 {
            break;
        }
        line += 1;
        let text = std::str::from_utf8(&bytes).map_err(|reason| {
            binary(
                path,
                offset + reason.valid_up_to() as u64,
                "bytes that are not UTF-8",
            )
        })?;
        offset += n as u64;
        let text = if line == 1 {
            text.trim_start_matches('\u{FEFF}')
        } else {
            text
        };
        if text.trim().is_empty() {
            continue;
        }
        let record: Value = serde_json::from_str(text).map_err(|reason| {
            Error::data(format!("bad JSON: {reason}")).at(format!(
                "{}:{line}:{}",
                path.display(),
                reason.column().max(1)
            ))
        })?;
        json_record(path, line, &record, wanted, &mut names, each)?;
    }
    match names {
        Some(_) => Ok(()),
        None => Err(empty(path)),
    }
}

/// One array of objects; a file of JSON lines under the name `.json` is read as such.
fn json_array(path: &Path, wanted: Wanted<'_>, each: Each<'_>) -> Result<()> {
    let text = read_text(path)?;
    if !text.trim_start().starts_with('[') {
        return json_lines(path, wanted, each);
    }
    let records: Vec<Value> = serde_json::from_str(&text).map_err(|reason| {
        Error::data(format!("bad JSON: {reason}")).at(format!(
            "{}:{}:{}",
            path.display(),
            reason.line(),
            reason.column()
        ))
    })?;
    let mut names = None;
    for (index, record) in records.iter().enumerate() {
        // An array keeps no lines; the index from 1 stands in.
        json_record(path, index as u64 + 1, record, wanted, &mut names, each)?;
    }
    match names {
        Some(_) => Ok(()),
        None => Err(empty(path)),
    }
}

fn json_record(
    path: &Path,
    line: u64,
    record: &Value,
    wanted: Wanted<'_>,
    names: &mut Option<Vec<String>>,
    each: Each<'_>,
) -> Result<()> {
    let place = || format!("{}:{line}", path.display());
    let Some(object) = record.as_object() else {
        return Err(
            Error::data(format!("a record is {}, not an object", kind(record))).at(place()),
        );
    };
    if names.is_none() {
        let available: Vec<&str> = object.keys().map(String::as_str).collect();
        let chosen = choose(&available, wanted.0).map_err(|error| error.at(place()))?;
        *names = Some(
            chosen
                .into_iter()
                .map(|i| available[i].to_owned())
                .collect(),
        );
    }
    let mut texts = Vec::new();
    for name in names.iter().flatten() {
        let value = object.get(name).ok_or_else(|| {
            let available: Vec<&str> = object.keys().map(String::as_str).collect();
            missing(name, &available).at(place())
        })?;
        texts.push(text_of(name, value, wanted.1).map_err(|error| error.at(place()))?);
    }
    each(line, &texts)
}

fn text_of<'a>(name: &str, value: &'a Value, cells: Cells) -> Result<Cow<'a, str>> {
    match value {
        Value::String(text) => Ok(Cow::Borrowed(text)),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) if cells == Cells::Any => {
            Ok(Cow::Owned(value.to_string()))
        }
        _ => {
            let message = format!("column `{name}` holds {}, not text", kind(value));
            Err(Error::data(message))
        }
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn csv(path: &Path, delimiter: u8, wanted: Wanted<'_>, each: Each<'_>) -> Result<()> {
    let text = read_text(path)?;
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .from_reader(text.as_bytes());
    let header = reader
        .headers()
        .map_err(|reason| csv_error(path, &reason))?
        .clone();
    let available: Vec<&str> = header.iter().collect();
    let place = format!("{}:1", path.display());
    let mut seen = BTreeSet::new();
    if let Some(twice) = available.iter().find(|name| !seen.insert(**name)) {
        return Err(Error::data(format!("two columns are called `{twice}`")).at(place));
    }
    let chosen = choose(&available, wanted.0).map_err(|error| error.at(place))?;
    let mut record = csv::StringRecord::new();
    let mut last_line = 0;
    while reader
        .read_record(&mut record)
        .map_err(|reason| csv_error(path, &reason))?
    {
        last_line = record.position().map_or(0, csv::Position::line);
        let texts: Vec<_> = chosen.iter().map(|&i| Cow::from(&record[i])).collect();
        each(last_line, &texts)?;
    }
    if last_line == 0 {
        return Err(empty(path));
    }
    // The reader closes an open quote at the end of the file, which would swallow all that follows.
    let n_quotes = text.bytes().filter(|&byte| byte == b'"').count();
    let spans_lines = record_spans_lines(&text, last_line);
    if n_quotes % 2 == 1 && spans_lines {
        return Err(
            Error::data("a quote is never closed").at(format!("{}:{last_line}", path.display()))
        );
    }
    Ok(())
}

fn parquet(path: &Path, wanted: Wanted<'_>, each: Each<'_>) -> Result<()> {
    let file = Parquet::open(path)?;
    let available = file.columns()?;
    let place = path.display();
    let chosen = choose(&available, wanted.0).map_err(|error| error.at(place.to_string()))?;
    let mut is_empty = true;
    file.each(&chosen, &mut |row, values| {
        is_empty = false;
        let columns = chosen.iter().zip(values);
        let texts = columns
            .map(|(&i, value)| text_of(available[i], value, wanted.1))
            .collect::<Result<Vec<_>>>()
            .map_err(|error| error.at(format!("{place}:{row}")))?;
        each(row, &texts)
    })?;
    match is_empty {
        true => Err(empty(path)),
        false => Ok(()),
    }
}

/// Whether the last record, which begins at `line`, goes on after that line.
fn record_spans_lines(text: &str, line: u64) -> bool {
    text.trim_end_matches(['\n', '\r']).matches('\n').count() as u64 + 1 > line
}

fn csv_error(path: &Path, reason: &csv::Error) -> Error {
    let line = reason.position().map_or(1, csv::Position::line);
    let what = match reason.kind() {
        csv::ErrorKind::UnequalLengths {
            expected_len, len, ..
        } => {
            format!("a record has {len} fields, the header has {expected_len}")
        }
        _ => format!("bad CSV: {reason}"),
    };
    Error::data(what).at(format!("{}:{line}", path.display()))
}

/// Indices of the wanted columns; the column of text where none is named.
fn choose(available: &[&str], wanted: &[&str]) -> Result<Vec<usize>> {
    let find = |name: &str| available.iter().position(|column| *column == name);
    if !wanted.is_empty() {
        return wanted
            .iter()
            .map(|name| find(name).ok_or_else(|| missing(name, available)))
            .collect();
    }
    match (find(TEXT_COLUMN), available) {
        (Some(index), _) => Ok(vec![index]),
        (None, [_]) => Ok(vec![0]),
        (None, _) => Err(Error::data(format!(
            "no column is named and none is called `{TEXT_COLUMN}`; the columns are {}",
            list(available)
        ))
        .hint("set `text_column`")),
    }
}

fn missing(name: &str, available: &[&str]) -> Error {
    let error = Error::data(format!(
        "no column `{name}`; the columns are {}",
        list(available)
    ));
    match nearest(name, available.iter().copied()) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error,
    }
}

fn list(names: &[&str]) -> String {
    match names {
        [] => "none".into(),
        _ => names
            .iter()
            .map(|name| format!("`{name}`"))
            .collect::<Vec<_>>()
            .join(", "),
    }
}

fn empty(path: &Path) -> Error {
    Error::data("the file holds no records").at(path.display().to_string())
}
