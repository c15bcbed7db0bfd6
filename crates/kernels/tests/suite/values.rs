//! Losses of numbers against given ones.

use crate::common::{assert_gradient, noise, once, same_everywhere};
use tenon_kernels::{IGNORED, ValueLoss, value_rows, value_rows_vjp};

fn losses(kind: ValueLoss, y: &[f64], given: &[f64], targets: &[i32]) -> Vec<f64> {
    let mut rows = vec![f64::NAN; targets.len()];
    once(|cx| value_rows(cx, kind, y, given, targets, &mut rows));
    rows
}

/// By hand: (1² + 3²)/2; ln 2 twice; −ln σ(ln 3) = ln(4/3) and −ln(1 − σ(−ln 3)) = ln(4/3).
#[test]
fn losses_are_means_of_rows_that_count() {
    let rows = losses(
        ValueLoss::Squared,
        &[1.0, 2.0, 8.0, 8.0],
        &[0.0, 5.0, 0.0, 0.0],
        &[0, IGNORED],
    );
    assert_eq!(rows, [5.0, 0.0]);
    let ln3 = 3f64.ln();
    let rows = losses(
        ValueLoss::Logistic,
        &[0.0, 0.0, ln3, -ln3],
        &[0.0, 1.0, 1.0, 0.0],
        &[0, 0],
    );
    assert!((rows[0] - 2f64.ln()).abs() < 1e-15);
    assert!((rows[1] - (4.0f64 / 3.0).ln()).abs() < 1e-15, "{rows:?}");
}

#[test]
fn gradients_are_those_of_differences() {
    for kind in [ValueLoss::Squared, ValueLoss::Logistic] {
        let (y, given): (Vec<f64>, Vec<f64>) = (noise(12, 3), noise(12, 4));
        let targets = [0, IGNORED, 0, 0];
        let mut dy = vec![f64::NAN; 12];
        once(|cx| value_rows_vjp(cx, kind, &y, &given, &targets, &mut dy, false));
        assert_gradient(|y| losses(kind, y, &given, &targets), &y, &[1.0; 4], &dy);
        assert_eq!(dy[3..6], [0.0; 3]);
        let mut twice = dy.clone();
        once(|cx| value_rows_vjp(cx, kind, &y, &given, &targets, &mut twice, true));
        assert!(
            twice
                .iter()
                .zip(&dy)
                .all(|(twice, once)| *twice == 2.0 * once)
        );
    }
}

/// Enough rows for several threads; every seventh does not count.
#[test]
fn losses_and_gradients_have_the_same_bits_everywhere() {
    let (n, width) = (333, 37);
    let (y, given): (Vec<f32>, Vec<f32>) = (noise(n * width, 3), noise(n * width, 4));
    let targets: Vec<i32> = (0..n as i32)
        .map(|i| if i % 7 == 0 { IGNORED } else { i })
        .collect();
    for kind in [ValueLoss::Squared, ValueLoss::Logistic] {
        let losses = same_everywhere(|cx| {
            let mut losses = vec![f64::NAN; n];
            value_rows(cx, kind, &y, &given, &targets, &mut losses);
            losses
        });
        assert!((0..n).all(|i| (losses[i] == 0.0) == (i % 7 == 0)));
        for accumulate in [false, true] {
            let dy = same_everywhere(|cx| {
                let mut dy = y.clone();
                value_rows_vjp(cx, kind, &y, &given, &targets, &mut dy, accumulate);
                dy
            });
            let ignored = if accumulate { &y[..width] } else { &[0.0; 37] };
            assert_eq!(&dy[..width], ignored);
        }
    }
}

/// e^800 is no f64, and a NaN is not taken for a number.
#[test]
fn large_logits_have_a_loss_and_nan_has_none() {
    let kind = ValueLoss::Logistic;
    assert_eq!(
        (kind.value(800.0, 0.0), kind.value(-800.0, 1.0)),
        (800.0, 800.0)
    );
    assert_eq!(
        (kind.value(800.0, 1.0), kind.slope(-800.0, 0.0)),
        (0.0, 0.0)
    );
    for kind in [kind, ValueLoss::Squared] {
        assert!(kind.value(f64::NAN, 1.0).is_nan() && kind.slope(f64::NAN, 1.0).is_nan());
        assert!(kind.value(1.0, f64::NAN).is_nan());
    }
}

#[test]
#[should_panic(expected = "given numbers")]
fn given_numbers_have_the_same_shape() {
    losses(ValueLoss::Squared, &[0.0; 4], &[0.0; 3], &[0, 0]);
}
