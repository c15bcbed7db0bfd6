//! Rates of attention, its derivative and decoding. `cargo bench -p tenon-kernels -- [threads]`

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;
use tenon_kernels::{
    Attention, AttentionGrads, Cache, CachedAttention, Cols, Cx, Isa, Pool, attention,
    attention_cached, attention_vjp, attention_vjp_work_len, attention_work_len, split_cols,
};

fn report(name: &str, flops: f64, mut f: impl FnMut()) {
    let mut best = f64::INFINITY;
    for _ in 0..5 {
        let start = Instant::now();
        f();
        best = best.min(start.elapsed().as_secs_f64());
    }
    let line = format!(
        "{name}: {:.2} ms, {:.1} GFLOP/s\n",
        best * 1e3,
        flops / best / 1e9
    );
    std::io::stdout()
        .write_all(line.as_bytes())
        .expect("stdout");
}

/// A packed batch of equal sequences.
#[derive(Clone, Copy)]
struct Shape {
    batch: usize,
    len: usize,
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
}

fn main() {
    let threads = std::env::args()
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(1);
    let pool = Pool::new(threads);
    let cx = Cx::new(&pool, Isa::detect());
    train(
        cx,
        Shape {
            batch: 8,
            len: 256,
            heads: 4,
            kv_heads: 4,
            head_dim: 64,
        },
    );
    train(
        cx,
        Shape {
            batch: 2,
            len: 1024,
            heads: 8,
            kv_heads: 2,
            head_dim: 64,
        },
    );
    decode(cx, threads);
}

/// Causal attention and its derivative; FLOPs count what is visible.
fn train(cx: Cx<'_>, shape: Shape) {
    let Shape {
        batch,
        len,
        heads,
        kv_heads,
        head_dim,
    } = shape;
    let (n, width, kv_width) = (batch * len, heads * head_dim, kv_heads * head_dim);
    let row_stride = width + 2 * kv_width;
    let qkv: Vec<f32> = (0..n * row_stride)
        .map(|i| (i % 97) as f32 * 0.01 - 0.5)
        .collect();
    let cu_seqlens: Vec<i32> = (0..=batch).map(|b| (b * len) as i32).collect();
    let cols = |offset| Cols {
        data: &qkv,
        row_stride,
        offset,
    };
    let a = Attention {
        q: cols(0),
        k: cols(width),
        v: cols(width + kv_width),
        n_heads: heads,
        n_kv_heads: kv_heads,
        head_dim,
        scale: 0.125,
        causal: true,
        window: None,
        cu_seqlens: &cu_seqlens,
        key_mask: None,
    };
    let (mut out, mut lse) = (vec![0.0f32; n * width], vec![0.0f32; n * heads]);
    let mut work = vec![0.0; attention_vjp_work_len::<f32>(head_dim, cx.pool().threads())];
    let flops = 2.0 * (n * len * width) as f64;
    let name = format!("{batch}x{len}, {heads}/{kv_heads} heads of {head_dim}");
    report(&format!("{name} forward"), flops, || {
        attention(cx, a, &mut out, &mut lse, &mut work);
        black_box(&mut out);
    });
    let dout = out.clone();
    let mut grad = vec![0.0f32; qkv.len()];
    report(&format!("{name} derivative"), 2.5 * flops, || {
        let [dq, dk, dv] = split_cols(&mut grad, row_stride, [width, kv_width, kv_width]);
        let grads = AttentionGrads {
            dq,
            dk,
            dv,
            accumulate: false,
        };
        attention_vjp(cx, a, &out, &lse, &dout, grads, &mut work);
        black_box(&mut grad);
    });
}

/// One new token behind 1000, 12 heads of 64.
fn decode(cx: Cx<'_>, threads: usize) {
    let (heads, d, capacity) = (12, 64, 1024);
    let k = vec![0.01f32; capacity * heads * d];
    let q = vec![0.02f32; heads * d];
    let cache = Cache {
        capacity,
        width: heads * d,
        cu_seqlens: &[0, 1],
        past: &[1000],
        slots: &[0],
    };
    let a = CachedAttention {
        q: Cols::whole(&q, heads * d),
        k: &k,
        v: &k,
        cache,
        n_heads: heads,
        n_kv_heads: heads,
        head_dim: d,
        scale: 0.125,
        window: None,
    };
    let mut out = vec![0.0; heads * d];
    let mut work = vec![0.0; attention_work_len::<f32>(d, threads)];
    report(
        "1 token behind 1000, 12 heads of 64",
        4.0 * 1001.0 * (heads * d) as f64,
        || {
            attention_cached(cx, a, &mut out, &mut work);
            black_box(&mut out);
        },
    );
}
