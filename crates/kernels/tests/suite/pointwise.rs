//! Activations, element-wise kernels, column sums, reductions, gathers, dropout, updates.

use crate::common::{
    assert_close, assert_gradient, assert_same_bits, noise, once, same_everywhere, wide,
};
use tenon_base::rng::philox4x32;
use tenon_kernels::{
    Activation, AdamW, Cx, Dropout, Float, Sgd, activation, activation_vjp, adamw, add, add_assign,
    axpy, copy, dot, dropout, fill, gather_rows, has_nonfinite, mul, scale, scatter_add_rows, sgd,
    sum, sum_sq, swiglu, swiglu_vjp,
};

const LENGTHS: [usize; 10] = [0, 1, 7, 15, 16, 17, 63, 4099, 40_000, 100_001];
const ACTIVATIONS: [Activation; 6] = [
    Activation::GeluErf,
    Activation::GeluTanh,
    Activation::Relu,
    Activation::Silu,
    Activation::Sigmoid,
    Activation::Tanh,
];

fn apply<S: Float>(cx: Cx<'_>, act: Activation, x: &[S]) -> Vec<S> {
    let mut y = vec![S::NAN; x.len()];
    activation(cx, act, x, &mut y);
    y
}

fn apply_vjp<S: Float>(cx: Cx<'_>, act: Activation, dy: &[S], x: &[S]) -> Vec<S> {
    let mut dx = vec![S::NAN; x.len()];
    activation_vjp(cx, act, dy, x, &mut dx, false);
    dx
}

fn times<S: Float>(factor: f64, x: &[S]) -> Vec<S> {
    x.iter().map(|&x| x * S::from_f64(factor)).collect()
}

#[test]
fn activations_are_close_to_f64_with_the_same_bits_everywhere() {
    for act in ACTIVATIONS {
        for n in [0, 15, 17, 20_003] {
            let (x, dy) = (times(8.0, &noise::<f32>(n, 1)), noise::<f32>(n, 2));
            let y = same_everywhere(|cx| apply(cx, act, &x));
            assert_close(
                &y,
                &once(|cx| apply(cx, act, &wide(&x))),
                1e-6,
                &format!("{act:?}"),
            );
            let dx = same_everywhere(|cx| apply_vjp(cx, act, &dy, &x));
            let want = once(|cx| apply_vjp(cx, act, &wide(&dy), &wide(&x)));
            assert_close(&dx, &want, 2e-6, &format!("{act:?} vjp"));
        }
    }
}

#[test]
fn derivatives_of_activations_match_differences() {
    let (x, dy) = (times(4.0, &noise::<f64>(200, 1)), noise::<f64>(200, 2));
    once(|cx| {
        for act in ACTIVATIONS {
            assert_gradient(|x| apply(cx, act, x), &x, &dy, &apply_vjp(cx, act, &dy, &x));
        }
    });
}

#[test]
fn activations_at_the_ends_of_the_line() {
    let x = [f32::NEG_INFINITY, -200.0, 0.0, 200.0, f32::INFINITY];
    once(|cx| {
        for act in ACTIVATIONS {
            let (y, dx) = (apply(cx, act, &x), apply_vjp(cx, act, &[1.0; 5], &x));
            assert!(apply(cx, act, &[f32::NAN])[0].is_nan(), "{act:?} hides NaN");
            assert!(y[1..4].iter().all(|y| y.is_finite()), "{act:?}: {y:?}");
            assert!(dx[1..4].iter().all(|dx| dx.is_finite()), "{act:?}: {dx:?}");
        }
    });
}

#[test]
fn swiglu_is_silu_times_up_and_has_its_derivative() {
    let n = 300;
    let (gate, up, dy) = (noise::<f64>(n, 1), noise::<f64>(n, 2), noise::<f64>(n, 3));
    let run = |cx: Cx<'_>, gate: &[f64], up: &[f64]| {
        let mut y = vec![f64::NAN; n];
        swiglu(cx, gate, up, &mut y);
        y
    };
    once(|cx| {
        let silu = apply(cx, Activation::Silu, &gate);
        let want: Vec<f64> = silu.iter().zip(&up).map(|(s, u)| s * u).collect();
        assert_close(&run(cx, &gate, &up), &want, 1e-15, "swiglu");
        let (mut dgate, mut dup) = (vec![f64::NAN; n], vec![f64::NAN; n]);
        swiglu_vjp(cx, &dy, &gate, &up, &mut dgate, &mut dup, false);
        assert_gradient(|gate| run(cx, gate, &up), &gate, &dy, &dgate);
        assert_gradient(|up| run(cx, &gate, up), &up, &dy, &dup);
        let once_more = (dgate.clone(), dup.clone());
        swiglu_vjp(cx, &dy, &gate, &up, &mut dgate, &mut dup, true);
        assert_close(
            &dgate,
            &times(2.0, &once_more.0),
            1e-15,
            "accumulated dgate",
        );
        assert_close(&dup, &times(2.0, &once_more.1), 1e-15, "accumulated dup");
    });
    let (gate, up) = (noise::<f32>(20_001, 1), noise::<f32>(20_001, 2));
    same_everywhere(|cx| {
        let mut y = vec![f32::NAN; gate.len()];
        swiglu(cx, &gate, &up, &mut y);
        y
    });
}

#[test]
fn element_wise_kernels() {
    for n in LENGTHS {
        let (a, b) = (noise::<f32>(n, 1), noise::<f32>(n, 2));
        let got = same_everywhere(|cx| {
            let mut y = vec![f32::NAN; n];
            add(cx, &a, &b, &mut y);
            add_assign(cx, &a, &mut y);
            axpy(cx, 0.5, &b, &mut y);
            scale(cx, 2.0, &mut y);
            y
        });
        let want: Vec<f64> = (0..n)
            .map(|i| 4.0 * f64::from(a[i]) + 3.0 * f64::from(b[i]))
            .collect();
        assert_close(&got, &want, 1e-6, "add, add_assign, axpy, scale");
        let got = same_everywhere(|cx| {
            let (mut y, mut z) = (vec![f32::NAN; n], vec![f32::NAN; n]);
            mul(cx, &a, &b, &mut y);
            copy(cx, &y, &mut z);
            fill(cx, 7.0, &mut y);
            assert!(y.iter().all(|&y| y == 7.0));
            z
        });
        let want: Vec<f32> = a.iter().zip(&b).map(|(a, b)| a * b).collect();
        assert_same_bits(&got, &want, "mul, copy");
    }
}

#[test]
fn reductions_are_exact_enough_and_fixed() {
    for n in LENGTHS {
        let (x, y) = (noise::<f32>(n, 1), noise::<f32>(n, 2));
        let got = same_everywhere(|cx| vec![sum(cx, &x), sum_sq(cx, &x), dot(cx, &x, &y)]);
        let pairs = || {
            x.iter()
                .zip(&y)
                .map(|(&x, &y)| (f64::from(x), f64::from(y)))
        };
        let want = [
            pairs().map(|(x, _)| x).sum::<f64>(),
            pairs().map(|(x, _)| x * x).sum(),
            pairs().map(|(x, y)| x * y).sum(),
        ];
        assert_close(&got, &want, 1e-12, "reductions");
    }
}

#[test]
fn one_bad_value_is_found_anywhere() {
    for n in [1, 17, 50_000] {
        for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            for at in [0, n / 2, n - 1] {
                let mut x = noise::<f32>(n, 1);
                once(|cx| {
                    assert!(!has_nonfinite(cx, &x));
                    x[at] = bad;
                    assert!(has_nonfinite(cx, &x));
                });
            }
        }
    }
}

#[test]
fn gathered_rows_and_their_scatter() {
    let (v, d) = (10, 70);
    let table = noise::<f32>(v * d, 1);
    let index = [3, 0, 3, 9, 3];
    let rows = noise::<f32>(index.len() * d, 2);
    let got = same_everywhere(|cx| {
        let mut out = vec![f32::NAN; index.len() * d];
        gather_rows(cx, &table, d, &index, &mut out);
        out
    });
    assert_same_bits(&got[3 * d..4 * d], &table[9 * d..], "the last row");
    assert_same_bits(&got[2 * d..3 * d], &table[3 * d..4 * d], "a repeated row");
    let got = same_everywhere(|cx| {
        let mut grad = table.clone();
        scatter_add_rows(cx, &rows, d, &index, &mut grad);
        grad
    });
    let mut want = table.clone();
    for (i, &row) in index.iter().enumerate() {
        for j in 0..d {
            want[row as usize * d + j] += rows[i * d + j];
        }
    }
    assert_same_bits(&got, &want, "scatter");
}

#[test]
fn rows_outside_the_table_are_refused() {
    for bad in [-1, 10] {
        let table = noise::<f32>(10 * 4, 1);
        let result = std::panic::catch_unwind(|| {
            once(|cx| gather_rows(cx, &table, 4, &[0, bad], &mut [0.0; 8]));
        });
        assert!(result.is_err(), "row {bad}");
    }
}

#[test]
fn dropout_keeps_its_share_and_is_its_own_derivative() {
    let h = Dropout {
        p: 0.25,
        key: [7, 9],
        site: 3,
    };
    let x = vec![1.0f32; 100_003];
    let run = |cx: Cx<'_>, h: Dropout, x: &[f32]| {
        let mut y = vec![f32::NAN; x.len()];
        dropout(cx, h, x, &mut y);
        y
    };
    let y = same_everywhere(|cx| run(cx, h, &x));
    let kept = y.iter().filter(|&&y| y != 0.0).count() as f64 / x.len() as f64;
    assert!((kept - 0.75).abs() < 0.01, "kept {kept}");
    assert!(y.iter().all(|&y| y == 0.0 || y == 1.0 / 0.75));
    once(|cx| {
        assert_ne!(
            run(cx, Dropout { site: 4, ..h }, &x),
            y,
            "sites share a mask"
        );
        assert_ne!(
            run(cx, Dropout { key: [8, 9], ..h }, &x),
            y,
            "steps share a mask"
        );
        assert_eq!(run(cx, Dropout { p: 0.0, ..h }, &x), x, "p = 0 keeps all");
        assert_eq!(
            run(cx, h, &x[..5000]),
            y[..5000],
            "a prefix has another mask"
        );
    });
}

#[test]
fn dropout_draws_from_philox() {
    let h = Dropout {
        p: 0.4,
        key: [0xdead_beef, 17],
        site: (5 << 32) + 3,
    };
    let x = vec![1.0f32; 1003];
    let y = same_everywhere(|cx| {
        let mut y = vec![f32::NAN; x.len()];
        dropout(cx, h, &x, &mut y);
        y
    });
    for (e, y) in y.iter().enumerate() {
        let word = philox4x32([e as u32 / 4, 0, 3, 5], h.key)[e % 4];
        let kept = f64::from(word) >= (h.p * 4_294_967_296.0).floor();
        assert_eq!(*y != 0.0, kept, "element {e}");
    }
}

#[test]
fn adamw_matches_the_formula() {
    let n = 20_005;
    let h = AdamW {
        learning_rate: 1e-2,
        beta1: 0.9,
        beta2: 0.95,
        eps: 1e-8,
        weight_decay: 0.1,
        bias_correction1: 1.0 - 0.9f64.powi(3),
        bias_correction2: 1.0 - 0.95f64.powi(3),
        grad_scale: 0.5,
    };
    let (p, g, m) = (noise::<f32>(n, 1), noise::<f32>(n, 2), noise::<f32>(n, 3));
    let v: Vec<f32> = noise::<f32>(n, 4).iter().map(|v| v * v).collect();
    let got = same_everywhere(|cx| {
        let (mut p, mut m, mut v) = (p.clone(), m.clone(), v.clone());
        adamw(cx, h, &mut p, &g, &mut m, &mut v);
        [p, m, v].concat()
    });
    let (mut want_p, mut want_m, mut want_v) = (wide(&p), wide(&m), wide(&v));
    for i in 0..n {
        let g = f64::from(g[i]) * 0.5;
        want_p[i] *= 1.0 - 1e-3;
        want_m[i] = 0.9 * want_m[i] + 0.1 * g;
        want_v[i] = 0.95 * want_v[i] + 0.05 * g * g;
        let m_hat = want_m[i] / h.bias_correction1;
        want_p[i] -= 1e-2 * m_hat / ((want_v[i] / h.bias_correction2).sqrt() + 1e-8);
    }
    assert_close(&got, &[want_p, want_m, want_v].concat(), 1e-6, "adamw");
}

#[test]
fn sgd_with_and_without_velocity() {
    let n = 1003;
    let (p, g, u) = (noise::<f64>(n, 1), noise::<f64>(n, 2), noise::<f64>(n, 3));
    for (momentum, nesterov) in [(None, false), (Some(0.9), false), (Some(0.9), true)] {
        let h = Sgd {
            learning_rate: 0.1,
            momentum: momentum.unwrap_or(0.0),
            nesterov,
            weight_decay: 0.01,
            grad_scale: 2.0,
        };
        let got = same_everywhere(|cx| {
            let (mut p, mut u) = (p.clone(), u.clone());
            sgd(cx, h, &mut p, &g, momentum.map(|_| &mut u[..]));
            [p, u].concat()
        });
        let (mut want_p, mut want_u) = (p.clone(), u.clone());
        for i in 0..n {
            let mut step = 2.0 * g[i] + 0.01 * p[i];
            if let Some(momentum) = momentum {
                want_u[i] = momentum * u[i] + step;
                step = if nesterov {
                    step + momentum * want_u[i]
                } else {
                    want_u[i]
                };
            }
            want_p[i] -= 0.1 * step;
        }
        assert_close(&got, &[want_p, want_u].concat(), 1e-14, "sgd");
    }
}
