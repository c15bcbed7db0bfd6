//! Constants of optimiser updates.

/// Constants of one AdamW update (Loshchilov & Hutter 2019, with bias correction).
#[derive(Clone, Copy, Debug)]
pub struct AdamW {
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// Decoupled weight decay.
    pub weight_decay: f64,
    /// Number of this update, from 1.
    pub step: u64,
    /// Factor applied to the gradient first.
    pub grad_scale: f64,
}

/// Constants of one SGD update.
#[derive(Clone, Copy, Debug)]
pub struct Sgd {
    /// Learning rate of this step.
    pub learning_rate: f64,
    /// Part of the last update that is kept; read only with a velocity.
    pub momentum: f64,
    /// Added to the gradient as `weight_decay · p`.
    pub weight_decay: f64,
    /// Factor applied to the gradient first.
    pub grad_scale: f64,
}
