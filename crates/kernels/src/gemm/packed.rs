//! B packed once: weights that every run multiplies with, in the order in which they are read.
//!
//! Panels as wide as the register tile follow each other, each with all steps of k; the last one is
//! as narrow as what is left, so that the matrix takes no more memory than before. Every element of
//! C is summed as [`gemm`](super::gemm) sums it and has the same bits.

use super::few::{Few, few_rows, panels_at_once};
use super::output::{Output, Part, Sums};
use super::pack::pack;
use super::panels::panel_width;
use super::{Mat, Product, block_depth, blocks, multiply, tile_shape};
use crate::{Cx, Float, Isa};

/// C `[m, n]` = A `[m, k]` · B `[k, n]` (+ bias), where B lies in panels.
#[derive(Debug)]
pub struct PackedGemm<'a, S> {
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Columns of A, rows of B.
    pub k: usize,
    /// `[m, k]`.
    pub a: Mat<'a, S>,
    /// k·n elements, as [`pack_panels`](crate::pack_panels) wrote them for the same instruction
    /// set.
    pub b: &'a [S],
    /// `[m, n]`, neighbouring columns adjacent.
    pub c: &'a mut [S],
    /// Elements from one row of C to the next, at least n.
    pub c_row_stride: usize,
    /// `[n]`, added to every row.
    pub bias: Option<&'a [S]>,
}

/// Computes the product; `work` has [`gemm_work_len`](crate::gemm_work_len) elements.
///
/// # Panics
/// When an operand leaves its slice, rows of C overlap, `bias` has another length than n, or the
/// workspace is too short.
pub fn gemm_packed<S: Float>(cx: Cx<'_>, g: PackedGemm<'_, S>, work: &mut [S]) {
    g.a.assert_holds(g.m, g.k, "A");
    assert_eq!(Some(g.b.len()), g.k.checked_mul(g.n), "panels of B");
    let output = Output {
        m: g.m,
        n: g.n,
        k: g.k,
        c: g.c,
        c_row_stride: g.c_row_stride,
        accumulate: false,
        bias: g.bias,
    };
    let operands = Operands {
        n: g.n,
        a: g.a,
        b: g.b,
    };
    let (mr, nr) = tile_shape::<S>(cx.isa());
    // Few rows take several panels at once.
    let tile = (mr, nr * panels_at_once(g.m));
    output.compute(cx, tile, work, &|part, sums, work| {
        // SAFETY: parts are disjoint rectangles of C, each computed once.
        unsafe {
            if part.m <= ROWS_UNPACKED {
                operands.compute_few(part, sums);
            } else {
                operands.compute_many(part, sums, work);
            }
        }
    });
}

/// Rows up to which A is read where it lies.
const ROWS_UNPACKED: usize = 6;

/// What is multiplied.
struct Operands<'a, S> {
    n: usize,
    a: Mat<'a, S>,
    b: &'a [S],
}

impl<'a, S: Float> Operands<'a, S> {
    /// The panel that starts at column `j`, from step `p` of `k` on, and its width.
    fn panel(&self, isa: Isa, k: usize, j: usize, p: usize) -> (&'a [S], usize) {
        let width = panel_width::<S>(isa).min(self.n - j);
        (&self.b[j * k + p * width..], width)
    }

    /// Every panel is read once, from the first step to the last, for all rows.
    ///
    /// # Safety
    /// Nobody else touches the part's elements of C.
    unsafe fn compute_few(&self, part: Part, sums: &Sums<'_, S>) {
        let (isa, k, depth) = (sums.isa, sums.k, block_depth(sums.k));
        let nr = panel_width::<S>(isa);
        let panels = panels_at_once(part.m);
        let end = part.j + part.n;
        let mut j = part.j;
        while j < end {
            let at_once = if j + panels * nr <= end { panels } else { 1 };
            let n = (at_once * nr).min(end - j);
            for p0 in (0..k).step_by(depth) {
                let (b, width) = self.panel(isa, k, j, p0);
                let product = Product {
                    m: part.m,
                    n,
                    k: depth.min(k - p0),
                    a: self.a.data[part.i * self.a.row_stride + p0 * self.a.col_stride..].as_ptr(),
                    a_row: self.a.row_stride,
                    a_col: self.a.col_stride,
                    b: b.as_ptr(),
                    b_row: width,
                    c: sums.c.at(part.i * sums.c_row_stride + j),
                    c_row: sums.c_row_stride,
                    finish: sums.finish(p0, j, n),
                };
                // SAFETY: the panels from j on hold n items by k steps, those of `at_once` > 1 all
                // of full width; the tile lies in the part.
                unsafe {
                    if at_once > 1 {
                        let panel = nr * k;
                        few_rows(isa, Few { product, panel });
                    } else {
                        multiply(isa, product);
                    }
                }
            }
            j += n;
        }
    }

    /// A is packed block by block; the panels of B pass by each block.
    ///
    /// # Safety
    /// Nobody else touches the part's elements of C.
    unsafe fn compute_many(&self, part: Part, sums: &Sums<'_, S>, work: &mut [S]) {
        let (isa, k, depth) = (sums.isa, sums.k, block_depth(sums.k));
        let (mr, _) = tile_shape::<S>(isa);
        let (mc, nc) = blocks::<S>(isa, depth);
        let skip = work.as_ptr().align_offset(64).min(64 / size_of::<S>());
        let packed_a = &mut work[skip..][..mc * depth];
        // With one block of rows, every panel is read once whatever the order.
        let nc = if part.m <= mc { part.n } else { nc };
        for j in (part.j..part.j + part.n).step_by(nc) {
            let n = nc.min(part.j + part.n - j);
            for p0 in (0..k).step_by(depth) {
                let steps = p0..k.min(p0 + depth);
                for i in (part.i..part.i + part.m).step_by(mc) {
                    let m = mc.min(part.i + part.m - i);
                    pack(isa, self.a.block(i..i + m, steps.clone()), mr, packed_a);
                    let panel = |j| self.panel(isa, k, j, p0);
                    // SAFETY: the caller's promise; A is packed for this part.
                    unsafe { sums.add_block(Part { i, j, m, n }, p0, packed_a, panel) }
                }
            }
        }
    }
}
