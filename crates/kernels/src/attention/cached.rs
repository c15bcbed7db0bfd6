//! Decoding: new rows attend to a cache of keys and values.

use super::forward::{Block, find_tile, n_tiles, score_factor, worker_len};
use super::sight::Sight;
use super::{assert_cu_seqlens, assert_heads};
use crate::pool::Parts;
use crate::{Cols, Cx, Float};

/// Where new rows stand in a cache `[slots, capacity, G·K]`.
#[derive(Clone, Copy, Debug)]
pub struct Cache<'a> {
    /// Rows of a slot.
    pub capacity: usize,
    /// G·K.
    pub width: usize,
    /// Starts of each sequence's new rows and the end of the last, `[n + 1]`.
    pub cu_seqlens: &'a [i32],
    /// Rows that each sequence had before, `[n]`.
    pub past: &'a [i32],
    /// The slot of each sequence, `[n]`, all different.
    pub slots: &'a [i32],
}

/// New queries and the caches that already hold their keys and values.
#[derive(Clone, Copy, Debug)]
pub struct CachedAttention<'a, S> {
    /// `[M, H·K]`, the new rows of all sequences.
    pub q: Cols<'a, S>,
    /// `[slots, capacity, G·K]`.
    pub k: &'a [S],
    /// `[slots, capacity, G·K]`.
    pub v: &'a [S],
    /// Where the new rows stand.
    pub cache: Cache<'a>,
    /// H.
    pub n_heads: usize,
    /// G.
    pub n_kv_heads: usize,
    /// K.
    pub head_dim: usize,
    /// Factor on the scores.
    pub scale: f64,
    /// Position i sees i − j < window only.
    pub window: Option<usize>,
}

impl Cache<'_> {
    /// Checks all lengths against a cache of `elements` and returns the number of new rows.
    fn assert_shapes(&self, elements: usize) -> usize {
        let m = assert_cu_seqlens(self.cu_seqlens);
        let n = self.cu_seqlens.len() - 1;
        assert_eq!(
            (self.past.len(), self.slots.len()),
            (n, n),
            "past and slots of {n} sequences"
        );
        let slot_len = self.capacity * self.width;
        for (s, (&past, &slot)) in self.past.iter().zip(self.slots).enumerate() {
            let len = (self.cu_seqlens[s + 1] - self.cu_seqlens[s]) as usize;
            assert!(past >= 0 && slot >= 0, "past {past}, slot {slot}");
            let end = past as usize + len;
            assert!(
                end <= self.capacity,
                "{end} rows in a slot of {}",
                self.capacity
            );
            let inside = (slot as usize + 1)
                .checked_mul(slot_len)
                .is_some_and(|e| e <= elements);
            assert!(inside, "slot {slot} of a cache of {elements}");
            assert!(!self.slots[..s].contains(&slot), "slot {slot} twice");
        }
        m
    }

    /// The row of the whole cache where sequence `s` starts.
    fn first_row(&self, s: usize) -> usize {
        self.slots[s] as usize * self.capacity
    }
}

/// Copies the new keys and values, `[M, G·K]` each, behind the past of their sequences.
///
/// # Panics
/// When a length does not fit, a slot is too short, or two sequences share one.
pub fn cache_append<S: Float>(
    cache: Cache<'_>,
    k: Cols<'_, S>,
    v: Cols<'_, S>,
    k_cache: &mut [S],
    v_cache: &mut [S],
) {
    assert_eq!(k_cache.len(), v_cache.len(), "caches of keys and values");
    let m = cache.assert_shapes(k_cache.len());
    let width = cache.width;
    k.assert_holds(m, width, "k");
    v.assert_holds(m, width, "v");
    for (s, ends) in cache.cu_seqlens.windows(2).enumerate() {
        let row = cache.first_row(s) + cache.past[s] as usize;
        for (to, i) in (ends[0] as usize..ends[1] as usize).enumerate() {
            let to = (row + to) * width;
            k_cache[to..to + width].copy_from_slice(k.row(i, 0, width));
            v_cache[to..to + width].copy_from_slice(v.row(i, 0, width));
        }
    }
}

/// out `[M, H·K]`: causal attention of the new rows over everything their sequences hold, with the
/// bits that [`crate::attention`] gives the same rows. `work` has [`crate::attention_work_len`]
/// elements.
///
/// # Panics
/// When a length does not fit.
pub fn attention_cached<S: Float>(
    cx: Cx<'_>,
    a: CachedAttention<'_, S>,
    out: &mut [S],
    work: &mut [S],
) {
    assert_heads(a.n_heads, a.n_kv_heads, a.head_dim);
    assert_eq!(a.cache.width, a.n_kv_heads * a.head_dim, "width of a cache");
    assert_eq!(a.k.len(), a.v.len(), "caches of keys and values");
    let m = a.cache.assert_shapes(a.k.len());
    a.q.assert_holds(m, a.n_heads * a.head_dim, "q");
    assert_eq!(out.len(), m * a.n_heads * a.head_dim, "out of attention");
    let len = worker_len(a.head_dim);
    assert!(
        work.len() >= cx.pool().threads() * len,
        "workspace of {} elements",
        work.len()
    );
    let (out, work) = (Parts::new(out), Parts::new(work));
    let cu_seqlens = a.cache.cu_seqlens;
    let n_tiles = cu_seqlens.windows(2).map(n_tiles).sum::<usize>();
    cx.pool().run(n_tiles * a.n_kv_heads, &|t, worker| {
        let (sequence, rows) = find_tile(cu_seqlens, t / a.n_kv_heads);
        let start = cu_seqlens[sequence] as usize;
        let past = a.cache.past[sequence] as usize;
        let n_keys = past + cu_seqlens[sequence + 1] as usize - start;
        let block = Block {
            isa: cx.isa(),
            q: a.q,
            q_start: start,
            k: Cols::whole(a.k, a.cache.width),
            v: Cols::whole(a.v, a.cache.width),
            k_start: a.cache.first_row(sequence),
            past,
            sight: Sight::new(true, a.window, n_keys, None),
            kv_head: t % a.n_kv_heads,
            n_heads: a.n_heads,
            group: a.n_heads / a.n_kv_heads,
            head_dim: a.head_dim,
            factor: score_factor(a.scale),
        };
        // SAFETY: no two running tasks have the same worker.
        let work = unsafe { work.part(worker * len..(worker + 1) * len) };
        // SAFETY: every task has its own rows and heads.
        unsafe {
            match block.are_few(&rows) {
                true => block.compute_few(rows, &out, work),
                false => block.compute(rows, &out, None, work),
            }
        }
    });
}
