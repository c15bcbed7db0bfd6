//! The matrix product.
//!
//! Order of summation, the same for every m, n, stride, thread and instruction set: k is cut into
//! blocks of [`block_depth`]; a block is one chain of fused multiply-adds from zero; blocks are
//! added to C in order, the first one replacing C unless `accumulate`; a bias is added last. So a
//! row of C does not depend on which other rows are computed with it.
//!
//! Blocking after Goto & van de Geijn, "Anatomy of high-performance matrix multiplication" (2008).

mod few;
mod output;
mod pack;
mod packed;
mod panels;
mod skinny;
mod tile;
mod vector;

pub(crate) use pack::{Block, turn_block};
pub use packed::{PackedGemm, gemm_packed};
pub use panels::{gather_panel_columns, pack_panels, unpack_panels};
pub(crate) use tile::{Finish, Product, multiply, tile_shape};
pub(crate) use vector::{Wide, prefetch};

use crate::{Cx, Float, Isa};
use output::{Output, Part, Sums};
use pack::pack;
use std::ops::Range;

/// Most steps of k in a block: a panel of B of this depth, and a few rows of A, stay in a
/// first-level cache of 32 KiB with AVX2. With AVX-512 a panel is twice as wide and stays in the
/// second-level cache.
const DEPTH_MAX: usize = 320;
/// Bytes of packed A: about a third of a second-level cache of 512 KiB.
const A_BYTES: usize = 192 << 10;
/// Bytes of packed B: each thread's share of a last-level cache.
const B_BYTES: usize = 2 << 20;
/// Rows below which B would be packed for too little use to leave the second-level cache for it.
const FEW_ROWS: usize = 32;
/// Multiply-adds below which threads are not woken.
const TASK_FLOPS_MIN: usize = 64 * 64 * 64;

/// A matrix inside a slice: element (i, j) is `data[i * row_stride + j * col_stride]`.
#[derive(Clone, Copy, Debug)]
pub struct Mat<'a, S> {
    /// The elements.
    pub data: &'a [S],
    /// Elements from one row to the next.
    pub row_stride: usize,
    /// Elements from one column to the next.
    pub col_stride: usize,
}

impl<'a, S> Mat<'a, S> {
    /// A row-major matrix with `cols` columns.
    pub fn rows(data: &'a [S], cols: usize) -> Self {
        Mat {
            data,
            row_stride: cols,
            col_stride: 1,
        }
    }

    /// The transpose of a row-major matrix with `cols` columns.
    pub fn transposed(data: &'a [S], cols: usize) -> Self {
        Mat {
            data,
            row_stride: 1,
            col_stride: cols,
        }
    }

    /// The same elements with rows and columns exchanged.
    fn turned(self) -> Self {
        Mat {
            data: self.data,
            row_stride: self.col_stride,
            col_stride: self.row_stride,
        }
    }

    /// Some rows, items of a panel, by some columns, its steps.
    fn block(&self, rows: Range<usize>, cols: Range<usize>) -> Block<'a, S> {
        Block {
            data: &self.data[rows.start * self.row_stride + cols.start * self.col_stride..],
            item: self.row_stride,
            step: self.col_stride,
            len: rows.len(),
            k: cols.len(),
        }
    }

    fn assert_holds(&self, rows: usize, cols: usize, name: &str) {
        if rows > 0 && cols > 0 {
            let last = (rows - 1)
                .checked_mul(self.row_stride)
                .zip((cols - 1).checked_mul(self.col_stride))
                .and_then(|(r, c)| r.checked_add(c));
            let holds = last.is_some_and(|last| last < self.data.len());
            assert!(
                holds,
                "{name} [{rows}, {cols}] leaves {} elements",
                self.data.len()
            );
        }
    }
}

/// C `[m, n]` = A `[m, k]` · B `[k, n]` (+ C) (+ bias).
#[derive(Debug)]
pub struct Gemm<'a, S> {
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Columns of A, rows of B.
    pub k: usize,
    /// `[m, k]`.
    pub a: Mat<'a, S>,
    /// `[k, n]`.
    pub b: Mat<'a, S>,
    /// `[m, n]`, neighbouring columns adjacent.
    pub c: &'a mut [S],
    /// Elements from one row of C to the next, at least n.
    pub c_row_stride: usize,
    /// Add to C instead of replacing it.
    pub accumulate: bool,
    /// `[n]`, added to every row; not together with `accumulate`.
    pub bias: Option<&'a [S]>,
}

/// Steps of k in a block but the last: as few blocks as may be, about equally deep, since every one
/// has C loaded and stored again.
fn block_depth(k: usize) -> usize {
    let blocks = k.div_ceil(DEPTH_MAX).max(1);
    k.div_ceil(blocks).next_multiple_of(8).max(8)
}

/// Rows of A and columns of B that are packed at once in blocks of this depth.
fn blocks<S: Float>(isa: Isa, depth: usize) -> (usize, usize) {
    let (mr, nr) = tile_shape::<S>(isa);
    let bytes = depth * size_of::<S>();
    (A_BYTES / bytes / mr * mr, B_BYTES / bytes / nr * nr)
}

/// Elements of workspace for [`gemm`], whatever the shapes.
pub fn gemm_work_len<S: Float>(threads: usize) -> usize {
    threads * worker_len::<S>()
}

fn worker_len<S: Float>() -> usize {
    // One cache line of slack to start on a line's boundary.
    (A_BYTES + B_BYTES + 64) / size_of::<S>()
}

/// Computes the product; `work` has [`gemm_work_len`] elements.
///
/// # Panics
/// When an operand leaves its slice, rows of C overlap, `bias` comes with `accumulate` or has
/// another length than n, or the workspace is too short.
pub fn gemm<S: Float>(cx: Cx<'_>, g: Gemm<'_, S>, work: &mut [S]) {
    g.a.assert_holds(g.m, g.k, "A");
    g.b.assert_holds(g.k, g.n, "B");
    let output = Output {
        m: g.m,
        n: g.n,
        k: g.k,
        c: g.c,
        c_row_stride: g.c_row_stride,
        accumulate: g.accumulate,
        bias: g.bias,
    };
    let operands = Operands { a: g.a, b: g.b };
    let tile = tile_shape::<S>(cx.isa());
    output.compute(cx, tile, work, &|part, sums, work| {
        // SAFETY: parts are disjoint rectangles of C, each computed once.
        unsafe { operands.compute(part, sums, work) }
    });
}

/// What is multiplied.
struct Operands<'a, S> {
    a: Mat<'a, S>,
    b: Mat<'a, S>,
}

impl<S: Float> Operands<'_, S> {
    /// # Safety
    /// Nobody else touches the part's elements of C.
    unsafe fn compute(&self, part: Part, sums: &Sums<'_, S>, work: &mut [S]) {
        if part.m <= skinny::ROWS_MAX && self.b.col_stride == 1 {
            // SAFETY: the caller's promise.
            return unsafe { self.compute_rows(part, sums) };
        }
        let (isa, k) = (sums.isa, sums.k);
        let (mr, nr) = tile_shape::<S>(isa);
        let depth = block_depth(k);
        let (mc, nc) = blocks::<S>(isa, depth);
        let skip = work.as_ptr().align_offset(64).min(64 / size_of::<S>());
        let (packed_a, packed_b) = work[skip..].split_at_mut(mc * depth);
        let nc = if part.m <= FEW_ROWS {
            nc.min(8 * nr)
        } else {
            nc
        };
        let b = self.b.turned();
        for j in (part.j..part.j + part.n).step_by(nc) {
            let n = nc.min(part.j + part.n - j);
            for p0 in (0..k).step_by(depth) {
                let steps = p0..k.min(p0 + depth);
                pack(isa, b.block(j..j + n, steps.clone()), nr, packed_b);
                let panel = |at: usize| (&packed_b[(at - j) * steps.len()..], nr);
                for i in (part.i..part.i + part.m).step_by(mc) {
                    let m = mc.min(part.i + part.m - i);
                    pack(isa, self.a.block(i..i + m, steps.clone()), mr, packed_a);
                    // SAFETY: the caller's promise; both operands are packed for this part.
                    unsafe { sums.add_block(Part { i, j, m, n }, p0, packed_a, panel) }
                }
            }
        }
    }

    /// # Safety
    /// Nobody else touches the part's elements of C.
    unsafe fn compute_rows(&self, part: Part, sums: &Sums<'_, S>) {
        let skinny = skinny::Skinny {
            a: &self.a.data[part.i * self.a.row_stride..],
            a_row: self.a.row_stride,
            a_col: self.a.col_stride,
            b: &self.b.data[part.j..],
            b_row: self.b.row_stride,
            k: sums.k,
            accumulate: sums.accumulate,
            bias: sums.bias.map(|bias| &bias[part.j..part.j + part.n]),
        };
        for i in 0..part.m {
            let start = (part.i + i) * sums.c_row_stride + part.j;
            // SAFETY: the caller's promise.
            let row = unsafe { sums.c.part(start..start + part.n) };
            skinny::row(sums.isa, skinny, i, row);
        }
    }
}
