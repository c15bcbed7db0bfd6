//! What an encoder says of sequences: one vector for each, and how likely it finds a token where it
//! cannot see it.

use std::collections::BTreeMap;

use tenon_base::{Error, Result};
use tenon_engine::{DType, Kernels};

use super::pack::{Bounds, IntTensor, pack};
use super::run::{Model, Options, Prediction, run};
use crate::net::{Logits, Outputs};
use crate::spec::Objective;

/// Tokens that run at once: enough for products at full speed, few enough for hidden states of
/// large models.
const TOKENS_AT_ONCE: usize = 4096;

/// How the rows of a sequence become one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pool {
    /// The mean over all tokens that are no special ones; over all when there are no others.
    Mean,
    /// The first token's row, where encoders have `<cls>`.
    First,
}

/// Runs a model on sequences of ids.
pub struct Sequences<'a> {
    /// The model.
    pub model: Model<'a>,
    /// The type of the computation.
    pub dtype: DType,
    /// A fresh device for each run.
    pub device: &'a dyn Fn() -> Box<dyn Kernels>,
}

impl Sequences<'_> {
    /// A vector `[D]` for each sequence: its final hidden states, pooled in f64. `special` are the
    /// ids that stand for no text. `progress` hears how many sequences are done.
    ///
    /// # Errors
    /// Of kind data for an empty sequence, one that is too long, or an id outside the vocabulary.
    pub fn embed(
        &self,
        sequences: &[Vec<u32>],
        special: &[u32],
        pool: Pool,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Vec<f64>>> {
        let last = format!("hidden_states.{}", self.model.spec.n_layers());
        let outputs = Outputs {
            hidden_states: true,
            logits: None,
            ..Outputs::inspecting(false)
        };
        let mut vectors = Vec::with_capacity(sequences.len());
        for group in groups(sequences) {
            let done = self.run(group, &outputs)?;
            let values = done.values(&last).unwrap_or_default();
            let n_rows: usize = group.iter().map(Vec::len).sum();
            let width = values.len() / n_rows;
            let mut rows = values.chunks_exact(width);
            for ids in group {
                let rows: Vec<&[f64]> = rows.by_ref().take(ids.len()).collect();
                vectors.push(pooled(&rows, ids, special, pool));
            }
            progress(vectors.len());
        }
        Ok(vectors)
    }

    /// What the head says of each sequence, as it comes from the last matrix: `[C]`, or `[T, C]` of
    /// a head for tokens. `progress` hears how many sequences are done.
    ///
    /// # Errors
    /// As [`Sequences::embed`], and for a model without such a head.
    pub fn head_outputs(
        &self,
        sequences: &[Vec<u32>],
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Vec<f64>>> {
        let (width, of_tokens) = match self.model.spec.objective() {
            Objective::Sequence { n_classes, .. } => (n_classes, false),
            Objective::Token { n_classes } => (n_classes, true),
            Objective::Causal | Objective::Masked => {
                let error = Error::data("the model tells tokens, it has no head for anything else");
                return Err(error.hint("train one with `model.head`"));
            }
        };
        let outputs = Outputs {
            hidden_states: false,
            logits: Some(Logits::All),
            ..Outputs::inspecting(false)
        };
        let mut all = Vec::with_capacity(sequences.len());
        for group in groups(sequences) {
            let done = self.run(group, &outputs)?;
            let values = done.values("logits").unwrap_or_default();
            let mut values = values.chunks_exact(width);
            for ids in group {
                let rows = if of_tokens { ids.len() } else { 1 };
                all.push(values.by_ref().take(rows).flatten().copied().collect());
            }
            progress(all.len());
        }
        Ok(all)
    }

    /// For each of these places of a sequence, the logarithms of the probabilities `[V]` of all
    /// tokens when that one place shows `mask_id` (Meier et al. 2021, masked marginals).
    ///
    /// # Errors
    /// As [`Sequences::embed`], for a place beyond the end, and for a model that tells classes.
    pub fn masked_log_probs(
        &self,
        ids: &[u32],
        places: &[usize],
        mask_id: u32,
        progress: &mut dyn FnMut(usize),
    ) -> Result<Vec<Vec<f64>>> {
        let masked = |&place: &usize| {
            let mut hidden = ids.to_vec();
            let end = ids.len();
            let shown = hidden.get_mut(place).ok_or_else(|| {
                Error::data(format!("place {place} of a sequence of {end} tokens"))
            })?;
            *shown = mask_id;
            Ok(hidden)
        };
        let outputs = Outputs {
            hidden_states: false,
            logits: Some(Logits::All),
            ..Outputs::inspecting(false)
        };
        self.model.spec.expect_tokens("a mutation's score")?;
        let v = self.model.spec.vocab_size();
        let mut rows = Vec::with_capacity(places.len());
        let at_once = (TOKENS_AT_ONCE / ids.len().max(1)).max(1);
        for part in places.chunks(at_once) {
            let group: Vec<Vec<u32>> = part.iter().map(masked).collect::<Result<_>>()?;
            let done = self.run(&group, &outputs)?;
            let logits = done.values("logits").unwrap_or_default();
            for (i, place) in part.iter().enumerate() {
                rows.push(log_softmax(&logits[(i * ids.len() + place) * v..][..v]));
            }
            progress(rows.len());
        }
        Ok(rows)
    }

    fn run(&self, sequences: &[Vec<u32>], outputs: &Outputs) -> Result<Prediction> {
        let ids: Vec<i64> = sequences.iter().flatten().map(|&id| id.into()).collect();
        let mut bounds = vec![0];
        for sequence in sequences {
            if sequence.is_empty() {
                return Err(Error::data("a sequence has no token"));
            }
            bounds.push(bounds[bounds.len() - 1] + sequence.len() as i64);
        }
        let tensor = |shape: Vec<usize>, values| IntTensor { shape, values };
        let inputs = BTreeMap::from([
            ("input_ids".to_owned(), tensor(vec![1, ids.len()], ids)),
            ("cu_seqlens".to_owned(), tensor(vec![bounds.len()], bounds)),
        ]);
        let packed = pack(&inputs, Bounds::of(self.model.spec))?;
        let longest = sequences.iter().map(Vec::len).max().unwrap_or(1);
        let graph = self
            .model
            .spec
            .with_rotary_positions(longest)
            .graph(outputs);
        let options = Options {
            dtype: self.dtype,
            grads: false,
        };
        run(self.model, graph, &packed, options, (self.device)())
    }
}

/// Neighbouring sequences of about [`TOKENS_AT_ONCE`] tokens together.
fn groups(sequences: &[Vec<u32>]) -> Vec<&[Vec<u32>]> {
    let mut groups = Vec::new();
    let (mut start, mut n_tokens) = (0, 0);
    for (i, sequence) in sequences.iter().enumerate() {
        if i > start && n_tokens + sequence.len() > TOKENS_AT_ONCE {
            groups.push(&sequences[start..i]);
            (start, n_tokens) = (i, 0);
        }
        n_tokens += sequence.len();
    }
    if start < sequences.len() {
        groups.push(&sequences[start..]);
    }
    groups
}

fn pooled(rows: &[&[f64]], ids: &[u32], special: &[u32], pool: Pool) -> Vec<f64> {
    if pool == Pool::First {
        return rows[0].to_vec();
    }
    let text: Vec<&&[f64]> = rows
        .iter()
        .zip(ids)
        .filter(|(_, id)| !special.contains(id))
        .map(|(row, _)| row)
        .collect();
    let counted = if text.is_empty() {
        rows.iter().collect()
    } else {
        text
    };
    let mut mean = vec![0.0; rows[0].len()];
    for row in &counted {
        mean.iter_mut().zip(**row).for_each(|(sum, x)| *sum += x);
    }
    mean.iter_mut().for_each(|sum| *sum /= counted.len() as f64);
    mean
}

fn log_softmax(logits: &[f64]) -> Vec<f64> {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = logits.iter().map(|x| (x - top).exp()).sum();
    logits.iter().map(|x| x - top - total.ln()).collect()
}
