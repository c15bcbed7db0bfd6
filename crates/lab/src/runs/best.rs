//! `tenon runs best`.

use serde_json::{Value, json};
use tenon_records::{Best, Split};

use super::SCHEMA_VERSION;
use super::format::{at_json, number, one_line, run_json};

/// One sentence.
pub fn as_text(split: Split, metric: &str, best: Option<&Best>) -> String {
    let series = format!("{}/{}", split.name(), one_line(metric));
    let Some(best) = best else {
        return format!("no run has a finite value of {series}\n");
    };
    let (run, at) = (&best.run, best.at);
    format!(
        "{}: {series} {} at step {} ({} is better)\n",
        run.name,
        number(at.value),
        at.step,
        best.direction.name()
    )
}

/// `{"schema_version", "split", "metric", "best": {"run", "at", "direction"} | null}`.
pub fn as_json(split: Split, metric: &str, best: Option<&Best>) -> Value {
    let best = best.map(|best| {
        json!({
            "run": run_json(&best.run),
            "at": at_json(Some(best.at)),
            "direction": best.direction.name(),
        })
    });
    json!({
        "schema_version": SCHEMA_VERSION,
        "split": split.name(),
        "metric": metric,
        "best": best,
    })
}
