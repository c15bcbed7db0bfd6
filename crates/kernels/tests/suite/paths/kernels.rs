//! Every kernel over elements and rows, called once on one set of inputs.

use super::{Bits, Inputs, ROWS};
use crate::route::Routed;
use tenon_kernels::{
    Activation, AdamW, Balance, Cols, ColsMut, Cx, Dropout, Float, IGNORED, MeanPool, NormGrads,
    NormSaved, Rope, RopeStyle, Sgd, TokenDropout, ValueLoss, Xent, activation, activation_vjp,
    adamw, add, add_assign, axpy, balance_add, balance_rows, balance_vjp, column_sums, copy, dot,
    dropout, fill, gather_rows, has_nonfinite, layer_norm, layer_norm_vjp, mean_pool,
    mean_pool_vjp, mul, rms_norm, rms_norm_vjp, rope, rope_in_place, scale, scatter_add_rows, sgd,
    sum, sum_sq, swiglu, swiglu_vjp, token_dropout, value_rows, value_rows_vjp, weigh_rows,
    weigh_rows_vjp, xent_rows,
};

/// A name, and a call that adds everything it writes to the bits.
type Kernel<S> = (&'static str, fn(Cx<'_>, &Inputs<S>, &mut Bits));

fn activations<S: Float>(cx: Cx<'_>, i: &Inputs<S>, bits: &mut Bits) {
    for act in [
        Activation::GeluErf,
        Activation::GeluTanh,
        Activation::Relu,
        Activation::Silu,
        Activation::Sigmoid,
        Activation::Tanh,
    ] {
        let mut y = i.y.clone();
        activation(cx, act, &i.x, &mut y);
        bits.add(&y);
        for accumulate in [false, true] {
            let mut dx = i.z.clone();
            activation_vjp(cx, act, &i.y, &i.x, &mut dx, accumulate);
            bits.add(&dx);
        }
    }
}

fn swiglus<S: Float>(cx: Cx<'_>, i: &Inputs<S>, bits: &mut Bits) {
    let mut y = i.z.clone();
    swiglu(cx, &i.x, &i.y, &mut y);
    bits.add(&y);
    for accumulate in [false, true] {
        let (mut dgate, mut dup) = (i.y.clone(), i.x.clone());
        swiglu_vjp(cx, &i.z, &i.x, &i.y, &mut dgate, &mut dup, accumulate);
        bits.add(&dgate);
        bits.add(&dup);
    }
}

fn elements<S: Float>(cx: Cx<'_>, i: &Inputs<S>, bits: &mut Bits) {
    let mut out = i.z.clone();
    add(cx, &i.x, &i.y, &mut out);
    bits.add(&out);
    mul(cx, &i.x, &i.y, &mut out);
    bits.add(&out);
    out.copy_from_slice(&i.z);
    add_assign(cx, &i.x, &mut out);
    bits.add(&out);
    axpy(cx, S::from_f64(0.3), &i.y, &mut out);
    bits.add(&out);
    scale(cx, S::from_f64(0.7), &mut out);
    bits.add(&out);
    copy(cx, &i.x, &mut out);
    bits.add(&out);
    fill(cx, i.x[0], &mut out);
    bits.add(&out);
}

fn sums<S: Float>(cx: Cx<'_>, i: &Inputs<S>, bits: &mut Bits) {
    bits.add(&[sum(cx, &i.x), sum_sq(cx, &i.x), dot(cx, &i.x, &i.y)]);
    bits.0.push(u64::from(has_nonfinite(cx, &i.x)));
    for accumulate in [false, true] {
        let mut out = i.bias.clone();
        column_sums(cx, Cols::whole(&i.x, i.n), ROWS, &mut out, accumulate);
        bits.add(&out);
    }
}

fn picked_rows<S: Float>(cx: Cx<'_>, i: &Inputs<S>, bits: &mut Bits) {
    let index = [2, 0, 2];
    let mut out = i.z.clone();
    gather_rows(cx, &i.x, i.n, &index, &mut out);
    bits.add(&out);
    scatter_add_rows(cx, &i.y, i.n, &index, &mut out);
    bits.add(&out);
}

fn dropouts<S: Float>(cx: Cx<'_>, i: &Inputs<S>, bits: &mut Bits) {
    for p in [0.0, 0.3] {
        let (key, site) = ([7, 9], 3);
        let mut y = i.z.clone();
        dropout(cx, Dropout { p, key, site }, &i.x, &mut y);
        bits.add(&y);
    }
}

fn norms<S: Float>(cx: Cx<'_>, i: &Inputs<S>, bits: &mut Bits) {
    let (mut y, mut mean, mut rstd) = (i.z.clone(), vec![S::NAN; ROWS], vec![S::NAN; ROWS]);
    rms_norm(cx, &i.x, &i.gain, 1e-5, &mut y, &mut rstd);
    bits.add(&y);
    bits.add(&rstd);
    norm_grads(cx, i, None, &rstd, bits);
    for bias in [None, Some(&i.bias[..])] {
        layer_norm(cx, &i.x, &i.gain, bias, 1e-5, &mut y, &mut mean, &mut rstd);
        bits.add(&y);
    }
    bits.add(&mean);
    bits.add(&rstd);
    norm_grads(cx, i, Some(&mean), &rstd, bits);
}

fn norm_grads<S: Float>(
    cx: Cx<'_>,
    i: &Inputs<S>,
    mean: Option<&[S]>,
    rstd: &[S],
    bits: &mut Bits,
) {
    let (x, gain) = (&i.x[..], &i.gain[..]);
    for accumulate_dx in [false, true] {
        let (mut dx, mut dgain, mut dbias) = (i.z.clone(), i.bias.clone(), i.bias.clone());
        let grads = NormGrads {
            dx: Some(&mut dx),
            accumulate_dx,
            dgain: Some(&mut dgain),
            dbias: mean.is_some().then_some(&mut dbias[..]),
        };
        let saved = NormSaved {
            x,
            gain,
            mean,
            rstd,
        };
        match mean {
            Some(_) => layer_norm_vjp(cx, &i.y, saved, grads),
            None => rms_norm_vjp(cx, &i.y, saved, grads),
        }
        bits.add(&dx);
        bits.add(&dgain);
        bits.add(&dbias);
    }
}

fn rotations<S: Float>(cx: Cx<'_>, i: &Inputs<S>, bits: &mut Bits) {
    let (head_dim, half) = (i.n / 2 * 2, i.n / 2);
    if half == 0 {
        return;
    }
    for style in [RopeStyle::RotateHalf, RopeStyle::Interleaved] {
        for inverse in [false, true] {
            let how = Rope {
                n_heads: 1,
                head_dim,
                cos: &i.y[..ROWS * half],
                sin: &i.z[..ROWS * half],
                positions: &[1, 2, 0],
                style,
                inverse,
            };
            let x = Cols {
                data: &i.x,
                row_stride: i.n,
                offset: 0,
            };
            let mut y = vec![S::NAN; ROWS * head_dim];
            rope(cx, how, x, ColsMut::whole(&mut y, head_dim));
            bits.add(&y);
            rope_in_place(cx, how, ColsMut::whole(&mut y, head_dim));
            bits.add(&y);
        }
    }
}

fn losses<S: Float>(cx: Cx<'_>, i: &Inputs<S>, bits: &mut Bits) {
    let targets = [0, i.n as i32 - 1, IGNORED];
    for (label_smoothing, z_loss) in [(0.0, 0.0), (0.1, 1e-2)] {
        for grad_scale in [None, Some(S::from_f64(0.3))] {
            let xent = Xent {
                label_smoothing,
                z_loss,
                grad_scale,
            };
            let (mut z, mut losses, mut ranks) = (i.x.clone(), [f64::NAN; ROWS], [-7; ROWS]);
            xent_rows(
                cx,
                xent,
                ColsMut::whole(&mut z, i.n),
                &targets,
                None,
                &mut losses,
                Some(&mut ranks),
            );
            bits.add(&z);
            bits.add(&losses);
            bits.add(&ranks.map(f64::from));
        }
    }
}

fn sequences<S: Float>(cx: Cx<'_>, i: &Inputs<S>, bits: &mut Bits) {
    let masked = TokenDropout {
        ids: &[4, 9, 4],
        cu_seqlens: &[0, 2, 2, 3],
        mask_id: 4,
        trained: 0.12,
    };
    let mut y = i.z.clone();
    token_dropout(cx, masked, &i.x, &mut y);
    bits.add(&y);
    let means = MeanPool {
        cu_seqlens: &[0, 0, 3],
        width: i.n,
        skip_first: i.n.is_multiple_of(2),
        skip_last: false,
    };
    mean_pool(cx, means, &i.x, &mut y[..2 * i.n]);
    bits.add(&y);
    for accumulate in [false, true] {
        mean_pool_vjp(cx, means, &i.z[i.n..], &mut y, accumulate);
        bits.add(&y);
    }
}

fn routes<S: Float>(cx: Cx<'_>, i: &Inputs<S>, bits: &mut Bits) {
    for per_row in [1, i.n.min(3)] {
        let routed = Routed::new(cx, &i.x, i.n, per_row);
        bits.add(&routed.shares);
        bits.add(&routed.weights);
        bits.add(&routed.indices());
        for accumulate in [false, true] {
            let mut dlogits = i.y.clone();
            routed.vjp(cx, &i.z[..ROWS * per_row], &mut dlogits, accumulate);
            bits.add(&dlogits);
        }
    }
    let (mut y, mut dweights) = (i.x.clone(), [S::NAN; ROWS]);
    weigh_rows(cx, &i.z[..ROWS], &mut y);
    bits.add(&y);
    weigh_rows_vjp(cx, &i.z[..ROWS], &i.x, &mut y, &mut dweights);
    bits.add(&y);
    bits.add(&dweights);
}

fn balances<S: Float>(cx: Cx<'_>, i: &Inputs<S>, bits: &mut Bits) {
    let (mut sums, mut losses) = (vec![0.0; 2 * i.n], [f64::NAN; ROWS]);
    balance_add(cx, &i.x, i.n.min(2), &mut sums);
    bits.add(&sums);
    let balance = Balance {
        coefficient: 0.02,
        n_rows: ROWS,
    };
    balance_rows(balance, &[1, IGNORED, 0], &mut sums, &mut losses);
    bits.add(&sums);
    bits.add(&losses);
    for accumulate in [false, true] {
        let mut dlogits = i.y.clone();
        balance_vjp(cx, &i.x, &sums[..i.n], &mut dlogits, accumulate);
        bits.add(&dlogits);
    }
}

fn values<S: Float>(cx: Cx<'_>, i: &Inputs<S>, bits: &mut Bits) {
    for kind in [ValueLoss::Squared, ValueLoss::Logistic] {
        let (mut losses, mut dy) = ([f64::NAN; ROWS], i.y.clone());
        value_rows(cx, kind, &i.x, &i.z, &[1, IGNORED, 0], &mut losses);
        value_rows_vjp(cx, kind, &i.x, &i.z, &[1, IGNORED, 0], &mut dy, true);
        bits.add(&losses);
        bits.add(&dy);
    }
}

fn updates<S: Float>(cx: Cx<'_>, i: &Inputs<S>, bits: &mut Bits) {
    let h = AdamW {
        learning_rate: 1e-2,
        beta1: 0.9,
        beta2: 0.95,
        eps: 1e-8,
        weight_decay: 0.1,
        bias_correction1: 0.271,
        bias_correction2: 0.142_625,
        grad_scale: 0.5,
    };
    let (mut p, mut m) = (i.x.clone(), i.z.clone());
    let mut v: Vec<S> = i.z.iter().map(|z| z.abs()).collect();
    adamw(cx, h, &mut p, &i.y, &mut m, &mut v);
    for written in [p, m, v] {
        bits.add(&written);
    }
    for (with_velocity, nesterov) in [(false, false), (true, false), (true, true)] {
        let h = Sgd {
            learning_rate: 0.1,
            momentum: 0.9,
            nesterov,
            weight_decay: 0.01,
            grad_scale: 2.0,
        };
        let (mut p, mut velocity) = (i.x.clone(), i.z.clone());
        sgd(
            cx,
            h,
            &mut p,
            &i.y,
            with_velocity.then_some(&mut velocity[..]),
        );
        bits.add(&p);
        bits.add(&velocity);
    }
}

/// All of them.
pub(super) fn kernels<S: Float>() -> [Kernel<S>; 14] {
    [
        ("activations", activations),
        ("SwiGLU", swiglus),
        ("sums and products", elements),
        ("reductions", sums),
        ("picked rows", picked_rows),
        ("dropout", dropouts),
        ("norms", norms),
        ("rotations", rotations),
        ("losses", losses),
        ("routes", routes),
        ("balance", balances),
        ("sequences", sequences),
        ("losses of numbers", values),
        ("updates", updates),
    ]
}
