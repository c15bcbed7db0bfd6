//! Losses of rows of numbers against given ones, with their gradients.

use crate::pool::Parts;
use crate::{Cx, Float};

/// What the loss of a number costs, in element visits: an exponential in f64.
const COST: usize = 16;

/// How a number y is compared with the given number t.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueLoss {
    /// (y − t)².
    Squared,
    /// −t·ln σ(y) − (1 − t)·ln(1 − σ(y)), σ the logistic function: y is the logit of a yes, t its
    /// probability.
    Logistic,
}

impl ValueLoss {
    /// The loss; that of the logistic function does not overflow for any finite y.
    pub fn value(self, y: f64, t: f64) -> f64 {
        match self {
            ValueLoss::Squared => (y - t) * (y - t),
            // max would drop a NaN, and the absolute value keeps it.
            ValueLoss::Logistic => {
                let positive = if y < 0.0 { 0.0 } else { y };
                positive - y * t + libm::log1p(libm::exp(-y.abs()))
            }
        }
    }

    /// Its derivative in y.
    pub fn slope(self, y: f64, t: f64) -> f64 {
        match self {
            ValueLoss::Squared => 2.0 * (y - t),
            ValueLoss::Logistic => {
                let small = libm::exp(-y.abs());
                let sigmoid = if y < 0.0 { small } else { 1.0 } / (1.0 + small);
                sigmoid - t
            }
        }
    }
}

/// For every row of `y [R, C]` the mean over C of the loss against `given [R, C]`, computed in f64:
/// 0 where `targets [R]` is negative, which is a row that does not count. R = `targets.len()`.
///
/// # Panics
/// When a length does not fit.
pub fn value_rows<S: Float>(
    cx: Cx<'_>,
    loss: ValueLoss,
    y: &[S],
    given: &[S],
    targets: &[i32],
    loss_rows: &mut [f64],
) {
    let width = row_width(y.len(), targets.len());
    assert!(
        given.len() == y.len() && loss_rows.len() == targets.len(),
        "given numbers and losses of {} rows",
        targets.len()
    );
    let losses = Parts::new(loss_rows);
    cx.ranges(targets.len(), COST * width, &|rows| {
        // SAFETY: ranges of rows are disjoint.
        let losses = unsafe { losses.part(rows.clone()) };
        for ((to, row), &target) in losses.iter_mut().zip(rows.clone()).zip(&targets[rows]) {
            let (y, given) = (&y[row * width..][..width], &given[row * width..][..width]);
            let pairs = y.iter().zip(given);
            let sum: f64 = pairs.map(|(y, t)| loss.value(y.to_f64(), t.to_f64())).sum();
            *to = if target < 0 { 0.0 } else { sum / width as f64 };
        }
    });
}

/// The derivative of the sum of all rows of [`value_rows`] in y, added to `dy [R, C]` when
/// `accumulate`; 0 in rows that do not count.
///
/// # Panics
/// When a length does not fit.
pub fn value_rows_vjp<S: Float>(
    cx: Cx<'_>,
    loss: ValueLoss,
    y: &[S],
    given: &[S],
    targets: &[i32],
    dy: &mut [S],
    accumulate: bool,
) {
    let width = row_width(y.len(), targets.len());
    assert!(
        given.len() == y.len() && dy.len() == y.len(),
        "given numbers and gradients of {} rows",
        targets.len()
    );
    let dy = Parts::new(dy);
    cx.ranges(targets.len(), COST * width, &|rows| {
        // SAFETY: ranges of rows are disjoint.
        let dy = unsafe { dy.rows(&rows, width) };
        for ((dy, row), &target) in dy
            .chunks_exact_mut(width)
            .zip(rows.clone())
            .zip(&targets[rows])
        {
            let (y, given) = (&y[row * width..][..width], &given[row * width..][..width]);
            for ((to, y), t) in dy.iter_mut().zip(y).zip(given) {
                let slope = match target {
                    ..0 => 0.0,
                    _ => loss.slope(y.to_f64(), t.to_f64()) / width as f64,
                };
                let before = if accumulate { to.to_f64() } else { 0.0 };
                *to = S::from_f64(before + slope);
            }
        }
    });
}

/// C of `len` = R·C numbers.
fn row_width(len: usize, rows: usize) -> usize {
    let width = len.checked_div(rows).unwrap_or(1);
    assert!(
        width > 0 && width * rows == len,
        "{len} numbers of {rows} rows"
    );
    width
}
