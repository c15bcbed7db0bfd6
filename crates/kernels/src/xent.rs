//! Cross-entropy over rows of logits, with its gradient in place.

use crate::gemm::prefetch;
use crate::isa::simd;
use crate::lanes::{self, LANES};
use crate::pool::Parts;
use crate::{ColsMut, Cx, Float};

/// The target of a row that counts for nothing.
pub const IGNORED: i32 = -100;

/// Exponentials summed in the element type before they are added in f64.
const CHUNK: usize = 256;
/// Exponentials computed together.
const BLOCK: usize = 32;

// Only the last chunk of a row has a rest, and only a rest has lanes of unequal length: both ways
// to sum then have the same order.
const _: () = assert!(CHUNK.is_multiple_of(BLOCK) && BLOCK.is_multiple_of(LANES));

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

/// Writes the indices of the targets that count to the front of `rows`, ascending, and returns how
/// many they are.
///
/// # Panics
/// When `rows` is shorter than `targets`.
pub fn counted_rows(targets: &[i32], rows: &mut [i32]) -> usize {
    assert!(
        rows.len() >= targets.len(),
        "room for {} of {} rows",
        rows.len(),
        targets.len()
    );
    let mut n = 0;
    for (i, &t) in targets.iter().enumerate() {
        // Written whether it counts or not: a row that does not is overwritten by the next.
        rows[n] = i as i32;
        n += usize::from(t != IGNORED);
    }
    n
}

/// For every row z of logits `[R, V]` with target t:
///
/// - lse = ln Σ eᶻ, loss = lse − (1−ε)·z_t − ε·mean(z) + λ·lse²
/// - gradient = scale · (softmax(z)·(1 + 2λ·lse) − (1−ε)·[j = t] − ε/V)
/// - rank = number of j with z_j > z_t, or z_j = z_t and j < t
///
/// Ignored rows get loss 0, gradient 0 and rank −1. A NaN in a row makes its loss and gradient NaN.
///
/// With `chosen [R]` row i of the logits belongs to element `chosen[i]` of targets, losses and
/// ranks, and other elements are neither read nor written.
///
/// # Panics
/// When a target is neither [`IGNORED`] nor in 0..V, the logits have another number of rows, a
/// length does not fit, or `chosen` does not ascend or leaves the targets.
pub fn xent_rows<S: Float>(
    cx: Cx<'_>,
    xent: Xent<S>,
    logits: ColsMut<'_, S>,
    targets: &[i32],
    chosen: Option<&[i32]>,
    loss_rows: &mut [f64],
    rank_rows: Option<&mut [i32]>,
) {
    let n_targets = targets.len();
    assert_eq!(loss_rows.len(), n_targets, "losses of {n_targets} rows");
    if let Some(chosen) = chosen {
        let first = chosen.first().is_none_or(|&i| i >= 0);
        let last = chosen.last().is_none_or(|&i| (i as usize) < n_targets);
        let ascends = chosen.is_sorted_by(|a, b| a < b);
        assert!(
            first && last && ascends,
            "chosen rows {chosen:?} of {n_targets}"
        );
    }
    let rows = chosen.map_or(n_targets, <[i32]>::len);
    let place = |i: usize| chosen.map_or(i, |c| c[i] as usize);
    let v = logits.width();
    assert_eq!(logits.rows(), rows, "rows of logits");
    for t in (0..rows).map(|i| targets[place(i)]) {
        let inside = usize::try_from(t).is_ok_and(|t| t < v);
        assert!(inside || t == IGNORED, "target {t} of {v} classes");
    }
    let mut nothing = [];
    let ranked = rank_rows.is_some();
    let rank_rows = rank_rows.unwrap_or(&mut nothing);
    assert!(
        !ranked || rank_rows.len() == n_targets,
        "ranks of {n_targets} rows"
    );
    let (losses, ranks) = (Parts::new(loss_rows), Parts::new(rank_rows));
    cx.ranges(rows, 8 * v, &|range| {
        for i in range {
            let at = place(i);
            // SAFETY: ranges of rows are disjoint, and so are their places, which ascend.
            let (z, loss) = unsafe { (logits.row(i, 0, v), losses.part(at..at + 1)) };
            if ranked {
                // SAFETY: as above.
                let rank = unsafe { ranks.part(at..at + 1) };
                rank[0] = rank_row(cx.isa(), z, targets[at]);
            }
            let next = (i + 1 < rows).then(|| logits.at(i + 1, 0).cast_const());
            loss[0] = xent_row(cx.isa(), xent, z, targets[at], next);
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
    fn xent_row<S: Float>(
        xent: Xent<S>,
        z: &mut [S],
        target: i32,
        next: Option<*const S>,
    ) -> f64 {
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
            replace_by_exp_before(z, max, next)
        } else {
            sum_exp(z, max, next)
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
pub(crate) fn replace_by_exp<S: Float>(z: &mut [S], max: S) -> f64 {
    replace_by_exp_before(z, max, None)
}

/// [`replace_by_exp`], while the row at `next`, as long as z, comes from memory: exponentials leave
/// it idle.
#[inline(always)]
fn replace_by_exp_before<S: Float>(z: &mut [S], max: S, next: Option<*const S>) -> f64 {
    let mut total = [0.0; LANES];
    for (c, z) in z.chunks_mut(CHUNK).enumerate() {
        fetch_chunk(next, c * CHUNK, z.len());
        let mut acc = [S::ZERO; LANES];
        let (blocks, rest) = z.as_chunks_mut::<BLOCK>();
        for z in blocks {
            *z = exp_from(*z, max);
            add_block(&mut acc, z);
        }
        for z in rest.iter_mut() {
            *z = (*z - max).exp_normal();
        }
        add_rest(&mut acc, rest);
        add_lanes(&mut total, acc);
    }
    lanes::tree(total)
}

/// Σ e^(z − max), with the bits of [`replace_by_exp`].
#[inline(always)]
fn sum_exp<S: Float>(z: &[S], max: S, next: Option<*const S>) -> f64 {
    let mut total = [0.0; LANES];
    for (c, z) in z.chunks(CHUNK).enumerate() {
        fetch_chunk(next, c * CHUNK, z.len());
        let mut acc = [S::ZERO; LANES];
        let (blocks, rest) = z.as_chunks::<BLOCK>();
        for z in blocks {
            add_block(&mut acc, &exp_from(*z, max));
        }
        let mut last = [S::ZERO; BLOCK];
        for (e, &z) in last.iter_mut().zip(rest) {
            *e = (z - max).exp_normal();
        }
        add_rest(&mut acc, &last[..rest.len()]);
        add_lanes(&mut total, acc);
    }
    lanes::tree(total)
}

/// Asks for the lines of `len` elements of a row, from `start` on.
#[inline(always)]
fn fetch_chunk<S: Float>(row: Option<*const S>, start: usize, len: usize) {
    let Some(row) = row else { return };
    for at in (start..start + len).step_by(64 / size_of::<S>()) {
        prefetch(row.wrapping_add(at));
    }
}

#[inline(always)]
fn exp_from<S: Float>(mut z: [S; BLOCK], max: S) -> [S; BLOCK] {
    for l in 0..BLOCK {
        z[l] -= max;
    }
    S::exp_block(z)
}

/// Adds a block to its lanes.
#[inline(always)]
fn add_block<S: Float>(acc: &mut [S; LANES], x: &[S; BLOCK]) {
    for x in x.as_chunks::<LANES>().0 {
        for l in 0..LANES {
            acc[l] += x[l];
        }
    }
}

/// Adds what is less than a block.
#[inline(always)]
fn add_rest<S: Float>(acc: &mut [S; LANES], x: &[S]) {
    for x in x.chunks(LANES) {
        for (acc, &x) in acc.iter_mut().zip(x) {
            *acc += x;
        }
    }
}

/// Adds sums of sixteen lanes, made in the element type.
#[inline(always)]
fn add_lanes<S: Float>(total: &mut [f64; LANES], acc: [S; LANES]) {
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
