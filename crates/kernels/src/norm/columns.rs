//! Gradients of gain and bias by columns: for rows that are few and wide.

use super::NormSaved;
use super::backward::{Params, ROWS, Row, add_sums, parameters};
use crate::isa::simd;
use crate::{Cx, Float};
use std::ops::Range;

/// Columns that are summed together.
const COLS: usize = 64;

/// Adds to the gradients of gain and bias: blocks of [`ROWS`] rows in their order, as in one pass
/// over the rows, so that the bits are the same.
pub(super) fn add_by_columns<S: Float>(
    cx: Cx<'_>,
    dy: &[S],
    saved: NormSaved<'_, S>,
    params: Params<'_, '_, S>,
) {
    let (n, d) = (saved.rstd.len(), saved.gain.len());
    cx.ranges(d.div_ceil(COLS), 2 * n * COLS, &|blocks| {
        for block in blocks {
            let cols = block * COLS..d.min((block + 1) * COLS);
            for first in (0..n).step_by(ROWS) {
                let rows = first..n.min(first + ROWS);
                let (mut dgain, mut dbias) = ([S::ZERO; COLS], [S::ZERO; COLS]);
                let sums = [&mut dgain[..cols.len()], &mut dbias[..cols.len()]];
                sum_rows(cx.isa(), dy, saved, rows, cols.clone(), sums);
                // SAFETY: blocks of columns are disjoint.
                unsafe { add_sums(params, &cols, [&dgain, &dbias]) }
            }
        }
    });
}

simd! {
    fn sum_rows<S: Float>(
        dy: &[S],
        saved: NormSaved<'_, S>,
        rows: Range<usize>,
        cols: Range<usize>,
        sums: [&mut [S]; 2],
    ) {
        let [dgain, dbias] = sums;
        for i in rows {
            let start = i * saved.gain.len() + cols.start;
            let (x, dy) = (&saved.x[start..][..cols.len()], &dy[start..][..cols.len()]);
            parameters(Row::new(saved, i), x, dy, dgain, dbias);
        }
    }
}
