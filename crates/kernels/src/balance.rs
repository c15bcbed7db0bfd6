//! The auxiliary loss that spreads rows over experts (Fedus et al. 2021, equations 4 to 6, as
//! Jiang et al. 2024 compute it over all layers together).

use crate::isa::simd;
use crate::pool::Parts;
use crate::route::{heaviest, next_choice, normaliser};
use crate::{Cx, Float};

/// Element visits that one logit is worth when work is cut for threads.
const COST: usize = 32;

/// What the loss is made of beside its sums.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Balance {
    /// Factor of the loss.
    pub coefficient: f64,
    /// M: rows of all layers together.
    pub n_rows: usize,
}

/// Adds the rows of one layer's logits `[N, E]` to `sums [2, E]`: how often each expert is among
/// the k of a row, chosen as by [`crate::route`], and Σ softmax(row). A row without a softmax makes
/// the sums NaN.
///
/// In row order on one thread: a row costs E exponentials here and k products with whole matrices
/// in its experts.
///
/// # Panics
/// When a length does not fit, or k is not in 1..=E.
pub fn balance_add<S: Float>(cx: Cx<'_>, logits: &[S], per_row: usize, sums: &mut [f64]) {
    let n_experts = sums.len() / 2;
    assert!(
        sums.len().is_multiple_of(2) && (1..=n_experts).contains(&per_row),
        "{per_row} choices among {n_experts} experts"
    );
    assert!(
        logits.len().is_multiple_of(n_experts),
        "logits of {n_experts} experts"
    );
    let (choices, probabilities) = sums.split_at_mut(n_experts);
    for z in logits.chunks_exact(n_experts) {
        add_row(cx.isa(), z, per_row, choices, probabilities);
    }
}

simd! {
    fn add_row<S: Float>(
        z: &[S],
        per_row: usize,
        choices: &mut [f64],
        probabilities: &mut [f64],
    ) {
        let (max, total) = normaliser(z);
        if total.is_nan() {
            probabilities.fill(f64::NAN);
            return;
        }
        let mut last = None;
        for _ in 0..per_row {
            let best = next_choice(z, last);
            choices[best] += 1.0;
            last = Some(best);
        }
        for (sum, &z) in probabilities.iter_mut().zip(z) {
            *sum += ((z - max).exp_normal() / total).to_f64();
        }
    }
}

/// From the sums of all layers c (choices) and s (probabilities) the loss of each row: with
/// `aux = E·Σ c·s / M²`, `coefficient·aux` where the target counts (is not negative), else 0. The
/// first half of the sums becomes the derivative of all rows' sum in one row's probabilities:
/// `counted·coefficient·E·c / M²`.
///
/// # Panics
/// When the lengths of targets and losses differ.
pub fn balance_rows(balance: Balance, targets: &[i32], sums: &mut [f64], loss_rows: &mut [f64]) {
    assert_eq!(targets.len(), loss_rows.len(), "losses of rows");
    let n_experts = sums.len() / 2;
    let (choices, probabilities) = sums.split_at_mut(n_experts);
    let n_rows = balance.n_rows as f64;
    let factor = balance.coefficient * n_experts as f64 / (n_rows * n_rows);
    let products = choices.iter().zip(&*probabilities).map(|(c, s)| c * s);
    let loss = factor * products.sum::<f64>();
    let mut counted = 0.0;
    for (to, &target) in loss_rows.iter_mut().zip(targets) {
        let counts = target >= 0;
        *to = if counts { loss } else { 0.0 };
        counted += f64::from(u8::from(counts));
    }
    choices.iter_mut().for_each(|c| *c *= counted * factor);
}

/// The derivative in one layer's logits, given the slopes g `[E]` that [`balance_rows`] leaves:
/// with p = softmax(row), `dz = p·(g − Σ p·g)`, added to `dlogits [N, E]` when `accumulate`.
///
/// # Panics
/// When a length does not fit.
pub fn balance_vjp<S: Float>(
    cx: Cx<'_>,
    logits: &[S],
    slopes: &[f64],
    dlogits: &mut [S],
    accumulate: bool,
) {
    let width = slopes.len();
    assert!(
        width > 0 && logits.len().is_multiple_of(width) && logits.len() == dlogits.len(),
        "logits of {width} experts"
    );
    let dlogits = Parts::new(dlogits);
    cx.ranges(logits.len() / width, COST * width, &|range| {
        for i in range {
            let z = &logits[i * width..][..width];
            // SAFETY: ranges of rows are disjoint.
            let dz = unsafe { dlogits.rows(&(i..i + 1), width) };
            if !accumulate {
                dz.fill(S::ZERO);
            }
            add_softmax_vjp(cx.isa(), z, slopes, dz);
        }
    });
}

simd! {
    fn add_softmax_vjp<S: Float>(z: &[S], slopes: &[f64], dz: &mut [S]) {
        let (max, total) = normaliser(z);
        // As in `route_vjp`: differences from the slope of the most probable expert.
        let reference = slopes[heaviest(z)];
        let mut mean = S::ZERO;
        for (&z, &g) in z.iter().zip(slopes) {
            let p = (z - max).exp_normal() / total;
            mean = p.mul_add(S::from_f64(g - reference), mean);
        }
        for ((&z, &g), dz) in z.iter().zip(slopes).zip(dz) {
            let p = (z - max).exp_normal() / total;
            *dz = p.mul_add(S::from_f64(g - reference) - mean, *dz);
        }
    }
}
