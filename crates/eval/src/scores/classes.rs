//! Metrics of classes of which one is right.

use super::{f1_of, mean};
use crate::generate::sampler::argmax;

/// How often a class was told where another was right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confusion {
    n_classes: usize,
    /// `[C, C]`: rows are the right classes, columns the told ones.
    counts: Vec<u64>,
}

impl Confusion {
    /// Nothing counted of `n_classes` classes.
    pub fn new(n_classes: usize) -> Self {
        Confusion {
            n_classes,
            counts: vec![0; n_classes * n_classes],
        }
    }

    /// Counts rows of logits `[R, C]` against `targets [R]`, where a negative one does not count.
    /// The largest logit tells the class, of equal ones the first.
    pub(super) fn add(&mut self, logits: &[f64], targets: &[i32]) {
        let rows = logits.chunks_exact(self.n_classes);
        assert_eq!(rows.len(), targets.len(), "rows of logits");
        for (row, &target) in rows.zip(targets) {
            if let Ok(target) = usize::try_from(target) {
                self.count(target, argmax(row) as usize);
            }
        }
    }

    /// Counts one answer.
    ///
    /// # Panics
    /// When one of the two is no class.
    pub fn count(&mut self, right: usize, told: usize) {
        assert!(right < self.n_classes && told < self.n_classes, "a class");
        self.counts[right * self.n_classes + told] += 1;
    }

    /// How many classes there are.
    pub fn n_classes(&self) -> usize {
        self.n_classes
    }

    /// How many answers were counted.
    pub fn n(&self) -> u64 {
        self.counts.iter().sum()
    }

    fn hits(&self, class: usize) -> u64 {
        self.counts[class * self.n_classes + class]
    }

    /// How often each class is right.
    pub fn support(&self) -> Vec<u64> {
        let rows = self.counts.chunks_exact(self.n_classes);
        rows.map(|row| row.iter().sum()).collect()
    }

    /// How often each class was told.
    fn told(&self) -> Vec<u64> {
        let told = |class: usize| {
            let column = self.counts.iter().skip(class).step_by(self.n_classes);
            column.sum()
        };
        (0..self.n_classes).map(told).collect()
    }

    /// Part of the answers that are right; `None` without any.
    pub fn accuracy(&self) -> Option<f64> {
        let hits: u64 = (0..self.n_classes).map(|class| self.hits(class)).sum();
        (self.n() > 0).then(|| hits as f64 / self.n() as f64)
    }

    /// Harmonic mean of precision and recall of a class; `None` for one that is neither right nor
    /// told anywhere.
    pub fn f1(&self, class: usize) -> Option<f64> {
        let (hits, told) = (self.hits(class), self.told()[class]);
        let support = self.support()[class];
        (told + support > 0).then(|| f1_of(hits, told - hits, support - hits))
    }

    /// The mean of F1 over the classes that are right or told somewhere.
    pub fn f1_macro(&self) -> Option<f64> {
        let each: Vec<f64> = (0..self.n_classes).filter_map(|c| self.f1(c)).collect();
        mean(each.into_iter())
    }

    /// Matthews' correlation of right and told classes (Gorodkin 2004 for more than two); 0 where
    /// either is always the same, `None` without any answer.
    pub fn matthews_corrcoef(&self) -> Option<f64> {
        let n = self.n() as f64;
        let hits: u64 = (0..self.n_classes).map(|class| self.hits(class)).sum();
        let (right, told) = (self.support(), self.told());
        let dot = |a: &[u64], b: &[u64]| -> f64 {
            a.iter().zip(b).map(|(&a, &b)| a as f64 * b as f64).sum()
        };
        let covariance = hits as f64 * n - dot(&right, &told);
        let spread = (n * n - dot(&right, &right)) * (n * n - dot(&told, &told));
        (n > 0.0).then(|| match spread > 0.0 {
            true => covariance / spread.sqrt(),
            false => 0.0,
        })
    }
}
