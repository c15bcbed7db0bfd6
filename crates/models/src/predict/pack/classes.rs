//! What sequences are to tell: one class each, or numbers.

use tenon_base::{Error, Result};
use tenon_engine::exec::IGNORE;

use crate::spec::{Objective, Problem};

use super::{IntTensor, LABELS, Packed, below};

/// The classes of packed sequences from those of the given ones, for a model that tells them.
pub(super) fn targets(
    labels: &IntTensor,
    objective: Objective,
    packed: &Packed,
) -> Result<Vec<i32>> {
    let n_classes = match objective {
        Objective::Sequence {
            n_classes,
            problem: Problem::SingleLabel,
        } => n_classes,
        Objective::Sequence { problem, .. } => {
            let name = problem.name();
            let what = format!("`{LABELS}` are integers, the model's problem is `{name}`");
            let hint = "give floats of shape [B, C]: numbers, or 0 and 1 for each label";
            return Err(Error::data(what).hint(hint));
        }
        _ => unreachable!("the model tells something of sequences"),
    };
    let (shape, n) = (&labels.shape, packed.n_given);
    if shape.as_slice() != [n] {
        let message = format!("`{LABELS}` has shape {shape:?}, there are {n} sequences");
        return Err(Error::data(message).hint("a sequence has one class"));
    }
    let mut targets = Vec::with_capacity(packed.sequence_places.len());
    let mut places = packed.sequence_places.iter().peekable();
    for (i, &label) in labels.values.iter().enumerate() {
        let at = |what: String| Error::data(format!("`{LABELS}` of sequence {i} {what}"));
        let ignored = label == i64::from(IGNORE);
        let class = match ignored {
            true => IGNORE,
            false => below(label, n_classes)
                .ok_or_else(|| at(format!("is {label}, the model has {n_classes} classes")))?,
        };
        if places.next_if_eq(&&i).is_some() {
            targets.push(class);
        } else if !ignored {
            let hint = "an empty sequence has the label -100";
            return Err(at("counts, but it has no token".to_owned()).hint(hint));
        }
    }
    Ok(targets)
}

/// A tensor of floats.
#[derive(Clone, Debug, PartialEq)]
pub struct FloatTensor {
    /// Outermost dimension first.
    pub shape: Vec<usize>,
    /// Row by row.
    pub values: Vec<f64>,
}

impl Packed {
    /// What its sequences are to tell of a model that tells C numbers or labels: `labels [n, C]`,
    /// or `[n]` where C is 1, of the n sequences that were given. Each has an answer.
    ///
    /// # Errors
    /// `Data` for a model that tells something else, another shape, values that do not fill it, a
    /// number that is not finite, a label that is no probability, or a sequence without a token.
    pub fn give(&mut self, labels: &FloatTensor, objective: Objective) -> Result<()> {
        let (width, problem) = match objective {
            Objective::Sequence { n_classes, problem } if problem != Problem::SingleLabel => {
                (n_classes, problem)
            }
            _ => {
                let message = format!("`{LABELS}` are floats, the model tells classes or tokens");
                return Err(Error::data(message).hint("give integers (I32, I64)"));
            }
        };
        let (shape, n) = (&labels.shape, self.n_given);
        let is_flat = width == 1 && shape.as_slice() == [n];
        if shape.as_slice() != [n, width] && !is_flat {
            let wanted = [n, width];
            let message = format!("`{LABELS}` has shape {shape:?} instead of {wanted:?}");
            return Err(Error::data(message).hint("a row a sequence, a column an output"));
        }
        let n_values = labels.values.len();
        if n_values != n * width {
            let message = format!("`{LABELS}` of shape {shape:?} has {n_values} values");
            return Err(Error::data(message));
        }
        let is_fine = |x: f64| match problem {
            Problem::MultiLabel => (0.0..=1.0).contains(&x),
            _ => x.is_finite(),
        };
        if let Some(i) = labels.values.iter().position(|&x| !is_fine(x)) {
            let (row, column, x) = (i / width, i % width, labels.values[i]);
            let what = match problem {
                Problem::MultiLabel => "no probability from 0 to 1",
                _ => "no finite number",
            };
            let message = format!("`{LABELS}` of sequence {row}, output {column} is {x}, {what}");
            return Err(Error::data(message));
        }
        if let Some(i) = (0..n).find(|i| self.sequence_places.binary_search(i).is_err()) {
            let message = format!("`{LABELS}` of sequence {i} counts, but it has no token");
            return Err(Error::data(message).hint("leave the sequence out"));
        }
        self.targets = Some(vec![0; n]);
        self.given.clone_from(&labels.values);
        Ok(())
    }
}
