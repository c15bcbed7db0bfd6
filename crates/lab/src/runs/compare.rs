//! `tenon runs compare`.

use comfy_table::Cell;
use serde_json::{Value, json};
use tenon_records::{Comparison, Divergence};

use super::SCHEMA_VERSION;
use super::format::{ABSENT, at, one_line, right, run_json, summary_json, table, text};

/// Configuration keys that differ, then last and best values, a column for each run.
pub fn as_text(comparison: &Comparison) -> String {
    let names = comparison.runs.iter().map(|run| run.name.as_str());
    let header = |first| {
        std::iter::once(first)
            .chain(names.clone())
            .collect::<Vec<_>>()
    };
    let mut out = String::new();
    if comparison.config.is_empty() {
        out += "the configurations are equal\n";
    } else {
        let mut table = table(&header("configuration"));
        for row in &comparison.config {
            let values = row
                .values
                .iter()
                .map(|v| one_line(v.as_deref().unwrap_or(ABSENT)));
            table.add_row(std::iter::once(Cell::new(&row.key)).chain(values.map(right)));
        }
        out += &text(&table);
    }
    if comparison.series.is_empty() {
        return out + "\nno metrics\n";
    }
    let mut table = table(&header("metric"));
    for row in &comparison.series {
        let name = format!("{}/{}", row.split.name(), one_line(&row.name));
        let last = row
            .summaries
            .iter()
            .map(|s| right(at(s.as_ref().map(|s| s.last))));
        table.add_row(std::iter::once(Cell::new(format!("{name}, last"))).chain(last));
        let best: Vec<_> = row
            .summaries
            .iter()
            .map(|s| s.as_ref().and_then(|s| s.best()))
            .collect();
        if best.iter().any(Option::is_some) {
            let best = best.into_iter().map(|best| right(at(best)));
            table.add_row(std::iter::once(Cell::new(format!("{name}, best"))).chain(best));
        }
    }
    out += "\n";
    out += &text(&table);
    if !comparison.divergences.is_empty() {
        out += "\n";
    }
    for divergence in &comparison.divergences {
        out += &divergence_text(divergence);
    }
    out
}

fn divergence_text(divergence: &Divergence) -> String {
    let Divergence {
        split,
        name,
        step,
        common_points,
    } = divergence;
    let series = format!("{}/{}", split.name(), one_line(name));
    match (step, common_points) {
        (_, 0) => format!("{series}: no step in common\n"),
        (Some(step), n) => {
            format!("{series}: first differs at step {step} ({n} steps in common)\n")
        }
        (None, n) => format!("{series}: equal at all {n} steps in common\n"),
    }
}

/// `{"schema_version", "runs", "config", "series", "divergences"}`; lists of values follow `runs`.
pub fn as_json(comparison: &Comparison) -> Value {
    let config = comparison.config.iter().map(|row| {
        // Absent keys and null values differ, so a value is wrapped.
        let values = row.values.iter().map(|value| match value {
            Some(text) => {
                let value = serde_json::from_str::<Value>(text);
                json!({ "value": value.unwrap_or_else(|_| text.as_str().into()) })
            }
            None => Value::Null,
        });
        json!({ "key": row.key, "values": values.collect::<Vec<_>>() })
    });
    let series = comparison.series.iter().map(|row| {
        let of_one = |s: &Option<_>| s.as_ref().map_or(Value::Null, summary_json);
        let summaries: Vec<Value> = row.summaries.iter().map(of_one).collect();
        json!({ "split": row.split.name(), "name": row.name, "summaries": summaries })
    });
    let divergences = comparison.divergences.iter().map(|d| {
        json!({
            "split": d.split.name(),
            "name": d.name,
            "step": d.step,
            "common_points": d.common_points,
        })
    });
    json!({
        "schema_version": SCHEMA_VERSION,
        "runs": comparison.runs.iter().map(run_json).collect::<Vec<_>>(),
        "config": config.collect::<Vec<_>>(),
        "series": series.collect::<Vec<_>>(),
        "divergences": divergences.collect::<Vec<_>>(),
    })
}
