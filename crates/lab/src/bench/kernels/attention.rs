//! Attention over packed sequences, and over a cache.

use tenon_engine::table::{AttentionDims, AttentionIn, Cache};
use tenon_engine::{Buf, DType, Kernels};
use tenon_kernels::{Pointwise, bytes_of};

use super::{Bench, Work};

/// Sequences, their length, heads and width of a head.
const PACKED: [usize; 4] = [8, 256, 4, 64];
/// Tokens before the one that is written, heads and width of a head.
const CACHED: [usize; 3] = [1000, 12, 64];

fn dims(n_heads: usize, head_dim: usize) -> AttentionDims {
    AttentionDims {
        n_heads,
        n_kv_heads: n_heads,
        head_dim,
        scale: (head_dim as f64).recip().sqrt(),
        causal: true,
        window: None,
    }
}

/// Queries, keys and values side by side.
fn parts(qkv: Buf, width: usize) -> [Buf; 3] {
    [0, 1, 2].map(|i| qkv.columns(i * width..(i + 1) * width))
}

fn upload(device: &mut dyn Kernels, buf: Buf, values: &[i32]) {
    device.upload(buf, bytes_of(values));
}

impl Bench<'_> {
    /// Operations are those of visible keys; the derivative has five products, the forward two.
    pub(super) fn attention(&mut self) {
        let [seqs, len, n_heads, head_dim] = PACKED;
        let dims = dims(n_heads, head_dim);
        let (n, width) = (seqs * len, n_heads * head_dim);
        let work_len = self.device.attention_work_len(&dims, DType::F32);
        let float = |rows, cols| (DType::F32, rows, cols);
        let [qkv, grads, out, lse, dout, work, bounds] = self.buffers([
            float(n, 3 * width),
            float(n, 3 * width),
            float(n, width),
            float(n, n_heads),
            float(n, width),
            float(1, work_len),
            (DType::I32, seqs + 1, 1),
        ]);
        let ends: Vec<i32> = (0..=seqs).map(|i| (i * len) as i32).collect();
        upload(self.device, bounds, &ends);
        let [q, k, v] = parts(qkv, width);
        let x = AttentionIn {
            q,
            k,
            v,
            bounds,
            key_mask: None,
        };
        let shape = format!("{seqs}×{len}, {n_heads} heads of {head_dim}");
        let flops = 2.0 * (n * (len + 1)) as f64 * width as f64;
        self.compute("attention", shape.clone(), flops, |device| {
            device.attention(&dims, &x, out, lse, work);
        });
        self.compute("attention, derivative", shape, 2.5 * flops, |device| {
            device.attention_vjp(&dims, &x, out, lse, dout, parts(grads, width), work);
        });
    }

    /// One token behind a full cache reads every key and value once.
    pub(super) fn decoding(&mut self) {
        let [past, n_heads, head_dim] = CACHED;
        let dims = dims(n_heads, head_dim);
        let (width, capacity) = (n_heads * head_dim, past + 1);
        let work_len = self.device.attention_work_len(&dims, DType::F32);
        let float = |rows, cols| (DType::F32, rows, cols);
        let index = |rows| (DType::I32, rows, 1);
        let [qkv, k, v, out, work, bounds, before, slots] = self.buffers([
            float(1, 3 * width),
            float(capacity, width),
            float(capacity, width),
            float(1, width),
            float(1, work_len),
            index(2),
            index(1),
            index(1),
        ]);
        upload(self.device, bounds, &[0, 1]);
        upload(self.device, before, &[past as i32]);
        let cache = Cache { k, v, capacity };
        let [q, k, v] = parts(qkv, width);
        let x = AttentionIn {
            q,
            k,
            v,
            bounds,
            key_mask: None,
        };
        let shape = format!("1 behind {past}, {n_heads} heads of {head_dim}");
        let kernel = Pointwise::AttentionCached;
        let work_of_call = Work::each(kernel, 2 * capacity * width, false);
        self.push(kernel.name(), shape, work_of_call, |device| {
            device.attention_cached(&dims, &x, cache, before, slots, out, work);
        });
    }
}
