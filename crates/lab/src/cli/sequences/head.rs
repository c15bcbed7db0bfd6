//! What a model's head tells of sequences: a table, and the same as one document.

use serde_json::{Map, Value, json};
use tenon_base::Result;
use tenon_data::Tokenizer;
use tenon_data::vocab::text_ids;
use tenon_eval::generate::sampler::argmax;
use tenon_models::folder::Folder;
use tenon_models::predict::Sequences;
use tenon_models::spec::Problem;

use super::{PredictArgs, SCHEMA_VERSION, Sequence};
use crate::context::Context;
use crate::prepare::classes::{Classes, SEPARATOR, Told};
use crate::progress::Counter;

/// Runs the head on all sequences and writes the table.
///
/// # Errors
/// `Data` for a model without such a head or a sequence that does not fit; `Io`.
pub(super) fn tell(
    args: &PredictArgs,
    context: &Context,
    of: &Sequences<'_>,
    (folder, tokenizer): (&Folder, &dyn Tokenizer),
    sequences: &[Sequence],
) -> Result<Value> {
    let ids: Vec<Vec<u32>> = sequences
        .iter()
        .map(|sequence| sequence.ids.clone())
        .collect();
    let progress = Counter::new(context, "sequences", ids.len());
    let outputs = of.head_outputs(&ids, &mut |n| progress.to(n))?;
    let classes = Classes::of(&folder.config).expect("a model without a head was refused");
    let mut rows = Vec::new();
    for (sequence, outputs) in sequences.iter().zip(&outputs) {
        rows.extend(match classes.told {
            Told::Token => of_tokens(sequence, outputs, &classes, tokenizer),
            Told::Sequence(problem) => {
                let (label, values) = told(problem, outputs, &classes.names);
                let mut about = vec![("sequence", json!(sequence.name))];
                about.extend(label);
                vec![Row { about, values }]
            }
        });
    }
    context
        .disk
        .write_atomic(&args.out, table(&rows, &classes.names).as_bytes())?;
    let problem = match classes.told {
        Told::Sequence(problem) => problem.name(),
        Told::Token => "token_classification",
    };
    let names = &classes.names;
    let rows: Vec<Value> = rows.into_iter().map(|row| row.json(names)).collect();
    Ok(json!({
        "schema_version": SCHEMA_VERSION,
        "out": args.out.display().to_string(),
        "task": "head",
        "problem_type": problem,
        "labels": names,
        "sequences": sequences.len(),
        "rows": rows,
    }))
}

/// A line of the table.
struct Row {
    /// What it is about and the label, by their columns.
    about: Vec<(&'static str, Value)>,
    /// A probability or number under each name of the head.
    values: Vec<f64>,
}

impl Row {
    /// The numbers stand apart, since a name may be that of another column.
    fn json(self, names: &[String]) -> Value {
        let about = self.about.into_iter();
        let mut object: Map<_, _> = about
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let values = self.values.into_iter().map(Value::from);
        let values: Map<_, _> = names.iter().cloned().zip(values).collect();
        object.insert("values".to_owned(), values.into());
        object.into()
    }
}

/// A row for each token that stands for text.
fn of_tokens(
    sequence: &Sequence,
    outputs: &[f64],
    classes: &Classes,
    tokenizer: &dyn Tokenizer,
) -> Vec<Row> {
    let is_text = text_ids(tokenizer);
    let tokens = sequence
        .ids
        .iter()
        .zip(outputs.chunks_exact(classes.names.len()));
    let tokens = tokens.filter(|(id, _)| is_text(**id)).enumerate();
    let row = |(i, (&id, outputs)): (usize, (&u32, &[f64]))| {
        let (label, values) = told(Problem::SingleLabel, outputs, &classes.names);
        let mut about = vec![
            ("sequence", json!(sequence.name)),
            ("position", json!(i + 1)),
            ("token", json!(tokenizer.decode(&[id]))),
        ];
        about.extend(label);
        Row { about, values }
    };
    tokens.map(row).collect()
}

/// The label that the outputs of a head tell, where they tell one, and what they are worth.
fn told(
    problem: Problem,
    outputs: &[f64],
    names: &[String],
) -> (Option<(&'static str, Value)>, Vec<f64>) {
    match problem {
        Problem::Regression => (None, outputs.to_vec()),
        Problem::SingleLabel => {
            let label = &names[argmax(outputs) as usize];
            (Some(("label", json!(label))), softmax(outputs))
        }
        Problem::MultiLabel => {
            let told = names.iter().zip(outputs).filter(|(_, logit)| **logit > 0.0);
            let told: Vec<&str> = told.map(|(name, _)| name.as_str()).collect();
            let values = outputs.iter().map(|&logit| sigmoid(logit)).collect();
            (Some(("labels", json!(told))), values)
        }
    }
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|logit| (logit - top).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|weight| weight / total).collect()
}

fn sigmoid(logit: f64) -> f64 {
    let small = (-logit.abs()).exp();
    match logit < 0.0 {
        true => small / (1.0 + small),
        false => 1.0 / (1.0 + small),
    }
}

/// Columns between tabs, under their names.
fn table(rows: &[Row], names: &[String]) -> String {
    let line = |cells: Vec<String>| {
        let cells = cells
            .iter()
            .map(|cell| cell.replace(['\t', '\n', '\r'], " "));
        cells.collect::<Vec<_>>().join("\t") + "\n"
    };
    let mut table = String::new();
    if let Some(first) = rows.first() {
        let about: Vec<&str> = first.about.iter().map(|(name, _)| *name).collect();
        let values = value_columns(&about, names);
        let about = about.into_iter().map(str::to_owned);
        table += &line(about.chain(values).collect());
    }
    for row in rows {
        let about = row.about.iter().map(|(_, value)| cell(value));
        let values = row.values.iter().map(f64::to_string);
        table += &line(about.chain(values).collect());
    }
    table
}

/// A cell of the table: labels stand in one.
fn cell(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(labels) => labels.iter().map(cell).collect::<Vec<_>>().join(SEPARATOR),
        other => other.to_string(),
    }
}

/// The columns of the values: an output whose name is that of another column is `values.NAME`.
fn value_columns(about: &[&str], names: &[String]) -> Vec<String> {
    let column = |name: &String| {
        let mut column = name.clone();
        while about.contains(&column.as_str()) || (column != *name && names.contains(&column)) {
            column.insert_str(0, "values.");
        }
        column
    };
    names.iter().map(column).collect()
}

#[cfg(test)]
mod tests {
    use super::value_columns;

    #[test]
    fn no_two_columns_have_one_name() {
        let names = ["label", "bent", "values.label", "sequence"].map(str::to_owned);
        let columns = value_columns(&["sequence", "label"], &names);
        let expected = [
            "values.values.label",
            "bent",
            "values.label",
            "values.sequence",
        ];
        assert_eq!(columns, expected);
    }
}
