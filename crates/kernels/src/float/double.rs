//! f64: the functions of the crate `libm`.

use super::Float;

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
