//! The probabilities of one head, for those who want to look at them.

use super::sight::Sight;
use crate::isa::simd;
use crate::pool::Parts;
use crate::xent::replace_by_exp;
use crate::{Cols, Cx, Float, Gemm, Mat, gemm, lanes};
use std::ops::Range;

/// Queries and keys of one head of one sequence of T rows, and who sees whom. Where a matrix holds
/// several heads, the offset of its columns chooses one.
#[derive(Clone, Copy, Debug)]
pub struct AttentionHead<'a, S> {
    /// `[T, K]`.
    pub q: Cols<'a, S>,
    /// `[T, K]`.
    pub k: Cols<'a, S>,
    /// T.
    pub len: usize,
    /// K.
    pub head_dim: usize,
    /// Factor on the scores, usually 1/√K.
    pub scale: f64,
    /// Position i sees positions j ≤ i only.
    pub causal: bool,
    /// Position i sees |i − j| < window only.
    pub window: Option<usize>,
    /// `[T]`: keys with 0 are seen by nobody.
    pub key_mask: Option<&'a [i32]>,
}

/// out `[T, T]` = softmax(scale·q·kᵀ), a row a query; 0 for keys that it does not see, so in all of
/// the row of a query that sees none. Unlike in [`crate::attention`], the matrix exists: this is no
/// part of a model. `work` has [`crate::gemm_work_len`] elements.
///
/// # Panics
/// When a length does not fit.
pub fn attention_probabilities<S: Float>(
    cx: Cx<'_>,
    head: AttentionHead<'_, S>,
    out: &mut [S],
    work: &mut [S],
) {
    let (n, width) = (head.len, head.head_dim);
    head.q.assert_holds(n, width, "q");
    head.k.assert_holds(n, width, "k");
    assert_eq!(out.len(), n * n, "probabilities of {n} rows");
    assert!(
        head.key_mask.is_none_or(|mask| mask.len() == n),
        "key mask of {n} rows"
    );
    if n == 0 {
        return;
    }
    let scores = Gemm {
        m: n,
        n,
        k: width,
        a: Mat {
            data: &head.q.data[head.q.offset..],
            row_stride: head.q.row_stride,
            col_stride: 1,
        },
        b: Mat {
            data: &head.k.data[head.k.offset..],
            row_stride: 1,
            col_stride: head.k.row_stride,
        },
        c: &mut *out,
        c_row_stride: n,
        accumulate: false,
        bias: None,
    };
    gemm(cx, scores, work);
    let sight = Sight::new(head.causal, head.window, n, head.key_mask);
    let scale = S::from_f64(head.scale);
    let out = Parts::new(out);
    cx.ranges(n, 8 * n, &|rows| {
        for i in rows {
            // SAFETY: ranges of rows are disjoint.
            let z = unsafe { out.rows(&(i..i + 1), n) };
            let seen = sight.range(i);
            for j in seen.clone().filter(|&j| sight.is_hole(j)) {
                z[j] = S::NEG_INFINITY;
            }
            softmax(cx.isa(), scale, seen, z);
        }
    });
}

simd! {
    /// Softmax of scale·z over `seen`, 0 elsewhere.
    fn softmax<S: Float>(scale: S, seen: Range<usize>, z: &mut [S]) {
        z[..seen.start].fill(S::ZERO);
        z[seen.end..].fill(S::ZERO);
        let z = &mut z[seen];
        for z in z.iter_mut() {
            *z *= scale;
        }
        let max = lanes::max(z);
        // A row of NaN has no maximum either, and stays one.
        if max == S::NEG_INFINITY && z.iter().all(|&z| z == max) {
            return z.fill(S::ZERO);
        }
        let total = replace_by_exp(z, max);
        let factor = S::from_f64(1.0 / total);
        for z in z.iter_mut() {
            *z *= factor;
        }
    }
}
