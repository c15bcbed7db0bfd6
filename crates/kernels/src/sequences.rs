//! Rows of packed sequences, by sequence: the dropout of masked tokens, and means over rows.

use crate::attention::assert_cu_seqlens;
use crate::isa::simd;
use crate::pool::Parts;
use crate::{Cx, Float};
use std::ops::Range;

/// Columns that one task adds over the rows of a sequence.
const COLS: usize = 64;

/// Which tokens are masked, and what their absence means for the others.
#[derive(Clone, Copy, Debug)]
pub struct TokenDropout<'a> {
    /// `[N]`.
    pub ids: &'a [i32],
    /// Starts of the sequences and the end of the last, `[n + 1]`, rising from 0 to N.
    pub cu_seqlens: &'a [i32],
    /// The id of masked tokens.
    pub mask_id: u32,
    /// The fraction of tokens that was masked when the model was trained, in 0..1.
    pub trained: f64,
}

impl TokenDropout<'_> {
    fn is_masked(&self, row: usize) -> bool {
        u32::try_from(self.ids[row]) == Ok(self.mask_id)
    }

    /// (1 − trained) / (1 − observed), or 0 for a sequence of nothing but masked tokens.
    fn factor(&self, sequence: Range<usize>) -> f64 {
        let n = sequence.len();
        let n_masked = sequence.filter(|&row| self.is_masked(row)).count();
        match n_masked < n {
            true => (1.0 - self.trained) / (1.0 - n_masked as f64 / n as f64),
            false => 0.0,
        }
    }
}

/// y = x · (1 − trained) / (1 − observed), 0 in the rows of masked tokens: x and y `[N, D]`,
/// observed the fraction of masked tokens in the row's sequence. The factor is computed in f64 and
/// rounded once. Its own derivative: call it with dy for x.
///
/// # Panics
/// When a length does not fit or bounds do not rise from 0 to N.
pub fn token_dropout<S: Float>(cx: Cx<'_>, dropout: TokenDropout<'_>, x: &[S], y: &mut [S]) {
    let n = dropout.ids.len();
    assert_eq!(x.len(), y.len(), "x and y of token dropout");
    assert_eq!(
        assert_cu_seqlens(dropout.cu_seqlens),
        n,
        "bounds of {n} rows"
    );
    let width = x.len().checked_div(n).unwrap_or(0);
    assert_eq!(n * width, x.len(), "{} elements in {n} rows", x.len());
    let y = Parts::new(y);
    cx.ranges(n, width, &|rows| {
        for (s, rows) in spans(dropout.cu_seqlens, rows) {
            let factor = S::from_f64(dropout.factor(sequence(dropout.cu_seqlens, s)));
            for row in rows {
                // SAFETY: ranges of rows are disjoint.
                let y = unsafe { y.rows(&(row..row + 1), width) };
                match dropout.is_masked(row) {
                    true => y.fill(S::ZERO),
                    false => scaled(cx.isa(), factor, &x[row * width..][..width], y, false),
                }
            }
        }
    });
}

/// Over which rows a mean is taken.
#[derive(Clone, Copy, Debug)]
pub struct MeanPool<'a> {
    /// Starts of the sequences and the end of the last, `[n + 1]`, rising from 0 to N.
    pub cu_seqlens: &'a [i32],
    /// Width of a row, D.
    pub width: usize,
    /// Leaves out the first row of each sequence.
    pub skip_first: bool,
    /// Leaves out the last row of each sequence.
    pub skip_last: bool,
}

impl MeanPool<'_> {
    fn n_seqs(&self) -> usize {
        self.cu_seqlens.len() - 1
    }

    /// The rows of a sequence that count.
    fn counted(&self, sequence: Range<usize>) -> Range<usize> {
        let start = sequence.start + usize::from(self.skip_first);
        let end = sequence.end.saturating_sub(usize::from(self.skip_last));
        start..end.max(start)
    }

    /// Panics unless `rows` `[N, D]` and `pooled` `[n, D]` have these lengths.
    fn assert_holds(&self, rows: usize, pooled: usize) {
        let n = assert_cu_seqlens(self.cu_seqlens);
        assert_eq!(
            (rows, pooled),
            (n * self.width, self.n_seqs() * self.width),
            "{n} rows and {} sequences of width {}",
            self.n_seqs(),
            self.width
        );
    }
}

/// y `[n, D]` = the mean of each sequence's rows of x `[N, D]`, summed in f64 in the order of the
/// rows; 0 where no row counts.
///
/// # Panics
/// When a length does not fit or bounds do not rise from 0 to N.
pub fn mean_pool<S: Float>(cx: Cx<'_>, pool: MeanPool<'_>, x: &[S], y: &mut [S]) {
    pool.assert_holds(x.len(), y.len());
    let (width, n) = (pool.width, pool.n_seqs());
    let blocks = width.div_ceil(COLS);
    let y = Parts::new(y);
    // What a task of one block costs on average.
    let cost = x.len() / (n * blocks).max(1);
    cx.ranges(n * blocks, cost, &|tasks| {
        for task in tasks {
            let (s, at) = (task / blocks, task % blocks * COLS);
            let cols = at..width.min(at + COLS);
            // SAFETY: tasks have their own columns of a sequence.
            let y = unsafe { y.part(s * width + cols.start..s * width + cols.end) };
            let rows = pool.counted(sequence(pool.cu_seqlens, s));
            means(cx.isa(), x, width, rows, cols, y);
        }
    });
}

/// The derivative of [`mean_pool`] for dy `[n, D]`: dx `[N, D]` = dy / count in the rows that
/// count, 0 in others; added to `dx` when `accumulate`.
///
/// # Panics
/// As [`mean_pool`].
pub fn mean_pool_vjp<S: Float>(
    cx: Cx<'_>,
    pool: MeanPool<'_>,
    dy: &[S],
    dx: &mut [S],
    accumulate: bool,
) {
    pool.assert_holds(dx.len(), dy.len());
    let width = pool.width;
    let n = dx.len().checked_div(width).unwrap_or(0);
    let dx = Parts::new(dx);
    cx.ranges(n, width, &|rows| {
        for (s, rows) in spans(pool.cu_seqlens, rows) {
            let counted = pool.counted(sequence(pool.cu_seqlens, s));
            let factor = S::from_f64(1.0 / counted.len() as f64);
            for row in rows {
                // SAFETY: ranges of rows are disjoint.
                let dx = unsafe { dx.rows(&(row..row + 1), width) };
                match (counted.contains(&row), accumulate) {
                    (true, _) => {
                        scaled(cx.isa(), factor, &dy[s * width..][..width], dx, accumulate)
                    }
                    (false, true) => (),
                    (false, false) => dx.fill(S::ZERO),
                }
            }
        }
    });
}

/// The rows of a sequence.
fn sequence(cu_seqlens: &[i32], s: usize) -> Range<usize> {
    cu_seqlens[s] as usize..cu_seqlens[s + 1] as usize
}

/// The sequences that reach into `rows`, and the rows of each in there.
fn spans(
    cu_seqlens: &[i32],
    rows: Range<usize>,
) -> impl Iterator<Item = (usize, Range<usize>)> + '_ {
    let first = cu_seqlens.partition_point(|&b| b as usize <= rows.start);
    (first - 1..cu_seqlens.len() - 1)
        .map(move |s| {
            let all = sequence(cu_seqlens, s);
            (s, all.start.max(rows.start)..all.end.min(rows.end))
        })
        .take_while(move |(_, part)| part.start < rows.end)
}

simd! {
    fn scaled<S: Float>(factor: S, x: &[S], y: &mut [S], accumulate: bool) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = if accumulate { x.mul_add(factor, *y) } else { x * factor };
        }
    }
}

simd! {
    fn means<S: Float>(
        x: &[S],
        width: usize,
        rows: Range<usize>,
        cols: Range<usize>,
        y: &mut [S],
    ) {
        let mut acc = [0.0; COLS];
        for row in rows.clone() {
            for (acc, x) in acc.iter_mut().zip(&x[row * width..][cols.clone()]) {
                *acc += x.to_f64();
            }
        }
        let n = rows.len().max(1) as f64;
        for (y, acc) in y.iter_mut().zip(acc) {
            *y = S::from_f64(acc / n);
        }
    }
}
