//! The verdict over a head.

use serde_json::{Map, Value, json};
use tenon_engine::LossSum;
use tenon_eval::Scores;

use crate::table;

/// What is measured, one row each.
pub(super) fn rows(loss: LossSum, scores: &Scores) -> Vec<(&'static str, String)> {
    let mean = loss.mean().unwrap_or(f64::NAN);
    let mut rows = vec![("loss", format!("{mean:.4}"))];
    let metrics = scores.metrics().into_iter();
    rows.extend(metrics.map(|(name, value)| (name, number(value))));
    rows.push((counted(scores), loss.tokens.to_string()));
    rows
}

/// A table of the classes, labels or columns.
pub(super) fn of_each(scores: &Scores, labels: &[String]) -> String {
    let each = scores.of_each();
    let support = scores.support();
    let mut rows = Vec::new();
    for (i, (metrics, label)) in each.iter().zip(labels).enumerate() {
        for (name, value) in metrics {
            let support = support
                .get(i)
                .map_or_else(|| "–".to_owned(), u64::to_string);
            rows.push([label.clone(), (*name).to_owned(), number(*value), support]);
        }
    }
    let header = ["label", "measure", "value", "support"];
    format!("\n{}", table::render(header, rows))
}

/// What is measured, and `of_each`: the same of each class, label or column by its name.
pub(super) fn json(loss: LossSum, scores: &Scores, labels: &[String]) -> Value {
    let support = scores.support();
    let of_one = |(i, metrics): (usize, Vec<tenon_eval::scores::Metric>)| {
        let mut of_one = Map::new();
        of_one.insert("label".to_owned(), json!(labels.get(i)));
        let metrics = metrics.into_iter();
        of_one.extend(metrics.map(|(name, value)| (name.to_owned(), json!(value))));
        if let Some(support) = support.get(i) {
            of_one.insert("support".to_owned(), json!(support));
        }
        Value::Object(of_one)
    };
    let each: Vec<Value> = scores
        .of_each()
        .into_iter()
        .enumerate()
        .map(of_one)
        .collect();
    let mut document = Map::new();
    document.insert("loss".to_owned(), json!(loss.mean()));
    let metrics = scores.metrics().into_iter();
    document.extend(metrics.map(|(name, value)| (name.to_owned(), json!(value))));
    document.insert("counted".to_owned(), json!(loss.tokens));
    document.insert("of_each".to_owned(), json!(each));
    Value::Object(document)
}

/// What was counted.
fn counted(scores: &Scores) -> &'static str {
    match scores {
        Scores::Classes(_) => "answers",
        Scores::Labels(_) | Scores::Numbers(_) => "rows",
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"))
}
