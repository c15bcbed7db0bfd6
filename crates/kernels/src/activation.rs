//! Activations, element by element, and the gated pair of SwiGLU.

mod curve;

use crate::isa::simd;
use crate::pool::Parts;
use crate::{Cx, Float};
use curve::{BLOCK, CHUNK, Curve, GeluErf, GeluTanh, Sigmoid, Silu};
use curve::{exps, exps_of_block, padded, relu};

/// A pointwise non-linearity.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// x·Φ(x) = ½x(1 + erf(x/√2)).
    GeluErf,
    /// ½x(1 + tanh(√(2/π)(x + 0.044715x³))), the approximation of GPT-2.
    GeluTanh,
    /// max(x, 0), with derivative 0 at 0; NaN stays NaN.
    Relu,
    /// x·σ(x).
    Silu,
    /// σ(x) = 1/(1 + e⁻ˣ).
    Sigmoid,
    /// tanh(x).
    Tanh,
}

/// Element visits that one element of an activation is worth when work is cut for threads.
const COST: usize = 8;
/// y = act(x), any shape.
///
/// # Panics
/// When the lengths differ.
pub fn activation<S: Float>(cx: Cx<'_>, act: Activation, x: &[S], y: &mut [S]) {
    assert_eq!(x.len(), y.len(), "x and y of an activation");
    let y = Parts::new(y);
    cx.ranges(x.len(), COST, &|range| {
        // SAFETY: ranges are disjoint.
        let y = unsafe { y.part(range.clone()) };
        forward(cx.isa(), act, &x[range], y);
    });
}

/// dx = dy·act′(x), added to `dx` when `accumulate`.
///
/// # Panics
/// When the lengths differ.
pub fn activation_vjp<S: Float>(
    cx: Cx<'_>,
    act: Activation,
    dy: &[S],
    x: &[S],
    dx: &mut [S],
    accumulate: bool,
) {
    assert_eq!(
        (dy.len(), dx.len()),
        (x.len(), x.len()),
        "dy, dx and x of an activation"
    );
    let dx = Parts::new(dx);
    cx.ranges(x.len(), COST, &|range| {
        // SAFETY: ranges are disjoint.
        let dx = unsafe { dx.part(range.clone()) };
        backward(cx.isa(), act, &dy[range.clone()], &x[range], dx, accumulate);
    });
}

/// y = silu(gate)·up, any shape.
///
/// # Panics
/// When the lengths differ.
pub fn swiglu<S: Float>(cx: Cx<'_>, gate: &[S], up: &[S], y: &mut [S]) {
    assert_eq!(
        (gate.len(), up.len()),
        (y.len(), y.len()),
        "gate, up and y of SwiGLU"
    );
    let y = Parts::new(y);
    cx.ranges(gate.len(), COST, &|range| {
        // SAFETY: ranges are disjoint.
        let y = unsafe { y.part(range.clone()) };
        swiglu_forward(cx.isa(), &gate[range.clone()], &up[range], y);
    });
}

/// The derivative of [`swiglu`]: dgate = dy·up·silu′(gate) and dup = dy·silu(gate), both added to
/// what is there when `accumulate`.
///
/// # Panics
/// When the lengths differ.
pub fn swiglu_vjp<S: Float>(
    cx: Cx<'_>,
    dy: &[S],
    gate: &[S],
    up: &[S],
    dgate: &mut [S],
    dup: &mut [S],
    accumulate: bool,
) {
    let n = dy.len();
    assert_eq!(
        [gate.len(), up.len(), dgate.len(), dup.len()],
        [n; 4],
        "slices of SwiGLU"
    );
    let (dgate, dup) = (Parts::new(dgate), Parts::new(dup));
    cx.ranges(n, COST, &|r| {
        // SAFETY: ranges are disjoint.
        let (dgate, dup) = unsafe { (dgate.part(r.clone()), dup.part(r.clone())) };
        swiglu_backward(
            cx.isa(),
            &dy[r.clone()],
            &gate[r.clone()],
            &up[r],
            dgate,
            dup,
            accumulate,
        );
    });
}

#[inline(always)]
fn curve<S: Float, C: Curve<S>>(x: &[S], y: &mut [S]) {
    if C::IS_LONG {
        let mut exp = [S::ZERO; CHUNK];
        for (x, y) in x.chunks(CHUNK).zip(y.chunks_mut(CHUNK)) {
            exps::<S, C>(x, &mut exp);
            let ((xs, rest), (ys, y_rest)) = (x.as_chunks::<BLOCK>(), y.as_chunks_mut::<BLOCK>());
            let exps = exp.as_chunks::<BLOCK>().0;
            for ((y, &x), &exp) in ys.iter_mut().zip(xs).zip(exps) {
                *y = C::value(x, exp);
            }
            value_of_rest::<S, C>(rest, y_rest);
        }
    } else {
        let ((xs, rest), (ys, y_rest)) = (x.as_chunks::<BLOCK>(), y.as_chunks_mut::<BLOCK>());
        for (y, &x) in ys.iter_mut().zip(xs) {
            *y = C::value(x, exps_of_block::<S, C>(x));
        }
        value_of_rest::<S, C>(rest, y_rest);
    }
}

/// The curve where less than a block is left.
#[inline(always)]
fn value_of_rest<S: Float, C: Curve<S>>(x: &[S], y: &mut [S]) {
    if !x.is_empty() {
        let x = padded(x);
        let block = C::value(x, exps_of_block::<S, C>(x));
        y.copy_from_slice(&block[..y.len()]);
    }
}

#[inline(always)]
fn curve_vjp<S: Float, C: Curve<S>>(dy: &[S], x: &[S], dx: &mut [S], accumulate: bool) {
    let mut buffer = [S::ZERO; CHUNK];
    let inputs = x.chunks(CHUNK).zip(dy.chunks(CHUNK));
    for ((x, dy), dx) in inputs.zip(dx.chunks_mut(CHUNK)) {
        exps::<S, C>(x, &mut buffer);
        for (slope, &x) in buffer.iter_mut().zip(x) {
            *slope = C::slope(x, *slope);
        }
        write_product(dx, dy, &buffer, accumulate);
    }
}

/// y = a·b, added to what is there when `accumulate`.
#[inline(always)]
fn write_product<S: Float>(y: &mut [S], a: &[S], b: &[S], accumulate: bool) {
    let factors = a.iter().zip(b);
    if accumulate {
        for (y, (&a, &b)) in y.iter_mut().zip(factors) {
            *y = a.mul_add(b, *y);
        }
    } else {
        for (y, (&a, &b)) in y.iter_mut().zip(factors) {
            *y = a * b;
        }
    }
}

#[inline(always)]
fn relu_slope<S: Float>(x: S) -> S {
    if x > S::ZERO { S::ONE } else { S::ZERO }
}

#[inline(always)]
fn tanh_slope<S: Float>(x: S) -> S {
    let t = x.tanh();
    (-t).mul_add(t, S::ONE)
}

/// y = f(x).
#[inline(always)]
fn map<S: Float>(x: &[S], y: &mut [S], f: impl Fn(S) -> S) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = f(x);
    }
}

/// dx = dy·slope(x).
#[inline(always)]
fn map_vjp<S: Float>(dy: &[S], x: &[S], dx: &mut [S], accumulate: bool, slope: impl Fn(S) -> S) {
    for ((dx, &dy), &x) in dx.iter_mut().zip(dy).zip(x) {
        let before = if accumulate { *dx } else { S::ZERO };
        *dx = dy.mul_add(slope(x), before);
    }
}

simd! {
    fn forward<S: Float>(act: Activation, x: &[S], y: &mut [S]) {
        match act {
            Activation::GeluErf => curve::<S, GeluErf>(x, y),
            Activation::GeluTanh => curve::<S, GeluTanh>(x, y),
            Activation::Relu => map(x, y, relu),
            Activation::Silu => curve::<S, Silu>(x, y),
            Activation::Sigmoid => curve::<S, Sigmoid>(x, y),
            Activation::Tanh => map(x, y, S::tanh),
        }
    }
}

simd! {
    fn backward<S: Float>(act: Activation, dy: &[S], x: &[S], dx: &mut [S], accumulate: bool) {
        match act {
            Activation::GeluErf => curve_vjp::<S, GeluErf>(dy, x, dx, accumulate),
            Activation::GeluTanh => curve_vjp::<S, GeluTanh>(dy, x, dx, accumulate),
            Activation::Relu => map_vjp(dy, x, dx, accumulate, relu_slope),
            Activation::Silu => curve_vjp::<S, Silu>(dy, x, dx, accumulate),
            Activation::Sigmoid => curve_vjp::<S, Sigmoid>(dy, x, dx, accumulate),
            Activation::Tanh => map_vjp(dy, x, dx, accumulate, tanh_slope),
        }
    }
}

simd! {
    fn swiglu_forward<S: Float>(gate: &[S], up: &[S], y: &mut [S]) {
        let mut exp = [S::ZERO; CHUNK];
        let inputs = gate.chunks(CHUNK).zip(up.chunks(CHUNK));
        for ((gate, up), y) in inputs.zip(y.chunks_mut(CHUNK)) {
            exps::<S, Silu>(gate, &mut exp);
            for (((y, &gate), &up), &exp) in y.iter_mut().zip(gate).zip(up).zip(&exp) {
                *y = gate / (S::ONE + exp) * up;
            }
        }
    }
}

simd! {
    fn swiglu_backward<S: Float>(
        dy: &[S],
        gate: &[S],
        up: &[S],
        dgate: &mut [S],
        dup: &mut [S],
        accumulate: bool,
    ) {
        let mut exp = [S::ZERO; CHUNK];
        let inputs = dy.chunks(CHUNK).zip(gate.chunks(CHUNK)).zip(up.chunks(CHUNK));
        let outputs = dgate.chunks_mut(CHUNK).zip(dup.chunks_mut(CHUNK));
        for (((dy, gate), up), (dgate, dup)) in inputs.zip(outputs) {
            exps::<S, Silu>(gate, &mut exp);
            let inputs = dy.iter().zip(gate).zip(up).zip(&exp);
            let outputs = dgate.iter_mut().zip(dup);
            for ((((&dy, &gate), &up), &exp), (dgate, dup)) in inputs.zip(outputs) {
                let s = S::ONE / (S::ONE + exp);
                let slope = s * gate.mul_add(S::ONE - s, S::ONE);
                let (gate_before, up_before) =
                    if accumulate { (*dgate, *dup) } else { (S::ZERO, S::ZERO) };
                *dgate = (dy * up).mul_add(slope, gate_before);
                *dup = dy.mul_add(gate * s, up_before);
            }
        }
    }
}
