//! The two element types and their elementary functions.
//!
//! f32 functions are branch-free polynomials of our own, so that loops over them vectorise and give
//! the same bits on every machine. The coefficients are minimax fits in 40-digit arithmetic over
//! the interval named beside each. f64 functions come from `libm`: exactness before speed.

use crate::Pod;
use crate::gemm::Wide;
use std::fmt::{Debug, Display};
use std::ops::{Add, AddAssign, Div, Mul, MulAssign, Neg, Sub, SubAssign};

/// A floating-point element: f32 for work, f64 for proofs.
///
/// Errors in units in the last place (ulp) are for f32 and checked by tests.
pub trait Float:
    Pod
    + Debug
    + Display
    + Default
    + PartialOrd
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Div<Output = Self>
    + Neg<Output = Self>
    + AddAssign
    + SubAssign
    + MulAssign
    + Wide
{
    /// 0.
    const ZERO: Self;
    /// 1.
    const ONE: Self;
    /// ½.
    const HALF: Self;
    /// −∞.
    const NEG_INFINITY: Self;
    /// +∞.
    const INFINITY: Self;
    /// Not a number.
    const NAN: Self;
    /// The nearest value.
    fn from_f64(x: f64) -> Self;
    /// The same value.
    fn to_f64(self) -> f64;
    /// `self · a + b`, rounded once.
    fn mul_add(self, a: Self, b: Self) -> Self;
    /// The square root, rounded correctly.
    fn sqrt(self) -> Self;
    /// eˣ, within 2 ulp; 0 at −∞, ∞ above 88.73, NaN at NaN.
    fn exp(self) -> Self;
    /// The natural logarithm, within 2 ulp; −∞ at 0, NaN below.
    fn ln(self) -> Self;
    /// The hyperbolic tangent, within 3 ulp.
    fn tanh(self) -> Self;
    /// eˣ where that is a normal number, for less work than [`Float::exp`]: within 2 ulp in
    /// −87.3..88.3, 0 below −87.7, ∞ above 88.4, NaN at NaN.
    fn exp_normal(self) -> Self;
    /// Φ(−a) of the standard normal distribution for a = `self` ≥ 0, given `density` = e^(−a²/2)
    /// from [`Float::exp_normal`]: within 4 + a² ulp, 0 above 13.3, NaN at NaN.
    fn normal_tail(self, density: Self) -> Self;
    /// The absolute value.
    fn abs(self) -> Self;
    /// Neither infinite nor NaN.
    fn is_finite(self) -> bool;
    /// NaN.
    fn is_nan(self) -> bool;

    /// The greater of two values; NaN when either is NaN.
    #[inline(always)]
    fn max_nan(self, other: Self) -> Self {
        if self > other || self.is_nan() {
            self
        } else {
            other
        }
    }

    /// 2ˣ for x ≤ 127, as a power that weighs: within 2 ulp from −126 on, 0 below −126.5, NaN at NaN.
    fn exp2_weight(self) -> Self;

    /// [`Float::exp2_weight`] of each element.
    #[inline(always)]
    fn exp2_block<const N: usize>(x: [Self; N]) -> [Self; N] {
        x.map(Self::exp2_weight)
    }

    /// [`Float::exp_normal`] of each element.
    #[inline(always)]
    fn exp_block<const N: usize>(x: [Self; N]) -> [Self; N] {
        x.map(Self::exp_normal)
    }

    /// [`Float::normal_tail`] of each element.
    #[inline(always)]
    fn normal_tail_block<const N: usize>(a: [Self; N], density: [Self; N]) -> [Self; N] {
        std::array::from_fn(|l| a[l].normal_tail(density[l]))
    }

    /// 1 / (1 + e⁻ˣ), within 4 ulp above −88; 0 far below.
    #[inline(always)]
    fn sigmoid(self) -> Self {
        Self::ONE / (Self::ONE + (-self).exp_normal())
    }
}

/// Horner's rule with fused steps; `c` from the constant term upwards.
#[inline(always)]
fn poly<const N: usize>(x: f32, c: [f32; N]) -> f32 {
    let mut acc = c[N - 1];
    let mut i = N - 1;
    while i > 0 {
        i -= 1;
        acc = acc.mul_add(x, c[i]);
    }
    acc
}

/// (eʳ − 1 − r) / r² on |r| ≤ ½ ln 2.
const EXP: [f32; 5] = [
    0.5,
    0.166_665_13,
    0.041_666_187,
    0.008_369_603,
    0.001_395_167,
];
/// (2ʳ − 1) / r on |r| ≤ ½, so that 2ʳ has a relative error of 3e-9.
const EXP2: [f32; 6] = [
    std::f32::consts::LN_2,
    0.240_226_48,
    0.055_503_6,
    0.009_618_506,
    0.001_339_080_6,
    0.000_153_264_61,
];
/// (tanh x / x − 1) / x² in x², on |x| ≤ 0.625.
const TANH: [f32; 5] = [
    -0.333_332_84,
    0.133_314_9,
    -0.053_743_43,
    0.020_650_39,
    -0.005_716_843_3,
];
/// e^(a²/2)·Φ(−a) / t in t = 1 / (1 + 0.27·a), on 0 ≤ a ≤ 13.3; relative error 2.3e-8.
const TAIL: [f32; 9] = [
    0.107_719_22,
    0.107_565_77,
    0.101_657_055,
    0.072_616_406,
    0.106_563_166,
    -0.067_468_86,
    0.168_328_58,
    -0.125_807_96,
    0.028_826_628,
];
/// The slope of 1/t above.
const TAIL_SLOPE: f32 = 0.27;
/// (ln(1 + f) − f + f²/2) / f³ on √½ ≤ 1 + f ≤ √2.
const LN: [f32; 9] = [
    0.333_333_1,
    -0.249_999_87,
    0.200_022_27,
    -0.166_692_42,
    0.142_186_4,
    -0.123_844_89,
    0.118_732_31,
    -0.117_890_84,
    0.069_139_5,
];
/// ln 2 as f32, and what that leaves out.
const LN2_HI: f32 = std::f32::consts::LN_2;
const LN2_LO: f32 = -1.904_654_3e-9;
/// 1.5 · 2²³: adding it rounds to an integer that sits in the low bits.
const ROUNDER: f32 = 12_582_912.0;

/// n and r with x = n·ln 2 + r, |r| ≤ ½ ln 2, for x held within −88..89; n sits in the low bits.
#[inline(always)]
fn reduce(x: f32) -> (f32, f32) {
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -88.0 { -88.0 } else { x };
    let t = x.mul_add(std::f32::consts::LOG2_E, ROUNDER);
    let n = t - ROUNDER;
    (t, n.mul_add(-LN2_LO, n.mul_add(-LN2_HI, x)))
}

/// 2ⁿ·eʳ from the polynomial of r. n is in −127..=128, so that 2ⁿ is 0 and ∞ at the ends.
#[inline(always)]
fn restore(p: f32, r: f32, t: f32) -> f32 {
    let e = p.mul_add(r, 1.0).mul_add(r, 1.0);
    e * f32::from_bits((t.to_bits() << 23).wrapping_add(1.0f32.to_bits()))
}

/// n and r with x = n + r, |r| ≤ ½, for x held above −127; n sits in the low bits.
#[inline(always)]
fn reduce2(x: f32) -> (f32, f32) {
    let x = if x < -127.0 { -127.0 } else { x };
    let t = x + ROUNDER;
    (t, x - (t - ROUNDER))
}

/// 2ⁿ·(1 + p·r). n is in −127..=127, so that 2ⁿ is 0 at the end.
#[inline(always)]
fn restore2(p: f32, r: f32, t: f32) -> f32 {
    p.mul_add(r, 1.0) * f32::from_bits((t.to_bits() << 23).wrapping_add(1.0f32.to_bits()))
}

impl Float for f32 {
    const ZERO: f32 = 0.0;
    const ONE: f32 = 1.0;
    const HALF: f32 = 0.5;
    const NEG_INFINITY: f32 = f32::NEG_INFINITY;
    const INFINITY: f32 = f32::INFINITY;
    const NAN: f32 = f32::NAN;

    #[inline(always)]
    fn from_f64(x: f64) -> f32 {
        x as f32
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        f64::from(self)
    }

    #[inline(always)]
    fn mul_add(self, a: f32, b: f32) -> f32 {
        f32::mul_add(self, a, b)
    }

    #[inline(always)]
    fn sqrt(self) -> f32 {
        f32::sqrt(self)
    }

    #[inline(always)]
    fn exp(self) -> f32 {
        let x = if self > 89.0 { 89.0 } else { self };
        let x = if x < -104.0 { -104.0 } else { x };
        let t = x.mul_add(std::f32::consts::LOG2_E, ROUNDER);
        let n = t - ROUNDER;
        let r = n.mul_add(-LN2_LO, n.mul_add(-LN2_HI, x));
        let e = (poly(r, EXP) * r).mul_add(r, r) + 1.0;
        // 2ⁿ as two factors, so that neither leaves the normal range before the product does.
        let n = (t.to_bits() as i32).wrapping_sub(ROUNDER.to_bits() as i32);
        let half = n >> 1;
        let rest = n.wrapping_sub(half);
        e * f32::from_bits((half.wrapping_add(127) << 23) as u32)
            * f32::from_bits((rest.wrapping_add(127) << 23) as u32)
    }

    #[inline(always)]
    fn ln(self) -> f32 {
        let subnormal = self < f32::MIN_POSITIVE;
        let x = if subnormal { self * 8_388_608.0 } else { self };
        // The mantissa in √½…√2: count the exponent from the bits of √½.
        let bits = (x.to_bits() as i32).wrapping_sub(0x3f35_04f3);
        let e = (bits >> 23) as f32 - if subnormal { 23.0 } else { 0.0 };
        let m = f32::from_bits(((bits & 0x007f_ffff) + 0x3f35_04f3) as u32);
        let f = m - 1.0;
        let f2 = f * f;
        let tail = (poly(f, LN) * f).mul_add(f2, e * LN2_LO);
        let y = e.mul_add(LN2_HI, f2.mul_add(-0.5, tail) + f);
        let y = if self == f32::INFINITY {
            f32::INFINITY
        } else {
            y
        };
        let y = if self == 0.0 { f32::NEG_INFINITY } else { y };
        if self >= 0.0 { y } else { f32::NAN }
    }

    #[inline(always)]
    fn tanh(self) -> f32 {
        let a = self.abs();
        let z = self * self;
        let small = (poly(z, TANH) * z).mul_add(self, self);
        let large = 1.0 - 2.0 / ((a + a).exp_normal() + 1.0);
        let y = if a > 0.625 { large } else { small };
        y.copysign(self)
    }

    #[inline(always)]
    fn exp_normal(self) -> f32 {
        let (t, r) = reduce(self);
        restore(poly(r, EXP), r, t)
    }

    #[inline(always)]
    fn exp2_weight(self) -> f32 {
        let (t, r) = reduce2(self);
        restore2(poly(r, EXP2), r, t)
    }

    #[inline(always)]
    fn exp2_block<const N: usize>(mut x: [f32; N]) -> [f32; N] {
        let (mut t, mut p) = ([0.0; N], [0.0; N]);
        for l in 0..N {
            (t[l], x[l]) = reduce2(x[l]);
        }
        for l in 0..N {
            p[l] = poly(x[l], EXP2);
        }
        for l in 0..N {
            x[l] = restore2(p[l], x[l], t[l]);
        }
        x
    }

    /// Stage by stage, so that the chains of several registers overlap.
    #[inline(always)]
    fn exp_block<const N: usize>(mut x: [f32; N]) -> [f32; N] {
        let (mut t, mut e) = ([0.0; N], [0.0; N]);
        for l in 0..N {
            (t[l], x[l]) = reduce(x[l]);
        }
        for l in 0..N {
            e[l] = poly(x[l], EXP);
        }
        for l in 0..N {
            x[l] = restore(e[l], x[l], t[l]);
        }
        x
    }

    #[inline(always)]
    fn normal_tail(self, density: f32) -> f32 {
        let t = 1.0 / self.mul_add(TAIL_SLOPE, 1.0);
        poly(t, TAIL) * t * density
    }

    #[inline(always)]
    fn normal_tail_block<const N: usize>(mut a: [f32; N], mut density: [f32; N]) -> [f32; N] {
        for l in 0..N {
            a[l] = 1.0 / a[l].mul_add(TAIL_SLOPE, 1.0);
        }
        let mut p = [0.0; N];
        for l in 0..N {
            p[l] = poly(a[l], TAIL);
        }
        for l in 0..N {
            density[l] *= p[l] * a[l];
        }
        density
    }

    #[inline(always)]
    fn abs(self) -> f32 {
        f32::abs(self)
    }

    #[inline(always)]
    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }

    #[inline(always)]
    fn is_nan(self) -> bool {
        f32::is_nan(self)
    }
}

impl Float for f64 {
    const ZERO: f64 = 0.0;
    const ONE: f64 = 1.0;
    const HALF: f64 = 0.5;
    const NEG_INFINITY: f64 = f64::NEG_INFINITY;
    const INFINITY: f64 = f64::INFINITY;
    const NAN: f64 = f64::NAN;

    #[inline(always)]
    fn from_f64(x: f64) -> f64 {
        x
    }

    #[inline(always)]
    fn to_f64(self) -> f64 {
        self
    }

    #[inline(always)]
    fn mul_add(self, a: f64, b: f64) -> f64 {
        f64::mul_add(self, a, b)
    }

    #[inline(always)]
    fn sqrt(self) -> f64 {
        f64::sqrt(self)
    }

    #[inline(always)]
    fn exp(self) -> f64 {
        libm::exp(self)
    }

    #[inline(always)]
    fn ln(self) -> f64 {
        libm::log(self)
    }

    #[inline(always)]
    fn tanh(self) -> f64 {
        libm::tanh(self)
    }

    #[inline(always)]
    fn exp_normal(self) -> f64 {
        libm::exp(self)
    }

    #[inline(always)]
    fn exp2_weight(self) -> f64 {
        libm::exp2(self)
    }

    #[inline(always)]
    fn normal_tail(self, _density: f64) -> f64 {
        0.5 * libm::erfc(self * std::f64::consts::FRAC_1_SQRT_2)
    }

    #[inline(always)]
    fn abs(self) -> f64 {
        f64::abs(self)
    }

    #[inline(always)]
    fn is_finite(self) -> bool {
        f64::is_finite(self)
    }

    #[inline(always)]
    fn is_nan(self) -> bool {
        f64::is_nan(self)
    }
}

#[cfg(test)]
mod tests {
    use super::Float;

    /// The greatest error over every 997th f32 in `lo..=hi` of both signs, in ulp of the true
    /// value.
    fn worst_ulp(f: fn(f32) -> f32, truth: fn(f64) -> f64, lo: f32, hi: f32) -> f64 {
        let mut worst = 0.0f64;
        for bits in (lo.to_bits()..=hi.to_bits()).step_by(997) {
            for x in [f32::from_bits(bits), -f32::from_bits(bits)] {
                let want = truth(f64::from(x));
                if want.is_nan() || want.abs() > f64::from(f32::MAX) {
                    continue;
                }
                let size = want.abs().max(f64::from(f32::MIN_POSITIVE));
                let ulp = libm::exp2(size.log2().floor() - 23.0);
                worst = worst.max((f64::from(f(x)) - want).abs() / ulp);
            }
        }
        worst
    }

    #[track_caller]
    fn assert_ulp(name: &str, worst: f64, limit: f64) {
        assert!(worst <= limit, "{name}: {worst} ulp, limit {limit}");
    }

    #[test]
    fn elementary_functions_are_close() {
        let exp = worst_ulp(Float::exp, libm::exp, 1e-10, 104.0);
        assert_ulp("exp", exp, 2.0);
        assert_ulp("ln", worst_ulp(Float::ln, libm::log, 1e-42, 1e38), 2.0);
        assert_ulp("tanh", worst_ulp(Float::tanh, libm::tanh, 1e-20, 30.0), 3.0);
        let sigmoid = worst_ulp(Float::sigmoid, |x| 1.0 / (1.0 + libm::exp(-x)), 1e-10, 87.0);
        assert_ulp("sigmoid", sigmoid, 4.0);
    }

    #[test]
    fn exponentials_in_the_normal_range_are_close() {
        let f = Float::exp_normal;
        assert_ulp("exp_normal", worst_ulp(f, libm::exp, 1e-10, 87.3), 2.0);
        for x in [-1e30, -104.0, -87.7, -89.0, f32::NEG_INFINITY] {
            assert_eq!(f(x), 0.0, "e^{x}");
        }
        for x in [88.4, 89.0, 1e30, f32::INFINITY] {
            assert_eq!(f(x), f32::INFINITY, "e^{x}");
        }
        assert!(f(-87.5) <= f32::MIN_POSITIVE);
        assert!(f(f32::NAN).is_nan());
        assert_eq!((f(0.0), f(-0.0)), (1.0, 1.0));
    }

    #[test]
    fn powers_of_two_are_close() {
        let f = Float::exp2_weight;
        assert_ulp("exp2_weight", worst_ulp(f, libm::exp2, 1e-10, 126.0), 2.0);
        for x in [-1e30, -150.0, -126.6, -127.0, f32::NEG_INFINITY] {
            assert_eq!(f(x), 0.0, "2^{x}");
        }
        for n in -126i16..128 {
            assert_eq!(f(f32::from(n)), 2f32.powi(i32::from(n)), "2^{n}");
        }
        assert!(f(f32::NAN).is_nan());
        assert_eq!((f(0.0), f(-0.0)), (1.0, 1.0));
    }

    #[test]
    fn tails_of_the_normal_distribution_are_close() {
        for bits in (0..13.2f32.to_bits()).step_by(997) {
            let a = f32::from_bits(bits);
            let density = (-0.5 * a * a).exp_normal();
            let tail = a.normal_tail(density);
            let a = f64::from(a);
            let limit = f64::from(f32::EPSILON) * (4.0 + a * a);
            for (got, want) in [
                (tail, a.normal_tail(0.0)),
                (density, libm::exp(-0.5 * a * a)),
            ] {
                let error = (f64::from(got) - want).abs();
                let limit = limit * want + f64::from(f32::MIN_POSITIVE);
                assert!(error <= limit, "{a}: {got} is not {want}");
            }
        }
        assert_eq!(0.0f32.normal_tail(1.0), 0.5);
        assert_eq!(f32::INFINITY.normal_tail(0.0), 0.0);
        assert!(f32::NAN.normal_tail(f32::NAN).is_nan());
    }

    #[test]
    fn a_block_has_the_bits_of_its_elements() {
        let x: [f32; 37] = std::array::from_fn(|i| i as f32 * 5.3 - 95.0);
        assert_eq!(Float::exp_block(x), x.map(Float::exp_normal));
        let (a, density) = (x.map(f32::abs), x.map(|x| (-0.5 * x * x).exp_normal()));
        let tails = std::array::from_fn(|i| a[i].normal_tail(density[i]));
        assert_eq!(Float::normal_tail_block(a, density), tails);
    }

    #[test]
    fn special_values() {
        let (inf, nan) = (f32::INFINITY, f32::NAN);
        assert_eq!(Float::exp(-inf), 0.0);
        assert_eq!(Float::exp(inf), inf);
        assert_eq!(Float::exp(1e30f32), inf);
        assert_eq!(Float::exp(0.0f32), 1.0);
        assert_eq!(Float::exp(-0.0f32), 1.0);
        assert!(Float::exp(nan).is_nan());
        assert_eq!(Float::ln(0.0f32), -inf);
        assert_eq!(Float::ln(-0.0f32), -inf);
        assert_eq!(Float::ln(1.0f32), 0.0);
        assert_eq!(Float::ln(inf), inf);
        assert!(Float::ln(-1.0f32).is_nan());
        assert!(Float::ln(nan).is_nan());
        assert_eq!(Float::tanh(inf), 1.0f32);
        assert_eq!(Float::tanh(-inf), -1.0f32);
        assert_eq!(Float::tanh(1e30f32), 1.0);
        assert_eq!(Float::tanh(-0.0f32).to_bits(), (-0.0f32).to_bits());
        assert!(Float::tanh(nan).is_nan());
        assert_eq!(Float::sigmoid(-inf), 0.0);
        assert_eq!(Float::sigmoid(inf), 1.0);
    }

    #[test]
    fn bounded_functions_stay_bounded_and_odd() {
        for bits in (0..0x7f80_0000u32).step_by(1013) {
            let x = f32::from_bits(bits);
            let (t, s) = (Float::tanh(x), Float::sigmoid(x));
            let tail = x.normal_tail((-0.5 * x * x).exp_normal());
            assert!((0.0..=1.0).contains(&t), "tanh({x}) = {t}");
            assert!((0.5..=1.0).contains(&s), "sigmoid({x}) = {s}");
            assert!((0.0..=0.5).contains(&tail), "tail({x}) = {tail}");
            assert_eq!(Float::tanh(-x), -t);
        }
    }

    #[test]
    fn max_passes_nan_on() {
        assert!(1.0f32.max_nan(f32::NAN).is_nan());
        assert!(f32::NAN.max_nan(1.0).is_nan());
        assert_eq!(1.0f32.max_nan(2.0), 2.0);
    }
}
