//! What the head of an encoder is worth: metrics of classes, labels and numbers, under the names
//! and by the definitions of scikit-learn and SciPy.

mod classes;
mod labels;
mod numbers;

#[cfg(test)]
mod tests;

use tenon_data::Batch;
use tenon_models::spec::{Objective, Problem, Spec};

pub use classes::Confusion;
pub use labels::Labels;
pub use numbers::Numbers;

/// What was counted of a head's answers.
#[derive(Clone, Debug, PartialEq)]
pub enum Scores {
    /// One class a sequence or token.
    Classes(Confusion),
    /// Labels that are right or wrong each for itself.
    Labels(Labels),
    /// Numbers.
    Numbers(Numbers),
}

/// A metric's name with its value, which is `None` where it is not defined.
pub type Metric = (&'static str, Option<f64>);

impl Scores {
    /// Nothing yet, of the head that the model has; `None` for a model that tells tokens.
    pub fn of(spec: &Spec) -> Option<Scores> {
        Some(match spec.objective() {
            Objective::Causal | Objective::Masked => return None,
            Objective::Token { n_classes } => Scores::Classes(Confusion::new(n_classes)),
            Objective::Sequence { n_classes, problem } => match problem {
                Problem::SingleLabel => Scores::Classes(Confusion::new(n_classes)),
                Problem::MultiLabel => Scores::Labels(Labels::new(n_classes)),
                Problem::Regression => Scores::Numbers(Numbers::new(n_classes)),
            },
        })
    }

    /// Adds a batch, given the head's outputs `[R, C]`.
    ///
    /// # Panics
    /// When there are not as many rows as targets, or a class is none of the C.
    pub(crate) fn add(&mut self, outputs: &[f64], batch: &Batch) {
        match self {
            Scores::Classes(confusion) => confusion.add(outputs, &batch.targets),
            Scores::Labels(labels) => labels.add(outputs, &batch.given),
            Scores::Numbers(numbers) => numbers.add(outputs, &batch.given),
        }
    }

    /// All metrics, the first of them the one to look at first.
    pub fn metrics(&self) -> Vec<Metric> {
        match self {
            Scores::Classes(confusion) => vec![
                ("accuracy", confusion.accuracy()),
                ("f1_macro", confusion.f1_macro()),
                ("matthews_corrcoef", confusion.matthews_corrcoef()),
            ],
            Scores::Labels(labels) => vec![
                ("f1_micro", labels.f1_micro()),
                ("f1_macro", labels.f1_macro()),
            ],
            Scores::Numbers(numbers) => vec![
                ("mse", numbers.mse()),
                ("pearson", numbers.pearson()),
                ("spearman", numbers.spearman()),
            ],
        }
    }

    /// The metrics of each class, label or column, in their order.
    pub fn of_each(&self) -> Vec<Vec<Metric>> {
        match self {
            Scores::Classes(confusion) => (0..confusion.n_classes())
                .map(|c| vec![("f1", confusion.f1(c))])
                .collect(),
            Scores::Labels(labels) => (0..labels.n_labels())
                .map(|c| vec![("f1", Some(labels.f1(c)))])
                .collect(),
            Scores::Numbers(numbers) => (0..numbers.n_columns())
                .map(|c| numbers.column(c))
                .collect(),
        }
    }

    /// How often each class or label is right in the data; empty of numbers.
    pub fn support(&self) -> Vec<u64> {
        match self {
            Scores::Classes(confusion) => confusion.support(),
            Scores::Labels(labels) => labels.support(),
            Scores::Numbers(_) => Vec::new(),
        }
    }
}

/// 2·tp / (2·tp + fp + fn), 0 where nothing is right and nothing was told.
fn f1_of(tp: u64, fp: u64, missed: u64) -> f64 {
    match 2 * tp + fp + missed {
        0 => 0.0,
        all => 2.0 * tp as f64 / all as f64,
    }
}

/// `None` of no values.
fn mean(values: impl ExactSizeIterator<Item = f64>) -> Option<f64> {
    let n = values.len();
    (n > 0).then(|| values.sum::<f64>() / n as f64)
}
