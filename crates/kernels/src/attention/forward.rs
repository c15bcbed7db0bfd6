//! The forward pass, tile by tile.

use super::sight::Sight;
use super::{Attention, TK, TQ, turn};
use crate::gemm::{Finish, Product, multiply};
use crate::isa::simd;
use crate::pool::Parts;
use crate::{Cols, Cx, Float, Isa};
use std::ops::Range;

/// Elements of workspace for [`attention`] and [`crate::attention_cached`].
pub fn attention_work_len<S: Float>(head_dim: usize, threads: usize) -> usize {
    threads * worker_len(head_dim)
}

/// Turned queries, sums, one tile of scores.
pub(super) fn worker_len(head_dim: usize) -> usize {
    2 * TQ * head_dim + TK * TQ
}

/// out `[N, H·K]` = softmax(scale · q·kᵀ) · v within each sequence, and the log-normalisers lse
/// `[N, H]`. A row that sees no key gets 0 and −∞. `work` has [`attention_work_len`] elements.
///
/// # Panics
/// When a length does not fit.
pub fn attention<S: Float>(
    cx: Cx<'_>,
    a: Attention<'_, S>,
    out: &mut [S],
    lse: &mut [S],
    work: &mut [S],
) {
    let n = a.assert_shapes();
    let width = a.n_heads * a.head_dim;
    assert_eq!(
        (out.len(), lse.len()),
        (n * width, n * a.n_heads),
        "out and lse of attention"
    );
    let len = worker_len(a.head_dim);
    assert!(
        work.len() >= cx.pool().threads() * len,
        "workspace of {} elements",
        work.len()
    );
    let (out, lse, work) = (Parts::new(out), Parts::new(lse), Parts::new(work));
    let n_tiles = a.cu_seqlens.windows(2).map(n_tiles).sum::<usize>();
    cx.pool().run(n_tiles * a.n_kv_heads, &|t, worker| {
        let (sequence, rows) = find_tile(a.cu_seqlens, t / a.n_kv_heads);
        let start = a.cu_seqlens[sequence] as usize;
        let n_keys = a.cu_seqlens[sequence + 1] as usize - start;
        let block = Block {
            isa: cx.isa(),
            q: a.q,
            q_start: start,
            k: a.k,
            v: a.v,
            k_start: start,
            past: 0,
            sight: Sight::new(
                a.causal,
                a.window,
                n_keys,
                a.key_mask.map(|mask| &mask[start..start + n_keys]),
            ),
            kv_head: t % a.n_kv_heads,
            n_heads: a.n_heads,
            group: a.n_heads / a.n_kv_heads,
            head_dim: a.head_dim,
            scale: S::from_f64(a.scale),
        };
        // SAFETY: no two running tasks have the same worker.
        let work = unsafe { work.part(worker * len..(worker + 1) * len) };
        // SAFETY: every task has its own rows and heads.
        unsafe { block.compute(rows, &out, Some(&lse), work) }
    });
}

/// Tiles of queries in a sequence given by its two ends.
pub(super) fn n_tiles(ends: &[i32]) -> usize {
    ((ends[1] - ends[0]) as usize).div_ceil(TQ)
}

/// The sequence of the t-th tile of queries, and its rows from the sequence's start.
pub(super) fn find_tile(cu_seqlens: &[i32], mut t: usize) -> (usize, Range<usize>) {
    for (sequence, ends) in cu_seqlens.windows(2).enumerate() {
        let n = n_tiles(ends);
        if t < n {
            let len = (ends[1] - ends[0]) as usize;
            return (sequence, t * TQ..len.min((t + 1) * TQ));
        }
        t -= n;
    }
    unreachable!("tile {t} beyond the last sequence")
}

/// One key-value head of one sequence, for a tile of queries.
pub(super) struct Block<'a, S> {
    pub(super) isa: Isa,
    pub(super) q: Cols<'a, S>,
    /// Row of q that is the tile's row 0.
    pub(super) q_start: usize,
    pub(super) k: Cols<'a, S>,
    pub(super) v: Cols<'a, S>,
    /// Row of k and v that is key 0.
    pub(super) k_start: usize,
    /// Position of row 0.
    pub(super) past: usize,
    pub(super) sight: Sight<'a>,
    pub(super) kv_head: usize,
    pub(super) n_heads: usize,
    pub(super) group: usize,
    pub(super) head_dim: usize,
    pub(super) scale: S,
}

/// Running maxima and sums of the lanes, and what each lane sees.
struct Lanes<S> {
    n: usize,
    max: [S; TQ],
    sum: [S; TQ],
    /// Factor on what was summed before the current tile.
    fade: [S; TQ],
    start: [u32; TQ],
    end: [u32; TQ],
}

impl<S: Float> Block<'_, S> {
    /// Computes all query heads of the group for `rows`: as many heads at once as fill the lanes.
    ///
    /// # Safety
    /// Nobody else touches these rows and heads of `out` and `lse`.
    pub(super) unsafe fn compute(
        &self,
        rows: Range<usize>,
        out: &Parts<'_, S>,
        lse: Option<&Parts<'_, S>>,
        work: &mut [S],
    ) {
        let at_once = (TQ / rows.len().max(1)).clamp(1, self.group);
        let first = self.kv_head * self.group;
        for head in (first..first + self.group).step_by(at_once) {
            let heads = head..(head + at_once).min(first + self.group);
            // SAFETY: passed on.
            unsafe { self.compute_heads(rows.clone(), heads, out, lse, work) }
        }
    }

    unsafe fn compute_heads(
        &self,
        rows: Range<usize>,
        heads: Range<usize>,
        out: &Parts<'_, S>,
        lse: Option<&Parts<'_, S>>,
        work: &mut [S],
    ) {
        let d = self.head_dim;
        let (turned, work) = work.split_at_mut(TQ * d);
        let (sums, scores) = work.split_at_mut(TQ * d);
        let mut lanes = self.lanes(&rows, heads.len());
        for (h, head) in heads.clone().enumerate() {
            let to = &mut turned[h * rows.len()..];
            turn(
                rows.clone().map(|i| self.q_start + i),
                self.q,
                head * d,
                to,
                d,
            );
        }
        let all = self.sight.range(self.past + rows.start).start
            ..self.sight.range(self.past + rows.end - 1).end;
        let mut is_first = true;
        for keys in self.sight.tiles(all.start..all.end.max(all.start)) {
            self.add_tile(keys, is_first, &mut lanes, turned, sums, scores);
            is_first = false;
        }
        if is_first {
            sums.fill(S::ZERO);
        }
        for (h, head) in heads.enumerate() {
            for (r, i) in rows.clone().enumerate() {
                let lane = h * rows.len() + r;
                let row = (self.q_start + i) * self.n_heads + head;
                // SAFETY: the caller's promise.
                let to = unsafe { out.part(row * d..(row + 1) * d) };
                finish_row(self.isa, &sums[lane * d..][..d], lanes.sum[lane], to);
                if let Some(lse) = lse {
                    // SAFETY: the caller's promise.
                    let to = unsafe { lse.part(row..row + 1) };
                    to[0] = lanes.max[lane] + lanes.sum[lane].ln();
                }
            }
        }
    }

    fn lanes(&self, rows: &Range<usize>, n_heads: usize) -> Lanes<S> {
        let mut lanes = Lanes {
            n: n_heads * rows.len(),
            max: [S::NEG_INFINITY; TQ],
            sum: [S::ZERO; TQ],
            fade: [S::ZERO; TQ],
            start: [0; TQ],
            end: [0; TQ],
        };
        for lane in 0..lanes.n {
            let seen = self.sight.range(self.past + rows.start + lane % rows.len());
            (lanes.start[lane], lanes.end[lane]) = (seen.start as u32, seen.end as u32);
        }
        lanes
    }

    /// Adds one tile of keys to the running softmax and to `sums` `[lane, d]`.
    fn add_tile(
        &self,
        keys: Range<usize>,
        is_first: bool,
        lanes: &mut Lanes<S>,
        turned: &[S],
        sums: &mut [S],
        scores: &mut [S],
    ) {
        let (d, n) = (self.head_dim, lanes.n);
        let (k, v) = (self.k, self.v);
        let at = self.kv_head * d;
        let scores_product = Product {
            m: keys.len(),
            n,
            k: d,
            a: k.at(self.k_start + keys.start, at),
            a_row: k.row_stride,
            a_col: 1,
            b: turned.as_ptr(),
            b_row: TQ,
            c: scores.as_mut_ptr(),
            c_row: TQ,
            finish: Finish::plain(false),
        };
        // SAFETY: the entry point checked that k has these rows and columns; the buffers hold TQ
        // lanes by d columns and by TK keys.
        unsafe { multiply(self.isa, scores_product) };
        for j in keys.clone().filter(|&j| self.sight.is_hole(j)) {
            scores[(j - keys.start) * TQ..][..n].fill(S::NEG_INFINITY);
        }
        softmax_tile(
            self.isa,
            self.scale,
            keys.start as u32,
            keys.len(),
            lanes,
            scores,
        );
        if !is_first {
            for lane in 0..n {
                fade(self.isa, lanes.fade[lane], &mut sums[lane * d..][..d]);
            }
        }
        let values_product = Product {
            m: n,
            n: d,
            k: keys.len(),
            a: scores.as_ptr(),
            a_row: 1,
            a_col: TQ,
            b: v.at(self.k_start + keys.start, at),
            b_row: v.row_stride,
            c: sums.as_mut_ptr(),
            c_row: d,
            finish: Finish::plain(!is_first),
        };
        // SAFETY: as above, for v.
        unsafe { multiply(self.isa, values_product) };
    }
}

simd! {
    /// Turns scores `[n_keys, TQ]` into weights relative to the new running maximum.
    fn softmax_tile<S: Float>(
        scale: S,
        first_key: u32,
        n_keys: usize,
        lanes: &mut Lanes<S>,
        scores: &mut [S],
    ) {
        let n = lanes.n;
        let mut max = lanes.max;
        let (start, end) = (&lanes.start[..n], &lanes.end[..n]);
        let last_key = first_key + n_keys as u32;
        let partial = start.iter().any(|&s| s > first_key) || end.iter().any(|&e| e < last_key);
        for (j, row) in (first_key..last_key).zip(scores.chunks_mut(TQ)) {
            let row = &mut row[..n];
            if partial {
                for ((s, &start), &end) in row.iter_mut().zip(start).zip(end) {
                    let seen = (j >= start) & (j < end);
                    *s = if seen { *s } else { S::NEG_INFINITY };
                }
            }
            for (s, max) in row.iter_mut().zip(&mut max) {
                *s *= scale;
                *max = max.max_nan(*s);
            }
        }
        // A lane that has seen nothing keeps weights of 0 instead of ∞ − ∞.
        let mut base = max;
        let mut total = [S::ZERO; TQ];
        for l in 0..n {
            base[l] = if max[l] == S::NEG_INFINITY { S::ZERO } else { max[l] };
            lanes.fade[l] = (lanes.max[l] - base[l]).exp();
        }
        for row in scores.chunks_mut(TQ).take(n_keys) {
            for ((s, &base), total) in row[..n].iter_mut().zip(&base).zip(&mut total) {
                *s = (*s - base).exp();
                *total += *s;
            }
        }
        for l in 0..n {
            lanes.sum[l] = lanes.sum[l].mul_add(lanes.fade[l], total[l]);
        }
        lanes.max = max;
    }
}

simd! {
    fn fade<S: Float>(factor: S, sums: &mut [S]) {
        for s in sums {
            *s *= factor;
        }
    }
}

simd! {
    /// out = sums / total, and 0 where nothing was seen. Adding 0 makes −0 into 0: which zero a sum
    /// of weights 0 holds depends on the tile's neighbours.
    fn finish_row<S: Float>(sums: &[S], total: S, out: &mut [S]) {
        let inverse = if total == S::ZERO { S::ZERO } else { S::ONE / total };
        for (out, &s) in out.iter_mut().zip(sums) {
            *out = s.mul_add(inverse, S::ZERO);
        }
    }
}
