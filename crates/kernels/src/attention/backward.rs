//! The derivative, tile by tile: scores are computed again from the saved log-normalisers.

use super::sight::Sight;
use super::{Attention, TK, TQ, turn};
use crate::gemm::{Finish, Product, multiply};
use crate::isa::simd;
use crate::lanes;
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

/// Turned queries and output gradients, a tile of weights and one of their gradients.
fn worker_len(head_dim: usize) -> usize {
    2 * TQ * head_dim + 2 * TK * TQ
}

/// The derivative of [`crate::attention`] for dout `[N, H·K]`, from its `out` and `lse`. With
/// weights P and δ_i = ⟨dout_i, out_i⟩: dv_j = Σ P_ij·dout_i; dS = P∘(dout·vᵀ − δ); dq =
/// scale·dS·k; dk = scale·dSᵀ·q. Sums over queries run by head, then by tile of 64 rows of the
/// sequence. `work` has [`attention_vjp_work_len`] elements.
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

/// A tile of queries of one head.
struct Queries<S> {
    head: usize,
    rows: Range<usize>,
    /// Log-normaliser of each lane, 0 where nothing is seen.
    lse: [S; TQ],
    /// ⟨dout, out⟩ of each lane.
    delta: [S; TQ],
    start: [u32; TQ],
    end: [u32; TQ],
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
        let (turned_q, work) = work.split_at_mut(TQ * d);
        let (turned_dout, work) = work.split_at_mut(TQ * d);
        let (weights, dscores) = work.split_at_mut(TK * TQ);
        let absolute = || rows.clone().map(|i| self.start + i);
        turn(absolute(), self.a.q, head * d, turned_q, d);
        turn(absolute(), self.dout, head * d, turned_dout, d);
        let queries = self.queries(head, &rows);
        let all = self.sight.range(rows.start).start..self.sight.range(rows.end - 1).end;
        let mut add = self.grads.accumulate;
        if !add && all.is_empty() {
            for i in absolute() {
                // SAFETY: the caller's promise.
                unsafe { self.grads.dq.row(i, head * d, d) }.fill(S::ZERO);
            }
        }
        for keys in self.sight.tiles(all.start..all.end.max(all.start)) {
            self.weights(&queries, &keys, turned_q, turned_dout, weights, dscores);
            // SAFETY: passed on.
            unsafe { self.add_tile(&queries, &keys, add, weights, dscores) };
            add = true;
        }
    }

    fn queries(&self, head: usize, rows: &Range<usize>) -> Queries<S> {
        let d = self.a.head_dim;
        let mut queries = Queries {
            head,
            rows: rows.clone(),
            lse: [S::ZERO; TQ],
            delta: [S::ZERO; TQ],
            start: [0; TQ],
            end: [0; TQ],
        };
        for (lane, i) in rows.clone().enumerate() {
            let row = self.start + i;
            let lse = self.lse[row * self.a.n_heads + head];
            queries.lse[lane] = if lse == S::NEG_INFINITY { S::ZERO } else { lse };
            queries.delta[lane] = dot(
                self.isa,
                self.out.row(row, head * d, d),
                self.dout.row(row, head * d, d),
            );
            let seen = self.sight.range(i);
            (queries.start[lane], queries.end[lane]) = (seen.start as u32, seen.end as u32);
        }
        queries
    }

    /// P and scale·dS of a tile, both `[keys, TQ]`.
    fn weights(
        &self,
        queries: &Queries<S>,
        keys: &Range<usize>,
        turned_q: &[S],
        turned_dout: &[S],
        weights: &mut [S],
        dscores: &mut [S],
    ) {
        let (d, n) = (self.a.head_dim, queries.rows.len());
        let at = self.kv_head * d;
        let pairs = [
            (self.a.k, turned_q, &mut *weights),
            (self.a.v, turned_dout, &mut *dscores),
        ];
        for (x, turned, to) in pairs {
            let product = Product {
                m: keys.len(),
                n,
                k: d,
                a: x.at(self.start + keys.start, at),
                a_row: x.row_stride,
                a_col: 1,
                b: turned.as_ptr(),
                b_row: TQ,
                c: to.as_mut_ptr(),
                c_row: TQ,
                finish: Finish::plain(false),
            };
            // SAFETY: the entry point checked that k and v have these rows and columns; the buffers
            // hold TQ lanes by d columns and by TK keys.
            unsafe { multiply(self.isa, product) };
        }
        for j in keys.clone().filter(|&j| self.sight.is_hole(j)) {
            weights[(j - keys.start) * TQ..][..n].fill(S::NEG_INFINITY);
        }
        let scale = S::from_f64(self.a.scale);
        let first_key = keys.start as u32;
        dscores_tile(
            self.isa,
            scale,
            first_key,
            keys.len(),
            queries,
            weights,
            dscores,
        );
    }

    /// Adds a tile to dv, dk and dq; `add` is false where dq holds nothing yet.
    ///
    /// # Safety
    /// As [`Unit::compute`].
    unsafe fn add_tile(
        &self,
        queries: &Queries<S>,
        keys: &Range<usize>,
        add: bool,
        weights: &[S],
        dscores: &[S],
    ) {
        let (d, n) = (self.a.head_dim, queries.rows.len());
        let (at, kv_at) = (queries.head * d, self.kv_head * d);
        let (row, key) = (self.start + queries.rows.start, self.start + keys.start);
        let over_queries = |tile: &[S], x: Cols<'_, S>, grad: &ColsMut<'_, S>| Product {
            m: keys.len(),
            n: d,
            k: n,
            a: tile.as_ptr(),
            a_row: TQ,
            a_col: 1,
            b: x.at(row, at),
            b_row: x.row_stride,
            c: grad.at(key, kv_at),
            c_row: grad.row_stride(),
            finish: Finish::plain(true),
        };
        let dv = over_queries(weights, self.dout, &self.grads.dv);
        let dk = over_queries(dscores, self.a.q, &self.grads.dk);
        let dq = Product {
            m: n,
            n: d,
            k: keys.len(),
            a: dscores.as_ptr(),
            a_row: 1,
            a_col: TQ,
            b: self.a.k.at(key, kv_at),
            b_row: self.a.k.row_stride,
            c: self.grads.dq.at(row, at),
            c_row: self.grads.dq.row_stride(),
            finish: Finish::plain(add),
        };
        for product in [dv, dk, dq] {
            // SAFETY: the entry point checked all shapes; tiles hold TK keys by TQ lanes; the
            // gradients' rows and heads are this unit's own.
            unsafe { multiply(self.isa, product) };
        }
    }
}

simd! {
    /// Scores to weights P in place, and ⟨dout, v⟩ to scale·P·(⟨dout, v⟩ − δ) in place.
    fn dscores_tile<S: Float>(
        scale: S,
        first_key: u32,
        n_keys: usize,
        queries: &Queries<S>,
        weights: &mut [S],
        dscores: &mut [S],
    ) {
        let n = queries.rows.len();
        let (start, end) = (&queries.start[..n], &queries.end[..n]);
        let (lse, delta) = (&queries.lse[..n], &queries.delta[..n]);
        let rows = weights.chunks_mut(TQ).zip(dscores.chunks_mut(TQ)).take(n_keys);
        for (j, (weights, dscores)) in (first_key..).zip(rows) {
            let (weights, dscores) = (&mut weights[..n], &mut dscores[..n]);
            for l in 0..n {
                let seen = (j >= start[l]) & (j < end[l]);
                let p = (weights[l] * scale - lse[l]).exp();
                let p = if seen { p } else { S::ZERO };
                weights[l] = p;
                // A NaN in a hidden key's value must not reach this row.
                let ds = p * (dscores[l] - delta[l]) * scale;
                dscores[l] = if seen { ds } else { S::ZERO };
            }
        }
    }
}

simd! {
    fn dot<S: Float>(x: &[S], y: &[S]) -> S {
        lanes::dot(x, y)
    }
}
