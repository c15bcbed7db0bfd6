//! Normalisations: values, derivatives, bits.

use crate::common::{
    assert_close, assert_gradient, assert_same_bits, noise, once, same_everywhere, wide,
};
use tenon_kernels::{
    Cx, Float, NormGrads, NormSaved, layer_norm, layer_norm_vjp, rms_norm, rms_norm_vjp,
};

const SHAPES: [(usize, usize); 10] = [
    (0, 4),
    (1, 1),
    (2, 3),
    (3, 15),
    (5, 16),
    (4, 17),
    (7, 64),
    (130, 65),
    (300, 129),
    (259, 2065),
];
const EPS: f64 = 1e-5;

/// y, mean, rstd.
fn layer<S: Float>(cx: Cx<'_>, x: &[S], gain: &[S], bias: Option<&[S]>) -> [Vec<S>; 3] {
    let n = x.len() / gain.len();
    let (mut y, mut mean, mut rstd) = (vec![S::NAN; x.len()], vec![S::NAN; n], vec![S::NAN; n]);
    layer_norm(cx, x, gain, bias, EPS, &mut y, &mut mean, &mut rstd);
    [y, mean, rstd]
}

fn rms<S: Float>(cx: Cx<'_>, x: &[S], gain: &[S]) -> [Vec<S>; 2] {
    let (mut y, mut rstd) = (vec![S::NAN; x.len()], vec![S::NAN; x.len() / gain.len()]);
    rms_norm(cx, x, gain, EPS, &mut y, &mut rstd);
    [y, rstd]
}

/// dx, dgain, dbias (empty for RMS normalisation).
fn vjp<S: Float>(cx: Cx<'_>, with_mean: bool, dy: &[S], x: &[S], gain: &[S]) -> [Vec<S>; 3] {
    let d = gain.len();
    let mut dx = vec![S::NAN; x.len()];
    let (mut dgain, mut dbias) = (vec![S::ZERO; d], vec![S::ZERO; d]);
    let grads = NormGrads {
        dx: Some(&mut dx),
        accumulate_dx: false,
        dgain: Some(&mut dgain),
        dbias: with_mean.then_some(&mut dbias[..]),
    };
    if with_mean {
        let [_, mean, rstd] = layer(cx, x, gain, None);
        let saved = NormSaved {
            x,
            gain,
            mean: Some(&mean),
            rstd: &rstd,
        };
        layer_norm_vjp(cx, dy, saved, grads);
    } else {
        let [_, rstd] = rms(cx, x, gain);
        rms_norm_vjp(
            cx,
            dy,
            NormSaved {
                x,
                gain,
                mean: None,
                rstd: &rstd,
            },
            grads,
        );
    }
    [dx, dgain, dbias]
}

#[test]
fn f32_is_close_to_f64_and_has_the_same_bits_everywhere() {
    for (n, d) in SHAPES {
        let (x, gain, bias) = (
            noise::<f32>(n * d, 1),
            noise::<f32>(d, 2),
            noise::<f32>(d, 3),
        );
        let dy = noise::<f32>(n * d, 4);
        let (x64, gain64, bias64, dy64) = (wide(&x), wide(&gain), wide(&bias), wide(&dy));
        let y = same_everywhere(|cx| layer(cx, &x, &gain, Some(&bias)).concat());
        let want = once(|cx| layer(cx, &x64, &gain64, Some(&bias64)).concat());
        // One column has no deviation: eps alone decides, and rounding decides nothing.
        assert_close(&y, &want, if d == 1 { 1e-6 } else { 2e-5 }, "layer norm");
        let y = same_everywhere(|cx| rms(cx, &x, &gain).concat());
        assert_close(
            &y,
            &once(|cx| rms(cx, &x64, &gain64).concat()),
            2e-6,
            "RMS norm",
        );
        for with_mean in [true, false] {
            let got = same_everywhere(|cx| vjp(cx, with_mean, &dy, &x, &gain).concat());
            let want = once(|cx| vjp(cx, with_mean, &dy64, &x64, &gain64).concat());
            if d > 3 {
                assert_close(&got, &want, 1e-4, &format!("vjp {n}×{d}, mean {with_mean}"));
            }
        }
    }
}

/// However far from zero they are: the mean is subtracted before anything is rounded.
#[test]
fn equal_values_have_a_normal_value_of_zero() {
    for d in [1, 16, 64] {
        let x = vec![1000.0f32; 3 * d];
        let (gain, bias) = (vec![3.0; d], vec![0.25; d]);
        let [y, ..] = once(|cx| layer(cx, &x, &gain, Some(&bias)));
        assert_eq!(y[..3 * d], vec![0.25; 3 * d]);
    }
}

/// More parts of columns than there are queues for them. Two threads already share the columns of
/// 130 rows, and blocks of 250.
#[test]
fn wide_rows_have_the_same_bits_everywhere() {
    for (n, d) in [(130, 16_390), (250, 16_390)] {
        let (x, gain, dy) = (
            noise::<f32>(n * d, 1),
            noise::<f32>(d, 2),
            noise::<f32>(n * d, 4),
        );
        let [_, mean, rstd] = once(|cx| layer(cx, &x, &gain, None));
        let saved = NormSaved {
            x: &x,
            gain: &gain,
            mean: Some(&mean),
            rstd: &rstd,
        };
        same_everywhere(|cx| {
            let mut dx = vec![f32::NAN; n * d];
            let (mut dgain, mut dbias) = (vec![0.0; d], vec![0.0; d]);
            let grads = NormGrads {
                dx: Some(&mut dx),
                accumulate_dx: false,
                dgain: Some(&mut dgain),
                dbias: Some(&mut dbias),
            };
            layer_norm_vjp(cx, &dy, saved, grads);
            [dx, dgain, dbias].concat()
        });
    }
}

/// Without dx the parameters get the same bits, and dx is added to what is there.
#[test]
fn rows_of_several_parts_accumulate_and_leave_dx_out() {
    let (n, d) = (259, 2065);
    let (x, gain, dy) = (
        noise::<f32>(n * d, 1),
        noise::<f32>(d, 2),
        noise::<f32>(n * d, 4),
    );
    let [_, mean, rstd] = once(|cx| layer(cx, &x, &gain, None));
    let saved = NormSaved {
        x: &x,
        gain: &gain,
        mean: Some(&mean),
        rstd: &rstd,
    };
    let [dx, dgain, dbias] = once(|cx| vjp(cx, true, &dy, &x, &gain));
    let before = noise::<f32>(n * d, 5);
    for with_dx in [true, false] {
        let got = same_everywhere(|cx| {
            let mut sum = before.clone();
            let (mut dgain, mut dbias) = (vec![0.0; d], vec![0.0; d]);
            let grads = NormGrads {
                dx: with_dx.then_some(&mut sum[..]),
                accumulate_dx: true,
                dgain: Some(&mut dgain),
                dbias: Some(&mut dbias),
            };
            layer_norm_vjp(cx, &dy, saved, grads);
            [sum, dgain, dbias].concat()
        });
        let new = dx.iter().map(|&dx| if with_dx { dx } else { 0.0 });
        let sum: Vec<f32> = before.iter().zip(new).map(|(x, dx)| x + dx).collect();
        let want = [&sum, &dgain, &dbias].map(|x| &x[..]).concat();
        assert_same_bits(&got, &want, "accumulated");
    }
}

#[test]
fn derivatives_match_differences() {
    for (n, d) in [(1, 5), (3, 17), (2, 33)] {
        let (x, gain, bias) = (
            noise::<f64>(n * d, 1),
            noise::<f64>(d, 2),
            noise::<f64>(d, 3),
        );
        let dy = noise::<f64>(n * d, 4);
        once(|cx| {
            let [dx, dgain, dbias] = vjp(cx, true, &dy, &x, &gain);
            let y =
                |x: &[f64], gain: &[f64], bias: &[f64]| layer(cx, x, gain, Some(bias))[0].clone();
            assert_gradient(|x| y(x, &gain, &bias), &x, &dy, &dx);
            assert_gradient(|gain| y(&x, gain, &bias), &gain, &dy, &dgain);
            assert_gradient(|bias| y(&x, &gain, bias), &bias, &dy, &dbias);
            let [dx, dgain, _] = vjp(cx, false, &dy, &x, &gain);
            assert_gradient(|x| rms(cx, x, &gain)[0].clone(), &x, &dy, &dx);
            assert_gradient(|gain| rms(cx, &x, gain)[0].clone(), &gain, &dy, &dgain);
        });
    }
}

#[test]
fn gradients_accumulate_where_asked() {
    let (x, gain, dy) = (noise::<f64>(12, 1), noise::<f64>(4, 2), noise::<f64>(12, 3));
    once(|cx| {
        let [_, rstd] = rms(cx, &x, &gain);
        let saved = NormSaved {
            x: &x,
            gain: &gain,
            mean: None,
            rstd: &rstd,
        };
        let [dx, dgain, _] = vjp(cx, false, &dy, &x, &gain);
        let (mut dx2, mut dgain2) = (vec![1.0; 12], vec![2.0; 4]);
        let grads = NormGrads {
            dx: Some(&mut dx2),
            accumulate_dx: true,
            dgain: Some(&mut dgain2),
            dbias: None,
        };
        rms_norm_vjp(cx, &dy, saved, grads);
        let plus = |x: &[f64], c: f64| -> Vec<f64> { x.iter().map(|x| x + c).collect() };
        assert_close(&dx2, &plus(&dx, 1.0), 1e-15, "dx");
        assert_close(&dgain2, &plus(&dgain, 2.0), 1e-15, "dgain");
        let frozen = NormGrads {
            dx: None,
            accumulate_dx: false,
            dgain: None,
            dbias: None,
        };
        rms_norm_vjp(cx, &dy, saved, frozen);
    });
}

#[test]
fn zero_rows_have_finite_results() {
    once(|cx| {
        let (x, gain, dy) = (vec![0.0f32; 8], vec![1.0f32; 4], vec![1.0f32; 8]);
        assert_eq!(layer(cx, &x, &gain, None)[0], vec![0.0; 8]);
        assert_eq!(rms(cx, &x, &gain)[0], vec![0.0; 8]);
        for with_mean in [true, false] {
            let grads = vjp(cx, with_mean, &dy, &x, &gain);
            assert!(grads.concat().iter().all(|g| g.is_finite()));
        }
    });
}

#[test]
#[should_panic(expected = "x is")]
fn a_gain_of_another_width_is_refused() {
    once(|cx| rms(cx, &[1.0f32; 7], &[1.0f32; 4]));
}
