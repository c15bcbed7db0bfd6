//! Scaled dot-product attention with an online softmax (Dao et al. 2022): the matrix of scores
//! never exists; only tiles of it do.
//!
//! Scores are held transposed, keys by queries, so that the softmax of a query runs down a lane and
//! no sum crosses lanes. Of a tile that some queries do not see, only what a strip of lanes sees is
//! computed. Decoding has too few queries for that and works otherwise (see `few`).
//!
//! What a query row computes depends on its own keys alone: keys come in tiles of [`TK`] counted
//! from the sequence's first visible key, scores and weighted sums are fused chains in the order of
//! columns and keys, and a masked key has weight 0. So rows keep their bits alone or in a batch,
//! packed, padded or decoded from a cache, as long as all values are finite: 0 times a NaN or ∞ of
//! a masked key is NaN where the key's tile is computed for its neighbours.

mod backward;
mod cached;
mod dscores;
mod few;
mod forward;
mod probabilities;
mod sight;
mod softmax;

pub use backward::{AttentionGrads, attention_vjp, attention_vjp_work_len};
pub use cached::{Cache, CachedAttention, attention_cached, cache_append};
pub use forward::{attention, attention_work_len};
pub use probabilities::{AttentionHead, attention_probabilities};

use crate::gemm::{Block, prefetch, turn_block};
use crate::isa::simd;
use crate::{Cols, Float, Isa};
use std::ops::Range;

/// Keys in a tile: whole rows and columns of register tiles of every instruction set.
pub(crate) const TK: usize = 96;
/// Queries in a tile, likewise.
pub(crate) const TQ: usize = 192;
/// Elements of a row that are handled together.
const BLOCK: usize = 8;
/// Lanes whose softmax is kept in registers.
const STRIP: usize = 16;
/// Lanes, or keys, whose weighted sums are computed over the same keys, or queries: whole rows of
/// register tiles of every instruction set.
const GROUP: usize = 24;

/// Queries, keys and values of packed sequences, and who sees whom.
#[derive(Clone, Copy, Debug)]
pub struct Attention<'a, S> {
    /// `[N, H·K]`.
    pub q: Cols<'a, S>,
    /// `[N, G·K]`.
    pub k: Cols<'a, S>,
    /// `[N, G·K]`.
    pub v: Cols<'a, S>,
    /// H.
    pub n_heads: usize,
    /// G, a divisor of H: query head h reads key-value head h / (H/G).
    pub n_kv_heads: usize,
    /// K.
    pub head_dim: usize,
    /// Factor on the scores, usually 1/√K.
    pub scale: f64,
    /// Position i sees positions j ≤ i only.
    pub causal: bool,
    /// Position i sees |i − j| < window only.
    pub window: Option<usize>,
    /// Starts of the sequences and the end of the last, `[n + 1]`, rising from 0 to N.
    pub cu_seqlens: &'a [i32],
    /// `[N]`: keys with 0 are seen by nobody.
    pub key_mask: Option<&'a [i32]>,
}

impl<S: Float> Attention<'_, S> {
    /// Checks all lengths and returns N.
    fn assert_shapes(&self) -> usize {
        let n = assert_cu_seqlens(self.cu_seqlens);
        assert_heads(self.n_heads, self.n_kv_heads, self.head_dim);
        self.q.assert_holds(n, self.n_heads * self.head_dim, "q");
        self.k.assert_holds(n, self.n_kv_heads * self.head_dim, "k");
        self.v.assert_holds(n, self.n_kv_heads * self.head_dim, "v");
        assert!(
            self.key_mask.is_none_or(|mask| mask.len() == n),
            "key mask of {n} rows"
        );
        n
    }
}

/// Panics unless the bounds rise from 0; returns where they end.
pub(crate) fn assert_cu_seqlens(cu_seqlens: &[i32]) -> usize {
    assert!(cu_seqlens.first() == Some(&0), "cu_seqlens starts with 0");
    assert!(cu_seqlens.is_sorted(), "cu_seqlens falls");
    cu_seqlens[cu_seqlens.len() - 1] as usize
}

fn assert_heads(n_heads: usize, n_kv_heads: usize, head_dim: usize) {
    let whole = n_kv_heads > 0 && n_heads.is_multiple_of(n_kv_heads);
    assert!(
        whole && head_dim > 0,
        "{n_heads} heads of {head_dim} over {n_kv_heads}"
    );
}

/// Copies `width` columns of rows into lanes: `out[d * TQ + lane]`, one lane per row.
fn turn<S: Float>(
    isa: Isa,
    x: Cols<'_, S>,
    rows: Range<usize>,
    at: usize,
    out: &mut [S],
    width: usize,
) {
    if rows.is_empty() {
        return;
    }
    let block = Block {
        data: &x.data[rows.start * x.row_stride + x.offset + at..],
        item: x.row_stride,
        step: 1,
        len: rows.len(),
        k: width,
    };
    turn_block(isa, block, TQ, out);
}

simd! {
    /// Copies `width` columns of rows side by side: `out[row * width + d]`. Rows of a wide matrix
    /// lie so far apart that they share few places of a cache.
    fn gather<S: Float>(
        x: Cols<'_, S>,
        rows: Range<usize>,
        at: usize,
        out: &mut [S],
        width: usize,
    ) {
        // Rows are short: blocks of a fixed length are no calls.
        let whole = width - width % BLOCK;
        for d in (0..whole).step_by(BLOCK) {
            for (i, to) in rows.clone().zip(out.chunks_exact_mut(width)) {
                to[d..d + BLOCK].copy_from_slice(x.row(i, at + d, BLOCK));
            }
        }
        if whole < width {
            for (i, to) in rows.zip(out.chunks_exact_mut(width)) {
                to[whole..].copy_from_slice(x.row(i, at + whole, width - whole));
            }
        }
    }
}

/// Copies a short row: blocks of a fixed length are no calls.
#[inline(always)]
fn copy_row<S: Float>(from: &[S], to: &mut [S]) {
    let (from, rest) = from.as_chunks::<BLOCK>();
    let (blocks, last) = to.as_chunks_mut::<BLOCK>();
    for (to, from) in blocks.iter_mut().zip(from) {
        *to = *from;
    }
    last.copy_from_slice(rest);
}

/// Asks for what [`gather`] will read.
fn fetch_early<S: Float>(x: Cols<'_, S>, rows: Range<usize>, at: usize, width: usize) {
    for i in rows {
        for line in x.row(i, at, width).chunks(64 / size_of::<S>()) {
            prefetch(line.as_ptr());
        }
    }
}

/// For each strip of lanes, the keys of a tile that any of its lanes sees, from the tile's start.
struct Seen {
    strips: [(usize, usize); TQ / STRIP],
    n_keys: usize,
}

impl Seen {
    /// Of lanes that see `start..end` each, in the tile `keys`.
    fn new(start: &[u32], end: &[u32], keys: &Range<usize>) -> Seen {
        let mut strips = [(0, 0); TQ / STRIP];
        let lanes = start.chunks(STRIP).zip(end.chunks(STRIP));
        for (strip, (start, end)) in strips.iter_mut().zip(lanes) {
            let seen = start.iter().zip(end).filter(|(s, e)| s < e);
            let first = seen.clone().map(|(&s, _)| s as usize).min().unwrap_or(0);
            let last = seen.map(|(_, &e)| e as usize).max().unwrap_or(0);
            let (first, last) = (first.max(keys.start), last.min(keys.end));
            if first < last {
                *strip = (first - keys.start, last - keys.start);
            }
        }
        Seen {
            strips,
            n_keys: keys.len(),
        }
    }

    /// The keys that lanes of a strip see.
    fn of_strip(&self, strip: usize) -> Range<usize> {
        self.strips[strip].0..self.strips[strip].1
    }

    /// Keys that some lane of `lanes` sees.
    fn of_lanes(&self, lanes: Range<usize>) -> Range<usize> {
        let strips = &self.strips[lanes.start / STRIP..lanes.end.div_ceil(STRIP)];
        let seen = strips.iter().filter(|(s, e)| s < e);
        let first = seen.clone().map(|s| s.0).min().unwrap_or(0);
        first..seen.map(|s| s.1).max().unwrap_or(first)
    }

    /// Lanes below `n` that see some key of `keys`, in whole strips.
    fn by_keys(&self, keys: Range<usize>, n: usize) -> Range<usize> {
        let sees = |s: &(usize, usize)| s.0 < keys.end && keys.start < s.1;
        let first = self.strips.iter().position(sees);
        let last = self.strips.iter().rposition(sees);
        match first.zip(last) {
            Some((first, last)) => first * STRIP..n.min((last + 1) * STRIP),
            None => 0..0,
        }
    }

    /// Runs of neighbouring strips that see the same keys: lanes below `n`, and the keys.
    fn runs(&self, n: usize) -> impl Iterator<Item = (Range<usize>, Range<usize>)> {
        let mut strip = 0;
        std::iter::from_fn(move || {
            let first = strip;
            if first * STRIP >= n {
                return None;
            }
            while strip * STRIP < n && self.strips[strip] == self.strips[first] {
                strip += 1;
            }
            Some((first * STRIP..n.min(strip * STRIP), self.of_strip(first)))
        })
    }

    /// Weight 0 for what the strips do not see.
    fn clear_unseen<S: Float>(&self, n: usize, weights: &mut [S]) {
        for (lanes, keys) in self.runs(n) {
            for j in (0..keys.start).chain(keys.end..self.n_keys) {
                weights[j * TQ..][lanes.clone()].fill(S::ZERO);
            }
        }
    }
}
