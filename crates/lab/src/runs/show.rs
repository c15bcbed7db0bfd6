//! `tenon runs show`.

use comfy_table::Cell;
use serde_json::{Value, json};
use tenon_base::{Error, Result};
use tenon_records::{Lineage, Point, Run, Split, Store, Summary};

use super::SCHEMA_VERSION;
use super::format::{
    ABSENT, at, number, one_line, right, run_json, summary_json, table, text, time,
};
use super::sketch::braille;

const SKETCH_WIDTH: usize = 60;
const SKETCH_HEIGHT: usize = 8;

/// All about one run: facts, metrics, a sketch of the loss, lineage.
pub fn as_text(store: &Store, run: &Run) -> Result<String> {
    let summaries = store.summaries(run.id)?;
    let mut out = facts(run);
    out += "\n";
    out += &metrics(&summaries);
    for split in [Split::Train, Split::Validation] {
        out += &sketch(split, &store.series(run.id, split, "loss")?);
    }
    out += &lineage(&store.lineage(run.id)?);
    Ok(out)
}

/// `{"schema_version", "run": {…, "config", "trial_params", "series": […], "lineage": {…}}}`.
pub fn as_json(store: &Store, run: &Run) -> Result<Value> {
    let parse = |text: &str| {
        serde_json::from_str::<Value>(text).map_err(|e| {
            Error::data(format!(
                "the store's JSON of the run `{}` is broken: {e}",
                run.name
            ))
        })
    };
    let mut document = run_json(run);
    document["config"] = parse(&store.config_json(run.id)?)?;
    document["trial_params"] = match store.trial_params_json(run.id)? {
        Some(text) => parse(&text)?,
        None => Value::Null,
    };
    let series: Vec<Value> = store.summaries(run.id)?.iter().map(summary_json).collect();
    document["series"] = series.into();
    document["lineage"] = lineage_json(&store.lineage(run.id)?);
    Ok(json!({ "schema_version": SCHEMA_VERSION, "run": document }))
}

fn facts(run: &Run) -> String {
    let mut rows = vec![
        ("run", format!("{} (number {})", run.name, run.id.number())),
        ("kind", run.kind.clone()),
        ("status", run.status.name().to_string()),
        ("started (UTC)", time(Some(&run.created_utc))),
        ("ended (UTC)", time(run.finished_utc.as_deref())),
        ("folder", run.dir.clone()),
        ("seed", run.seed.to_string()),
        ("kernels", format!("{}, {} threads", run.isa, run.threads)),
        ("version", run.version.clone()),
    ];
    if let Some(error) = &run.error {
        rows.push(("reason", error.clone()));
    }
    let lines = rows
        .iter()
        .map(|(key, value)| format!("{key:<14} {}\n", one_line(value)));
    lines.collect()
}

fn metrics(summaries: &[Summary]) -> String {
    if summaries.is_empty() {
        return "no metrics\n".to_string();
    }
    let mut table = table(&["metric", "values", "first", "last", "best"]);
    for s in summaries {
        table.add_row([
            Cell::new(format!("{}/{}", s.split.name(), one_line(&s.name))),
            right(s.points.to_string()),
            right(at(Some(s.first))),
            right(at(Some(s.last))),
            right(at(s.best())),
        ]);
    }
    text(&table)
}

/// The curve between its highest and lowest finite value; nothing for fewer than two.
fn sketch(split: Split, series: &[Point]) -> String {
    let points: Vec<(f64, f64)> = series
        .iter()
        .filter(|p| p.value.is_finite())
        .map(|p| (p.step as f64, p.value))
        .collect();
    let [(first, _), .., (last, _)] = points[..] else {
        return String::new();
    };
    let mut out = format!("\n{} loss, steps {first} to {last}\n", split.name());
    let lines = braille(&points, SKETCH_WIDTH, SKETCH_HEIGHT);
    for line in lines {
        out += format!("  {line}").trim_end();
        out.push('\n');
    }
    let missing = series.len() - points.len();
    if missing > 0 {
        out += &format!("  {missing} of {} values are not finite\n", series.len());
    }
    let extremes = points.iter().map(|p| p.1);
    let (low, high) = extremes.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| {
        (low.min(y), high.max(y))
    });
    out + &format!("  highest {}, lowest {}\n", number(high), number(low))
}

fn lineage(lineage: &Lineage) -> String {
    let mut out = String::new();
    if !lineage.inputs.is_empty() {
        out += "\nmade from\n";
    }
    for input in &lineage.inputs {
        let hash = input.sha256.as_deref().map_or(ABSENT, short_hash);
        let kind = input.kind.name();
        out += &format!("  {kind:<9} {}  sha256 {hash}\n", one_line(&input.source));
    }
    if !lineage.artifacts.is_empty() {
        out += "\nwrote\n";
    }
    for artifact in &lineage.artifacts {
        let (kind, path) = (one_line(&artifact.kind), one_line(&artifact.path));
        let (bytes, hash) = (artifact.bytes, short_hash(&artifact.sha256));
        out += &format!("  {kind:<9} {path}  {bytes} bytes  sha256 {hash}\n");
    }
    if !lineage.children.is_empty() {
        let numbers = lineage.children.iter().map(|id| id.number().to_string());
        let numbers = numbers.collect::<Vec<_>>().join(", ");
        out += &format!("\nruns made from it: number {numbers}\n");
    }
    out
}

fn lineage_json(lineage: &Lineage) -> Value {
    let inputs = lineage.inputs.iter().map(|input| {
        json!({
            "kind": input.kind.name(),
            "source": input.source,
            "sha256": input.sha256,
            "parent": input.parent.map(|id| id.number()),
        })
    });
    let artifacts = lineage.artifacts.iter().map(|artifact| {
        json!({
            "kind": artifact.kind,
            "path": artifact.path,
            "sha256": artifact.sha256,
            "bytes": artifact.bytes,
            "created_utc": artifact.created_utc,
        })
    });
    let children = lineage.children.iter().map(|id| id.number());
    json!({
        "inputs": inputs.collect::<Vec<_>>(),
        "artifacts": artifacts.collect::<Vec<_>>(),
        "children": children.collect::<Vec<_>>(),
    })
}

fn short_hash(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}
