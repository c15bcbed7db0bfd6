//! Answers as targets of batches.

use std::collections::BTreeMap;
use std::sync::Arc;

use tenon_base::suggest::nearest;
use tenon_base::{Error, Result};
use tenon_data::batch::{NOT_COUNTED, Numbers, Objective};
use tenon_data::source::Rows;
use tenon_data::vocab::text_ids;
use tenon_data::{Tokenizer, Tokens};

use super::{Answers, Classes};

/// The targets of rows with these answers.
pub(super) fn objective(
    classes: &Classes,
    rows: &Rows,
    answers: &Answers,
    tokens: (&Tokens, &dyn Tokenizer),
) -> Result<Objective> {
    let names = classes.names.iter().enumerate();
    let ids: BTreeMap<&str, i32> = names.map(|(i, name)| (name.as_str(), i as i32)).collect();
    let id = |(i, label): (usize, &String)| -> Result<i32> {
        match ids.get(label.as_str()) {
            Some(&id) => Ok(id),
            None => Err(unknown(label, classes).at(rows.place(i))),
        }
    };
    match answers {
        Answers::One(labels) => {
            let ids: Result<Vec<i32>> = labels.iter().enumerate().map(id).collect();
            Ok(Objective::Classes(Arc::new(ids?)))
        }
        Answers::Many(lists) => {
            let of_row = |(i, list): (usize, &Vec<String>)| {
                list.iter().map(|label| id((i, label))).collect()
            };
            let lists: Result<Vec<Vec<i32>>> = lists.iter().enumerate().map(of_row).collect();
            let numbers = yes_or_no(&lists?, classes.names.len());
            Ok(Objective::Numbers(Arc::new(numbers)))
        }
        Answers::Tokens(lists) => {
            let target = |i: usize, label: &Option<String>| match label {
                Some(label) => id((i, label)),
                None => Ok(NOT_COUNTED),
            };
            let of_row = |(i, list): (usize, &Vec<Option<String>>)| {
                list.iter().map(|label| target(i, label)).collect()
            };
            let lists: Result<Vec<Vec<i32>>> = lists.iter().enumerate().map(of_row).collect();
            token_classes(rows, &lists?, tokens)
        }
        Answers::Numbers { values, names } => {
            let (given, told) = (names.len(), classes.names.len());
            if given != told {
                let message = format!("{given} numbers a row, the model tells {told}");
                return Err(Error::data(message).at("data.label_column"));
            }
            let values = values.clone();
            let width = told;
            Ok(Objective::Numbers(Arc::new(Numbers { width, values })))
        }
    }
}

fn unknown(label: &str, classes: &Classes) -> Error {
    let error = Error::data(format!("the model has no class `{label}`"));
    match nearest(label, classes.names.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint(format!("its classes are `{}`", classes.names.join("`, `"))),
    }
}

/// 1 for the labels of a row, 0 for the others.
fn yes_or_no(lists: &[Vec<i32>], width: usize) -> Numbers {
    let mut values = vec![0.0; lists.len() * width];
    for (row, list) in values.chunks_exact_mut(width).zip(lists) {
        list.iter().for_each(|&label| row[label as usize] = 1.0);
    }
    Numbers { width, values }
}

/// The class of each token that stands for text, or `NOT_COUNTED`; special tokens have none.
fn token_classes(
    rows: &Rows,
    lists: &[Vec<i32>],
    (tokens, tokenizer): (&Tokens, &dyn Tokenizer),
) -> Result<Objective> {
    let n = tokens.n_documents();
    if n != lists.len() {
        let message = format!("labels of {} rows for {n} documents", lists.len());
        return Err(Error::data(message).hint("a text of a single token is no document"));
    }
    if lists.iter().flatten().all(|&class| class == NOT_COUNTED) {
        let message = format!("no token of {n} rows has a label");
        return Err(Error::data(message).at(rows.place(0)));
    }
    let is_text = text_ids(tokenizer);
    let mut all = Vec::new();
    for (i, list) in lists.iter().enumerate() {
        let ids = tokens.document(i);
        let n_text = ids.iter().filter(|id| is_text(**id)).count();
        if n_text != list.len() {
            let message = format!("{} labels for {n_text} tokens", list.len());
            let hint = "a token without a label has `?`, or `null` in a list; the \
                        tokenizer's special tokens have none";
            return Err(Error::data(message).at(rows.place(i)).hint(hint));
        }
        let mut labels = list.iter();
        all.extend(ids.iter().map(|&id| match is_text(id) {
            true => labels.next().copied().unwrap_or(NOT_COUNTED),
            false => NOT_COUNTED,
        }));
    }
    Ok(Objective::TokenClasses(Arc::new(all)))
}
