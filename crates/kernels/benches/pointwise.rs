//! Kernels that are not products, each beside the floor of its own memory traffic, exponentials
//! and random words.
//! `cargo bench -p tenon-kernels --bench pointwise -- [threads] [name]` times those whose name
//! contains `name`.
//!
//! Floors come from the same run: bytes at the best rate of copies, fills, sums and scalings over a
//! working set of the kernel's own size, exponentials and random words at the rates of bare loops
//! in the first-level cache. A kernel's floor is the greatest of the three.

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;
use tenon_kernels::{
    Activation, AdamW, Cols, ColsMut, Cx, Dropout, Isa, NormGrads, NormSaved, Pointwise, Pool,
    Rope, RopeStyle, Xent, activation, activation_vjp, adamw, add, add_assign, bare_exps,
    bare_random_words, column_sums, copy, dropout, fill, gather_rows, layer_norm, layer_norm_vjp,
    rms_norm, rms_norm_vjp, rope_in_place, scale, scatter_add_rows, split_cols, sum_sq, swiglu,
    swiglu_vjp, xent_rows,
};

const ROWS: usize = 2048;
const WIDTH: usize = 512;
const N: usize = ROWS * WIDTH;
/// Rows of the logits of a model with 50,257 tokens that exist at a time.
const LOGIT_ROWS: usize = 160;
const CLASSES: usize = 50257;
/// Elements of a tensor that no cache holds.
const LARGE: usize = 16 << 20;
/// Seconds spent on each kernel at least, and calls.
const SECONDS_MIN: f64 = 0.15;
const CALLS_MIN: usize = 7;

fn main() {
    let threads = std::env::args()
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(1);
    let pool = Pool::new(threads);
    let cx = Cx::new(&pool, Isa::detect());
    let name = std::env::args()
        .skip(1)
        .find(|arg| !arg.starts_with('-') && arg.parse::<usize>().is_err());
    let bench = Bench {
        name: name.unwrap_or_default(),
        layer: move_rate(cx, N),
        main: move_rate(cx, LARGE),
        exp_ns: bare_ns(|| bare_exps(cx)),
        random_ns: bare_ns(|| bare_random_words(cx)),
        cx,
    };
    say(&format!(
        "ns a byte: {:.4} second-level cache, {:.4} layer of {} MB, {:.4} main memory; \
         ns an exp {:.3}, a random word {:.3}\n",
        move_rate(cx, 16 << 10),
        bench.layer,
        N >> 18,
        bench.main,
        bench.exp_ns,
        bench.random_ns
    ));
    say("kernel                          ns/element  bytes  exps  words   floor   ratio\n");
    let x: Vec<f32> = (0..N).map(|i| (i % 997) as f32 * 0.01 - 5.0).collect();
    let mut y = vec![0.0f32; N];
    bench.activations(&x, &mut y);
    bench.values(&x, &mut y);
    bench.norms(&x, &mut y);
    bench.losses();
    bench.updates();
}

/// Floors, and where kernels run.
struct Bench<'a> {
    cx: Cx<'a>,
    /// Part of the names that are wanted.
    name: String,
    /// Nanoseconds a byte in tensors of a layer.
    layer: f64,
    /// Nanoseconds a byte in main memory.
    main: f64,
    exp_ns: f64,
    random_ns: f64,
}

fn say(line: &str) {
    std::io::stdout()
        .write_all(line.as_bytes())
        .expect("stdout");
}

/// Seconds of the fastest call.
fn fastest(mut f: impl FnMut()) -> f64 {
    let (start, mut best, mut calls) = (Instant::now(), f64::INFINITY, 0);
    while calls < CALLS_MIN || start.elapsed().as_secs_f64() < SECONDS_MIN {
        let start = Instant::now();
        f();
        best = best.min(start.elapsed().as_secs_f64());
        calls += 1;
    }
    best
}

/// Nanoseconds of one of what a bare loop does.
fn bare_ns(mut f: impl FnMut() -> usize) -> f64 {
    let mut n = 0;
    let seconds = fastest(|| n = f());
    seconds * 1e9 / n as f64
}

/// Nanoseconds a byte of the best of four movers over tensors of `n` elements.
fn move_rate(cx: Cx<'_>, n: usize) -> f64 {
    let (a, mut y) = (vec![1.0f32; n], vec![1.0f32; n]);
    // Small tensors take less than the clock can tell.
    let calls = (1 << 20) / n.min(1 << 20);
    let mut best = f64::INFINITY;
    let mut rate = |words: usize, f: &mut dyn FnMut(&mut [f32])| {
        let seconds = fastest(|| (0..calls).for_each(|_| f(black_box(&mut y))));
        best = best.min(seconds * 1e9 / (calls * words * 4 * n) as f64);
    };
    rate(2, &mut |y| copy(cx, &a, y));
    rate(1, &mut |y| fill(cx, 1.0, y));
    rate(3, &mut |y| add_assign(cx, &a, y));
    rate(2, &mut |y| scale(cx, 1.0, y));
    best
}

impl Bench<'_> {
    /// Times `f` on the elements of a layer.
    fn on_layer(&self, kernel: Pointwise, f: impl FnMut()) {
        self.report(kernel.name(), kernel, N, self.layer, f);
    }

    fn report(&self, name: &str, kernel: Pointwise, n: usize, byte_ns: f64, f: impl FnMut()) {
        if !name.contains(&self.name) {
            return;
        }
        let ns = fastest(f) * 1e9 / n as f64;
        let cost = kernel.floor();
        let bytes = 4 * cost.words;
        let floor = (bytes as f64 * byte_ns)
            .max(cost.exps as f64 * self.exp_ns)
            .max(cost.random_words as f64 * self.random_ns);
        say(&format!(
            "{name:<32}{ns:10.3}  {bytes:5}  {:4}  {:5}  {floor:6.3}  {:6.2}\n",
            cost.exps,
            cost.random_words,
            ns / floor
        ));
    }

    fn activations(&self, x: &[f32], y: &mut [f32]) {
        let cx = self.cx;
        // Tensors of their own, as in training, which share no line of a cache.
        let (dy, up) = (x.to_vec(), x.to_vec());
        for act in [
            Activation::GeluErf,
            Activation::GeluTanh,
            Activation::Silu,
            Activation::Relu,
        ] {
            self.on_layer(Pointwise::Activation(act), || {
                activation(cx, act, x, black_box(&mut *y));
            });
            self.on_layer(Pointwise::ActivationVjp(act), || {
                activation_vjp(cx, act, &dy, x, black_box(&mut *y), false);
            });
        }
        self.on_layer(Pointwise::Swiglu, || {
            swiglu(cx, x, &up, black_box(&mut *y));
        });
        let mut dup = vec![0.0; N];
        self.on_layer(Pointwise::SwigluVjp, || {
            swiglu_vjp(cx, &dy, x, &up, black_box(&mut *y), &mut dup, false);
        });
    }

    fn values(&self, x: &[f32], y: &mut [f32]) {
        let cx = self.cx;
        let other = x.to_vec();
        self.on_layer(Pointwise::Add, || add(cx, x, &other, black_box(&mut *y)));
        self.on_layer(Pointwise::AddAssign, || {
            add_assign(cx, x, black_box(&mut *y));
        });
        self.on_layer(Pointwise::SumSq, || {
            black_box(sum_sq(cx, x));
        });
        let mut sums = vec![0.0; WIDTH];
        self.on_layer(Pointwise::ColumnSums, || {
            column_sums(cx, Cols::whole(x, WIDTH), ROWS, black_box(&mut sums), true);
        });
        let drop = Dropout {
            p: 0.1,
            key: [1, 2],
            site: 0,
        };
        self.on_layer(Pointwise::Dropout, || {
            dropout(cx, drop, x, black_box(&mut *y));
        });
        let index: Vec<i32> = (0..ROWS as i32).rev().collect();
        self.on_layer(Pointwise::Embedding, || {
            gather_rows(cx, x, WIDTH, &index, black_box(&mut *y));
        });
        self.on_layer(Pointwise::EmbeddingVjp, || {
            scatter_add_rows(cx, x, WIDTH, &index, black_box(&mut *y));
        });
        let (cos, sin) = (vec![0.6; ROWS * 32], vec![0.8; ROWS * 32]);
        let turn = Rope {
            n_heads: WIDTH / 64,
            head_dim: 64,
            cos: &cos,
            sin: &sin,
            positions: &index,
            style: RopeStyle::RotateHalf,
            inverse: false,
        };
        self.on_layer(Pointwise::Rope, || {
            let [cols] = split_cols(black_box(&mut *y), WIDTH, [WIDTH]);
            rope_in_place(cx, turn, cols);
        });
    }

    fn norms(&self, x: &[f32], y: &mut [f32]) {
        let cx = self.cx;
        let (gain, mut mean, mut rstd) = (vec![1.0; WIDTH], vec![0.0; ROWS], vec![0.0; ROWS]);
        let (mut dgain, mut dbias) = (vec![0.0; WIDTH], vec![0.0; WIDTH]);
        let dy = x.to_vec();
        self.on_layer(Pointwise::RmsNorm, || {
            rms_norm(cx, x, &gain, 1e-5, black_box(&mut *y), &mut rstd);
        });
        self.on_layer(Pointwise::LayerNorm, || {
            let y = black_box(&mut *y);
            layer_norm(cx, x, &gain, Some(&gain), 1e-5, y, &mut mean, &mut rstd);
        });
        for (kernel, mean) in [
            (Pointwise::LayerNormVjp, Some(&mean[..])),
            (Pointwise::RmsNormVjp, None),
        ] {
            self.on_layer(kernel, || {
                let saved = NormSaved {
                    x,
                    gain: &gain,
                    mean,
                    rstd: &rstd,
                };
                let grads = NormGrads {
                    dx: Some(black_box(&mut *y)),
                    accumulate_dx: false,
                    dgain: Some(&mut dgain),
                    dbias: mean.is_some().then_some(&mut dbias),
                };
                match mean {
                    Some(_) => layer_norm_vjp(cx, &dy, saved, grads),
                    None => rms_norm_vjp(cx, &dy, saved, grads),
                }
            });
        }
    }

    /// Logits are read once and with gradients written once.
    fn losses(&self) {
        let n = LOGIT_ROWS * CLASSES;
        let mut z: Vec<f32> = (0..n).map(|i| (i % 997) as f32 * 0.01).collect();
        let (targets, mut losses) = (vec![3; LOGIT_ROWS], vec![0.0; LOGIT_ROWS]);
        for (kernel, grad_scale) in [(Pointwise::Xent, None), (Pointwise::XentVjp, Some(1.0))] {
            let how = Xent {
                label_smoothing: 0.0,
                z_loss: 0.0,
                grad_scale,
            };
            self.report(kernel.name(), kernel, n, self.main, || {
                xent_rows(
                    self.cx,
                    how,
                    ColsMut::whole(black_box(&mut z), CLASSES),
                    &targets,
                    None,
                    &mut losses,
                    None,
                );
            });
        }
    }

    fn updates(&self) {
        let cx = self.cx;
        let [mut p, mut g, mut m, mut v] = [1.0f32, 0.5, 0.1, 0.1].map(|x| vec![x; LARGE]);
        let h = AdamW {
            learning_rate: 1e-3,
            beta1: 0.9,
            beta2: 0.999,
            eps: 1e-8,
            weight_decay: 0.1,
            bias_correction1: 0.1,
            bias_correction2: 0.001,
            grad_scale: 1.0,
        };
        let kernel = Pointwise::AdamW;
        self.report(kernel.name(), kernel, LARGE, self.main, || {
            adamw(cx, h, &mut p, &g, &mut m, black_box(&mut v));
        });
        self.report(
            "norm of gradients",
            Pointwise::SumSq,
            LARGE,
            self.main,
            || {
                black_box(sum_sq(cx, &g));
            },
        );
        self.report("zeroing", Pointwise::Fill, LARGE, self.main, || {
            fill(cx, 0.0, black_box(&mut g));
        });
    }
}
