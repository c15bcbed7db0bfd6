//! The forward pass, tile by tile.

use super::sight::Sight;
use super::softmax::{Lanes, divide, fade, normalisers, scale_lanes, softmax_strip};
use super::{Attention, GROUP, STRIP, Seen, TK, TQ, copy_row, fetch_early, gather, turn};
use crate::gemm::{Finish, Product, multiply};
use crate::pool::Parts;
use crate::{Cols, Cx, Float, Isa};
use std::ops::Range;

/// Elements of workspace for [`attention`] and [`crate::attention_cached`].
pub fn attention_work_len<S: Float>(head_dim: usize, threads: usize) -> usize {
    threads * worker_len(head_dim)
}

/// Turned queries, sums, a tile of keys and one of values, and their scores.
pub(super) fn worker_len(head_dim: usize) -> usize {
    2 * (TQ + TK) * head_dim + TK * TQ
}

/// out `[N, H·K]` = softmax(scale · q·kᵀ) · v within each sequence, and the normalisers lse
/// `[N, H]` = log₂ Σ exp(scale · ⟨q, k⟩). A row that sees no key gets 0 and −∞. `work` has
/// [`attention_work_len`] elements.
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
            factor: score_factor(a.scale),
        };
        // SAFETY: no two running tasks have the same worker.
        let work = unsafe { work.part(worker * len..(worker + 1) * len) };
        // SAFETY: every task has its own rows and heads.
        unsafe { block.compute(rows, &out, Some(&lse), work) }
    });
}

/// The factor on queries that makes scores of them logarithms to the base 2.
pub(super) fn score_factor<S: Float>(scale: f64) -> S {
    S::from_f64(scale * std::f64::consts::LOG2_E)
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
    /// On the scores; see [`score_factor`].
    pub(super) factor: S,
}

/// Workspace of one worker.
struct Space<'w, S> {
    /// Queries times the factor, `[d, TQ]`.
    turned: &'w mut [S],
    /// Weighted sums of values, `[TQ, d]`.
    sums: &'w mut [S],
    /// `[TK, d]`.
    keys: &'w mut [S],
    /// `[TK, d]`.
    values: &'w mut [S],
    /// `[TK, TQ]`.
    scores: &'w mut [S],
}

impl<'w, S> Space<'w, S> {
    fn new(work: &'w mut [S], d: usize) -> Self {
        let (turned, work) = work.split_at_mut(TQ * d);
        let (sums, work) = work.split_at_mut(TQ * d);
        let (keys, work) = work.split_at_mut(TK * d);
        let (values, scores) = work.split_at_mut(TK * d);
        Space {
            turned,
            sums,
            keys,
            values,
            scores,
        }
    }
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
        let mut space = Space::new(work, d);
        let mut lanes = self.lanes(&rows, heads.len());
        for (h, head) in heads.clone().enumerate() {
            let queries = self.q_start + rows.start..self.q_start + rows.end;
            let to = &mut space.turned[h * rows.len()..];
            turn(self.isa, self.q, queries, head * d, to, d);
        }
        scale_lanes(self.isa, self.factor, lanes.n, space.turned);
        let all = self.sight.range(self.past + rows.start).start
            ..self.sight.range(self.past + rows.end - 1).end;
        let mut is_first = true;
        for keys in self.sight.tiles(all.start..all.end.max(all.start)) {
            self.add_tile(keys, is_first, &mut lanes, &mut space);
            is_first = false;
        }
        let sums = space.sums;
        if is_first {
            sums.fill(S::ZERO);
        }
        divide(self.isa, &lanes.sum[..lanes.n], sums, d);
        let lse = lse.map(|to| (to, normalisers(self.isa, &lanes)));
        for (h, head) in heads.enumerate() {
            for (r, i) in rows.clone().enumerate() {
                let lane = h * rows.len() + r;
                let row = (self.q_start + i) * self.n_heads + head;
                // SAFETY: the caller's promise.
                let to = unsafe { out.part(row * d..(row + 1) * d) };
                copy_row(&sums[lane * d..][..d], to);
                if let Some((lse, normalisers)) = &lse {
                    // SAFETY: the caller's promise.
                    let to = unsafe { lse.part(row..row + 1) };
                    to[0] = normalisers[lane];
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

    /// Adds one tile of keys to the running softmax and to the sums.
    fn add_tile(
        &self,
        keys: Range<usize>,
        is_first: bool,
        lanes: &mut Lanes<S>,
        space: &mut Space<'_, S>,
    ) {
        let (d, n) = (self.head_dim, lanes.n);
        let at = self.kv_head * d;
        let rows = self.k_start + keys.start..self.k_start + keys.end;
        // Few lanes read a tile only once.
        let apart = n <= STRIP;
        if !apart {
            gather(self.isa, self.k, rows.clone(), at, space.keys, d);
            gather(self.isa, self.v, rows.clone(), at, space.values, d);
            let next = self.sight.next_tile(&keys);
            let next = self.k_start + next.start..self.k_start + next.end;
            fetch_early(self.k, next.clone(), at, d);
            fetch_early(self.v, next, at, d);
        }
        let [k, v] = match apart {
            true => [self.k, self.v].map(|x| (x.at(rows.start, at), x.row_stride)),
            false => [(space.keys.as_ptr(), d), (space.values.as_ptr(), d)],
        };
        let seen = Seen::new(&lanes.start[..n], &lanes.end[..n], &keys);
        for (lanes, keys) in seen.runs(n) {
            self.scores(lanes, keys, k, space);
        }
        for j in keys.clone().filter(|&j| self.sight.is_hole(j)) {
            space.scores[(j - keys.start) * TQ..][..n].fill(S::NEG_INFINITY);
        }
        for strip in 0..n.div_ceil(STRIP) {
            let seen = seen.of_strip(strip);
            let rows = &mut space.scores[seen.start * TQ..seen.end * TQ];
            let first_key = (keys.start + seen.start) as u32;
            softmax_strip(self.isa, first_key, strip * STRIP, lanes, rows);
        }
        seen.clear_unseen(n, space.scores);
        if !is_first {
            fade(self.isa, &lanes.fade[..n], space.sums, d);
        }
        for first in (0..n).step_by(GROUP) {
            let lanes = first..n.min(first + GROUP);
            let keys = seen.of_lanes(lanes.clone());
            self.add_values(lanes, keys, v, is_first, space);
        }
    }

    /// Scores of some lanes and keys of the tile.
    fn scores(
        &self,
        lanes: Range<usize>,
        keys: Range<usize>,
        (k, k_row): (*const S, usize),
        space: &mut Space<'_, S>,
    ) {
        let d = self.head_dim;
        if keys.is_empty() {
            return;
        }
        let product = Product {
            m: keys.len(),
            n: lanes.len(),
            k: d,
            a: k.wrapping_add(keys.start * k_row),
            a_row: k_row,
            a_col: 1,
            b: space.turned[lanes.start..].as_ptr(),
            b_row: TQ,
            c: space.scores[keys.start * TQ + lanes.start..].as_mut_ptr(),
            c_row: TQ,
            finish: Finish::near(false),
        };
        // SAFETY: the buffers hold d columns by TQ lanes and TK keys by TQ lanes; lanes and keys
        // lie inside, and the tile's keys are there: gathered, or as the entry point checked.
        unsafe { multiply(self.isa, product) };
    }

    /// Adds (at first: sets) the weighted values of some keys to some lanes' sums.
    fn add_values(
        &self,
        lanes: Range<usize>,
        keys: Range<usize>,
        (v, v_row): (*const S, usize),
        is_first: bool,
        space: &mut Space<'_, S>,
    ) {
        let d = self.head_dim;
        let product = Product {
            m: lanes.len(),
            n: d,
            k: keys.len(),
            a: space.scores[keys.start * TQ + lanes.start..].as_ptr(),
            a_row: 1,
            a_col: TQ,
            b: v.wrapping_add(keys.start * v_row),
            b_row: v_row,
            c: space.sums[lanes.start * d..lanes.end * d].as_mut_ptr(),
            c_row: d,
            finish: Finish::near(!is_first),
        };
        // SAFETY: as in `scores`, and sums hold TQ lanes by d columns.
        unsafe { multiply(self.isa, product) };
    }
}
