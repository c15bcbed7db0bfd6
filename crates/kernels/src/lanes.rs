//! Sums and maxima of a row: a fixed number of lanes and one written tree, whatever the register
//! width.

use crate::Float;

/// Lanes of a sum that is fed from elsewhere.
pub(crate) const LANES: usize = 16;
/// Lanes of a sum over a slice: enough registers that additions do not wait for each other.
const WIDE: usize = 64;

/// Folds N lanes: the upper half onto the lower, until one is left.
// Inlined, it makes the compiler regroup the lanes of the loop before it, at half the speed.
#[inline(never)]
pub(crate) fn tree<S: Float, const N: usize>(mut acc: [S; N]) -> S {
    let mut half = N / 2;
    while half > 0 {
        for l in 0..half {
            acc[l] += acc[l + half];
        }
        half /= 2;
    }
    acc[0]
}

/// [`tree`] with the last [`LANES`] lanes in f64, so that a short row's sum has no rounding of its
/// own.
// Not inlined for the reason of `tree`.
#[inline(never)]
pub(crate) fn tree_f64<S: Float, const N: usize>(mut acc: [S; N]) -> f64 {
    const { assert!(N >= LANES) }
    let mut half = N / 2;
    while half >= LANES {
        for l in 0..half {
            acc[l] += acc[l + half];
        }
        half /= 2;
    }
    tree::<f64, LANES>(std::array::from_fn(|l| acc[l].to_f64()))
}

/// Σ x.
#[inline(always)]
pub(crate) fn sum<S: Float>(x: &[S]) -> S {
    let mut acc = [S::ZERO; WIDE];
    let (chunks, rest) = x.as_chunks::<WIDE>();
    for chunk in chunks {
        for l in 0..WIDE {
            acc[l] += chunk[l];
        }
    }
    for (acc, &x) in acc.iter_mut().zip(rest) {
        *acc += x;
    }
    tree(acc)
}

/// Σ (x − shift)².
#[inline(always)]
pub(crate) fn sum_sq_from<S: Float>(x: &[S], shift: S) -> f64 {
    let mut acc = [S::ZERO; WIDE];
    let (chunks, rest) = x.as_chunks::<WIDE>();
    for chunk in chunks {
        for l in 0..WIDE {
            let d = chunk[l] - shift;
            acc[l] = d.mul_add(d, acc[l]);
        }
    }
    for (acc, &x) in acc.iter_mut().zip(rest) {
        let d = x - shift;
        *acc = d.mul_add(d, *acc);
    }
    tree_f64(acc)
}

/// Σ x².
#[inline(always)]
pub(crate) fn sum_sq<S: Float>(x: &[S]) -> f64 {
    let mut acc = [S::ZERO; WIDE];
    let (chunks, rest) = x.as_chunks::<WIDE>();
    for x in chunks {
        for l in 0..WIDE {
            acc[l] = x[l].mul_add(x[l], acc[l]);
        }
    }
    for (acc, &x) in acc.iter_mut().zip(rest) {
        *acc = x.mul_add(x, *acc);
    }
    tree_f64(acc)
}

/// Σ x·y.
#[inline(always)]
pub(crate) fn dot<S: Float>(x: &[S], y: &[S]) -> S {
    let mut acc = [S::ZERO; WIDE];
    let ((xs, x_rest), (ys, y_rest)) = (x.as_chunks::<WIDE>(), y.as_chunks::<WIDE>());
    for (x, y) in xs.iter().zip(ys) {
        for l in 0..WIDE {
            acc[l] = x[l].mul_add(y[l], acc[l]);
        }
    }
    for (acc, (&x, &y)) in acc.iter_mut().zip(x_rest.iter().zip(y_rest)) {
        *acc = x.mul_add(y, *acc);
    }
    tree(acc)
}

/// The maximum of what is not NaN; −∞ of nothing.
#[inline(always)]
pub(crate) fn max<S: Float>(x: &[S]) -> S {
    let mut acc = [S::NEG_INFINITY; LANES];
    let (chunks, rest) = x.as_chunks::<LANES>();
    for chunk in chunks {
        for l in 0..LANES {
            acc[l] = greater(chunk[l], acc[l]);
        }
    }
    for (acc, &x) in acc.iter_mut().zip(rest) {
        *acc = greater(x, *acc);
    }
    greatest(acc)
}

/// x when it is greater, else `than`: one instruction, as a maximum that keeps NaN is not.
#[inline(always)]
fn greater<S: Float>(x: S, than: S) -> S {
    if x > than { x } else { than }
}

// Not inlined for the reason of `tree`.
#[inline(never)]
fn greatest<S: Float>(acc: [S; LANES]) -> S {
    acc.into_iter()
        .fold(S::NEG_INFINITY, |max, x| greater(x, max))
}
