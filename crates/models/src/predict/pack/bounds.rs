//! What a model accepts, and where its sequences lie.

use tenon_base::{Error, Result};

use crate::spec::{Objective, Spec};

use super::{BOUNDS, IDS, IntTensor, MASK};

/// The largest numbers that a model accepts.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Ids and labels are below.
    pub vocab_size: usize,
    /// Positions are below.
    pub context_len: usize,
    /// What `position_ids` call the first position: 0, or as in ESM-1b the row of its table.
    pub first_position: usize,
    /// Token types are below; 0 when the model has none.
    pub token_types: usize,
    /// How many columns a token sees back, itself included, where that is less than all.
    pub window: Option<usize>,
    /// Whose label is to be told.
    pub objective: Objective,
}

impl Bounds {
    /// Those of a model.
    pub fn of(spec: &Spec) -> Bounds {
        Bounds {
            vocab_size: spec.vocab_size(),
            context_len: spec.context_len(),
            first_position: match spec {
                Spec::Encoder(spec) => spec.first_position(),
                _ => 0,
            },
            token_types: spec.token_types(),
            window: spec.window(),
            objective: spec.objective(),
        }
    }

    /// Whether an id is padding behind whose row positions begin, as in ESM-1b; without such a row
    /// padding is a token like any other.
    pub fn is_padding(&self, id: i64) -> bool {
        self.first_position > 0 && self.first_position as i64 == id + 1
    }
}

/// Checks the bounds of packed sequences.
pub(super) fn sequences(given: &IntTensor, ids: &IntTensor, masked: bool) -> Result<Vec<usize>> {
    let wrong = |what: String| Err(Error::data(format!("`{BOUNDS}` {what}")));
    if masked {
        return wrong(format!("and `{MASK}` exclude each other"));
    }
    if ids.shape[0] != 1 {
        return wrong(format!("needs `{IDS}` of one row, not {:?}", ids.shape));
    }
    if given.shape.len() != 1 {
        return wrong(format!("has shape {:?} instead of [n+1]", given.shape));
    }
    let n_tokens = ids.shape[1] as i64;
    let (first, last) = (given.values.first(), given.values.last());
    if first != Some(&0) || last != Some(&n_tokens) {
        return wrong(format!(
            "must go from 0 to the {n_tokens} tokens of `{IDS}`"
        ));
    }
    if let Some(i) = given.values.windows(2).position(|pair| pair[0] > pair[1]) {
        return wrong(format!("falls after its element {i}"));
    }
    // Rising from 0 to a usize, every element is one.
    Ok(given.values.iter().map(|&bound| bound as usize).collect())
}
