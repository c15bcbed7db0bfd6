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
    /// The error function, within 3 ulp.
    fn erf(self) -> Self;
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

    /// 1 / (1 + e⁻ˣ), within 4 ulp above −88; 0 far below.
    #[inline(always)]
    fn sigmoid(self) -> Self {
        Self::ONE / (Self::ONE + (-self).exp())
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
/// (tanh x / x − 1) / x² in x², on |x| ≤ 0.625.
const TANH: [f32; 5] = [
    -0.333_332_84,
    0.133_314_9,
    -0.053_743_43,
    0.020_650_39,
    -0.005_716_843_3,
];
/// erf x / x − 1 in x², on |x| ≤ 0.95.
const ERF_SMALL: [f32; 7] = [
    0.128_379_17,
    -0.376_126_32,
    0.112_836_726,
    -0.026_858_104,
    0.005_197_795,
    -0.000_810_594_64,
    8.215_355e-5,
];
/// −ln(1 − erf x) / x on 0.9 ≤ x ≤ 4.
const ERF_LARGE: [f32; 8] = [
    1.128_541_5,
    0.635_673_05,
    0.105_169_76,
    -0.022_575_91,
    0.002_869_309_8,
    -2.750_597e-5,
    -4.992_615e-5,
    5.295_797e-6,
];
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
        let large = 1.0 - 2.0 / (Float::exp(a + a) + 1.0);
        let y = if a > 0.625 { large } else { small };
        y.copysign(self)
    }

    #[inline(always)]
    fn erf(self) -> f32 {
        let a = self.abs();
        let z = self * self;
        let small = poly(z, ERF_SMALL).mul_add(self, self);
        let c = if a > 4.0 { 4.0 } else { a };
        let large = 1.0 - Float::exp(-(poly(c, ERF_LARGE) * c));
        let y = if a > 0.92 { large } else { small };
        y.copysign(self)
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
    fn erf(self) -> f64 {
        libm::erf(self)
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
        assert_ulp("erf", worst_ulp(Float::erf, libm::erf, 1e-20, 10.0), 3.0);
        let sigmoid = worst_ulp(Float::sigmoid, |x| 1.0 / (1.0 + libm::exp(-x)), 1e-10, 87.0);
        assert_ulp("sigmoid", sigmoid, 4.0);
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
        for f in [Float::tanh, Float::erf] {
            let f: fn(f32) -> f32 = f;
            assert_eq!(f(inf), 1.0);
            assert_eq!(f(-inf), -1.0);
            assert_eq!(f(1e30), 1.0);
            assert_eq!(f(-0.0).to_bits(), (-0.0f32).to_bits());
            assert!(f(nan).is_nan());
        }
        assert_eq!(Float::sigmoid(-inf), 0.0);
        assert_eq!(Float::sigmoid(inf), 1.0);
    }

    #[test]
    fn bounded_functions_stay_bounded_and_odd() {
        for bits in (0..0x7f80_0000u32).step_by(1013) {
            let x = f32::from_bits(bits);
            let (t, e, s) = (Float::tanh(x), Float::erf(x), Float::sigmoid(x));
            assert!((0.0..=1.0).contains(&t), "tanh({x}) = {t}");
            assert!((0.0..=1.0).contains(&e), "erf({x}) = {e}");
            assert!((0.5..=1.0).contains(&s), "sigmoid({x}) = {s}");
            assert_eq!(Float::tanh(-x), -t);
            assert_eq!(Float::erf(-x), -e);
        }
    }

    #[test]
    fn max_passes_nan_on() {
        assert!(1.0f32.max_nan(f32::NAN).is_nan());
        assert!(f32::NAN.max_nan(1.0).is_nan());
        assert_eq!(1.0f32.max_nan(2.0), 2.0);
    }
}
