//! What a training run is told.

use crate::schedule::Schedule;

/// How parameters move.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Optimizer {
    /// Stochastic gradient descent, with heavy-ball momentum when it is not 0.
    Sgd {
        /// Momentum.
        momentum: f64,
        /// Decay of matrices, added to their gradients; vectors (gains, biases) do not decay.
        weight_decay: f64,
    },
    /// AdamW (Loshchilov & Hutter 2019).
    AdamW {
        /// Decay of the first moment.
        beta1: f64,
        /// Decay of the second moment.
        beta2: f64,
        /// Added to the root of the second moment.
        eps: f64,
        /// Decoupled decay of matrices; vectors (gains, biases) do not decay.
        weight_decay: f64,
    },
}

impl Optimizer {
    /// Buffers of the size of the parameters that it keeps.
    pub fn n_moments(&self) -> usize {
        match self {
            Optimizer::Sgd { momentum, .. } if *momentum == 0.0 => 0,
            Optimizer::Sgd { .. } => 1,
            Optimizer::AdamW { .. } => 2,
        }
    }
}

/// Stops a run that does not improve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EarlyStopping {
    /// Evaluations without improvement before the run stops.
    pub patience: u32,
    /// A loss improves when it falls by more than this.
    pub min_delta: f64,
}

/// All numbers of a training run.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// Run seed: shuffles, dropout.
    pub seed: u64,
    /// How parameters move.
    pub optimizer: Optimizer,
    /// Learning rates; its `total_steps` end the run.
    pub schedule: Schedule,
    /// Batches whose gradients are summed before a step; the sum is divided by the real number of
    /// counted tokens.
    pub accumulation: u32,
    /// Gradients are scaled down to this norm.
    pub max_grad_norm: Option<f64>,
    /// Non-finite steps are skipped and counted; this many abort the run.
    pub nan_steps_max: u32,
    /// Validation every so many steps, and at the end.
    pub eval_every: Option<u64>,
    /// A checkpoint every so many steps, and at the end.
    pub checkpoint_every: Option<u64>,
    /// A checkpoint every so many epochs.
    pub checkpoint_every_epochs: Option<u64>,
    /// A line of metrics every so many steps.
    pub log_every: u64,
    /// Latest checkpoints that are kept beside the best one; `None` keeps all.
    pub keep_checkpoints: Option<usize>,
    /// When to give up.
    pub early_stopping: Option<EarlyStopping>,
}
