//! Sums over rows, for bias gradients.

use crate::isa::simd;
use crate::pool::Parts;
use crate::{Cols, Cx, Float};
use std::ops::Range;

/// Columns that one task sums.
const COLS: usize = 64;
/// Rows summed before they are added to the result: keeps f32 sums short.
const ROWS: usize = 128;
/// Rows summed as a tree before they are added to those sums.
const TREE: usize = 8;

/// `out[d]` = Σ over the `n` rows of x `[N, D]`, D = `out.len()`; added to `out` when `accumulate`.
///
/// # Panics
/// When x has fewer rows or columns.
pub fn column_sums<S: Float>(
    cx: Cx<'_>,
    x: Cols<'_, S>,
    n: usize,
    out: &mut [S],
    accumulate: bool,
) {
    let d = out.len();
    x.assert_holds(n, d, "x of column sums");
    let out = Parts::new(out);
    cx.ranges(d.div_ceil(COLS), n * COLS, &|blocks| {
        for block in blocks {
            let cols = block * COLS..d.min((block + 1) * COLS);
            // SAFETY: blocks of columns are disjoint.
            let out = unsafe { out.part(cols.clone()) };
            if !accumulate {
                out.fill(S::ZERO);
            }
            add_columns(cx.isa(), x, n, cols, out);
        }
    });
}

simd! {
    fn add_columns<S: Float>(x: Cols<'_, S>, n: usize, cols: Range<usize>, out: &mut [S]) {
        for first in (0..n).step_by(ROWS) {
            let mut acc = [S::ZERO; COLS];
            let acc = &mut acc[..cols.len()];
            let end = n.min(first + ROWS);
            let whole = end - (end - first) % TREE;
            for i in (first..whole).step_by(TREE) {
                let row = |r: usize| &x.row(i + r, cols.start, cols.len())[..acc.len()];
                let rows: [&[S]; TREE] = std::array::from_fn(row);
                for (c, acc) in acc.iter_mut().enumerate() {
                    let [a, b, c, d, e, f, g, h] = rows.map(|row| row[c]);
                    *acc += ((a + b) + (c + d)) + ((e + f) + (g + h));
                }
            }
            for i in whole..end {
                let row = x.row(i, cols.start, cols.len());
                for (acc, &x) in acc.iter_mut().zip(row) {
                    *acc += x;
                }
            }
            for (out, &x) in out.iter_mut().zip(&*acc) {
                *out += x;
            }
        }
    }
}
