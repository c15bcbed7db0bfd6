//! Cross-entropy over rows of logits, with its gradient in place.

use crate::isa::simd;
use crate::lanes::{self, LANES};
use crate::pool::Parts;
use crate::{Cx, Float};

/// The target of a row that counts for nothing.
pub const IGNORED: i32 = -100;

/// Exponentials summed in the element type before they are added in f64.
const CHUNK: usize = 256;
/// Exponentials computed together.
const BLOCK: usize = 32;

/// What is computed of each row.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Xent<S> {
    /// ε: weight that goes to the uniform distribution, in 0..1.
    pub label_smoothing: f64,
    /// λ: weight of the squared log-normaliser.
    pub z_loss: f64,
    /// Overwrites the logits with this factor times the gradient; `None` leaves them.
    pub grad_scale: Option<S>,
}

/// For every row z of logits `[R, V]` with target t, V = `logits.len() / targets.len()`:
///
/// - lse = ln Σ eᶻ, loss = lse − (1−ε)·z_t − ε·mean(z) + λ·lse²
/// - gradient = scale · (softmax(z)·(1 + 2λ·lse) − (1−ε)·[j = t] − ε/V)
/// - rank = number of j with z_j > z_t, or z_j = z_t and j < t
///
/// Ignored rows get loss 0, gradient 0 and rank −1. A NaN in a row makes its loss and gradient NaN.
///
/// # Panics
/// When a target is neither [`IGNORED`] nor in 0..V, or a length does not fit.
pub fn xent_rows<S: Float>(
    cx: Cx<'_>,
    xent: Xent<S>,
    logits: &mut [S],
    targets: &[i32],
    loss_rows: &mut [f64],
    rank_rows: Option<&mut [i32]>,
) {
    let rows = targets.len();
    assert_eq!(loss_rows.len(), rows, "losses of {rows} rows");
    if rows == 0 {
        assert!(logits.is_empty(), "logits without targets");
        return;
    }
    let v = logits.len() / rows;
    assert_eq!(v * rows, logits.len(), "logits are not {rows} rows");
    for &t in targets {
        let inside = usize::try_from(t).is_ok_and(|t| t < v);
        assert!(inside || t == IGNORED, "target {t} of {v} classes");
    }
    let mut nothing = [];
    let ranked = rank_rows.is_some();
    let rank_rows = rank_rows.unwrap_or(&mut nothing);
    assert!(!ranked || rank_rows.len() == rows, "ranks of {rows} rows");
    let (logits, losses) = (Parts::new(logits), Parts::new(loss_rows));
    let ranks = Parts::new(rank_rows);
    cx.ranges(rows, 8 * v, &|range| {
        for i in range {
            // SAFETY: ranges of rows are disjoint.
            let (z, loss) = unsafe { (logits.rows(&(i..i + 1), v), losses.part(i..i + 1)) };
            if ranked {
                // SAFETY: as above.
                let rank = unsafe { ranks.part(i..i + 1) };
                rank[0] = rank_row(cx.isa(), z, targets[i]);
            }
            loss[0] = xent_row(cx.isa(), xent, z, targets[i]);
        }
    });
}

simd! {
    fn rank_row<S: Float>(z: &[S], target: i32) -> i32 {
        if target == IGNORED {
            return -1;
        }
        let t = target as usize;
        let at = z[t];
        let (before, after) = z.split_at(t);
        let mut rank = 0;
        for &z in before {
            rank += i32::from(z >= at);
        }
        for &z in after {
            rank += i32::from(z > at);
        }
        rank
    }
}

simd! {
    fn xent_row<S: Float>(xent: Xent<S>, z: &mut [S], target: i32) -> f64 {
        if target == IGNORED {
            if xent.grad_scale.is_some() {
                z.fill(S::ZERO);
            }
            return 0.0;
        }
        let t = target as usize;
        let classes = z.len() as f64;
        let smoothing = xent.label_smoothing;
        let z_target = z[t].to_f64();
        let mean = if smoothing == 0.0 { 0.0 } else { mean_f64(z) };
        // A NaN is no maximum, but the sum of exponentials is NaN with it.
        let max = lanes::max(z);
        let total = if xent.grad_scale.is_some() {
            replace_by_exp(z, max)
        } else {
            sum_exp(z, max)
        };
        let lse = max.to_f64() + Float::ln(total);
        let mut loss = lse - (1.0 - smoothing) * z_target + xent.z_loss * lse * lse;
        if smoothing != 0.0 {
            loss -= smoothing * mean;
        }
        if let Some(scale) = xent.grad_scale {
            let scale = scale.to_f64();
            let factor = S::from_f64(scale * (1.0 + 2.0 * xent.z_loss * lse) / total);
            let uniform = S::from_f64(-scale * smoothing / classes);
            for z in z.iter_mut() {
                *z = z.mul_add(factor, uniform);
            }
            z[t] -= S::from_f64(scale * (1.0 - smoothing));
        }
        loss
    }
}

/// z ← e^(z − max); their sum.
#[inline(always)]
fn replace_by_exp<S: Float>(z: &mut [S], max: S) -> f64 {
    let mut total = [0.0; LANES];
    for z in z.chunks_mut(CHUNK) {
        exp_in_place(z, max);
        add_lanes(&mut total, z);
    }
    lanes::tree(total)
}

/// Σ e^(z − max), with the bits of [`replace_by_exp`].
#[inline(always)]
fn sum_exp<S: Float>(z: &[S], max: S) -> f64 {
    let mut total = [0.0; LANES];
    for z in z.chunks(CHUNK) {
        let mut e = [S::ZERO; CHUNK];
        let e = &mut e[..z.len()];
        e.copy_from_slice(z);
        exp_in_place(e, max);
        add_lanes(&mut total, e);
    }
    lanes::tree(total)
}

#[inline(always)]
fn exp_in_place<S: Float>(z: &mut [S], max: S) {
    let (blocks, rest) = z.as_chunks_mut::<BLOCK>();
    for z in blocks {
        let mut x = *z;
        for l in 0..BLOCK {
            x[l] = z[l] - max;
        }
        *z = S::exp_block(x);
    }
    for z in rest {
        *z = (*z - max).exp_normal();
    }
}

/// Adds the sums of sixteen lanes, made in the element type.
#[inline(always)]
fn add_lanes<S: Float>(total: &mut [f64; LANES], x: &[S]) {
    let mut acc = [S::ZERO; LANES];
    let (blocks, rest) = x.as_chunks::<LANES>();
    for x in blocks {
        for l in 0..LANES {
            acc[l] += x[l];
        }
    }
    for (acc, &x) in acc.iter_mut().zip(rest) {
        *acc += x;
    }
    for (total, acc) in total.iter_mut().zip(acc) {
        *total += acc.to_f64();
    }
}

#[inline(always)]
fn mean_f64<S: Float>(z: &[S]) -> f64 {
    let mut acc = [0.0; LANES];
    for chunk in z.chunks(LANES) {
        for (acc, &z) in acc.iter_mut().zip(chunk) {
            *acc += z.to_f64();
        }
    }
    lanes::tree(acc) / z.len() as f64
}
