//! Milliseconds of attention, of attention with its derivative, and of decoding; and the rate at
//! which what is visible is computed, in GFLOP/s.
//!
//! `cargo bench -p tenon-kernels --bench attention -- [THREADS] [WORD…]`: rows whose names have all
//! words.

mod meter;

use meter::{Meter, say};
use std::hint::black_box;
use tenon_kernels::{
    Arena, Attention, AttentionGrads, Cache, CachedAttention, Cols, Cx, Isa, Pool, Region,
    attention, attention_cached, attention_vjp, attention_vjp_work_len, attention_work_len,
    split_cols,
};

/// Sequences and their length.
const BATCHES: [(usize, usize); 3] = [(4, 512), (1, 2048), (1, 8192)];
const HEAD_DIMS: [usize; 3] = [32, 64, 128];
/// All heads together.
const WIDTH: usize = 128;
/// Turns of a row: at least so many, and until this many seconds have passed.
const ROUNDS_MIN: usize = 2;
const ROW_SECONDS: f64 = 0.3;

/// A packed batch of equal sequences.
#[derive(Clone, Copy)]
struct Shape {
    n_seqs: usize,
    length: usize,
    n_heads: usize,
    n_kv_heads: usize,
    head_dim: usize,
    causal: bool,
}

fn main() {
    let meter = Meter::from_line();
    let pool = Pool::new(meter.threads);
    let cx = Cx::new(&pool, Isa::detect());
    say(&format!("{} threads, {}", meter.threads, cx.isa().name()));
    say(&format!(
        "{:<36}{:>9}{:>9}",
        "attention [ms]", "tenon", "GFLOP/s"
    ));
    for (n_seqs, length) in BATCHES {
        for head_dim in HEAD_DIMS {
            for causal in [true, false] {
                let shape = Shape {
                    n_seqs,
                    length,
                    n_heads: WIDTH / head_dim,
                    n_kv_heads: WIDTH / head_dim,
                    head_dim,
                    causal,
                };
                let kind = if causal { "causal" } else { "full" };
                train(
                    cx,
                    &meter,
                    shape,
                    &format!("{n_seqs}x{length} d{head_dim} {kind}"),
                );
            }
        }
    }
    let of_models = [
        (8, 256, 4, 4, 64, true, "gpt28m"),
        (2, 1024, 8, 2, 64, true, "grouped"),
        (8, 256, 20, 20, 16, false, "esm2_8m"),
    ];
    for (n_seqs, length, n_heads, n_kv_heads, head_dim, causal, name) in of_models {
        let shape = Shape {
            n_seqs,
            length,
            n_heads,
            n_kv_heads,
            head_dim,
            causal,
        };
        let name = format!("{n_seqs}x{length} d{head_dim} {name}");
        train(cx, &meter, shape, &name);
    }
    decode(cx, &meter);
}

/// Writes a row; the work has so many operations.
fn report(meter: &Meter, name: &str, flops: f64, mut work: impl FnMut()) {
    if !meter.wants(name) {
        return;
    }
    let (begin, mut n_rounds, mut seconds) = (meter.seconds(), 0, f64::INFINITY);
    while n_rounds < ROUNDS_MIN || meter.seconds() - begin < ROW_SECONDS {
        n_rounds += 1;
        seconds = meter.turn(&mut work).min(seconds);
    }
    let (ms, rate) = (1e3 * seconds, flops / seconds / 1e9);
    say(&format!("{name:<36}{ms:>9.2}{rate:>9.1}"));
}

/// Attention and its derivative; operations are those of visible keys.
fn train(cx: Cx<'_>, meter: &Meter, shape: Shape, name: &str) {
    let Shape {
        n_seqs,
        length,
        n_heads,
        n_kv_heads,
        head_dim,
        causal,
    } = shape;
    let (n, width, kv_width) = (n_seqs * length, n_heads * head_dim, n_kv_heads * head_dim);
    let row_stride = width + 2 * kv_width;
    let work_len = attention_vjp_work_len::<f32>(head_dim, cx.pool().threads());
    let lens = [
        n * row_stride,
        n * width,
        n * n_heads,
        work_len,
        n * width,
        n * row_stride,
    ];
    let mut arena = Arena::new(lens.iter().map(|len| bytes_of(*len)).sum());
    let [qkv, out, lse, work, dout, grad] = carve(&mut arena, lens);
    for x in [&mut *qkv, &mut *dout] {
        for (i, x) in x.iter_mut().enumerate() {
            *x = (i * 7919 % 997) as f32 / 997.0 - 0.5;
        }
    }
    let cu_seqlens: Vec<i32> = (0..=n_seqs).map(|i| (i * length) as i32).collect();
    let cols = |offset| Cols {
        data: qkv,
        row_stride,
        offset,
    };
    let a = Attention {
        q: cols(0),
        k: cols(width),
        v: cols(width + kv_width),
        n_heads,
        n_kv_heads,
        head_dim,
        scale: (head_dim as f64).sqrt().recip(),
        causal,
        window: None,
        cu_seqlens: &cu_seqlens,
        key_mask: None,
    };
    let seen = if causal { length + 1 } else { 2 * length };
    let flops = 2.0 * (n * seen * width) as f64;
    report(meter, &format!("{name} forward"), flops, || {
        attention(cx, a, out, lse, work);
        black_box(&mut *out);
    });
    report(meter, &format!("{name} both"), 3.5 * flops, || {
        attention(cx, a, out, lse, work);
        let [dq, dk, dv] = split_cols(grad, row_stride, [width, kv_width, kv_width]);
        let grads = AttentionGrads {
            dq,
            dk,
            dv,
            accumulate: false,
        };
        attention_vjp(cx, a, out, lse, dout, grads, work);
        black_box(&mut *grad);
    });
}

/// Slices of an arena, in which a model has them too.
fn carve<const N: usize>(arena: &mut Arena, lens: [usize; N]) -> [&mut [f32]; N] {
    let lend = arena.lend();
    let mut offset = 0;
    lens.map(|len| {
        let bytes = bytes_of(len);
        offset += bytes;
        let region = Region {
            offset: offset - bytes,
            bytes,
        };
        &mut lend.write::<f32>(region)[..len]
    })
}

/// Bytes of so many values, in whole cache lines.
fn bytes_of(len: usize) -> usize {
    (4 * len).next_multiple_of(64)
}

/// One new token behind 1000, 12 heads of 64.
fn decode(cx: Cx<'_>, meter: &Meter) {
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
    let mut work = vec![0.0; attention_work_len::<f32>(d, meter.threads)];
    let flops = 4.0 * 1001.0 * (heads * d) as f64;
    report(meter, "1x1000 d64 cached forward", flops, || {
        attention_cached(cx, a, &mut out, &mut work);
        black_box(&mut out);
    });
}
