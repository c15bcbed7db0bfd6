//! Curves made of one exponential, a block of elements at a time.

use crate::Float;

/// Elements whose chains of operations overlap.
pub(super) const BLOCK: usize = 32;
pub(super) type Block<S> = [S; BLOCK];
/// Elements of a long curve whose exponentials are all computed before the rest: two short chains
/// an element overlap with those of their neighbours where one long chain does not, and what lies
/// between them stays in the first-level cache.
pub(super) const CHUNK: usize = 8 * BLOCK;
/// Where the activations have reached their ends.
const END: f64 = 64.0;
/// 1/√(2π).
const FRAC_1_SQRT_2PI: f64 = 0.398_942_280_401_432_7;
/// 2√(2/π), and that times the cubic coefficient of the tanh approximation (Hendrycks & Gimpel
/// 2016), 0.044715.
const RISE: f64 = 1.595_769_121_605_730_8;
const BEND: f64 = RISE * 0.044_715;

/// A curve made of one exponential. A trait, since what is passed as a function is not always
/// inlined, and then runs without the instructions of its caller.
pub(super) trait Curve<S: Float> {
    /// Whether the value takes more than a division after the exponential.
    const IS_LONG: bool;
    /// What the exponential is taken of.
    fn exponent(x: S) -> S;
    /// The curve, given `exp` = e^exponent(x).
    fn value(x: Block<S>, exp: Block<S>) -> Block<S>;
    /// Its derivative.
    fn slope(x: S, exp: S) -> S;
}

pub(super) struct GeluErf;

impl<S: Float> Curve<S> for GeluErf {
    const IS_LONG: bool = true;

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
    fn slope(x: S, exp: S) -> S {
        let a = within_tail(x);
        let bump = (a * S::from_f64(FRAC_1_SQRT_2PI)).mul_add(exp, -a.normal_tail(exp));
        if x < S::ZERO { -bump } else { S::ONE + bump }
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

pub(super) struct GeluTanh;

impl<S: Float> Curve<S> for GeluTanh {
    const IS_LONG: bool = false;

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
    fn slope(x: S, exp: S) -> S {
        let (s, end) = (S::ONE / (S::ONE + exp), S::from_f64(END));
        // Held where σ is 0 or 1 and its slope 0, so that the product is a number.
        let at = if x > end { end } else { x };
        let at = if at < -end { -end } else { at };
        let rise = (at * at).mul_add(S::from_f64(3.0 * BEND), S::from_f64(RISE));
        (at * rise).mul_add((-s).mul_add(s, s), s)
    }
}

pub(super) struct Silu;

impl<S: Float> Curve<S> for Silu {
    const IS_LONG: bool = false;

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
    fn slope(x: S, exp: S) -> S {
        let s = S::ONE / (S::ONE + exp);
        s * x.mul_add(S::ONE - s, S::ONE)
    }
}

pub(super) struct Sigmoid;

impl<S: Float> Curve<S> for Sigmoid {
    const IS_LONG: bool = false;

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
    fn slope(_: S, exp: S) -> S {
        let s = S::ONE / (S::ONE + exp);
        s * (S::ONE - s)
    }
}

/// e^exponent(x) of each element of a chunk, and of zeros up to the end of a block.
#[inline(always)]
pub(super) fn exps<S: Float, C: Curve<S>>(x: &[S], to: &mut [S; CHUNK]) {
    let ((xs, rest), tos) = (x.as_chunks::<BLOCK>(), to.as_chunks_mut::<BLOCK>().0);
    for (to, &x) in tos.iter_mut().zip(xs) {
        *to = exps_of_block::<S, C>(x);
    }
    if !rest.is_empty() {
        tos[xs.len()] = exps_of_block::<S, C>(padded(rest));
    }
}

#[inline(always)]
pub(super) fn exps_of_block<S: Float, C: Curve<S>>(mut x: Block<S>) -> Block<S> {
    for l in 0..BLOCK {
        x[l] = C::exponent(x[l]);
    }
    S::exp_block(x)
}

/// The last elements, followed by zeros.
#[inline(always)]
pub(super) fn padded<S: Float>(rest: &[S]) -> Block<S> {
    let mut block = [S::ZERO; BLOCK];
    block[..rest.len()].copy_from_slice(rest);
    block
}

#[inline(always)]
pub(super) fn relu<S: Float>(x: S) -> S {
    if x < S::ZERO { S::ZERO } else { x }
}
