//! The two element types and their elementary functions.
//!
//! f32 functions are branch-free polynomials of our own, so that loops over them vectorise and give
//! the same bits on every machine. The coefficients are minimax fits over the interval named beside
//! each. f64 functions come from `libm`: exactness before speed.

mod double;
mod single;
#[cfg(test)]
mod tests;

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
    /// The natural logarithm, within 2 ulp; −∞ at 0, NaN below.
    fn ln(self) -> Self;
    /// The hyperbolic tangent, within 3 ulp.
    fn tanh(self) -> Self;
    /// eˣ where that is a normal number, within 2 ulp in
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

    /// 2ˣ for x ≤ 127, as a weight: within 2 ulp from −126 on, 0 below −126.5, NaN at NaN.
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
