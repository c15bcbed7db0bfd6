//! C of a product: checked, cut into rectangles for the threads, and summed block by block.

use super::tile::{Finish, Product, multiply, tile_shape};
use super::{Mat, TASK_FLOPS_MIN, block_depth, worker_len};
use crate::pool::Parts;
use crate::{Cx, Float, Isa};

/// C `[m, n]` of a product over k steps.
pub(super) struct Output<'a, S> {
    pub(super) m: usize,
    pub(super) n: usize,
    pub(super) k: usize,
    pub(super) c: &'a mut [S],
    pub(super) c_row_stride: usize,
    pub(super) accumulate: bool,
    pub(super) bias: Option<&'a [S]>,
}

/// A rectangle of C.
#[derive(Clone, Copy)]
pub(super) struct Part {
    pub(super) i: usize,
    pub(super) j: usize,
    pub(super) m: usize,
    pub(super) n: usize,
}

/// C while several threads sum it.
pub(super) struct Sums<'a, S> {
    pub(super) isa: Isa,
    pub(super) k: usize,
    pub(super) c: Parts<'a, S>,
    pub(super) c_row_stride: usize,
    pub(super) accumulate: bool,
    pub(super) bias: Option<&'a [S]>,
}

/// Computes a rectangle of C with the workspace of its worker.
type Compute<'f, S> = dyn Fn(Part, &Sums<'_, S>, &mut [S]) + Sync + 'f;

impl<'a, S: Float> Output<'a, S> {
    /// Calls `compute` once for each of the rectangles that C is cut into, whole tiles of this many
    /// rows and columns, with the workspace of its worker.
    ///
    /// # Panics
    /// When rows of C overlap or leave its slice, `bias` comes with `accumulate` or has another
    /// length than n, or the workspace is too short.
    pub(super) fn compute(
        self,
        cx: Cx<'_>,
        tile: (usize, usize),
        work: &mut [S],
        compute: &Compute<'_, S>,
    ) {
        let (m, n, k) = (self.m, self.n, self.k);
        self.assert_holds();
        let len = worker_len::<S>();
        assert!(
            work.len() >= cx.pool().threads() * len,
            "workspace of {} elements",
            work.len()
        );
        if m == 0 || n == 0 {
            return;
        }
        if k == 0 {
            return self.finish_empty();
        }
        let (parts_m, parts_n) = grid(cx, m, n, k);
        let (step_m, step_n) = (part_len(m, parts_m, tile.0), part_len(n, parts_n, tile.1));
        let (parts_m, parts_n) = (m.div_ceil(step_m), n.div_ceil(step_n));
        let sums = Sums {
            isa: cx.isa(),
            k,
            c: Parts::new(self.c),
            c_row_stride: self.c_row_stride,
            accumulate: self.accumulate,
            bias: self.bias,
        };
        let work = Parts::new(work);
        cx.pool().run(parts_m * parts_n, &|t, worker| {
            let (i, j) = (t % parts_m * step_m, t / parts_m * step_n);
            let part = Part {
                i,
                j,
                m: step_m.min(m - i),
                n: step_n.min(n - j),
            };
            // SAFETY: no two running tasks have the same worker.
            let work = unsafe { work.part(worker * len..(worker + 1) * len) };
            compute(part, &sums, work);
        });
    }

    fn assert_holds(&self) {
        assert!(
            self.c_row_stride >= self.n || self.m <= 1,
            "rows of C overlap"
        );
        Mat {
            data: &*self.c,
            row_stride: self.c_row_stride,
            col_stride: 1,
        }
        .assert_holds(self.m, self.n, "C");
        if let Some(bias) = self.bias {
            assert!(!self.accumulate, "a bias would be added twice");
            assert_eq!(
                bias.len(),
                self.n,
                "bias of {} for {} columns",
                bias.len(),
                self.n
            );
        }
    }

    /// No terms: zero or the bias, or C as it is.
    fn finish_empty(self) {
        if !self.accumulate {
            for row in self.c.chunks_mut(self.c_row_stride.max(1)).take(self.m) {
                match self.bias {
                    Some(bias) => row[..self.n].copy_from_slice(bias),
                    None => row[..self.n].fill(S::ZERO),
                }
            }
        }
    }
}

impl<S: Float> Sums<'_, S> {
    /// What happens to columns `j..j + n` after the block of k from `p0` on.
    pub(super) fn finish(&self, p0: usize, j: usize, n: usize) -> Finish<S> {
        let bias = match self.bias {
            Some(bias) if p0 + block_depth(self.k) >= self.k => bias[j..j + n].as_ptr(),
            _ => std::ptr::null(),
        };
        Finish {
            add: p0 > 0 || self.accumulate,
            bias,
            near: false,
        }
    }

    /// Adds the block of k from `p0` on to a part, panel by panel. `panel` gives the panel of B that
    /// starts at a column of C, from step `p0` on, and its width.
    ///
    /// # Safety
    /// Nobody else touches the part's elements; A is packed for its rows and the block, and panels
    /// hold all columns up to the next, or the part's end, by the block's steps.
    pub(super) unsafe fn add_block<'b>(
        &self,
        part: Part,
        p0: usize,
        packed_a: &[S],
        panel: impl Fn(usize) -> (&'b [S], usize),
    ) where
        S: 'b,
    {
        let (mr, nr) = tile_shape::<S>(self.isa);
        let k = block_depth(self.k).min(self.k - p0);
        for j in (part.j..part.j + part.n).step_by(nr) {
            let n = nr.min(part.j + part.n - j);
            let (b, b_row) = panel(j);
            for i in (0..part.m).step_by(mr) {
                let product = Product {
                    m: mr.min(part.m - i),
                    n,
                    k,
                    a: packed_a[i * k..].as_ptr(),
                    a_row: 1,
                    a_col: mr,
                    b: b.as_ptr(),
                    b_row,
                    c: self.c.at((part.i + i) * self.c_row_stride + j),
                    c_row: self.c_row_stride,
                    finish: self.finish(p0, j, n),
                };
                // SAFETY: the caller's promise; the tile lies in the part.
                unsafe { multiply(self.isa, product) }
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
