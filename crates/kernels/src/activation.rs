//! Activations, element by element, and the gated pair of SwiGLU.

use crate::isa::simd;
use crate::pool::Parts;
use crate::{Cx, Float};

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
/// 1/√(2π).
const FRAC_1_SQRT_2PI: f64 = 0.398_942_280_401_432_7;
/// 2√(2/π), and that times the cubic coefficient of the tanh approximation (Hendrycks & Gimpel
/// 2016), 0.044715.
const RISE: f64 = 1.595_769_121_605_730_8;
const BEND: f64 = RISE * 0.044_715;

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

/// x·Φ(x) = max(x, 0) − |x|·Φ(−|x|).
#[inline(always)]
fn gelu_erf<S: Float>(x: S) -> S {
    let a = within_tail(x);
    let (tail, _) = a.normal_tail();
    (-a).mul_add(tail, relu(x))
}

/// Φ(x) + x·φ(x).
#[inline(always)]
fn gelu_erf_slope<S: Float>(x: S) -> S {
    let a = within_tail(x);
    let (tail, density) = a.normal_tail();
    let bump = (a * S::from_f64(FRAC_1_SQRT_2PI)).mul_add(density, -tail);
    if x < S::ZERO { -bump } else { S::ONE + bump }
}

/// |x|, held where the tail beyond is 0 and its product with |x| still a number.
#[inline(always)]
fn within_tail<S: Float>(x: S) -> S {
    let (a, end) = (x.abs(), S::from_f64(64.0));
    if a > end { end } else { a }
}

/// ½(1 + tanh u) = σ(2u), 2u = x·(RISE + BEND·x²).
#[inline(always)]
fn gelu_tanh<S: Float>(x: S) -> S {
    let bend = (x * x).mul_add(S::from_f64(-BEND), S::from_f64(-RISE));
    x / (S::ONE + (x * bend).exp_normal())
}

#[inline(always)]
fn gelu_tanh_slope<S: Float>(x: S) -> S {
    let xx = x * x;
    let bend = xx.mul_add(S::from_f64(-BEND), S::from_f64(-RISE));
    let s = S::ONE / (S::ONE + (x * bend).exp_normal());
    let rise = xx.mul_add(S::from_f64(3.0 * BEND), S::from_f64(RISE));
    let slope = (-s).mul_add(s, s);
    // At ±∞ the slope of σ is 0 and the product would be NaN.
    let tail = if slope > S::ZERO {
        x * slope * rise
    } else {
        slope
    };
    s + tail
}

#[inline(always)]
fn relu<S: Float>(x: S) -> S {
    if x < S::ZERO { S::ZERO } else { x }
}

#[inline(always)]
fn relu_slope<S: Float>(x: S) -> S {
    if x > S::ZERO { S::ONE } else { S::ZERO }
}

#[inline(always)]
fn silu<S: Float>(x: S) -> S {
    x / (S::ONE + (-x).exp_normal())
}

#[inline(always)]
fn silu_slope<S: Float>(x: S) -> S {
    let s = x.sigmoid();
    s * x.mul_add(S::ONE - s, S::ONE)
}

#[inline(always)]
fn sigmoid_slope<S: Float>(x: S) -> S {
    let s = x.sigmoid();
    s * (S::ONE - s)
}

#[inline(always)]
fn tanh_slope<S: Float>(x: S) -> S {
    let t = x.tanh();
    (-t).mul_add(t, S::ONE)
}

#[inline(always)]
fn map<S: Float>(x: &[S], y: &mut [S], f: impl Fn(S) -> S) {
    for (y, &x) in y.iter_mut().zip(x) {
        *y = f(x);
    }
}

#[inline(always)]
fn chain<S: Float>(dy: &[S], x: &[S], dx: &mut [S], accumulate: bool, slope: impl Fn(S) -> S) {
    for ((dx, &dy), &x) in dx.iter_mut().zip(dy).zip(x) {
        let before = if accumulate { *dx } else { S::ZERO };
        *dx = dy.mul_add(slope(x), before);
    }
}

simd! {
    fn forward<S: Float>(act: Activation, x: &[S], y: &mut [S]) {
        match act {
            Activation::GeluErf => map(x, y, gelu_erf),
            Activation::GeluTanh => map(x, y, gelu_tanh),
            Activation::Relu => map(x, y, relu),
            Activation::Silu => map(x, y, silu),
            Activation::Sigmoid => map(x, y, S::sigmoid),
            Activation::Tanh => map(x, y, S::tanh),
        }
    }
}

simd! {
    fn backward<S: Float>(act: Activation, dy: &[S], x: &[S], dx: &mut [S], accumulate: bool) {
        match act {
            Activation::GeluErf => chain(dy, x, dx, accumulate, gelu_erf_slope),
            Activation::GeluTanh => chain(dy, x, dx, accumulate, gelu_tanh_slope),
            Activation::Relu => chain(dy, x, dx, accumulate, relu_slope),
            Activation::Silu => chain(dy, x, dx, accumulate, silu_slope),
            Activation::Sigmoid => chain(dy, x, dx, accumulate, sigmoid_slope),
            Activation::Tanh => chain(dy, x, dx, accumulate, tanh_slope),
        }
    }
}

simd! {
    fn swiglu_forward<S: Float>(gate: &[S], up: &[S], y: &mut [S]) {
        for ((y, &gate), &up) in y.iter_mut().zip(gate).zip(up) {
            *y = silu(gate) * up;
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
        let inputs = dy.iter().zip(gate).zip(up);
        for (((&dy, &gate), &up), (dgate, dup)) in inputs.zip(dgate.iter_mut().zip(dup)) {
            let s = gate.sigmoid();
            let slope = s * gate.mul_add(S::ONE - s, S::ONE);
            let (gate_before, up_before) =
                if accumulate { (*dgate, *dup) } else { (S::ZERO, S::ZERO) };
            *dgate = (dy * up).mul_add(slope, gate_before);
            *dup = dy.mul_add(gate * s, up_before);
        }
    }
}
