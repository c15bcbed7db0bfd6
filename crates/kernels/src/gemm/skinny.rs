//! Few rows: B is read once, unpacked, along its rows, as in decoding one token.

use super::block_depth;
use crate::Float;
use crate::isa::simd;

/// Rows up to which this path is taken.
pub(crate) const ROWS_MAX: usize = 4;
/// Columns whose sums are kept in the first-level cache.
const COLS: usize = 256;

/// A product with few rows: A `[m, k]` at any strides, B `[k, n]` with adjacent columns, the result
/// `[m, n]` in `c` rows given one by one.
#[derive(Clone, Copy)]
pub(crate) struct Skinny<'a, S> {
    pub(crate) a: &'a [S],
    pub(crate) a_row: usize,
    pub(crate) a_col: usize,
    pub(crate) b: &'a [S],
    pub(crate) b_row: usize,
    pub(crate) k: usize,
    pub(crate) accumulate: bool,
    pub(crate) bias: Option<&'a [S]>,
}

simd! {
    /// One row of C, all columns of `c`; blocks of k are summed as the packed path sums them.
    pub(crate) fn row<S: Float>(s: Skinny<'_, S>, i: usize, c: &mut [S]) {
        let depth = block_depth(s.k);
        let mut j0 = 0;
        while j0 < c.len() {
            let n = COLS.min(c.len() - j0);
            for p0 in (0..s.k).step_by(depth) {
                let mut acc = [S::ZERO; COLS];
                sum_block(s, i, j0, n, p0..s.k.min(p0 + depth), &mut acc);
                let to = &mut c[j0..j0 + n];
                if p0 == 0 && !s.accumulate {
                    to.copy_from_slice(&acc[..n]);
                } else {
                    for (to, &x) in to.iter_mut().zip(&acc[..n]) {
                        *to += x;
                    }
                }
            }
            if let Some(bias) = s.bias {
                for (to, &x) in c[j0..j0 + n].iter_mut().zip(&bias[j0..j0 + n]) {
                    *to += x;
                }
            }
            j0 += n;
        }
    }
}

/// Adds the terms of `steps` to `acc[..n]`, in order, four at a time.
#[inline(always)]
fn sum_block<S: Float>(
    s: Skinny<'_, S>,
    i: usize,
    j0: usize,
    n: usize,
    steps: std::ops::Range<usize>,
    acc: &mut [S; COLS],
) {
    let a = |p: usize| s.a[i * s.a_row + p * s.a_col];
    let b = |p: usize| &s.b[p * s.b_row + j0..][..n];
    let acc = &mut acc[..n];
    let mut p = steps.start;
    while p + 4 <= steps.end {
        let (a0, a1, a2, a3) = (a(p), a(p + 1), a(p + 2), a(p + 3));
        let (b0, b1, b2, b3) = (b(p), b(p + 1), b(p + 2), b(p + 3));
        for j in 0..n {
            let sum = a1.mul_add(b1[j], a0.mul_add(b0[j], acc[j]));
            acc[j] = a3.mul_add(b3[j], a2.mul_add(b2[j], sum));
        }
        p += 4;
    }
    for p in p..steps.end {
        let (a, b) = (a(p), b(p));
        for j in 0..n {
            acc[j] = a.mul_add(b[j], acc[j]);
        }
    }
}
