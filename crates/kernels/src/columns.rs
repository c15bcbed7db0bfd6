//! Sums over rows, for bias gradients.

use crate::isa::simd;
use crate::pool::Parts;
use crate::{Cx, Float};
use std::ops::Range;

/// Columns that one task sums.
const COLS: usize = 64;
/// Rows summed before they are added to the result: keeps f32 sums short.
const ROWS: usize = 128;

/// `out[d]` = Σ over rows of x `[N, D]`, D = `out.len()`; added to `out` when `accumulate`.
///
/// # Panics
/// When x is not whole rows.
pub fn column_sums<S: Float>(cx: Cx<'_>, x: &[S], out: &mut [S], accumulate: bool) {
    let d = out.len();
    if d == 0 {
        assert!(x.is_empty(), "elements without columns");
        return;
    }
    assert!(
        x.len().is_multiple_of(d),
        "{} elements are not rows of {d}",
        x.len()
    );
    let out = Parts::new(out);
    cx.ranges(d.div_ceil(COLS), x.len() / d * COLS, &|blocks| {
        for block in blocks {
            let cols = block * COLS..d.min((block + 1) * COLS);
            // SAFETY: blocks of columns are disjoint.
            let out = unsafe { out.part(cols.clone()) };
            if !accumulate {
                out.fill(S::ZERO);
            }
            add_columns(cx.isa(), x, d, cols, out);
        }
    });
}

simd! {
    fn add_columns<S: Float>(x: &[S], d: usize, cols: Range<usize>, out: &mut [S]) {
        for rows in x.chunks(ROWS * d) {
            let mut acc = [S::ZERO; COLS];
            let acc = &mut acc[..cols.len()];
            for row in rows.chunks_exact(d) {
                for (acc, &x) in acc.iter_mut().zip(&row[cols.clone()]) {
                    *acc += x;
                }
            }
            for (out, &x) in out.iter_mut().zip(&*acc) {
                *out += x;
            }
        }
    }
}
