//! f32: polynomials that every instruction set computes alike.

use super::Float;

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
