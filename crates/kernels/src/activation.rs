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
/// Elements whose exponentials are computed together.
const BLOCK: usize = 32;
type Block<S> = [S; BLOCK];
/// Where the activations have reached their ends.
const END: f64 = 64.0;
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

/// A curve made of one exponential. A trait, since what is passed as a function is not always
/// inlined, and then runs without the instructions of its caller.
trait Curve<S: Float> {
    /// What the exponential is taken of.
    fn exponent(x: S) -> S;
    /// The curve, given `exp` = e^exponent(x).
    fn value(x: Block<S>, exp: Block<S>) -> Block<S>;
    /// Its derivative.
    fn slope(x: Block<S>, exp: Block<S>) -> Block<S>;
}

struct GeluErf;

impl<S: Float> Curve<S> for GeluErf {
    /// −a²/2 with a = |x|.
    #[inline(always)]
    fn exponent(x: S) -> S {
        let a = within_tail(x);
        a * -S::HALF * a
    }

    /// x·Φ(x) = max(x, 0) − |x|·Φ(−|x|).
    #[inline(always)]
    fn value(mut x: Block<S>, exp: Block<S>) -> Block<S> {
        let a = all_within_tail(x);
        let tail = S::normal_tail_block(a, exp);
        for l in 0..BLOCK {
            x[l] = (-a[l]).mul_add(tail[l], relu(x[l]));
        }
        x
    }

    /// Φ(x) + x·φ(x).
    #[inline(always)]
    fn slope(mut x: Block<S>, exp: Block<S>) -> Block<S> {
        let a = all_within_tail(x);
        let tail = S::normal_tail_block(a, exp);
        for l in 0..BLOCK {
            let bump = (a[l] * S::from_f64(FRAC_1_SQRT_2PI)).mul_add(exp[l], -tail[l]);
            x[l] = if x[l] < S::ZERO { -bump } else { S::ONE + bump };
        }
        x
    }
}

/// |x|, held where the tail beyond is 0 and its product with |x| still a number.
#[inline(always)]
fn within_tail<S: Float>(x: S) -> S {
    let (a, end) = (x.abs(), S::from_f64(END));
    if a > end { end } else { a }
}

#[inline(always)]
fn all_within_tail<S: Float>(mut x: Block<S>) -> Block<S> {
    for l in 0..BLOCK {
        x[l] = within_tail(x[l]);
    }
    x
}

struct GeluTanh;

impl<S: Float> Curve<S> for GeluTanh {
    /// −2u with ½(1 + tanh u) = σ(2u), 2u = x·(RISE + BEND·x²).
    #[inline(always)]
    fn exponent(x: S) -> S {
        x * (x * x).mul_add(S::from_f64(-BEND), S::from_f64(-RISE))
    }

    #[inline(always)]
    fn value(x: Block<S>, exp: Block<S>) -> Block<S> {
        Silu::value(x, exp)
    }

    #[inline(always)]
    fn slope(mut x: Block<S>, exp: Block<S>) -> Block<S> {
        let (s, end) = (Sigmoid::value(x, exp), S::from_f64(END));
        for l in 0..BLOCK {
            // Held where σ is 0 or 1 and its slope 0, so that the product is a number.
            let at = if x[l] > end { end } else { x[l] };
            let at = if at < -end { -end } else { at };
            let rise = (at * at).mul_add(S::from_f64(3.0 * BEND), S::from_f64(RISE));
            x[l] = (at * rise).mul_add((-s[l]).mul_add(s[l], s[l]), s[l]);
        }
        x
    }
}

struct Silu;

impl<S: Float> Curve<S> for Silu {
    #[inline(always)]
    fn exponent(x: S) -> S {
        -x
    }

    #[inline(always)]
    fn value(mut x: Block<S>, exp: Block<S>) -> Block<S> {
        for l in 0..BLOCK {
            x[l] = x[l] / (S::ONE + exp[l]);
        }
        x
    }

    #[inline(always)]
    fn slope(mut x: Block<S>, exp: Block<S>) -> Block<S> {
        let s = Sigmoid::value(x, exp);
        for l in 0..BLOCK {
            x[l] = s[l] * x[l].mul_add(S::ONE - s[l], S::ONE);
        }
        x
    }
}

struct Sigmoid;

impl<S: Float> Curve<S> for Sigmoid {
    #[inline(always)]
    fn exponent(x: S) -> S {
        -x
    }

    #[inline(always)]
    fn value(_: Block<S>, mut exp: Block<S>) -> Block<S> {
        for l in 0..BLOCK {
            exp[l] = S::ONE / (S::ONE + exp[l]);
        }
        exp
    }

    #[inline(always)]
    fn slope(x: Block<S>, exp: Block<S>) -> Block<S> {
        let mut s = Self::value(x, exp);
        for l in 0..BLOCK {
            s[l] *= S::ONE - s[l];
        }
        s
    }
}

/// e^exponent(x) of each element.
#[inline(always)]
fn exps<S: Float, C: Curve<S>>(mut x: Block<S>) -> Block<S> {
    for l in 0..BLOCK {
        x[l] = C::exponent(x[l]);
    }
    S::exp_block(x)
}

/// The last elements, followed by zeros.
#[inline(always)]
fn padded<S: Float>(rest: &[S]) -> Block<S> {
    let mut block = [S::ZERO; BLOCK];
    block[..rest.len()].copy_from_slice(rest);
    block
}

#[inline(always)]
fn curve<S: Float, C: Curve<S>>(x: &[S], y: &mut [S]) {
    let ((xs, x_rest), (ys, y_rest)) = (x.as_chunks::<BLOCK>(), y.as_chunks_mut::<BLOCK>());
    for (y, &x) in ys.iter_mut().zip(xs) {
        *y = C::value(x, exps::<S, C>(x));
    }
    if !x_rest.is_empty() {
        let x = padded(x_rest);
        let y = C::value(x, exps::<S, C>(x));
        y_rest.copy_from_slice(&y[..y_rest.len()]);
    }
}

#[inline(always)]
fn curve_vjp<S: Float, C: Curve<S>>(dy: &[S], x: &[S], dx: &mut [S], accumulate: bool) {
    let ((xs, x_rest), (dys, dy_rest)) = (x.as_chunks::<BLOCK>(), dy.as_chunks::<BLOCK>());
    let (dxs, dx_rest) = dx.as_chunks_mut::<BLOCK>();
    for ((dx, dy), &x) in dxs.iter_mut().zip(dys).zip(xs) {
        let slope = C::slope(x, exps::<S, C>(x));
        if accumulate {
            for l in 0..BLOCK {
                dx[l] = dy[l].mul_add(slope[l], dx[l]);
            }
        } else {
            for l in 0..BLOCK {
                dx[l] = dy[l] * slope[l];
            }
        }
    }
    if !x_rest.is_empty() {
        let x = padded(x_rest);
        let slope = C::slope(x, exps::<S, C>(x));
        for ((dx, &dy), &slope) in dx_rest.iter_mut().zip(dy_rest).zip(&slope) {
            *dx = if accumulate {
                dy.mul_add(slope, *dx)
            } else {
                dy * slope
            };
        }
    }
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
        for ((y, &gate), &up) in y.iter_mut().zip(gate).zip(up) {
            *y = gate / (S::ONE + (-gate).exp_normal()) * up;
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
