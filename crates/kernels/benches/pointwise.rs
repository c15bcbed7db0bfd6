//! Nanoseconds per element of the kernels that are not products.
//! `cargo bench -p tenon-kernels -- [threads]`

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;
use tenon_kernels::{
    Activation, AdamW, Cx, Dropout, Isa, NormGrads, NormSaved, Pool, Xent, activation,
    activation_vjp, adamw, add, dropout, layer_norm, layer_norm_vjp, sum_sq, xent_rows,
};

const ROWS: usize = 2048;
const WIDTH: usize = 512;
const N: usize = ROWS * WIDTH;

fn report(name: &str, elements: usize, mut f: impl FnMut()) {
    let mut best = f64::INFINITY;
    for _ in 0..7 {
        let start = Instant::now();
        f();
        best = best.min(start.elapsed().as_secs_f64());
    }
    let line = format!("{name}: {:.3} ns\n", best * 1e9 / elements as f64);
    std::io::stdout()
        .write_all(line.as_bytes())
        .expect("stdout");
}

fn main() {
    let threads = std::env::args()
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(1);
    let pool = Pool::new(threads);
    let cx = Cx::new(&pool, Isa::detect());
    let x: Vec<f32> = (0..N).map(|i| (i % 997) as f32 * 0.01 - 5.0).collect();
    let mut y = vec![0.0f32; N];
    for act in [
        Activation::GeluErf,
        Activation::GeluTanh,
        Activation::Silu,
        Activation::Relu,
    ] {
        report(&format!("{act:?}"), N, || {
            activation(cx, act, &x, black_box(&mut y))
        });
        report(&format!("{act:?} derivative"), N, || {
            activation_vjp(cx, act, &x, &x, black_box(&mut y), false);
        });
    }
    report("add", N, || add(cx, &x, &x, black_box(&mut y)));
    report("sum of squares", N, || {
        black_box(sum_sq(cx, &x));
    });
    let drop = Dropout {
        p: 0.1,
        key: [1, 2],
        site: 0,
    };
    report("dropout", N, || dropout(cx, drop, &x, black_box(&mut y)));
    norms(cx, &x, &mut y);
    updates(cx, &x, &mut y);
    losses(cx);
}

fn norms(cx: Cx<'_>, x: &[f32], y: &mut [f32]) {
    let (gain, mut mean, mut rstd) = (vec![1.0; WIDTH], vec![0.0; ROWS], vec![0.0; ROWS]);
    report("layer norm", N, || {
        layer_norm(
            cx,
            x,
            &gain,
            Some(&gain),
            1e-5,
            black_box(y),
            &mut mean,
            &mut rstd,
        );
    });
    let (mut dgain, mut dbias) = (vec![0.0; WIDTH], vec![0.0; WIDTH]);
    report("layer norm derivative", N, || {
        let saved = NormSaved {
            x,
            gain: &gain,
            mean: Some(&mean),
            rstd: &rstd,
        };
        let grads = NormGrads {
            dx: Some(black_box(&mut *y)),
            accumulate_dx: false,
            dgain: Some(&mut dgain),
            dbias: Some(&mut dbias),
        };
        layer_norm_vjp(cx, x, saved, grads);
    });
}

fn updates(cx: Cx<'_>, g: &[f32], p: &mut [f32]) {
    let (mut m, mut v) = (vec![0.0; N], vec![0.0; N]);
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
    report("adamw", N, || adamw(cx, h, p, g, &mut m, black_box(&mut v)));
}

fn losses(cx: Cx<'_>) {
    let (rows, classes) = (64, 50257);
    let mut z: Vec<f32> = (0..rows * classes)
        .map(|i| (i % 997) as f32 * 0.01)
        .collect();
    let (targets, mut losses) = (vec![3; rows], vec![0.0; rows]);
    for grad_scale in [None, Some(1.0)] {
        let how = Xent {
            label_smoothing: 0.0,
            z_loss: 0.0,
            grad_scale,
        };
        report(
            &format!("cross-entropy, gradient {}", grad_scale.is_some()),
            z.len(),
            || {
                xent_rows(cx, how, black_box(&mut z), &targets, &mut losses, None);
            },
        );
    }
}
