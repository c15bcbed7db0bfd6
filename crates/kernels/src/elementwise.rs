//! Sums, products and copies, element by element.

use crate::isa::simd;
use crate::pool::Parts;
use crate::{Cx, Float, Isa, bytes_of, bytes_of_mut};

/// y = a + b.
///
/// # Panics
/// When the lengths differ.
pub fn add<S: Float>(cx: Cx<'_>, a: &[S], b: &[S], y: &mut [S]) {
    assert_eq!((a.len(), b.len()), (y.len(), y.len()), "terms of a sum");
    each(cx, y, &|isa, start, y| {
        let range = start..start + y.len();
        add_body(isa, &a[range.clone()], &b[range], y);
    });
}

/// y = a · b.
///
/// # Panics
/// When the lengths differ.
pub fn mul<S: Float>(cx: Cx<'_>, a: &[S], b: &[S], y: &mut [S]) {
    assert_eq!(
        (a.len(), b.len()),
        (y.len(), y.len()),
        "factors of a product"
    );
    each(cx, y, &|isa, start, y| {
        let range = start..start + y.len();
        mul_body(isa, &a[range.clone()], &b[range], y);
    });
}

/// y += x.
///
/// # Panics
/// When the lengths differ.
pub fn add_assign<S: Float>(cx: Cx<'_>, x: &[S], y: &mut [S]) {
    assert_eq!(x.len(), y.len(), "terms of a sum");
    each(cx, y, &|isa, start, y| {
        add_assign_body(isa, &x[start..start + y.len()], y)
    });
}

/// y = alpha · x + y, rounded once per element.
///
/// # Panics
/// When the lengths differ.
pub fn axpy<S: Float>(cx: Cx<'_>, alpha: S, x: &[S], y: &mut [S]) {
    assert_eq!(x.len(), y.len(), "terms of a sum");
    each(cx, y, &|isa, start, y| {
        axpy_body(isa, alpha, &x[start..start + y.len()], y)
    });
}

/// y = factor · y.
pub fn scale<S: Float>(cx: Cx<'_>, factor: S, y: &mut [S]) {
    each(cx, y, &|isa, _, y| scale_body(isa, factor, y));
}

/// y = x.
///
/// # Panics
/// When the lengths differ.
pub fn copy<S: Float>(cx: Cx<'_>, x: &[S], y: &mut [S]) {
    assert_eq!(x.len(), y.len(), "a copy");
    each(cx, y, &|_, start, y| {
        y.copy_from_slice(&x[start..start + y.len()])
    });
}

/// y = value.
pub fn fill<S: Float>(cx: Cx<'_>, value: S, y: &mut [S]) {
    let zero = bytes_of(&[value]).iter().all(|&byte| byte == 0);
    if zero {
        // The system zeroes memory without reading it first.
        each(cx, y, &|_, _, y| bytes_of_mut(y).fill(0));
    } else {
        each(cx, y, &|_, _, y| y.fill(value));
    }
}

/// Calls `f(isa, start, part)` on parts of `y` that start at `start`.
fn each<S: Float>(cx: Cx<'_>, y: &mut [S], f: &(dyn Fn(Isa, usize, &mut [S]) + Sync)) {
    let n = y.len();
    let y = Parts::new(y);
    cx.ranges(n, 1, &|range| {
        let start = range.start;
        // SAFETY: ranges are disjoint.
        f(cx.isa(), start, unsafe { y.part(range) });
    });
}

simd! {
    fn add_body<S: Float>(a: &[S], b: &[S], y: &mut [S]) {
        for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
            *y = a + b;
        }
    }
}

simd! {
    fn mul_body<S: Float>(a: &[S], b: &[S], y: &mut [S]) {
        for ((y, &a), &b) in y.iter_mut().zip(a).zip(b) {
            *y = a * b;
        }
    }
}

simd! {
    /// y += x.
    pub(crate) fn add_assign_body<S: Float>(x: &[S], y: &mut [S]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y += x;
        }
    }
}

simd! {
    fn axpy_body<S: Float>(alpha: S, x: &[S], y: &mut [S]) {
        for (y, &x) in y.iter_mut().zip(x) {
            *y = alpha.mul_add(x, *y);
        }
    }
}

simd! {
    /// y *= factor.
    pub(crate) fn scale_body<S: Float>(factor: S, y: &mut [S]) {
        for y in y {
            *y *= factor;
        }
    }
}
