//! `tenon runs ls`.

use comfy_table::Cell;
use serde_json::{Value, json};
use tenon_base::Result;
use tenon_records::{Run, Split, Store, Summary};

use super::SCHEMA_VERSION;
use super::format::{ABSENT, at, one_line, right, run_json, summary_json, table, text, time};

/// One row for each run, with the losses that matter most.
pub fn as_text(store: &Store, runs: &[Run]) -> Result<String> {
    if runs.is_empty() {
        return Ok("no runs\n".to_string());
    }
    let header = [
        "run",
        "kind",
        "status",
        "started (UTC)",
        "steps",
        "train loss",
        "best validation loss",
    ];
    let mut table = table(&header);
    for run in runs {
        let summaries = store.summaries(run.id)?;
        let train = loss(&summaries, Split::Train);
        let validation = loss(&summaries, Split::Validation);
        let steps = summaries.iter().map(|s| s.last.step).max();
        table.add_row([
            Cell::new(&run.name),
            Cell::new(one_line(&run.kind)),
            Cell::new(run.status.name()),
            Cell::new(time(Some(&run.created_utc))),
            right(steps.map_or(ABSENT.to_string(), |n| n.to_string())),
            right(at(train.map(|s| s.last))),
            right(at(validation.and_then(|s| s.lowest))),
        ]);
    }
    Ok(text(&table))
}

/// `{"schema_version", "runs": [{…, "series": […]}]}`.
pub fn as_json(store: &Store, runs: &[Run]) -> Result<Value> {
    let mut rows = Vec::with_capacity(runs.len());
    for run in runs {
        let mut row = run_json(run);
        let series: Vec<Value> = store.summaries(run.id)?.iter().map(summary_json).collect();
        row["series"] = series.into();
        rows.push(row);
    }
    Ok(json!({ "schema_version": SCHEMA_VERSION, "runs": rows }))
}

fn loss(summaries: &[Summary], split: Split) -> Option<&Summary> {
    summaries
        .iter()
        .find(|s| s.split == split && s.name == "loss")
}
