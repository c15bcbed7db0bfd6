//! What both attentions share: the form of their inputs, and their meaning.

use crate::constraint;
use crate::meaning::{Build, Val};
use crate::shape::{ShapeError, Ty};
use crate::table::{AttentionDims, Buf};

/// Whether queries, keys and values come as columns of one matrix or as three.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttentionLayout {
    /// One input `[N, (H + 2G)·K]`: queries, then keys, then values.
    Packed,
    /// Three inputs `q [N, H·K]`, `k [N, G·K]`, `v [N, G·K]`.
    Separate,
}

impl AttentionLayout {
    /// Number of inputs that hold queries, keys and values.
    pub(super) fn n_qkv(self) -> usize {
        if self == AttentionLayout::Packed {
            1
        } else {
            3
        }
    }

    /// C1 of both attentions: the inputs' widths fit the heads.
    pub(super) fn check(self, dims: &AttentionDims, ins: &[&Ty]) -> Result<(), ShapeError> {
        let [q, k, v] = widths(dims);
        let wanted = match self {
            AttentionLayout::Packed => vec![q + k + v],
            AttentionLayout::Separate => vec![q, k, v],
        };
        for (ty, width) in ins.iter().zip(wanted) {
            constraint!(
                ty.shape.cols() == width,
                "C1",
                "{} instead of rows of {width}",
                ty.shape
            );
        }
        Ok(())
    }

    /// Queries, keys and values as handles.
    pub(super) fn bufs(self, dims: &AttentionDims, at: impl Fn(usize) -> Buf) -> [Buf; 3] {
        match self {
            AttentionLayout::Packed => split(dims, at(0)),
            AttentionLayout::Separate => [at(0), at(1), at(2)],
        }
    }

    /// Queries, keys and values in a meaning.
    pub(super) fn vals(self, dims: &AttentionDims, b: &mut Build, ins: &[Val]) -> [Val; 3] {
        let [q, k, v] = widths(dims);
        match self {
            AttentionLayout::Packed => {
                [(0, q), (q, k), (q + k, v)].map(|(at, len)| b.slice(ins[0], 1, at, len))
            }
            AttentionLayout::Separate => [ins[0], ins[1], ins[2]],
        }
    }
}

/// Widths of queries, keys and values.
pub(super) fn widths(dims: &AttentionDims) -> [usize; 3] {
    let kv = dims.n_kv_heads * dims.head_dim;
    [dims.n_heads * dims.head_dim, kv, kv]
}

/// Columns of a packed matrix.
pub(super) fn split(dims: &AttentionDims, qkv: Buf) -> [Buf; 3] {
    let [q, k, v] = widths(dims);
    [
        qkv.columns(0..q),
        qkv.columns(q..q + k),
        qkv.columns(q + k..q + k + v),
    ]
}

/// Attention in primitives: `q [N, H·K]`, `k, v [M, G·K]`, `visible [N, M]` of 0 and 1. Returns
/// `out [N, H·K]` and `lse [N, H]`; rows that see nothing give 0 and −∞.
pub(super) fn masked_softmax(
    b: &mut Build,
    dims: &AttentionDims,
    qkv: [Val; 3],
    visible: Val,
) -> Vec<Val> {
    let AttentionDims {
        n_heads,
        n_kv_heads,
        head_dim,
        scale,
        ..
    } = *dims;
    let (n, m) = (b.shape(qkv[0])[0], b.shape(qkv[1])[0]);
    let heads = |b: &mut Build, x: Val, rows: usize, count: usize| {
        let x = b.reshape(x, &[rows, count, head_dim]);
        b.permute(x, &[1, 0, 2])
    };
    let q = heads(b, qkv[0], n, n_heads);
    let group = n_heads / n_kv_heads;
    let shared = |b: &mut Build, x: Val| {
        let x = heads(b, x, m, n_kv_heads);
        let x = b.reshape(x, &[n_kv_heads, 1, m, head_dim]);
        let x = b.broadcast(x, &[n_kv_heads, group, m, head_dim]);
        b.reshape(x, &[n_heads, m, head_dim])
    };
    let (k, v) = (shared(b, qkv[1]), shared(b, qkv[2]));
    let k = b.transpose(k);
    let scores = b.matmul(q, k);
    let scores = b.scale(scores, scale);
    let visible = b.reshape(visible, &[1, n, m]);
    let hidden = b.scalar(f64::NEG_INFINITY);
    let scores = b.select(visible, scores, hidden);
    let top = b.max(scores, 2);
    // A row that sees nothing has maximum −∞; any finite stand-in keeps its exponentials at 0.
    let lowest = b.scalar(-1e300);
    let top = b.maximum(top, lowest);
    let shifted = b.sub(scores, top);
    let weights = b.exp(shifted);
    let total = b.sum(weights, 2);
    let zero = b.scalar(0.0);
    let one = b.scalar(1.0);
    let nothing = b.equal(total, zero);
    let divisor = b.select(nothing, one, total);
    let weights = b.div(weights, divisor);
    let out = b.matmul(weights, v);
    let out = b.permute(out, &[1, 0, 2]);
    let out = b.reshape(out, &[n, n_heads * head_dim]);
    let log = b.log(divisor);
    let lse = b.add(log, top);
    let lse = b.scale(lse, std::f64::consts::LOG2_E);
    let lse = b.select(nothing, hidden, lse);
    let lse = b.reshape(lse, &[n_heads, n]);
    vec![out, b.transpose(lse)]
}
