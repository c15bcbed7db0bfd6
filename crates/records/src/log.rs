//! `metrics.jsonl`: one JSON object a line, in the folder of a run.
//!
//! Every line has the eight keys of [`LogRow`], in that order; what was not measured is `null`, and
//! so is a loss that is not a number, since JSON has no word for it. Lines are appended whole. A
//! program that is killed can leave a torn last line, which is reported and dropped; anything else
//! that is not such a line is an error.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value};
use tenon_base::files::Disk;
use tenon_base::{Error, Result, suggest};

use crate::metric::Split;

/// The keys of a line, in order.
pub const KEYS: [&str; 8] = [
    "step",
    "epoch",
    "split",
    "loss",
    "learning_rate",
    "grad_norm",
    "tokens",
    "tokens_per_second",
];

/// One line.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRow {
    /// Optimiser steps done.
    pub step: u64,
    /// Passes over the data done, with fraction.
    pub epoch: Option<f64>,
    /// What the loss was measured on.
    pub split: Split,
    /// Mean loss over the counted tokens, natural logarithm.
    pub loss: Option<f64>,
    /// Learning rate of the step.
    pub learning_rate: Option<f64>,
    /// Norm of the gradient before clipping.
    pub grad_norm: Option<f64>,
    /// Loss tokens seen since the start of the run.
    pub tokens: Option<u64>,
    /// Throughput.
    pub tokens_per_second: Option<f64>,
}

/// A last line that was cut off when its writer was killed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TornLine {
    /// Its number, from 1.
    pub line: usize,
    /// Its length.
    pub bytes: usize,
}

/// The content of a file.
#[derive(Clone, Debug, PartialEq)]
pub struct LogRead {
    /// The whole lines.
    pub rows: Vec<LogRow>,
    /// What was dropped after them.
    pub torn: Option<TornLine>,
}

/// A log open for appending. One program at a time writes it.
#[derive(Debug)]
pub struct MetricsLog<'d> {
    disk: &'d dyn Disk,
    path: PathBuf,
    rows: Vec<LogRow>,
    torn: Option<TornLine>,
}

impl<'d> MetricsLog<'d> {
    /// Opens a log, which is created by the first line if absent. A torn last line is removed from
    /// the file.
    ///
    /// # Errors
    /// `Data` for a line that is not one of ours, with its number; `Io`.
    pub fn open(disk: &'d dyn Disk, path: &Path) -> Result<MetricsLog<'d>> {
        let bytes = match disk.exists(path)? {
            true => disk.read(path)?,
            false => Vec::new(),
        };
        let LogRead { rows, torn } = read(&bytes, path)?;
        let log = MetricsLog {
            disk,
            path: path.to_path_buf(),
            rows,
            torn,
        };
        let unended = bytes.last().is_some_and(|&b| b != b'\n');
        if unended {
            log.rewrite()?;
        }
        Ok(log)
    }

    /// The torn last line that [`MetricsLog::open`] removed.
    pub fn torn(&self) -> Option<&TornLine> {
        self.torn.as_ref()
    }

    /// All rows, in the order written.
    pub fn rows(&self) -> &[LogRow] {
        &self.rows
    }

    /// Appends a line and hands it to the system at once, so that a killed program loses none.
    pub fn append(&mut self, row: LogRow) -> Result<()> {
        self.disk.append(&self.path, line(&row).as_bytes())?;
        self.rows.push(row);
        Ok(())
    }

    /// Removes the lines after `step`, as the checkpoint that a run continues from does not know
    /// them. The file is replaced as a whole: a crash leaves the old one or the new one. Returns
    /// how many lines were removed.
    pub fn truncate_to_step(&mut self, step: u64) -> Result<usize> {
        let before = self.rows.len();
        self.rows.retain(|row| row.step <= step);
        let removed = before - self.rows.len();
        if removed > 0 {
            self.rewrite()?;
        }
        Ok(removed)
    }

    /// Makes the lines durable.
    pub fn sync(&self) -> Result<()> {
        match self.disk.exists(&self.path)? {
            true => self.disk.sync(&self.path),
            false => Ok(()),
        }
    }

    fn rewrite(&self) -> Result<()> {
        let text: String = self.rows.iter().map(line).collect();
        self.disk.write_atomic(&self.path, text.as_bytes())
    }
}

/// Reads the content of a log; `path` is only named in errors.
///
/// # Errors
/// `Data` for a line that is not one of ours, with its number.
pub fn read(bytes: &[u8], path: &Path) -> Result<LogRead> {
    let mut rows = Vec::new();
    let mut torn = None;
    for (index, chunk) in bytes.split_inclusive(|&b| b == b'\n').enumerate() {
        let whole = chunk.strip_suffix(b"\n");
        match (parse_line(whole.unwrap_or(chunk)), whole) {
            (Ok(row), _) => rows.push(row),
            (Err(_), None) => {
                torn = Some(TornLine {
                    line: index + 1,
                    bytes: chunk.len(),
                });
            }
            (Err(reason), Some(_)) => {
                return Err(Error::data(reason)
                    .at(format!("{}:{}", path.display(), index + 1))
                    .hint("restore the file, or cut it before that line"));
            }
        }
    }
    Ok(LogRead { rows, torn })
}

/// A row as its line, with the line end.
pub fn line(row: &LogRow) -> String {
    let number = |x: Option<f64>| x.map_or(Value::Null, Value::from);
    let values: [Value; KEYS.len()] = [
        row.step.into(),
        number(row.epoch),
        row.split.name().into(),
        number(row.loss),
        number(row.learning_rate),
        number(row.grad_norm),
        row.tokens.into(),
        number(row.tokens_per_second),
    ];
    let object: Map<String, Value> = KEYS.map(String::from).into_iter().zip(values).collect();
    format!("{}\n", Value::Object(object))
}

fn parse_line(bytes: &[u8]) -> std::result::Result<LogRow, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "the line is not UTF-8".to_string())?;
    let value: Value =
        serde_json::from_str(text).map_err(|e| format!("the line is no JSON object: {e}"))?;
    let Value::Object(object) = value else {
        return Err("the line is no JSON object".to_string());
    };
    if let Some(unknown) = object.keys().find(|key| !KEYS.contains(&key.as_str())) {
        let meant = suggest::nearest(unknown, KEYS);
        let meant = meant.map_or(String::new(), |name| format!("; did you mean `{name}`?"));
        return Err(format!("unknown key `{unknown}`{meant}"));
    }
    let split = match get(&object, "split")? {
        Value::String(name) => Split::parse(name).map_err(|e| e.message().to_string())?,
        other => return Err(format!("`split` is {other}, not a name")),
    };
    Ok(LogRow {
        step: count(&object, "step")?.ok_or("`step` is null")?,
        epoch: number(&object, "epoch")?,
        split,
        loss: number(&object, "loss")?,
        learning_rate: number(&object, "learning_rate")?,
        grad_norm: number(&object, "grad_norm")?,
        tokens: count(&object, "tokens")?,
        tokens_per_second: number(&object, "tokens_per_second")?,
    })
}

fn get<'v>(object: &'v Map<String, Value>, key: &str) -> std::result::Result<&'v Value, String> {
    object
        .get(key)
        .ok_or_else(|| format!("the key `{key}` is missing"))
}

fn number(object: &Map<String, Value>, key: &str) -> std::result::Result<Option<f64>, String> {
    match get(object, key)? {
        Value::Null => Ok(None),
        value => match value.as_f64().filter(|x| x.is_finite()) {
            Some(x) => Ok(Some(x)),
            None => Err(format!("`{key}` is {value}, neither a number nor null")),
        },
    }
}

fn count(object: &Map<String, Value>, key: &str) -> std::result::Result<Option<u64>, String> {
    match get(object, key)? {
        Value::Null => Ok(None),
        value => match value.as_u64() {
            Some(n) => Ok(Some(n)),
            None => Err(format!("`{key}` is {value}, not a whole number from 0")),
        },
    }
}
