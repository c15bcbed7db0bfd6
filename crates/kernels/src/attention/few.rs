//! Few queries, as in decoding one token: lanes are keys and columns instead of queries, so that
//! whole registers work for a single query. Memory sets the pace.
//!
//! Every sum runs in the order of the tiled pass, so the bits are the same.

use super::forward::Block;
use super::softmax::divide;
use super::{TK, TQ, fetch_early};
use crate::elementwise::scale_body;
use crate::gemm::{Block as Turned, turn_block};
use crate::isa::simd;
use crate::lanes;
use crate::pool::Parts;
use crate::{Cols, Float};
use std::ops::Range;

/// Queries of one key-value head from which on the tiled pass is cheaper.
const FEW: usize = 8;
/// Keys that are turned at a time: their scores stay in registers.
const KEYS: usize = 48;
/// Keys that are read side by side: a register.
const SIDE_BY_SIDE: usize = 8;
/// Columns of values whose sums stay in registers.
const COLS: usize = 64;
/// Exponentials computed together.
const EXPS: usize = 16;

// What is left of a tile or of a register would not be computed, or not have its workspace.
const _: () = assert!(TK.is_multiple_of(EXPS) && KEYS.is_multiple_of(SIDE_BY_SIDE));
const _: () = assert!(COLS.is_multiple_of(EXPS) && KEYS + 2 * FEW <= 2 * (TQ + TK));

/// One query and its running softmax.
struct Query<'a, S> {
    /// Times the factor on scores.
    q: &'a [S],
    /// Row of the result, in heads.
    to: usize,
    /// The keys that it sees.
    seen: Range<usize>,
    max: S,
    sum: S,
    /// Scores of a tile of keys, then weights.
    weights: [S; TK],
}

impl<S: Float> Block<'_, S> {
    /// Whether [`Block::compute_few`] is the cheaper way.
    pub(super) fn are_few(&self, rows: &Range<usize>) -> bool {
        rows.len() * self.group < FEW
    }

    /// What [`Block::compute`] does, for keys without a mask and without log-normalisers.
    ///
    /// # Safety
    /// Nobody else touches these rows and heads of `out`.
    pub(super) unsafe fn compute_few(
        &self,
        rows: Range<usize>,
        out: &Parts<'_, S>,
        work: &mut [S],
    ) {
        debug_assert!(!self.sight.has_holes(), "few queries under a mask");
        let d = self.head_dim;
        let (turned, work) = work.split_at_mut(KEYS * d);
        let (sums, work) = work.split_at_mut(FEW * d);
        sums.fill(S::ZERO);
        let mut scaled = work.chunks_exact_mut(d);
        let mut queries = [const { None }; FEW];
        let first = self.kv_head * self.group;
        let all = rows
            .clone()
            .flat_map(|i| (0..self.group).map(move |h| (i, first + h)));
        for (query, (i, head)) in queries.iter_mut().zip(all) {
            let q = scaled.next().expect("a row for each of few queries");
            q.copy_from_slice(self.q.row(self.q_start + i, head * d, d));
            scale_body(self.isa, self.factor, q);
            *query = Some(Query {
                q,
                to: (self.q_start + i) * self.n_heads + head,
                seen: self.sight.range(self.past + i),
                max: S::NEG_INFINITY,
                sum: S::ZERO,
                weights: [S::ZERO; TK],
            });
        }
        let seen = self.sight.range(self.past + rows.start).start
            ..self.sight.range(self.past + rows.end - 1).end;
        for keys in self.sight.tiles(seen.start..seen.end.max(seen.start)) {
            self.add_keys(keys, &mut queries, turned, sums);
        }
        for (query, sums) in queries.iter().flatten().zip(sums.chunks_exact_mut(d)) {
            divide(self.isa, &[query.sum], sums, d);
            // SAFETY: the caller's promise.
            let to = unsafe { out.part(query.to * d..(query.to + 1) * d) };
            to.copy_from_slice(sums);
        }
    }

    /// Adds one tile of keys to the softmax and the sums of all queries.
    fn add_keys(
        &self,
        keys: Range<usize>,
        queries: &mut [Option<Query<'_, S>>; FEW],
        turned: &mut [S],
        sums: &mut [S],
    ) {
        let (d, at) = (self.head_dim, self.kv_head * self.head_dim);
        let next = self.sight.next_tile(&keys);
        let next = self.k_start + next.start..self.k_start + next.end;
        fetch_early(self.k, next.clone(), at, d);
        fetch_early(self.v, next, at, d);
        for start in keys.clone().step_by(KEYS) {
            let len = KEYS.min(keys.end - start);
            turn_keys(self, self.k_start + start, len, turned);
            for query in queries.iter_mut().flatten() {
                let to = &mut query.weights[start - keys.start..][..len];
                scores(self.isa, query.q, turned, to);
            }
        }
        for (query, sums) in queries.iter_mut().flatten().zip(sums.chunks_exact_mut(d)) {
            let seen = query.seen.start.max(keys.start)..query.seen.end.min(keys.end);
            if seen.is_empty() {
                continue;
            }
            let mine = seen.start - keys.start..seen.end - keys.start;
            let fade = softmax(self.isa, mine.clone(), query);
            let values = Cols {
                data: &self.v.data[(self.k_start + seen.start) * self.v.row_stride..],
                offset: self.v.offset + at,
                ..self.v
            };
            add_values(self.isa, &query.weights[mine], values, fade, sums);
        }
    }
}

/// Keys `row..row + len` by columns, `KEYS` apart. Rows of a cache share few places of the
/// first-level cache, so that only a few are read side by side.
fn turn_keys<S: Float>(block: &Block<'_, S>, row: usize, len: usize, turned: &mut [S]) {
    let (k, at) = (block.k, block.kv_head * block.head_dim);
    for i in (0..len).step_by(SIDE_BY_SIDE) {
        let rows = Turned {
            data: &k.data[(row + i) * k.row_stride + k.offset + at..],
            item: k.row_stride,
            step: 1,
            len: SIDE_BY_SIDE.min(len - i),
            k: block.head_dim,
        };
        turn_block(block.isa, rows, KEYS, &mut turned[i..]);
    }
}

simd! {
    /// Scores of turned keys; what lies behind the last of them is computed and dropped.
    fn scores<S: Float>(q: &[S], turned: &[S], to: &mut [S]) {
        let mut acc = [S::ZERO; KEYS];
        for (k, &q) in turned.as_chunks::<KEYS>().0.iter().zip(q) {
            for l in 0..KEYS {
                acc[l] = q.mul_add(k[l], acc[l]);
            }
        }
        to.copy_from_slice(&acc[..to.len()]);
    }
}

simd! {
    /// Turns the scores `seen` of a tile into weights relative to the new running maximum; returns
    /// the factor on what was summed before.
    fn softmax<S: Float>(seen: Range<usize>, query: &mut Query<'_, S>) -> S {
        let greatest = lanes::max(&query.weights[seen.clone()]);
        let old = query.max;
        query.max = if greatest > old { greatest } else { old };
        // A query that has seen nothing keeps weights of 0 instead of ∞ − ∞.
        let base = if query.max == S::NEG_INFINITY { S::ZERO } else { query.max };
        for w in query.weights.as_chunks_mut::<EXPS>().0 {
            for l in 0..EXPS {
                w[l] -= base;
            }
            *w = S::exp2_block(*w);
        }
        let mut total = S::ZERO;
        for &w in &query.weights[seen] {
            total += w;
        }
        let fade = (old - base).exp2_weight();
        query.sum = query.sum.mul_add(fade, total);
        fade
    }
}

simd! {
    /// sums = sums · fade + Σ weight · value, a chain over the keys.
    fn add_values<S: Float>(weights: &[S], values: Cols<'_, S>, fade: S, sums: &mut [S]) {
        let mut at = 0;
        while at + COLS <= sums.len() {
            add_columns::<S, COLS>(weights, values, at, fade, &mut sums[at..]);
            at += COLS;
        }
        while at + EXPS <= sums.len() {
            add_columns::<S, EXPS>(weights, values, at, fade, &mut sums[at..]);
            at += EXPS;
        }
        while at + EXPS / 2 <= sums.len() {
            add_columns::<S, { EXPS / 2 }>(weights, values, at, fade, &mut sums[at..]);
            at += EXPS / 2;
        }
        while at < sums.len() {
            add_columns::<S, 1>(weights, values, at, fade, &mut sums[at..]);
            at += 1;
        }
    }
}

/// `N` columns from `at` on.
#[inline(always)]
fn add_columns<S: Float, const N: usize>(
    weights: &[S],
    values: Cols<'_, S>,
    at: usize,
    fade: S,
    sums: &mut [S],
) {
    let mut acc = [S::ZERO; N];
    let mut from = values.offset + at;
    for &w in weights {
        let v: &[S; N] = values.data[from..].first_chunk().expect("a row of values");
        for l in 0..N {
            acc[l] = w.mul_add(v[l], acc[l]);
        }
        from += values.row_stride;
    }
    for (sum, acc) in sums.iter_mut().zip(acc) {
        *sum = *sum * fade + acc;
    }
}
