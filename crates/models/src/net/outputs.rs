//! What graphs are asked for, and how they are fed.

use crate::spec::Spec;
use tenon_engine::{Executor, Extent};

/// What a graph is for.
#[derive(Clone, Debug, PartialEq)]
pub struct Outputs {
    /// Keep `hidden_states.i` as outputs.
    pub hidden_states: bool,
    /// Compute `logits`.
    pub logits: Option<Logits>,
    /// Compute the loss against `targets`.
    pub loss: Option<LossOptions>,
    /// Keys and values are cached between runs: generation.
    pub cache: Option<CacheOptions>,
    /// Keep `queries.i` and `keys.i` of block i as outputs, as its attention reads them (rotated,
    /// where positions rotate). Families that pack them with the values in one matrix have none.
    pub attention: bool,
    /// Dropout on embeddings and on what enters the residual stream.
    pub dropout: f64,
}

/// Gives an executor the tokens of a packed batch: `ids [N]`, `positions [N]` and `cu_seqlens
/// [S+1]`, and so its extent. No token counts until [`feed_targets`]. Graphs without learned or
/// rotary positions take no `positions`. Token types are all 0.
pub fn feed(exec: &mut Executor, ids: &[i32], positions: &[i32], cu_seqlens: &[i32]) {
    exec.set_extent(Extent {
        tokens: ids.len(),
        seqs: cu_seqlens.len() - 1,
        counted: 0,
    });
    exec.set_input("input_ids", ids);
    exec.set_input("cu_seqlens", cu_seqlens);
    if exec.has_input("positions") {
        exec.set_input("positions", positions);
    }
    if exec.has_input("first_rows") {
        exec.set_input("first_rows", &cu_seqlens[..cu_seqlens.len() - 1]);
    }
    if exec.has_input("token_types") {
        exec.set_input("token_types", &vec![0; ids.len()]);
    }
}

/// Gives an executor what is to be told of the batch that it was fed: `targets [N]` (or one a
/// sequence), and the numbers `given` of a head that tells numbers or labels. A graph that computes
/// counted tokens alone gets their places and targets ([`Executor::set_targets`]).
///
/// # Panics
/// When there are more or fewer targets than the batch asks for.
pub fn feed_targets(exec: &mut Executor, targets: &[i32], given: &[f64]) {
    exec.set_targets(targets);
    if exec.has_input("given") {
        exec.set_float_input("given", given);
    }
}

/// Which rows get logits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Logits {
    /// `[N, V]`.
    All,
    /// `[S, V]`: the rows named by the input `last_rows`.
    LastRows,
}

/// The loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossOptions {
    /// Mass given to the uniform distribution.
    pub label_smoothing: f64,
    /// Weight of the squared log-partition.
    pub z_loss: f64,
    /// Also compute the rank of each target, as the output `rank`.
    pub rank: bool,
    /// Add the terms that keep the model in shape, where it has some: the balance of experts.
    pub regularised: bool,
}

impl LossOptions {
    /// Plain cross-entropy.
    pub const PLAIN: LossOptions = LossOptions {
        label_smoothing: 0.0,
        z_loss: 0.0,
        rank: false,
        regularised: true,
    };
}

/// Room for cached keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CacheOptions {
    /// Sequences.
    pub slots: usize,
    /// Positions of a sequence.
    pub capacity: usize,
}

impl Outputs {
    /// A training graph.
    pub fn training(loss: LossOptions, dropout: f64) -> Self {
        Outputs {
            hidden_states: false,
            logits: None,
            loss: Some(loss),
            cache: None,
            attention: false,
            dropout,
        }
    }

    /// A graph that judges: loss and rank of each row, or of those that count alone.
    pub fn judging() -> Self {
        Self::training(
            LossOptions {
                rank: true,
                regularised: false,
                ..LossOptions::PLAIN
            },
            0.0,
        )
    }

    /// A graph that judges this model: [`Outputs::judging`]; of one that tells classes also the
    /// logits, since its metrics are about each class.
    pub fn judging_of(spec: &Spec) -> Self {
        Outputs {
            logits: spec.has_classes().then_some(Logits::All),
            ..Self::judging()
        }
    }

    /// A graph that shows everything: hidden states, logits and, when wanted, the loss.
    pub fn inspecting(loss: bool) -> Self {
        let loss = loss.then_some(LossOptions::PLAIN);
        Outputs {
            hidden_states: true,
            logits: Some(Logits::All),
            loss,
            cache: None,
            attention: false,
            dropout: 0.0,
        }
    }

    /// A graph that shows what each head attends from and to, and nothing else.
    pub fn attending() -> Self {
        Outputs {
            hidden_states: false,
            logits: None,
            loss: None,
            cache: None,
            attention: true,
            dropout: 0.0,
        }
    }

    /// A graph that generates.
    pub fn generating(cache: CacheOptions) -> Self {
        let logits = Some(Logits::LastRows);
        Outputs {
            hidden_states: false,
            logits,
            loss: None,
            cache: Some(cache),
            attention: false,
            dropout: 0.0,
        }
    }
}
