//! One label a sequence.

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
            let what = format!("`{LABELS}` are classes, the model's problem is `{name}`");
            let hint = "leave them out; `tenon eval` compares with a table of numbers or labels";
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
