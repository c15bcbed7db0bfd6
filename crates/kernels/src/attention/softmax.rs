//! The running softmax of lanes, and the sums that it weighs.

use super::{BLOCK, STRIP, TQ};
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

simd! {
    /// Turns the scores of a strip of lanes, rows of keys `TQ` apart, into weights relative to the
    /// new running maximum.
    pub(super) fn softmax_strip<S: Float>(
        scale: S,
        first_key: u32,
        lane: usize,
        lanes: &mut Lanes<S>,
        rows: &mut [S],
    ) {
        let n_keys = (rows.len() / TQ) as u32;
        let at = lane..lane + STRIP;
        let start: [u32; STRIP] = lanes.start[at.clone()].try_into().expect("a strip");
        let end: [u32; STRIP] = lanes.end[at.clone()].try_into().expect("a strip");
        let old: [S; STRIP] = lanes.max[at.clone()].try_into().expect("a strip");
        let mut max = old;
        let mut partial = false;
        for l in 0..STRIP {
            partial |= start[l] > first_key || end[l] < first_key + n_keys;
        }
        for (j, row) in (first_key..).zip(rows.chunks_exact_mut(TQ)) {
            let row: &mut [S; STRIP] = (&mut row[at.clone()]).try_into().expect("a strip");
            if partial {
                for l in 0..STRIP {
                    let seen = (j >= start[l]) & (j < end[l]);
                    row[l] = if seen { row[l] * scale } else { S::NEG_INFINITY };
                }
            } else {
                for l in 0..STRIP {
                    row[l] *= scale;
                }
            }
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
                row[l] = (row[l] - base[l]).exp();
                total[l] += row[l];
            }
        }
        for l in 0..STRIP {
            let fade = (old[l] - base[l]).exp();
            lanes.fade[lane + l] = fade;
            lanes.sum[lane + l] = lanes.sum[lane + l].mul_add(fade, total[l]);
            lanes.max[lane + l] = max[l];
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
    /// Log-normalisers of the lanes that are used.
    pub(super) fn normalisers<S: Float>(lanes: &Lanes<S>) -> [S; TQ] {
        let mut lse = lanes.max;
        for (lse, &total) in lse[..lanes.n].iter_mut().zip(&lanes.sum) {
            *lse += total.ln();
        }
        lse
    }
}
