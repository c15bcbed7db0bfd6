//! B packed once: weights that every run multiplies with, in the order in which they are read.
//!
//! Panels as wide as the register tile follow each other, each with all steps of k; the last one is
//! as narrow as what is left, so that the matrix takes no more memory than before. Every element of
//! C is summed as [`gemm`](super::gemm) sums it and has the same bits.

use super::few::{Few, few_rows, panels_at_once};
use super::pack::{Block, pack};
use super::panels::panel_width;
use super::{Finish, KC, Mat, Part, Product, tile_shape};
use super::{blocks, finish_empty, grid, multiply, part_len, worker_len};
use crate::pool::Parts;
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
    assert!(g.c_row_stride >= g.n || g.m <= 1, "rows of C overlap");
    Mat {
        data: &*g.c,
        row_stride: g.c_row_stride,
        col_stride: 1,
    }
    .assert_holds(g.m, g.n, "C");
    if let Some(bias) = g.bias {
        assert_eq!(bias.len(), g.n, "bias for {} columns", g.n);
    }
    let len = worker_len::<S>(cx.isa());
    assert!(
        work.len() >= cx.pool().threads() * len,
        "workspace of {} elements",
        work.len()
    );
    if g.m == 0 || g.n == 0 {
        return;
    }
    if g.k == 0 {
        return finish_empty(super::Gemm {
            m: g.m,
            n: g.n,
            k: 0,
            a: g.a,
            b: Mat::rows(g.b, g.n),
            c: g.c,
            c_row_stride: g.c_row_stride,
            accumulate: false,
            bias: g.bias,
        });
    }
    let (parts_m, parts_n) = grid(cx, g.m, g.n, g.k);
    let (mr, nr) = tile_shape::<S>(cx.isa());
    // Few rows take several panels at once.
    let panels = panels_at_once(g.m);
    let (step_m, step_n) = (
        part_len(g.m, parts_m, mr),
        part_len(g.n, parts_n, nr * panels),
    );
    let (parts_m, parts_n) = (g.m.div_ceil(step_m), g.n.div_ceil(step_n));
    let shape = Shape {
        isa: cx.isa(),
        n: g.n,
        k: g.k,
        a: g.a,
        b: g.b,
        c_row_stride: g.c_row_stride,
        bias: g.bias,
    };
    let (work, c) = (Parts::new(work), Parts::new(g.c));
    cx.pool().run(parts_m * parts_n, &|t, worker| {
        let (i, j) = (t % parts_m * step_m, t / parts_m * step_n);
        let part = Part {
            i,
            j,
            m: step_m.min(g.m - i),
            n: step_n.min(g.n - j),
        };
        // SAFETY: no two running tasks have the same worker.
        let work = unsafe { work.part(worker * len..(worker + 1) * len) };
        // SAFETY: parts are disjoint rectangles of C, each computed once.
        unsafe {
            if part.m <= ROWS_UNPACKED {
                shape.compute_few(part, &c);
            } else {
                shape.compute_many(part, &c, work);
            }
        }
    });
}

/// Rows up to which A is read where it lies.
const ROWS_UNPACKED: usize = 6;

/// A product without its result.
struct Shape<'a, S> {
    isa: Isa,
    n: usize,
    k: usize,
    a: Mat<'a, S>,
    b: &'a [S],
    c_row_stride: usize,
    bias: Option<&'a [S]>,
}

impl<S: Float> Shape<'_, S> {
    /// The panel that starts at column `j`, from step `p` on, and its width.
    fn panel(&self, j: usize, p: usize) -> (&[S], usize) {
        let width = panel_width::<S>(self.isa).min(self.n - j);
        (&self.b[j * self.k + p * width..], width)
    }

    /// What happens to columns `j..j + n` of C after the block of k from `p0` on.
    fn finish(&self, p0: usize, j: usize, n: usize) -> Finish<S> {
        let bias = match self.bias {
            Some(bias) if p0 + KC >= self.k => bias[j..j + n].as_ptr(),
            _ => std::ptr::null(),
        };
        Finish { add: p0 > 0, bias }
    }

    /// Every panel is read once, from the first step to the last, for all rows.
    ///
    /// # Safety
    /// Nobody else touches the part's elements of C.
    unsafe fn compute_few(&self, part: Part, c: &Parts<'_, S>) {
        let nr = panel_width::<S>(self.isa);
        let panels = panels_at_once(part.m);
        let end = part.j + part.n;
        let mut j = part.j;
        while j < end {
            let at_once = if j + panels * nr <= end { panels } else { 1 };
            let n = (at_once * nr).min(end - j);
            for p0 in (0..self.k).step_by(KC) {
                let k = KC.min(self.k - p0);
                let (b, width) = self.panel(j, p0);
                let product = Product {
                    m: part.m,
                    n,
                    k,
                    a: self.a.data[part.i * self.a.row_stride + p0 * self.a.col_stride..].as_ptr(),
                    a_row: self.a.row_stride,
                    a_col: self.a.col_stride,
                    b: b.as_ptr(),
                    b_row: width,
                    c: c.at(part.i * self.c_row_stride + j),
                    c_row: self.c_row_stride,
                    finish: self.finish(p0, j, n),
                };
                // SAFETY: the panels from j on hold n items by k steps, those of `at_once` > 1 all
                // of full width; the tile lies in the part.
                unsafe {
                    if at_once > 1 {
                        let panel = nr * self.k;
                        few_rows(self.isa, Few { product, panel });
                    } else {
                        multiply(self.isa, product);
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
    unsafe fn compute_many(&self, part: Part, c: &Parts<'_, S>, work: &mut [S]) {
        let (mr, _) = tile_shape::<S>(self.isa);
        let (mc, nc) = blocks::<S>(self.isa);
        let skip = work.as_ptr().align_offset(64).min(64 / size_of::<S>());
        let packed_a = &mut work[skip..][..mc * KC];
        // With one block of rows, every panel is read once whatever the order.
        let nc = if part.m <= mc { part.n } else { nc };
        for j0 in (0..part.n).step_by(nc) {
            let n = nc.min(part.n - j0);
            for p0 in (0..self.k).step_by(KC) {
                let k = KC.min(self.k - p0);
                for i0 in (0..part.m).step_by(mc) {
                    let m = mc.min(part.m - i0);
                    let block = Block {
                        data: &self.a.data
                            [(part.i + i0) * self.a.row_stride + p0 * self.a.col_stride..],
                        item: self.a.row_stride,
                        step: self.a.col_stride,
                        len: m,
                        k,
                    };
                    pack(self.isa, block, mr, packed_a);
                    let inner = Part {
                        i: part.i + i0,
                        j: part.j + j0,
                        m,
                        n,
                    };
                    // SAFETY: the caller's promise; A is packed for this part.
                    unsafe { self.multiply_block(inner, p0, packed_a, c) }
                }
            }
        }
    }

    /// Adds one block of k to a part of C, panel by panel.
    ///
    /// # Safety
    /// Nobody else touches the part's elements of C; A is packed for it.
    unsafe fn multiply_block(&self, part: Part, p0: usize, packed_a: &[S], c: &Parts<'_, S>) {
        let (mr, nr) = tile_shape::<S>(self.isa);
        let k = KC.min(self.k - p0);
        for j in (part.j..part.j + part.n).step_by(nr) {
            let n = nr.min(part.j + part.n - j);
            let (b, width) = self.panel(j, p0);
            for i in (0..part.m).step_by(mr) {
                let product = Product {
                    m: mr.min(part.m - i),
                    n,
                    k,
                    a: packed_a[i * k..].as_ptr(),
                    a_row: 1,
                    a_col: mr,
                    b: b.as_ptr(),
                    b_row: width,
                    c: c.at((part.i + i) * self.c_row_stride + j),
                    c_row: self.c_row_stride,
                    finish: self.finish(p0, j, n),
                };
                // SAFETY: panels hold m and n items by k steps; the tile lies in the part.
                unsafe { multiply(self.isa, product) }
            }
        }
    }
}
