//! Scores turned into weights and into the gradient of scores, a strip of lanes at a time.

use super::softmax::hide;
use super::{STRIP, TQ};
use crate::isa::simd;
use std::ops::Range;

/// A tile of queries of one head.
pub(super) struct Queries<S> {
    pub(super) rows: Range<usize>,
    /// Log₂-normaliser of each lane, 0 where nothing is seen.
    pub(super) lse: [S; TQ],
    /// ⟨dout, out⟩ of each lane, which stands where its keys lie in several tiles.
    pub(super) delta: [S; TQ],
    pub(super) start: [u32; TQ],
    pub(super) end: [u32; TQ],
}

simd! {
    /// Scores of a strip of lanes, rows of keys `TQ` apart, to weights P in place, and ⟨dout, v⟩ to
    /// P·(⟨dout, v⟩ − δ) in place.
    ///
    /// A lane whose keys all lie here has its δ = Σ P·⟨dout, v⟩ / Σ P from the same rounded numbers
    /// as what it is subtracted from, so that the result sums to 0 but for its own rounding. From
    /// out, rounded apart, it leaves more than that in the small gradients of queries and keys.
    pub(super) fn dscores_strip<S: Float>(
        first_key: u32,
        lane: usize,
        queries: &Queries<S>,
        weights: &mut [S],
        dscores: &mut [S],
    ) {
        let at = lane..lane + STRIP;
        let lse: [S; STRIP] = queries.lse[at.clone()].try_into().expect("a strip");
        let mut delta: [S; STRIP] = queries.delta[at.clone()].try_into().expect("a strip");
        hide(first_key, (&queries.start, &queries.end), lane, weights);
        let (mut total, mut inner) = ([0.0; STRIP], [0.0; STRIP]);
        for (p, ds) in weights.chunks_exact_mut(TQ).zip(dscores.chunks_exact(TQ)) {
            // The compiler would take eight rows at once, and gather every register.
            std::hint::black_box(());
            let p: &mut [S; STRIP] = (&mut p[at.clone()]).try_into().expect("a strip");
            let ds: &[S; STRIP] = (&ds[at.clone()]).try_into().expect("a strip");
            for l in 0..STRIP {
                p[l] -= lse[l];
            }
            *p = S::exp2_block(*p);
            for l in 0..STRIP {
                let weight = p[l].to_f64();
                total[l] += weight;
                inner[l] = weight.mul_add(ds[l].to_f64(), inner[l]);
            }
        }
        let last_key = first_key + (weights.len() / TQ) as u32;
        for l in 0..STRIP {
            let (start, end) = (queries.start[lane + l], queries.end[lane + l]);
            if start >= first_key && end <= last_key && total[l] > 0.0 {
                delta[l] = S::from_f64(inner[l] / total[l]);
            }
        }
        for (p, ds) in weights.chunks_exact(TQ).zip(dscores.chunks_exact_mut(TQ)) {
            std::hint::black_box(());
            let p: &[S; STRIP] = (&p[at.clone()]).try_into().expect("a strip");
            let ds: &mut [S; STRIP] = (&mut ds[at.clone()]).try_into().expect("a strip");
            for l in 0..STRIP {
                ds[l] = p[l] * (ds[l] - delta[l]);
            }
        }
    }
}

simd! {
    /// ⟨x, y⟩ of the first `n` lanes, summed in f64.
    pub(super) fn dots<S: Float>(x: &[S], y: &[S], n: usize) -> [S; TQ] {
        let mut dots = [S::ZERO; TQ];
        let strips = dots.as_chunks_mut::<STRIP>().0.iter_mut();
        for (i, dots) in strips.enumerate().take(n.div_ceil(STRIP)) {
            let mut sums = [0.0; STRIP];
            for (x, y) in x.chunks_exact(TQ).zip(y.chunks_exact(TQ)) {
                let at = i * STRIP..(i + 1) * STRIP;
                let x: &[S; STRIP] = (&x[at.clone()]).try_into().expect("a strip");
                let y: &[S; STRIP] = (&y[at]).try_into().expect("a strip");
                for l in 0..STRIP {
                    sums[l] = f64::mul_add(x[l].to_f64(), y[l].to_f64(), sums[l]);
                }
            }
            *dots = sums.map(S::from_f64);
        }
        dots
    }
}
