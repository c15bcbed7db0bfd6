//! Sums over whole tensors, in f64, and the search for values that are not finite.

use crate::isa::simd;
use crate::lanes::{LANES, tree};
use crate::pool::Parts;
use crate::{Cx, Float, Isa};
use std::sync::atomic::{AtomicBool, Ordering};

/// Parts that a tensor is summed in, whatever the number of threads.
const PARTS: usize = 64;
/// Elements of the smallest part.
const PART_MIN: usize = 4096;

/// Σ x.
pub fn sum<S: Float>(cx: Cx<'_>, x: &[S]) -> f64 {
    by_parts(cx, x.len(), &|isa, start, end| {
        sum_part(isa, &x[start..end])
    })
}

/// Σ x².
pub fn sum_sq<S: Float>(cx: Cx<'_>, x: &[S]) -> f64 {
    by_parts(cx, x.len(), &|isa, start, end| {
        dot_part(isa, &x[start..end], &x[start..end])
    })
}

/// Σ x·y.
///
/// # Panics
/// When the lengths differ.
pub fn dot<S: Float>(cx: Cx<'_>, x: &[S], y: &[S]) -> f64 {
    assert_eq!(x.len(), y.len(), "factors of a dot product");
    by_parts(cx, x.len(), &|isa, start, end| {
        dot_part(isa, &x[start..end], &y[start..end])
    })
}

/// Whether any element is infinite or NaN.
pub fn has_nonfinite<S: Float>(cx: Cx<'_>, x: &[S]) -> bool {
    let found = AtomicBool::new(false);
    cx.ranges(x.len(), 1, &|range| {
        if !found.load(Ordering::Relaxed) && nonfinite_part(cx.isa(), &x[range]) {
            found.store(true, Ordering::Relaxed);
        }
    });
    found.into_inner()
}

/// Sums `f(isa, start, end)` over parts that depend on `n` alone, in order.
fn by_parts(cx: Cx<'_>, n: usize, f: &(dyn Fn(Isa, usize, usize) -> f64 + Sync)) -> f64 {
    let step = n.div_ceil(PARTS).next_multiple_of(PART_MIN);
    let mut sums = [0.0; PARTS];
    let n_parts = n.div_ceil(step.max(1));
    let parts = Parts::new(&mut sums);
    cx.ranges(n_parts, step, &|range| {
        for t in range {
            // SAFETY: each part has its own element.
            let to = unsafe { parts.part(t..t + 1) };
            to[0] = f(cx.isa(), t * step, n.min((t + 1) * step));
        }
    });
    sums[..n_parts].iter().sum()
}

simd! {
    fn sum_part<S: Float>(x: &[S]) -> f64 {
        let mut acc = [0.0; LANES];
        let (chunks, rest) = x.as_chunks::<LANES>();
        for chunk in chunks {
            for l in 0..LANES {
                acc[l] += chunk[l].to_f64();
            }
        }
        for (acc, &x) in acc.iter_mut().zip(rest) {
            *acc += x.to_f64();
        }
        tree(acc)
    }
}

simd! {
    fn dot_part<S: Float>(x: &[S], y: &[S]) -> f64 {
        let mut acc = [0.0; LANES];
        let ((xs, x_rest), (ys, y_rest)) = (x.as_chunks::<LANES>(), y.as_chunks::<LANES>());
        for (x, y) in xs.iter().zip(ys) {
            for l in 0..LANES {
                acc[l] = x[l].to_f64().mul_add(y[l].to_f64(), acc[l]);
            }
        }
        for (acc, (&x, &y)) in acc.iter_mut().zip(x_rest.iter().zip(y_rest)) {
            *acc = x.to_f64().mul_add(y.to_f64(), *acc);
        }
        tree(acc)
    }
}

simd! {
    fn nonfinite_part<S: Float>(x: &[S]) -> bool {
        let mut found = false;
        for &x in x {
            found |= !x.is_finite();
        }
        found
    }
}
