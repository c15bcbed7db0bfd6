//! Attention on the CPU.

use super::{Cpu, span, whole, with_float};
use crate::shape::DType;
use crate::table::{AttentionDims, AttentionIn, Buf, Cache};
use tenon_kernels::{
    self as kernels, Attention, AttentionGrads, AttentionHead, Cols, ColsMut, Cx, Lend, Pod,
    split_cols,
};

pub(super) fn work_len(cpu: &Cpu, dims: &AttentionDims, dtype: DType) -> usize {
    let (width, threads) = (dims.head_dim, cpu.pool.threads());
    with_float!(dtype, S => {
        let forward = kernels::attention_work_len::<S>(width, threads);
        forward.max(kernels::attention_vjp_work_len::<S>(width, threads))
    })
}

/// Columns of a matrix that are only read.
fn cols<'a, S: Pod>(lend: &Lend<'a>, b: Buf) -> Cols<'a, S> {
    Cols {
        data: lend.read(span(b)),
        row_stride: b.row_stride,
        offset: 0,
    }
}

fn problem<'a, S: Pod>(lend: &Lend<'a>, dims: &AttentionDims, x: &AttentionIn) -> Attention<'a, S> {
    Attention {
        q: cols(lend, x.q),
        k: cols(lend, x.k),
        v: cols(lend, x.v),
        n_heads: dims.n_heads,
        n_kv_heads: dims.n_kv_heads,
        head_dim: dims.head_dim,
        scale: dims.scale,
        causal: dims.causal,
        window: dims.window,
        cu_seqlens: lend.read(whole(x.bounds)),
        key_mask: x.key_mask.map(|m| lend.read(whole(m))),
    }
}

pub(super) fn forward(
    cpu: &mut Cpu,
    dims: &AttentionDims,
    x: &AttentionIn,
    out: Buf,
    lse: Buf,
    work: Buf,
) {
    let (cx, lend) = cpu.open();
    with_float!(out.dtype, S => {
        let problem = problem::<S>(&lend, dims, x);
        let (out, lse) = (lend.write(whole(out)), lend.write(whole(lse)));
        kernels::attention(cx, problem, out, lse, lend.write(whole(work)));
    });
}

/// Three gradients: columns of one matrix when they are packed, else three matrices.
fn targets<'a, S: Pod>(lend: &Lend<'a>, grads: [Buf; 3]) -> [ColsMut<'a, S>; 3] {
    let [q, k, v] = grads;
    let bytes = q.dtype.bytes();
    let is_packed = q.row_stride == q.cols + k.cols + v.cols
        && k.offset == q.offset + q.cols * bytes
        && v.offset == k.offset + k.cols * bytes;
    if is_packed && q.rows > 0 {
        let data = lend.write(span(Buf {
            cols: q.row_stride,
            ..q
        }));
        return split_cols(data, q.row_stride, [q.cols, k.cols, v.cols]);
    }
    grads.map(|b| ColsMut::whole(lend.write(whole(b)), b.cols))
}

pub(super) fn vjp(
    cpu: &mut Cpu,
    dims: &AttentionDims,
    x: &AttentionIn,
    saved: [Buf; 3],
    grads: [Buf; 3],
    work: Buf,
) {
    let (cx, lend) = cpu.open();
    with_float!(work.dtype, S => {
        let problem = problem::<S>(&lend, dims, x);
        let [out, lse, dout] = saved.map(|b| lend.read(whole(b)));
        let [dq, dk, dv] = targets(&lend, grads);
        let grads = AttentionGrads { dq, dk, dv, accumulate: false };
        kernels::attention_vjp(cx, problem, out, lse, dout, grads, lend.write(whole(work)));
    });
}

pub(super) fn cached(
    cpu: &mut Cpu,
    dims: &AttentionDims,
    x: &AttentionIn,
    cache: Cache,
    [past, slots]: [Buf; 2],
    out: Buf,
    work: Buf,
) {
    let (cx, lend) = cpu.open();
    with_float!(out.dtype, S => {
        let place = kernels::Cache {
            capacity: cache.capacity,
            width: dims.n_kv_heads * dims.head_dim,
            cu_seqlens: lend.read(whole(x.bounds)),
            past: lend.read(whole(past)),
            slots: lend.read(whole(slots)),
        };
        let (k, v) = (lend.write::<S>(whole(cache.k)), lend.write(whole(cache.v)));
        kernels::cache_append(place, cols(&lend, x.k), cols(&lend, x.v), k, v);
        let problem = kernels::CachedAttention {
            q: cols(&lend, x.q),
            k: &*k,
            v: &*v,
            cache: place,
            n_heads: dims.n_heads,
            n_kv_heads: dims.n_kv_heads,
            head_dim: dims.head_dim,
            scale: dims.scale,
            window: dims.window,
        };
        kernels::attention_cached(cx, problem, lend.write(whole(out)), lend.write(whole(work)));
    });
}

impl Cpu {
    /// The probabilities with which one head of one sequence weighs its keys, for inspection: `out
    /// [T, T]` = softmax(scale·q·kᵀ + mask), a row a query, from `q [T, H·K]` and `k [T, G·K]` as
    /// attention reads them (rotated, where positions rotate). Needs no arena.
    ///
    /// # Panics
    /// When there is no such head or a length does not fit.
    pub fn attention_probabilities<S: kernels::Float>(
        &self,
        dims: &AttentionDims,
        head: usize,
        q: &[S],
        k: &[S],
        out: &mut [S],
    ) {
        let (cx, width) = (Cx::new(&self.pool, self.isa), dims.head_dim);
        assert!(head < dims.n_heads, "head {head} of {}", dims.n_heads);
        let len = q.len() / (dims.n_heads * width);
        let widths = [dims.n_heads, dims.n_kv_heads].map(|heads| heads * width);
        assert_eq!(
            [q.len(), k.len()],
            widths.map(|w| len * w),
            "rows of q and k"
        );
        let cols = |data, row_stride, head: usize| Cols {
            data,
            row_stride,
            offset: head * width,
        };
        let of = AttentionHead {
            q: cols(q, widths[0], head),
            k: cols(k, widths[1], head / (dims.n_heads / dims.n_kv_heads)),
            len,
            head_dim: width,
            scale: dims.scale,
            causal: dims.causal,
            window: dims.window,
            key_mask: None,
        };
        let n_work = kernels::gemm_work_len::<S>(cx.pool().threads());
        kernels::attention_probabilities(cx, of, out, &mut vec![S::from_f64(0.0); n_work]);
    }
}
