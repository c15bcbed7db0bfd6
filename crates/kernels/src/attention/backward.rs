//! The derivative, tile by tile: scores are computed again from the saved normalisers.

use super::dscores::{Queries, dots, dscores_strip};
use super::forward::score_factor;
use super::sight::Sight;
use super::softmax::scale_lanes;
use super::{Attention, GROUP, STRIP, Seen, TK, TQ, copy_row, fetch_early, gather, turn};
use crate::elementwise::{add_assign_body, scale_body};
use crate::gemm::{Finish, Product, multiply};
use crate::pool::Parts;
use crate::{Cols, ColsMut, Cx, Float, Isa};
use std::ops::Range;

/// Writes of the derivative, each `[N, its columns]`.
#[derive(Debug)]
pub struct AttentionGrads<'a, S> {
    /// `[N, H·K]`.
    pub dq: ColsMut<'a, S>,
    /// `[N, G·K]`.
    pub dk: ColsMut<'a, S>,
    /// `[N, G·K]`.
    pub dv: ColsMut<'a, S>,
    /// Add to what is there instead of replacing it.
    pub accumulate: bool,
}

/// Elements of workspace for [`attention_vjp`].
pub fn attention_vjp_work_len<S: Float>(head_dim: usize, threads: usize) -> usize {
    threads * worker_len(head_dim)
}

fn worker_len(head_dim: usize) -> usize {
    (5 * TQ + 2 * TK) * head_dim + 2 * TK * TQ
}

/// Workspace of one worker.
struct Space<'w, S> {
    /// Queries times the factor on scores and gradients of the output, `[d, TQ]`.
    turned: [&'w mut [S]; 2],
    /// Queries times the scale and gradients of the output, `[TQ, d]`.
    rows: [&'w mut [S]; 2],
    /// Gradient of the queries, `[TQ, d]`.
    dq: &'w mut [S],
    /// Keys and values, `[TK, d]`.
    tile: [&'w mut [S]; 2],
    /// P and dS, `[TK, TQ]`.
    weights: [&'w mut [S]; 2],
}

impl<'w, S> Space<'w, S> {
    fn new(mut work: &'w mut [S], d: usize) -> Self {
        let mut part = |len: usize| {
            let (part, rest) = std::mem::take(&mut work).split_at_mut(len);
            work = rest;
            part
        };
        Space {
            turned: [part(TQ * d), part(TQ * d)],
            rows: [part(TQ * d), part(TQ * d)],
            dq: part(TQ * d),
            tile: [part(TK * d), part(TK * d)],
            weights: [part(TK * TQ), part(TK * TQ)],
        }
    }
}

/// The derivative of [`crate::attention`] for dout `[N, H·K]`, from its `out` and `lse`. With
/// weights P and δ_i = ⟨dout_i, out_i⟩ = Σ P_ij·⟨dout_i, v_j⟩: dv_j = Σ P_ij·dout_i; dS =
/// P∘(dout·vᵀ − δ); dq = scale·dS·k; dk = scale·dSᵀ·q. Sums over queries run by head, then by tile
/// of 192 rows of the sequence. `work` has [`attention_vjp_work_len`] elements.
///
/// # Panics
/// When a length does not fit.
pub fn attention_vjp<S: Float>(
    cx: Cx<'_>,
    a: Attention<'_, S>,
    out: &[S],
    lse: &[S],
    dout: &[S],
    grads: AttentionGrads<'_, S>,
    work: &mut [S],
) {
    let n = a.assert_shapes();
    let (width, kv_width) = (a.n_heads * a.head_dim, a.n_kv_heads * a.head_dim);
    assert_eq!(
        (out.len(), dout.len()),
        (n * width, n * width),
        "out and dout of attention"
    );
    assert_eq!(lse.len(), n * a.n_heads, "lse of attention");
    assert_eq!(
        (grads.dq.rows(), grads.dq.width()),
        (n, width),
        "dq of attention"
    );
    for grad in [&grads.dk, &grads.dv] {
        assert_eq!(
            (grad.rows(), grad.width()),
            (n, kv_width),
            "dk and dv of attention"
        );
    }
    let len = worker_len(a.head_dim);
    assert!(
        work.len() >= cx.pool().threads() * len,
        "workspace of {} elements",
        work.len()
    );
    let work = Parts::new(work);
    let n_sequences = a.cu_seqlens.len() - 1;
    cx.pool().run(n_sequences * a.n_kv_heads, &|t, worker| {
        let ends = &a.cu_seqlens[t / a.n_kv_heads..][..2];
        let (start, len_rows) = (ends[0] as usize, (ends[1] - ends[0]) as usize);
        let mask = a.key_mask.map(|mask| &mask[start..start + len_rows]);
        let unit = Unit {
            isa: cx.isa(),
            a,
            out: Cols::whole(out, width),
            lse,
            dout: Cols::whole(dout, width),
            grads: &grads,
            start,
            len: len_rows,
            sight: Sight::new(a.causal, a.window, len_rows, mask),
            kv_head: t % a.n_kv_heads,
        };
        // SAFETY: no two running tasks have the same worker.
        let work = unsafe { work.part(worker * len..(worker + 1) * len) };
        // SAFETY: every task has its own sequence and heads.
        unsafe { unit.compute(work) }
    });
}

/// One key-value head of one sequence.
struct Unit<'a, S> {
    isa: Isa,
    a: Attention<'a, S>,
    out: Cols<'a, S>,
    lse: &'a [S],
    dout: Cols<'a, S>,
    grads: &'a AttentionGrads<'a, S>,
    start: usize,
    len: usize,
    sight: Sight<'a>,
    kv_head: usize,
}

impl<S: Float> Unit<'_, S> {
    /// # Safety
    /// Nobody else touches this sequence's rows of these heads in the gradients.
    unsafe fn compute(&self, work: &mut [S]) {
        let (d, at) = (self.a.head_dim, self.kv_head * self.a.head_dim);
        if !self.grads.accumulate {
            for i in self.start..self.start + self.len {
                // SAFETY: the caller's promise.
                unsafe { self.grads.dk.row(i, at, d) }.fill(S::ZERO);
                // SAFETY: the caller's promise.
                unsafe { self.grads.dv.row(i, at, d) }.fill(S::ZERO);
            }
        }
        let group = self.a.n_heads / self.a.n_kv_heads;
        for head in self.kv_head * group..(self.kv_head + 1) * group {
            let mut i = 0;
            while i < self.len {
                let end = self.sight.query_tile_end(i, self.len, TQ);
                // SAFETY: passed on.
                unsafe { self.compute_queries(head, i..end, work) };
                i = end;
            }
        }
    }

    unsafe fn compute_queries(&self, head: usize, rows: Range<usize>, work: &mut [S]) {
        let d = self.a.head_dim;
        let mut space = Space::new(work, d);
        let absolute = self.start + rows.start..self.start + rows.end;
        for (i, x) in [self.a.q, self.dout].into_iter().enumerate() {
            let rows = absolute.clone();
            turn(self.isa, x, rows.clone(), head * d, space.turned[i], d);
            gather(self.isa, x, rows, head * d, space.rows[i], d);
        }
        turn(self.isa, self.out, absolute.clone(), head * d, space.dq, d);
        let queries = self.queries(head, &rows, space.dq, space.turned[1]);
        let (n, scale) = (rows.len(), S::from_f64(self.a.scale));
        scale_lanes(self.isa, score_factor(self.a.scale), n, space.turned[0]);
        scale_body(self.isa, scale, &mut space.rows[0][..n * d]);
        let all = self.sight.range(rows.start).start..self.sight.range(rows.end - 1).end;
        space.dq[..n * d].fill(S::ZERO);
        for keys in self.sight.tiles(all.start..all.end.max(all.start)) {
            // SAFETY: passed on.
            unsafe { self.add_tile(&queries, &keys, &mut space) };
        }
        scale_body(self.isa, scale, &mut space.dq[..n * d]);
        for (i, dq) in absolute.zip(space.dq.chunks_exact(d)) {
            // SAFETY: the caller's promise.
            let to = unsafe { self.grads.dq.row(i, head * d, d) };
            if self.grads.accumulate {
                add_assign_body(self.isa, dq, to);
            } else {
                copy_row(dq, to);
            }
        }
    }

    /// From `out` and `dout` of the rows, `[d, TQ]` both.
    fn queries(&self, head: usize, rows: &Range<usize>, out: &[S], dout: &[S]) -> Queries<S> {
        let mut queries = Queries {
            rows: rows.clone(),
            lse: [S::ZERO; TQ],
            delta: dots(self.isa, out, dout, rows.len()),
            start: [0; TQ],
            end: [0; TQ],
        };
        for (lane, i) in rows.clone().enumerate() {
            let row = self.start + i;
            let lse = self.lse[row * self.a.n_heads + head];
            queries.lse[lane] = if lse == S::NEG_INFINITY { S::ZERO } else { lse };
            let seen = self.sight.range(i);
            (queries.start[lane], queries.end[lane]) = (seen.start as u32, seen.end as u32);
        }
        queries
    }

    /// Adds what a tile of keys contributes to dv, dk and dq.
    ///
    /// # Safety
    /// As [`Unit::compute`].
    unsafe fn add_tile(&self, queries: &Queries<S>, keys: &Range<usize>, space: &mut Space<'_, S>) {
        let (d, n, at) = (
            self.a.head_dim,
            queries.rows.len(),
            self.kv_head * self.a.head_dim,
        );
        let rows = self.start + keys.start..self.start + keys.end;
        gather(self.isa, self.a.k, rows.clone(), at, space.tile[0], d);
        gather(self.isa, self.a.v, rows, at, space.tile[1], d);
        let next = self.sight.next_tile(keys);
        let next = self.start + next.start..self.start + next.end;
        fetch_early(self.a.k, next.clone(), at, d);
        fetch_early(self.a.v, next, at, d);
        let seen = Seen::new(&queries.start[..n], &queries.end[..n], keys);
        for (lanes, keys) in seen.runs(n) {
            self.scores(lanes, keys, space);
        }
        let [weights, dscores] = &mut space.weights;
        for j in keys.clone().filter(|&j| self.sight.is_hole(j)) {
            weights[(j - keys.start) * TQ..][..n].fill(S::NEG_INFINITY);
        }
        for strip in 0..n.div_ceil(STRIP) {
            let keys_seen = seen.of_strip(strip);
            let first_key = (keys.start + keys_seen.start) as u32;
            let at = keys_seen.start * TQ..keys_seen.end * TQ;
            let (p, ds) = (&mut weights[at.clone()], &mut dscores[at]);
            dscores_strip(self.isa, first_key, strip * STRIP, queries, p, ds);
        }
        seen.clear_unseen(n, weights);
        seen.clear_unseen(n, dscores);
        for first in (0..keys.len()).step_by(GROUP) {
            let some = first..keys.len().min(first + GROUP);
            let lanes = seen.by_keys(some.clone(), n);
            // SAFETY: passed on.
            unsafe { self.add_over_queries(keys.start, some, lanes, space) };
        }
        for first in (0..n).step_by(GROUP) {
            let lanes = first..n.min(first + GROUP);
            self.add_over_keys(seen.of_lanes(lanes.clone()), lanes, space);
        }
    }

    /// Scores and ⟨v, dout⟩ of some lanes and keys of the tile.
    fn scores(&self, lanes: Range<usize>, keys: Range<usize>, space: &mut Space<'_, S>) {
        let d = self.a.head_dim;
        if keys.is_empty() {
            return;
        }
        for i in 0..2 {
            let product = Product {
                m: keys.len(),
                n: lanes.len(),
                k: d,
                a: space.tile[i][keys.start * d..keys.end * d].as_ptr(),
                a_row: d,
                a_col: 1,
                b: space.turned[i][lanes.start..].as_ptr(),
                b_row: TQ,
                c: space.weights[i][keys.start * TQ + lanes.start..].as_mut_ptr(),
                c_row: TQ,
                finish: Finish::near(false),
            };
            // SAFETY: the buffers hold TK keys by d columns, d columns by TQ lanes and TK keys by
            // TQ lanes; lanes and keys lie inside.
            unsafe { multiply(self.isa, product) };
        }
    }

    /// Adds the terms of some lanes to dk and dv of some keys of the tile that starts at `tile`.
    ///
    /// # Safety
    /// As [`Unit::compute`].
    unsafe fn add_over_queries(
        &self,
        tile: usize,
        keys: Range<usize>,
        lanes: Range<usize>,
        space: &mut Space<'_, S>,
    ) {
        let (d, at) = (self.a.head_dim, self.kv_head * self.a.head_dim);
        if lanes.is_empty() {
            return;
        }
        let row = self.start + tile + keys.start;
        // dv from P and dout, dk from dS and q.
        for (i, x, grad) in [(0, 1, &self.grads.dv), (1, 0, &self.grads.dk)] {
            let product = Product {
                m: keys.len(),
                n: d,
                k: lanes.len(),
                a: space.weights[i][keys.start * TQ + lanes.start..].as_ptr(),
                a_row: TQ,
                a_col: 1,
                b: space.rows[x][lanes.start * d..].as_ptr(),
                b_row: d,
                c: grad.at(row, at),
                c_row: grad.row_stride(),
                finish: Finish::plain(true),
            };
            // SAFETY: as in `scores`; the gradients' rows and heads are this unit's own.
            unsafe { multiply(self.isa, product) };
        }
    }

    /// Adds the terms of some keys of the tile to dq of some lanes.
    fn add_over_keys(&self, keys: Range<usize>, lanes: Range<usize>, space: &mut Space<'_, S>) {
        let d = self.a.head_dim;
        if keys.is_empty() {
            return;
        }
        let product = Product {
            m: lanes.len(),
            n: d,
            k: keys.len(),
            a: space.weights[1][keys.start * TQ + lanes.start..].as_ptr(),
            a_row: 1,
            a_col: TQ,
            b: space.tile[0][keys.start * d..].as_ptr(),
            b_row: d,
            c: space.dq[lanes.start * d..lanes.end * d].as_mut_ptr(),
            c_row: d,
            finish: Finish::near(true),
        };
        // SAFETY: as in `scores`, and dq holds TQ lanes by d columns.
        unsafe { multiply(self.isa, product) };
    }
}
