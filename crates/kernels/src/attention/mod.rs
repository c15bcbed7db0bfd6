//! Scaled dot-product attention with an online softmax (Dao et al. 2022): the matrix of scores
//! never exists; only tiles of it do.
//!
//! Scores are held transposed, keys by queries, so that the softmax of a query runs down a lane and
//! no sum crosses lanes. What a query row computes depends on its own keys alone: keys come in
//! tiles of [`TK`] counted from the sequence's first visible key, scores and weighted sums are
//! fused chains in the order of columns and keys, and a masked key has weight 0. So rows keep their
//! bits alone or in a batch, packed, padded or decoded from a cache.

mod backward;
mod cached;
mod forward;
mod sight;

pub use backward::{AttentionGrads, attention_vjp, attention_vjp_work_len};
pub use cached::{Cache, CachedAttention, attention_cached, cache_append};
pub use forward::{attention, attention_work_len};

use crate::{Cols, Float};

/// Keys in a tile.
pub(crate) const TK: usize = 64;
/// Queries in a tile.
pub(crate) const TQ: usize = 64;

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

fn assert_cu_seqlens(cu_seqlens: &[i32]) -> usize {
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

/// Copies columns of rows into lanes: `out[d * TQ + lane]` for `width` columns, one lane per row.
fn turn<S: Float>(
    rows: impl Iterator<Item = usize>,
    x: Cols<'_, S>,
    at: usize,
    out: &mut [S],
    width: usize,
) {
    for (lane, i) in rows.enumerate() {
        for (d, &x) in x.row(i, at, width).iter().enumerate() {
            out[d * TQ + lane] = x;
        }
    }
}
