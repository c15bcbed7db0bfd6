//! What tables say of their rows.

use std::collections::BTreeSet;

use tenon_base::{Error, Result};
use tenon_data::source::{self, Rows};
use tenon_models::spec::Problem;

use super::Told;

/// What a head is to tell of each row.
pub(crate) enum Answers {
    /// One label a row.
    One(Vec<String>),
    /// Labels of a row.
    Many(Vec<Vec<String>>),
    /// One label for each token of a row, or none.
    Tokens(Vec<Vec<Option<String>>>),
    /// Numbers, equally many a row, and the names of their columns.
    Numbers {
        /// Row by row.
        values: Vec<f64>,
        /// Of the values of a row.
        names: Vec<String>,
    },
}

/// Between the labels of a row, where they are no list of JSON.
pub(crate) const SEPARATOR: &str = ";";

/// What a token without a label has, in a text or a list, unless a class has this name: the first
/// always, the others where the classes are known, since tables of secondary structure also call
/// the coil so.
const UNKNOWN: &str = "?";
const GAPS: [&str; 2] = ["-", "."];

impl Answers {
    /// Reads the columns. `known` are the names of the classes, where they are known.
    ///
    /// # Errors
    /// `Usage` for several columns of labels; `Data` for a column that is not there or holds
    /// something else.
    pub(crate) fn read(
        rows: &Rows,
        told: Told,
        columns: &[String],
        known: Option<&[String]>,
    ) -> Result<Answers> {
        if let Told::Sequence(Problem::Regression) = told {
            return numbers(rows, columns);
        }
        let [column] = columns else {
            let message = format!("labels stand in one column, not in {}", columns.len());
            return Err(Error::usage(message).at("data.label_column"));
        };
        if let Told::Sequence(Problem::SingleLabel) = told {
            return one_each(rows, column);
        }
        match told {
            Told::Token => {
                let labels = |cell: &str| token_labels(cell, known);
                each_row(rows, column, labels).map(Answers::Tokens)
            }
            Told::Sequence(_) => each_row(rows, column, several).map(Answers::Many),
        }
    }

    /// How many rows have no label at all, and the first of them; none where a row has something
    /// to tell by its kind.
    pub(super) fn unlabelled(&self) -> Option<(usize, usize)> {
        let Answers::Tokens(lists) = self else {
            return None;
        };
        let is_bare = |list: &&Vec<Option<String>>| list.iter().all(Option::is_none);
        let n = lists.iter().filter(is_bare).count();
        Some((n, lists.iter().position(|list| is_bare(&list))?))
    }

    /// A sentence about rows without a label, which are neither learned nor judged.
    pub(crate) fn note(&self, rows: &Rows, called: &str) -> Option<String> {
        let (n, first) = self.unlabelled()?;
        let (of, place) = (rows.len(), rows.place(first));
        Some(format!(
            "{n} of {of} {called} have no label and do not count, the first: {place}"
        ))
    }

    /// All that was read, as text.
    pub(super) fn cells(&self) -> Vec<String> {
        match self {
            Answers::One(labels) => labels.clone(),
            Answers::Many(lists) => lists.iter().map(|list| format!("{list:?}")).collect(),
            Answers::Tokens(lists) => {
                let label = |label: &Option<String>| match label {
                    Some(label) => format!("{label:?}"),
                    None => "null".to_owned(),
                };
                let labels = |list: &Vec<_>| list.iter().map(label).collect::<Vec<_>>().join(", ");
                lists
                    .iter()
                    .map(|list| format!("[{}]", labels(list)))
                    .collect()
            }
            Answers::Numbers { values, .. } => values.iter().map(f64::to_string).collect(),
        }
    }
}

/// What the cells of a column say, read by `labels`.
fn each_row<T>(
    rows: &Rows,
    column: &str,
    labels: impl Fn(&str) -> Option<Vec<T>>,
) -> Result<Vec<Vec<T>>> {
    let cells = source::cells(rows, &[column])?;
    let of_row = |(i, cell): (usize, Vec<String>)| {
        labels(&cell[0]).ok_or_else(|| {
            let message = format!("column `{column}` holds no list of labels");
            let error = Error::data(message).at(rows.place(i));
            error.hint("a list of JSON holds texts or numbers: `[\"a\", \"b\"]`")
        })
    };
    cells.into_iter().enumerate().map(of_row).collect()
}

/// One label a row. A list is a sign that another head was meant.
fn one_each(rows: &Rows, column: &str) -> Result<Answers> {
    let labels = source::labels(rows, column)?;
    let is_list = |label: &String| source::list_items_or_none(label, |_| false).is_some();
    match labels.iter().position(is_list) {
        None => Ok(Answers::One(labels)),
        Some(i) => {
            let message = format!("column `{column}` holds a list where a text has one class");
            let hint = "set `model.problem_type: multi_label_classification`, or \
                        `model.head: token` for a class a token";
            Err(Error::data(message).at(rows.place(i)).hint(hint))
        }
    }
}

/// All names that occur, sorted: as numbers where all are, else as text.
pub(super) fn names(answers: [&Answers; 2]) -> Result<Vec<String>> {
    let mut names: BTreeSet<&String> = BTreeSet::new();
    for answers in answers {
        match answers {
            Answers::One(labels) => names.extend(labels),
            Answers::Many(lists) => names.extend(lists.iter().flatten()),
            Answers::Tokens(lists) => names.extend(lists.iter().flatten().flatten()),
            Answers::Numbers { names, .. } => return Ok(names.clone()),
        }
    }
    let mut names: Vec<String> = names.into_iter().cloned().collect();
    let numbers: Option<Vec<i64>> = names.iter().map(|name| name.parse().ok()).collect();
    if numbers.is_some() {
        names.sort_by_key(|name| name.parse::<i64>().ok());
    }
    Ok(names)
}

/// A list of JSON, or one label a character; tokens may have none.
fn token_labels(cell: &str, known: Option<&[String]>) -> Option<Vec<Option<String>>> {
    let is_known = |name: &str| known.is_some_and(|known| known.iter().any(|one| one == name));
    let is_label = |name: &String| match name.as_str() {
        UNKNOWN => is_known(name),
        name if GAPS.contains(&name) => known.is_none() || is_known(name),
        _ => true,
    };
    let items = match cell.trim_start().starts_with('[') {
        true => source::list_items_or_none(cell, is_known)?,
        false => cell.trim().chars().map(|c| Some(c.to_string())).collect(),
    };
    Some(
        items
            .into_iter()
            .map(|item| item.filter(is_label))
            .collect(),
    )
}

/// A sentence about a class whose name may have been meant as no label.
pub(super) fn gap_note(names: &[String]) -> Option<String> {
    let gap = names.iter().find(|name| GAPS.contains(&name.as_str()))?;
    Some(format!(
        "`{gap}` is a class of its own; name the classes in `model.labels` where it means no label"
    ))
}

/// A list of JSON, or labels between semicolons; an empty cell has none.
fn several(cell: &str) -> Option<Vec<String>> {
    if cell.trim_start().starts_with('[') {
        return source::list_items(cell);
    }
    let labels = cell.split(SEPARATOR).map(str::trim);
    let labels = labels.filter(|label| !label.is_empty());
    Some(labels.map(str::to_owned).collect())
}

/// Numbers of several columns, or of one that holds a number or a list of them.
fn numbers(rows: &Rows, columns: &[String]) -> Result<Answers> {
    let wanted: Vec<&str> = columns.iter().map(String::as_str).collect();
    let cells = source::cells(rows, &wanted)?;
    let mut values = Vec::new();
    let mut width = None;
    for (i, cells) in cells.iter().enumerate() {
        let before = values.len();
        for (cell, column) in cells.iter().zip(columns) {
            let items = match cell.trim_start().starts_with('[') && columns.len() == 1 {
                true => source::list_items(cell),
                false => Some(vec![cell.trim().to_owned()]),
            };
            for item in items.unwrap_or_else(|| vec![cell.clone()]) {
                values.push(number(&item, column).map_err(|error| error.at(rows.place(i)))?);
            }
        }
        let n = values.len() - before;
        let first = *width.get_or_insert(n);
        if n != first || n == 0 {
            let message = format!("{n} numbers where the first row has {first}");
            return Err(Error::data(message).at(rows.place(i)));
        }
    }
    let names = match (columns, width) {
        ([column], Some(n)) if n > 1 => (0..n).map(|i| format!("{column}_{i}")).collect(),
        _ => columns.to_vec(),
    };
    Ok(Answers::Numbers { values, names })
}

fn number(text: &str, column: &str) -> Result<f64> {
    let value = text.parse::<f64>().ok().filter(|value| value.is_finite());
    value.ok_or_else(|| {
        Error::data(match text.is_empty() {
            true => format!("column `{column}` is empty"),
            false => format!("column `{column}` holds `{text}`, which is no finite number"),
        })
    })
}
