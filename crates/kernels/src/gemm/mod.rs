//! The matrix product.
//!
//! Order of summation, the same for every shape, stride, thread and instruction set: k is cut into
//! blocks of [`KC`]; a block is one chain of fused multiply-adds from zero; blocks are added to C
//! in order, the first one replacing C unless `accumulate`; a bias is added last. So a row of C
//! does not depend on which other rows are computed with it.
//!
//! Blocking after Goto & van de Geijn, "Anatomy of high-performance matrix multiplication" (2008).

mod few;
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

use crate::pool::Parts;
use crate::{Cx, Float, Isa};
use pack::pack;

/// Steps of k in a block: a panel of B of this depth stays in the first-level cache.
pub(crate) const KC: usize = 256;
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

/// Rows of A and columns of B that are packed at once.
fn blocks<S: Float>(isa: Isa) -> (usize, usize) {
    let (mr, nr) = tile_shape::<S>(isa);
    let depth = KC * size_of::<S>();
    (A_BYTES / depth / mr * mr, B_BYTES / depth / nr * nr)
}

/// Elements of workspace for [`gemm`], whatever the shapes.
pub fn gemm_work_len<S: Float>(isa: Isa, threads: usize) -> usize {
    threads * worker_len::<S>(isa)
}

fn worker_len<S: Float>(isa: Isa) -> usize {
    let (mc, nc) = blocks::<S>(isa);
    // One cache line of slack to start on a line's boundary.
    (mc + nc) * KC + 64 / size_of::<S>()
}

/// Computes the product; `work` has [`gemm_work_len`] elements.
///
/// # Panics
/// When an operand leaves its slice, rows of C overlap, `bias` comes with `accumulate` or has
/// another length than n, or the workspace is too short.
pub fn gemm<S: Float>(cx: Cx<'_>, g: Gemm<'_, S>, work: &mut [S]) {
    g.a.assert_holds(g.m, g.k, "A");
    g.b.assert_holds(g.k, g.n, "B");
    assert!(g.c_row_stride >= g.n || g.m <= 1, "rows of C overlap");
    Mat {
        data: &*g.c,
        row_stride: g.c_row_stride,
        col_stride: 1,
    }
    .assert_holds(g.m, g.n, "C");
    if let Some(bias) = g.bias {
        assert!(!g.accumulate, "a bias would be added twice");
        assert_eq!(
            bias.len(),
            g.n,
            "bias of {} for {} columns",
            bias.len(),
            g.n
        );
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
        return finish_empty(g);
    }
    let (parts_m, parts_n) = grid(cx, g.m, g.n, g.k);
    let (mr, nr) = tile_shape::<S>(cx.isa());
    let (step_m, step_n) = (part_len(g.m, parts_m, mr), part_len(g.n, parts_n, nr));
    let (parts_m, parts_n) = (g.m.div_ceil(step_m), g.n.div_ceil(step_n));
    let work = Parts::new(work);
    let shape = Shape {
        a: g.a,
        b: g.b,
        k: g.k,
        c_row_stride: g.c_row_stride,
        accumulate: g.accumulate,
        bias: g.bias,
    };
    let c = Parts::new(g.c);
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
        unsafe { shape.compute(cx.isa(), part, &c, work) }
    });
}

/// No terms: zero or the bias, or C as it is.
fn finish_empty<S: Float>(g: Gemm<'_, S>) {
    if !g.accumulate {
        for row in g.c.chunks_mut(g.c_row_stride.max(1)).take(g.m) {
            match g.bias {
                Some(bias) => row[..g.n].copy_from_slice(bias),
                None => row[..g.n].fill(S::ZERO),
            }
        }
    }
}

/// How many parts the rows and the columns of C are cut into.
fn grid(cx: Cx<'_>, m: usize, n: usize, k: usize) -> (usize, usize) {
    let threads = cx.pool().threads();
    let work = m.saturating_mul(n).saturating_mul(k);
    let wanted = if threads == 1 {
        1
    } else {
        (2 * threads).min(work / TASK_FLOPS_MIN)
    };
    let (mut parts_m, mut parts_n) = (1, 1);
    while parts_m * parts_n < wanted {
        let (rows, cols) = (m / parts_m, n / parts_n);
        if rows.max(cols) < 32 {
            break;
        }
        if rows > cols {
            parts_m *= 2
        } else {
            parts_n *= 2
        }
    }
    (parts_m, parts_n)
}

/// The length of a part in whole tiles.
fn part_len(len: usize, parts: usize, tile: usize) -> usize {
    len.div_ceil(parts).next_multiple_of(tile)
}

/// A rectangle of C.
#[derive(Clone, Copy)]
struct Part {
    i: usize,
    j: usize,
    m: usize,
    n: usize,
}

/// A product without its result.
struct Shape<'a, S> {
    a: Mat<'a, S>,
    b: Mat<'a, S>,
    k: usize,
    c_row_stride: usize,
    accumulate: bool,
    bias: Option<&'a [S]>,
}

impl<S: Float> Shape<'_, S> {
    /// # Safety
    /// Nobody else touches the part's elements of C.
    unsafe fn compute(&self, isa: Isa, part: Part, c: &Parts<'_, S>, work: &mut [S]) {
        if part.m <= skinny::ROWS_MAX && self.b.col_stride == 1 {
            // SAFETY: the caller's promise.
            return unsafe { self.compute_rows(isa, part, c) };
        }
        let (mr, nr) = tile_shape::<S>(isa);
        let (mc, nc) = blocks::<S>(isa);
        let skip = work.as_ptr().align_offset(64).min(64 / size_of::<S>());
        let (packed_a, packed_b) = work[skip..].split_at_mut(mc * KC);
        let nc = if part.m <= FEW_ROWS {
            nc.min(8 * nr)
        } else {
            nc
        };
        for j0 in (0..part.n).step_by(nc) {
            let n = nc.min(part.n - j0);
            for p0 in (0..self.k).step_by(KC) {
                let k = KC.min(self.k - p0);
                let block_b = Block {
                    data: &self.b.data
                        [p0 * self.b.row_stride + (part.j + j0) * self.b.col_stride..],
                    item: self.b.col_stride,
                    step: self.b.row_stride,
                    len: n,
                    k,
                };
                pack(isa, block_b, nr, packed_b);
                for i0 in (0..part.m).step_by(mc) {
                    let m = mc.min(part.m - i0);
                    let block_a = Block {
                        data: &self.a.data
                            [(part.i + i0) * self.a.row_stride + p0 * self.a.col_stride..],
                        item: self.a.row_stride,
                        step: self.a.col_stride,
                        len: m,
                        k,
                    };
                    pack(isa, block_a, mr, packed_a);
                    let inner = Part {
                        i: part.i + i0,
                        j: part.j + j0,
                        m,
                        n,
                    };
                    // SAFETY: the caller's promise; both operands are packed for this part.
                    unsafe { self.multiply_packed(isa, inner, p0, packed_a, packed_b, c) }
                }
            }
        }
    }

    /// Adds one block of k to a part of C, panel by panel.
    ///
    /// # Safety
    /// Nobody else touches the part's elements of C; the operands are packed for it.
    unsafe fn multiply_packed(
        &self,
        isa: Isa,
        part: Part,
        p0: usize,
        packed_a: &[S],
        packed_b: &[S],
        c: &Parts<'_, S>,
    ) {
        let (mr, nr) = tile_shape::<S>(isa);
        let k = KC.min(self.k - p0);
        let last = p0 + k == self.k;
        for j in (0..part.n).step_by(nr) {
            let n = nr.min(part.n - j);
            let bias = match self.bias {
                Some(bias) if last => bias[part.j + j..part.j + j + n].as_ptr(),
                _ => std::ptr::null(),
            };
            for i in (0..part.m).step_by(mr) {
                let m = mr.min(part.m - i);
                let product = Product {
                    m,
                    n,
                    k,
                    a: packed_a[i * k..].as_ptr(),
                    a_row: 1,
                    a_col: mr,
                    b: packed_b[j * k..].as_ptr(),
                    b_row: nr,
                    c: c.at((part.i + i) * self.c_row_stride + part.j + j),
                    c_row: self.c_row_stride,
                    finish: Finish {
                        add: p0 > 0 || self.accumulate,
                        bias,
                    },
                };
                // SAFETY: panels hold m and n items by k steps; the tile lies in the part.
                unsafe { multiply(isa, product) }
            }
        }
    }

    /// # Safety
    /// Nobody else touches the part's elements of C.
    unsafe fn compute_rows(&self, isa: Isa, part: Part, c: &Parts<'_, S>) {
        let skinny = skinny::Skinny {
            a: &self.a.data[part.i * self.a.row_stride..],
            a_row: self.a.row_stride,
            a_col: self.a.col_stride,
            b: &self.b.data[part.j..],
            b_row: self.b.row_stride,
            k: self.k,
            accumulate: self.accumulate,
            bias: self.bias.map(|bias| &bias[part.j..part.j + part.n]),
        };
        for i in 0..part.m {
            let start = (part.i + i) * self.c_row_stride + part.j;
            // SAFETY: the caller's promise.
            let row = unsafe { c.part(start..start + part.n) };
            skinny::row(isa, skinny, i, row);
        }
    }
}
