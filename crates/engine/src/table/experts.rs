//! The kernels of expert layers.

use super::{Buf, Target};

/// Where the routing of N rows to k of E experts lies. *In order of experts* means: all rows of
/// expert 0, then all of expert 1, …; those of one expert ascend.
#[derive(Clone, Copy, Debug)]
pub struct Routes {
    /// The experts of each row, ascending: indices `[N·k]`.
    pub experts: Buf,
    /// Their weights, which sum to 1 in each row: `[N·k]`.
    pub shares: Buf,
    /// Where each of them stands in order of experts: indices `[N·k]`.
    pub places: Buf,
    /// Rows in order of experts: indices `[N·k]`.
    pub rows: Buf,
    /// Where the rows of each expert begin in that order, and the last one's end: indices
    /// `[E + 1]`.
    pub bounds: Buf,
    /// Weights in order of experts: `[N·k]`.
    pub weights: Buf,
}

/// What the balance of experts is made of beside its sums.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Balance {
    /// Factor of the loss.
    pub coefficient: f64,
    /// Rows of all layers together.
    pub n_rows: usize,
}

/// The part of a device's table that serves expert layers.
pub trait ExpertKernels {
    /// Routes each row of logits `[N, E]` to its k experts of the largest probability, of equal
    /// ones those with the lower index; weights are the k probabilities over their sum.
    fn route(&mut self, logits: Buf, routes: &Routes);
    /// Derivative of [`ExpertKernels::route`], given that of the weights in order of experts.
    fn route_vjp(&mut self, routes: &Routes, dweights: Buf, dlogits: Target);
    /// `x[i] ← weights[i]·x[i]`.
    fn weigh_rows(&mut self, weights: Buf, x: Buf);
    /// Derivative of [`ExpertKernels::weigh_rows`] of `y`: writes `dweights`, and weighs `dy` in
    /// place.
    fn weigh_rows_vjp(&mut self, weights: Buf, y: Buf, dy: Buf, dweights: Buf);
    /// Adds how often each expert is among the `per_token` of a row of logits, and the rows'
    /// probabilities, to `sums [2, E]` in f64.
    fn balance_add(&mut self, logits: Buf, per_token: usize, sums: Buf);
    /// The loss of each row from the sums of all layers; the first half of the sums becomes the
    /// derivative in the probabilities.
    fn balance_rows(&mut self, balance: &Balance, targets: Buf, sums: Buf, loss: Buf);
    /// Derivative in the logits of one layer, from the sums that [`ExpertKernels::balance_rows`]
    /// leaves.
    fn balance_vjp(&mut self, logits: Buf, sums: Buf, dlogits: Target);
}
