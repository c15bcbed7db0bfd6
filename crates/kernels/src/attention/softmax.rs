//! The running softmax of lanes, and the sums that it weighs. Scores, maxima and normalisers are
//! logarithms to the base 2, which are the cheaper ones: queries come multiplied by log₂ e.

use super::{BLOCK, STRIP, TQ};
use crate::Float;
use crate::isa::simd;

/// Running maxima and sums of the lanes, and what each lane sees.
pub(super) struct Lanes<S> {
    pub(super) n: usize,
    pub(super) max: [S; TQ],
    pub(super) sum: [S; TQ],
    /// Factor on what was summed before the current tile.
    pub(super) fade: [S; TQ],
    pub(super) start: [u32; TQ],
    pub(super) end: [u32; TQ],
}

/// Sets the scores of a strip of lanes, rows of keys `TQ` apart, to −∞ where the lane does not see
/// the key. They are few: of a strip there are only the rows that some of its lanes sees.
pub(super) fn hide<S: Float>(
    first_key: u32,
    (start, end): (&[u32; TQ], &[u32; TQ]),
    lane: usize,
    rows: &mut [S],
) {
    let last_key = first_key + (rows.len() / TQ) as u32;
    let strip = lane..lane + STRIP;
    let sees_all = |l| start[l] <= first_key && end[l] >= last_key;
    if strip.clone().all(sees_all) {
        return;
    }
    for lane in strip {
        let start = start[lane].clamp(first_key, last_key);
        let end = end[lane].clamp(start, last_key);
        for j in (first_key..start).chain(end..last_key) {
            rows[(j - first_key) as usize * TQ + lane] = S::NEG_INFINITY;
        }
    }
}

simd! {
    /// Turns the scores of a strip of lanes, rows of keys `TQ` apart, into weights relative to the
    /// new running maximum. Weights below the normal range are 0.
    pub(super) fn softmax_strip<S: Float>(
        first_key: u32,
        lane: usize,
        lanes: &mut Lanes<S>,
        rows: &mut [S],
    ) {
        let at = lane..lane + STRIP;
        let old: [S; STRIP] = lanes.max[at.clone()].try_into().expect("a strip");
        let mut max = old;
        hide(first_key, (&lanes.start, &lanes.end), lane, rows);
        for row in rows.chunks_exact_mut(TQ) {
            let row: &mut [S; STRIP] = (&mut row[at.clone()]).try_into().expect("a strip");
            // A NaN may get lost here; its weight stays NaN.
            for l in 0..STRIP {
                max[l] = if row[l] > max[l] { row[l] } else { max[l] };
            }
        }
        // A lane that has seen nothing keeps weights of 0 instead of ∞ − ∞.
        let mut base = max;
        let mut total = [S::ZERO; STRIP];
        for l in 0..STRIP {
            base[l] = if max[l] == S::NEG_INFINITY { S::ZERO } else { max[l] };
        }
        for row in rows.chunks_exact_mut(TQ) {
            let row: &mut [S; STRIP] = (&mut row[at.clone()]).try_into().expect("a strip");
            for l in 0..STRIP {
                row[l] -= base[l];
            }
            *row = S::exp2_block(*row);
            for l in 0..STRIP {
                total[l] += row[l];
            }
        }
        for l in 0..STRIP {
            let fade = (old[l] - base[l]).exp2_weight();
            lanes.fade[lane + l] = fade;
            lanes.sum[lane + l] = lanes.sum[lane + l].mul_add(fade, total[l]);
            lanes.max[lane + l] = max[l];
        }
    }
}

simd! {
    /// Multiplies the first `n` lanes of `[d, TQ]`.
    pub(super) fn scale_lanes<S: Float>(factor: S, n: usize, x: &mut [S]) {
        for x in x.chunks_exact_mut(TQ) {
            for x in &mut x[..n] {
                *x *= factor;
            }
        }
    }
}

simd! {
    /// Multiplies each lane's sums by its factor.
    pub(super) fn fade<S: Float>(factors: &[S], sums: &mut [S], d: usize) {
        for (&factor, sums) in factors.iter().zip(sums.chunks_exact_mut(d)) {
            if factor == S::ONE {
                continue;
            }
            let (blocks, rest) = sums.as_chunks_mut::<BLOCK>();
            for block in blocks {
                for l in 0..BLOCK {
                    block[l] *= factor;
                }
            }
            for s in rest {
                *s *= factor;
            }
        }
    }
}

simd! {
    /// Divides each lane's sums by its total, 0 where nothing was seen. Adding 0 makes −0 into 0:
    /// which zero a sum of weights 0 holds depends on the tile's neighbours.
    pub(super) fn divide<S: Float>(totals: &[S], sums: &mut [S], d: usize) {
        for (&total, sums) in totals.iter().zip(sums.chunks_exact_mut(d)) {
            let inverse = if total == S::ZERO { S::ZERO } else { S::ONE / total };
            let (blocks, rest) = sums.as_chunks_mut::<BLOCK>();
            for block in blocks {
                for l in 0..BLOCK {
                    block[l] = block[l].mul_add(inverse, S::ZERO);
                }
            }
            for s in rest {
                *s = s.mul_add(inverse, S::ZERO);
            }
        }
    }
}

simd! {
    /// Log₂-normalisers of the lanes that are used.
    pub(super) fn normalisers<S: Float>(lanes: &Lanes<S>) -> [S; TQ] {
        let mut lse = lanes.max;
        let log2_e = S::from_f64(std::f64::consts::LOG2_E);
        for (lse, &total) in lse[..lanes.n].iter_mut().zip(&lanes.sum) {
            *lse = total.ln().mul_add(log2_e, *lse);
        }
        lse
    }
}
