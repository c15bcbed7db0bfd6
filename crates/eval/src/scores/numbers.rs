//! Metrics of numbers. Of several columns, each metric is the mean of theirs.

use super::{Metric, mean};

/// Told and right numbers of each column.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbers {
    told: Vec<Vec<f64>>,
    right: Vec<Vec<f64>>,
}

impl Numbers {
    /// Nothing yet of `n` columns.
    pub fn new(n: usize) -> Self {
        Numbers {
            told: vec![Vec::new(); n],
            right: vec![Vec::new(); n],
        }
    }

    /// Adds told numbers `[R, C]` and right ones `[R, C]`.
    pub(super) fn add(&mut self, told: &[f64], right: &[f64]) {
        assert_eq!(told.len(), right.len(), "numbers of rows");
        let width = self.told.len();
        for (i, (&told, &right)) in told.iter().zip(right).enumerate() {
            self.told[i % width].push(told);
            self.right[i % width].push(right);
        }
    }

    /// How many columns there are.
    pub fn n_columns(&self) -> usize {
        self.told.len()
    }

    /// All metrics of one column.
    pub(super) fn column(&self, i: usize) -> Vec<Metric> {
        let (told, right) = (&self.told[i], &self.right[i]);
        vec![
            ("mse", mse(told, right)),
            ("pearson", pearson(told, right)),
            ("spearman", pearson(&ranks(told), &ranks(right))),
        ]
    }

    fn mean_of(&self, metric: usize) -> Option<f64> {
        let each = (0..self.n_columns()).map(|i| self.column(i)[metric].1);
        let each: Option<Vec<f64>> = each.collect();
        mean(each?.into_iter())
    }

    /// The mean squared error; `None` without a row.
    pub fn mse(&self) -> Option<f64> {
        self.mean_of(0)
    }

    /// The correlation of told and right numbers; `None` where either is always the same.
    pub fn pearson(&self) -> Option<f64> {
        self.mean_of(1)
    }

    /// The correlation of their ranks, where equal numbers share the mean of theirs; `None` where
    /// either is always the same.
    pub fn spearman(&self) -> Option<f64> {
        self.mean_of(2)
    }
}

fn mse(told: &[f64], right: &[f64]) -> Option<f64> {
    let squares = told.iter().zip(right).map(|(a, b)| (a - b) * (a - b));
    mean(squares)
}

fn pearson(a: &[f64], b: &[f64]) -> Option<f64> {
    // A constant column may have a mean that is off by its last bit.
    let constant = |x: &[f64]| x.windows(2).all(|pair| pair[0] == pair[1]);
    if constant(a) || constant(b) {
        return None;
    }
    let (mean_a, mean_b) = (mean(a.iter().copied())?, mean(b.iter().copied())?);
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        let (a, b) = (a - mean_a, b - mean_b);
        (ab, aa, bb) = (ab + a * b, aa + a * a, bb + b * b);
    }
    let spread = aa.sqrt() * bb.sqrt();
    (spread > 0.0).then(|| (ab / spread).clamp(-1.0, 1.0))
}

/// Ranks from 1; equal numbers share the mean of theirs.
fn ranks(x: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..x.len()).collect();
    order.sort_by(|&i, &j| x[i].total_cmp(&x[j]));
    let mut ranks = vec![0.0; x.len()];
    let mut start = 0;
    while start < order.len() {
        let equal = order[start..]
            .iter()
            .take_while(|&&i| x[i] == x[order[start]]);
        let end = start + equal.count().max(1);
        for &i in &order[start..end] {
            ranks[i] = (start + 1 + end) as f64 / 2.0;
        }
        start = end;
    }
    ranks
}
