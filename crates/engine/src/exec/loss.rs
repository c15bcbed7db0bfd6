//! The losses of a run.

use super::Executor;

/// A loss that cannot lose its denominator.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LossSum {
    /// Sum over the counted tokens, in nats.
    pub total: f64,
    /// Counted tokens.
    pub tokens: usize,
}

impl LossSum {
    /// The mean, or nothing when no token was counted.
    pub fn mean(&self) -> Option<f64> {
        (self.tokens > 0).then(|| self.total / self.tokens as f64)
    }

    /// Adds another sum.
    pub fn add(&mut self, other: LossSum) {
        self.total += other.total;
        self.tokens += other.tokens;
    }
}

impl Executor {
    /// Sum of all losses over the rows of the last run: what derivatives are of.
    ///
    /// # Panics
    /// When the graph has no loss.
    pub fn loss(&mut self) -> LossSum {
        let mut sum = self.loss_of(0);
        for i in 1..self.plan().losses.len() {
            sum.total += self.loss_of(i).total;
        }
        sum
    }

    /// Sum of the `i`-th loss of the graph ([`crate::Graph::losses`]) alone: 0 is that of the task,
    /// which perplexities are made of. All have the one denominator.
    ///
    /// # Panics
    /// When the graph has no such loss.
    pub fn loss_of(&mut self, i: usize) -> LossSum {
        let slot = *self.plan().losses.get(i).expect("the graph has this loss");
        LossSum {
            total: self.device.sum(self.active_buf(slot)),
            tokens: self.extent.counted,
        }
    }
}
