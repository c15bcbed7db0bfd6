//! Cross-entropy: values, gradient, ranks, ignored rows.

use crate::common::{
    assert_close, assert_gradient, assert_same_bits, noise, once, same_everywhere, wide,
};
use tenon_kernels::{ColsMut, Cx, Float, IGNORED, Xent, counted_rows, split_cols, xent_rows};

/// Losses, logits afterwards, ranks.
fn run<S: Float>(
    cx: Cx<'_>,
    xent: Xent<S>,
    logits: &[S],
    targets: &[i32],
) -> (Vec<f64>, Vec<S>, Vec<i32>) {
    let mut z = logits.to_vec();
    let width = logits.len().checked_div(targets.len()).unwrap_or(1);
    let mut losses = vec![f64::NAN; targets.len()];
    let mut ranks = vec![-7; targets.len()];
    xent_rows(
        cx,
        xent,
        ColsMut::whole(&mut z, width),
        targets,
        None,
        &mut losses,
        Some(&mut ranks),
    );
    (losses, z, ranks)
}

fn plain<S>(grad_scale: Option<S>) -> Xent<S> {
    Xent {
        label_smoothing: 0.0,
        z_loss: 0.0,
        grad_scale,
    }
}

fn logits<S: Float>(n: usize) -> Vec<S> {
    noise::<S>(n, 1)
        .iter()
        .map(|&z| z * S::from_f64(5.0))
        .collect()
}

#[test]
fn losses_match_the_definition() {
    for v in [1, 2, 15, 17, 300, 5003] {
        let z = logits::<f32>(3 * v);
        let targets = [0, (v - 1) as i32, (v / 2) as i32];
        for (label_smoothing, z_loss) in [(0.0, 0.0), (0.1, 0.0), (0.1, 1e-2)] {
            let xent = Xent {
                label_smoothing,
                z_loss,
                grad_scale: None,
            };
            let losses = same_everywhere(|cx| run(cx, xent, &z, &targets).0);
            for (i, &t) in targets.iter().enumerate() {
                let z = wide(&z[i * v..][..v]);
                let lse = z.iter().map(|z| z.exp()).sum::<f64>().ln();
                let mean = z.iter().sum::<f64>() / v as f64;
                let want = lse - (1.0 - label_smoothing) * z[t as usize] - label_smoothing * mean
                    + z_loss * lse * lse;
                assert!(
                    (losses[i] - want).abs() < 2e-6,
                    "{v}: {} is not {want}",
                    losses[i]
                );
            }
        }
    }
}

#[test]
fn gradient_matches_differences() {
    for v in [1, 3, 33] {
        let z = logits::<f64>(2 * v);
        let targets = [(v - 1) as i32, 0];
        let xent = Xent {
            label_smoothing: 0.1,
            z_loss: 1e-2,
            grad_scale: Some(0.5),
        };
        once(|cx| {
            let grad = run(cx, xent, &z, &targets).1;
            let value = Xent {
                grad_scale: None,
                ..xent
            };
            assert_gradient(|z| run(cx, value, z, &targets).0, &z, &[0.5, 0.5], &grad);
        });
    }
}

#[test]
fn gradient_has_the_same_bits_everywhere_and_leaves_the_loss_alone() {
    let z = logits::<f32>(9 * 1001);
    let targets = [0, 5, IGNORED, 1000, 999, 17, IGNORED, 3, 3];
    let xent = Xent {
        label_smoothing: 0.1,
        z_loss: 1e-4,
        grad_scale: Some(1.0 / 7.0),
    };
    let grad = same_everywhere(|cx| run(cx, xent, &z, &targets).1);
    let z64 = wide(&z);
    let exact = Xent {
        label_smoothing: 0.1,
        z_loss: 1e-4,
        grad_scale: Some(1.0 / 7.0),
    };
    assert_close(
        &grad,
        &once(|cx| run(cx, exact, &z64, &targets).1),
        1e-6,
        "gradient",
    );
    once(|cx| {
        let with = run(cx, xent, &z, &targets).0;
        let (without, kept, _) = run(
            cx,
            Xent {
                grad_scale: None,
                ..xent
            },
            &z,
            &targets,
        );
        assert_same_bits(&with, &without, "loss");
        assert_same_bits(&kept, &z, "logits");
    });
}

#[test]
fn ignored_rows_count_for_nothing() {
    let z = logits::<f32>(2 * 10);
    once(|cx| {
        let (losses, grad, ranks) = run(cx, plain(Some(1.0)), &z, &[IGNORED, 4]);
        assert_eq!((losses[0], ranks[0]), (0.0, -1));
        assert!(losses[1] > 0.0 && ranks[1] >= 0);
        assert_eq!(grad[..10], [0.0; 10]);
        assert!(grad[10..].iter().sum::<f32>().abs() < 1e-6);
    });
}

#[test]
fn ranks_break_ties_by_index() {
    let z = [1.0f32, 3.0, 2.0, 3.0, 2.0];
    let all: Vec<f32> = z.repeat(5);
    let ranks = once(|cx| run(cx, plain(None), &all, &[0, 1, 2, 3, 4]).2);
    assert_eq!(ranks, [4, 0, 2, 1, 3]);
}

#[test]
fn extreme_logits() {
    once(|cx| {
        let (losses, grad, _) = run(cx, plain(Some(1.0)), &[1e30f32, -1e30, 0.0], &[0]);
        assert_eq!((losses[0], &grad[..]), (0.0, &[0.0, 0.0, 0.0][..]));
        let masked = [f32::NEG_INFINITY, 0.0];
        assert_eq!(run(cx, plain(None), &masked, &[1]).0, [0.0]);
        assert_eq!(run(cx, plain(None), &masked, &[0]).0, [f64::INFINITY]);
        assert!(run(cx, plain(None), &[f32::NAN, 0.0], &[1]).0[0].is_nan());
    });
}

#[test]
#[should_panic(expected = "target 3 of 3 classes")]
fn a_target_outside_the_classes_is_refused() {
    once(|cx| run(cx, plain(None), &[0.0f32; 3], &[3]));
}

/// Losses and ranks of all rows where only the chosen ones have logits.
fn chosen<S: Float>(
    cx: Cx<'_>,
    logits: &[S],
    targets: &[i32],
    rows: &[i32],
) -> (Vec<f64>, Vec<S>, Vec<i32>) {
    let (mut z, mut losses, mut ranks) = (
        logits.to_vec(),
        vec![-1.0; targets.len()],
        vec![-7; targets.len()],
    );
    let (xent, width) = (
        plain(Some(S::ONE)),
        logits.len().checked_div(rows.len()).unwrap_or(1),
    );
    xent_rows(
        cx,
        xent,
        ColsMut::whole(&mut z, width),
        targets,
        Some(rows),
        &mut losses,
        Some(&mut ranks),
    );
    (losses, z, ranks)
}

#[test]
fn chosen_rows_have_the_bits_of_their_own_and_leave_the_others_alone() {
    // Targets of rows that are not chosen are not even read.
    let targets = [IGNORED, 3, 16, 99, IGNORED, 0];
    let (rows, v) = ([1, 2, 5], 17);
    let z = logits::<f32>(3 * v);
    let alone = once(|cx| run(cx, plain(Some(1.0)), &z, &[3, 16, 0]));
    let grad = same_everywhere(|cx| chosen(cx, &z, &targets, &rows).1);
    assert_same_bits(&grad, &alone.1, "gradient");
    let losses = same_everywhere(|cx| chosen(cx, &z, &targets, &rows).0);
    let [a, b, c] = [0, 1, 2].map(|i| alone.0[i]);
    assert_eq!(losses, [-1.0, a, b, -1.0, -1.0, c]);
    let [a, b, c] = [0, 1, 2].map(|i| alone.2[i]);
    let ranks = once(|cx| chosen(cx, &z, &targets, &rows).2);
    assert_eq!(ranks, [-7, a, b, -7, -7, c]);
}

#[test]
#[should_panic(expected = "chosen rows [1, 1] of 2")]
fn a_row_chosen_twice_is_refused() {
    once(|cx| chosen(cx, &[0.0f32; 6], &[0, 0], &[1, 1]));
}

#[test]
#[should_panic(expected = "chosen rows [0, 2] of 2")]
fn a_chosen_row_that_is_not_there_is_refused() {
    once(|cx| chosen(cx, &[0.0f32; 6], &[0, 0], &[0, 2]));
}

#[test]
fn counted_rows_are_listed_in_order() {
    let mut rows = [-7; 5];
    assert_eq!(counted_rows(&[IGNORED, 4, 0, IGNORED, -1], &mut rows), 3);
    assert_eq!(rows[..3], [1, 2, 4]);
    assert_eq!(counted_rows(&[IGNORED; 5], &mut rows), 0);
    assert_eq!(counted_rows(&[2; 5], &mut rows), 5);
    assert_eq!(rows, [0, 1, 2, 3, 4]);
    assert_eq!(counted_rows(&[], &mut []), 0);
}

#[test]
fn no_rows() {
    once(|cx| run::<f32>(cx, plain(None), &[], &[]));
    once(|cx| chosen::<f32>(cx, &[], &[1, 2], &[]));
}

#[test]
fn rows_may_lie_apart() {
    let (n, v, row_stride) = (3, 17, 24);
    let targets = [4, IGNORED, 16];
    let dense = logits::<f32>(n * v);
    let want = once(|cx| run(cx, plain(Some(0.5)), &dense, &targets));
    let got = same_everywhere(|cx| {
        let mut z = vec![f32::NAN; n * row_stride];
        for (to, from) in z.chunks_mut(row_stride).zip(dense.chunks(v)) {
            to[..v].copy_from_slice(from);
        }
        let (mut losses, mut ranks) = (vec![0.0; n], vec![0; n]);
        let [rows] = split_cols(&mut z, row_stride, [v]);
        let xent = plain(Some(0.5));
        xent_rows(
            cx,
            xent,
            rows,
            &targets,
            None,
            &mut losses,
            Some(&mut ranks),
        );
        assert_eq!((&losses, &ranks), (&want.0, &want.2));
        z
    });
    for (got, want) in got.chunks(row_stride).zip(want.1.chunks(v)) {
        assert_same_bits(&got[..v], want, "gradient");
        assert!(
            got[v..].iter().all(|z| z.is_nan()),
            "room between rows was written"
        );
    }
}
