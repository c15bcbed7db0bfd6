//! Runs side by side: where their configurations and their results differ.

use std::collections::BTreeMap;

use rusqlite::params;
use serde_json::Value;
use tenon_base::{Error, Result};

use crate::metric::{Split, Summary};
use crate::run::{Run, RunId};
use crate::store::Store;

/// Several runs side by side. Every row has one column for each run, in the order of `runs`.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The runs.
    pub runs: Vec<Run>,
    /// Configuration keys whose values differ, in alphabetical order.
    pub config: Vec<ConfigRow>,
    /// Series of any of the runs, by split and name.
    pub series: Vec<SeriesRow>,
    /// For exactly two runs: where series that both have part first.
    pub divergences: Vec<Divergence>,
}

/// A configuration key whose values differ.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigRow {
    /// The dotted key: `training.learning_rate`, `data.files.0`.
    pub key: String,
    /// The value of each run as JSON text; `None` where the key is absent.
    pub values: Vec<Option<String>>,
}

/// A series of any of the runs.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesRow {
    /// The data.
    pub split: Split,
    /// The name.
    pub name: String,
    /// The summary of each run; `None` where it has no such series.
    pub summaries: Vec<Option<Summary>>,
}

/// The first step at which two runs have different values of one series. Equal runs have equal
/// values to the bit, so this is where to look for what made the difference.
#[derive(Clone, Debug, PartialEq)]
pub struct Divergence {
    /// The data.
    pub split: Split,
    /// The name.
    pub name: String,
    /// The first step that both have with different values; `None` when all common steps are equal.
    pub step: Option<u64>,
    /// Number of steps that both have.
    pub common_points: u64,
}

impl Store {
    /// Puts at least two runs side by side.
    ///
    /// # Errors
    /// `Usage` for fewer than two runs or one that is named twice.
    pub fn compare(&self, ids: &[RunId]) -> Result<Comparison> {
        if ids.len() < 2 {
            return Err(Error::usage("a comparison needs at least two runs"));
        }
        let mut runs = Vec::with_capacity(ids.len());
        let mut configs = Vec::with_capacity(ids.len());
        let mut series: BTreeMap<(Split, String), Vec<Option<Summary>>> = BTreeMap::new();
        for (column, &id) in ids.iter().enumerate() {
            let run = self.run_by_id(id)?;
            if ids[..column].contains(&id) {
                let message = format!("the run `{}` is named twice", run.name);
                return Err(Error::usage(message));
            }
            configs.push(flatten(&self.config_json(id)?, &run.name)?);
            for summary in self.summaries(id)? {
                let key = (summary.split, summary.name.clone());
                let row = series.entry(key).or_insert_with(|| vec![None; ids.len()]);
                row[column] = Some(summary);
            }
            runs.push(run);
        }
        let series = series
            .into_iter()
            .map(|((split, name), summaries)| SeriesRow {
                split,
                name,
                summaries,
            });
        let series: Vec<SeriesRow> = series.collect();
        let divergences = match ids {
            &[a, b] => self.divergences(a, b, &series)?,
            _ => Vec::new(),
        };
        Ok(Comparison {
            runs,
            config: differences(&configs),
            series,
            divergences,
        })
    }

    fn divergences(&self, a: RunId, b: RunId, series: &[SeriesRow]) -> Result<Vec<Divergence>> {
        // `IS NOT` takes two NULLs, values that are not a number, for equal.
        let sql = "SELECT count(*), min(CASE WHEN a.value IS NOT b.value THEN a.step END)
            FROM metrics a JOIN metrics b
                ON b.run_id = ?2 AND b.split = a.split AND b.name = a.name AND b.step = a.step
            WHERE a.run_id = ?1 AND a.split = ?3 AND a.name = ?4";
        let mut found = Vec::new();
        for row in series
            .iter()
            .filter(|s| s.summaries.iter().all(Option::is_some))
        {
            let read =
                self.conn
                    .query_row(sql, params![a.0, b.0, row.split.name(), row.name], |r| {
                        Ok((r.get(0)?, r.get(1)?))
                    });
            let (common_points, step) =
                read.map_err(|e| self.failed("cannot compare metrics of", &e))?;
            found.push(Divergence {
                split: row.split,
                name: row.name.clone(),
                step,
                common_points,
            });
        }
        Ok(found)
    }
}

/// Leaves of a JSON document by dotted key; empty lists and objects are leaves too.
fn flatten(text: &str, run: &str) -> Result<BTreeMap<String, String>> {
    let document: Value = serde_json::from_str(text).map_err(|e| {
        Error::data(format!(
            "the stored configuration of the run `{run}` is no JSON: {e}"
        ))
    })?;
    let mut leaves = BTreeMap::new();
    let mut pending = vec![(String::new(), &document)];
    while let Some((key, value)) = pending.pop() {
        let below = |part: &str| match key.as_str() {
            "" => part.to_string(),
            key => format!("{key}.{part}"),
        };
        match value {
            Value::Object(map) if !map.is_empty() => {
                pending.extend(map.iter().map(|(part, value)| (below(part), value)));
            }
            Value::Array(list) if !list.is_empty() => {
                let parts = list.iter().enumerate();
                pending.extend(parts.map(|(i, value)| (below(&i.to_string()), value)));
            }
            leaf => {
                leaves.insert(key, leaf.to_string());
            }
        }
    }
    Ok(leaves)
}

fn differences(configs: &[BTreeMap<String, String>]) -> Vec<ConfigRow> {
    let mut keys: Vec<&String> = configs.iter().flat_map(BTreeMap::keys).collect();
    keys.sort_unstable();
    keys.dedup();
    let rows = keys.into_iter().map(|key| ConfigRow {
        key: key.clone(),
        values: configs
            .iter()
            .map(|config| config.get(key).cloned())
            .collect(),
    });
    rows.filter(|row| row.values.iter().any(|value| *value != row.values[0]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaves(text: &str) -> Vec<(String, String)> {
        flatten(text, "r").unwrap().into_iter().collect()
    }

    #[test]
    fn leaves_have_dotted_keys() {
        let found = leaves(r#"{"b":{"c":1,"d":[true,{"e":null}]},"a":"x","f":[],"g":{}}"#);
        let expected = [
            ("a", "\"x\""),
            ("b.c", "1"),
            ("b.d.0", "true"),
            ("b.d.1.e", "null"),
            ("f", "[]"),
            ("g", "{}"),
        ];
        let expected = expected.map(|(k, v)| (k.to_string(), v.to_string()));
        assert_eq!(found, expected);
    }

    #[test]
    fn an_absent_key_differs_from_null() {
        let configs = [r#"{"a":1,"b":null}"#, r#"{"a":1}"#].map(|t| flatten(t, "r").unwrap());
        let rows = differences(&configs);
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].key, "b");
        assert_eq!(rows[0].values, [Some("null".to_string()), None]);
    }
}
