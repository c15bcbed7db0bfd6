//! Metrics of labels that are right or wrong each for itself.

use super::{f1_of, mean};

/// How often each label was told and right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labels {
    /// Told and right, told and wrong, right and not told, of each label.
    counts: Vec<[u64; 3]>,
}

impl Labels {
    /// Nothing counted of `n` labels.
    pub fn new(n: usize) -> Self {
        Labels {
            counts: vec![[0; 3]; n],
        }
    }

    /// Counts logits `[R, C]` against answers `[R, C]` of 0 or 1. A logit above 0, a probability
    /// above one half, tells the label.
    pub(super) fn add(&mut self, logits: &[f64], right: &[f64]) {
        assert_eq!(logits.len(), right.len(), "answers of rows");
        let width = self.counts.len();
        for (i, (&logit, &right)) in logits.iter().zip(right).enumerate() {
            let [hits, wrong, missed] = &mut self.counts[i % width];
            match (logit > 0.0, right > 0.5) {
                (true, true) => *hits += 1,
                (true, false) => *wrong += 1,
                (false, true) => *missed += 1,
                (false, false) => {}
            }
        }
    }

    /// How many labels there are.
    pub fn n_labels(&self) -> usize {
        self.counts.len()
    }

    /// How often each label is right.
    pub fn support(&self) -> Vec<u64> {
        let right = self.counts.iter();
        right.map(|[hits, _, missed]| hits + missed).collect()
    }

    /// Harmonic mean of precision and recall of a label; 0 where it is neither right nor told.
    pub fn f1(&self, label: usize) -> f64 {
        let [hits, wrong, missed] = self.counts[label];
        f1_of(hits, wrong, missed)
    }

    /// F1 over all answers of all labels.
    pub fn f1_micro(&self) -> Option<f64> {
        let sum = |i: usize| self.counts.iter().map(|counts| counts[i]).sum();
        Some(f1_of(sum(0), sum(1), sum(2)))
    }

    /// The mean of F1 over all labels.
    pub fn f1_macro(&self) -> Option<f64> {
        mean((0..self.n_labels()).map(|label| self.f1(label)))
    }
}
