//! Element types: half-precision patterns to and from f32, and little-endian bytes to values.

/// The value of an IEEE 754 binary16 pattern, exactly. NaN keeps its sign and payload.
pub fn f32_from_f16(bits: u16) -> f32 {
    let sign = u32::from(bits & 0x8000) << 16;
    let exponent = u32::from(bits >> 10) & 0x1f;
    let fraction = u32::from(bits) & 0x3ff;
    match (exponent, fraction) {
        (0x1f, _) => f32::from_bits(sign | 0x7f80_0000 | fraction << 13),
        // Subnormals are whole multiples of 2^-24, so the product is exact; zero keeps its sign.
        (0, _) => f32::from_bits(sign | (fraction as f32 * 2f32.powi(-24)).to_bits()),
        _ => f32::from_bits(sign | (exponent + 127 - 15) << 23 | fraction << 13),
    }
}

/// The value of a bfloat16 pattern, exactly: it is the upper half of an f32.
pub fn f32_from_bf16(bits: u16) -> f32 {
    f32::from_bits(u32::from(bits) << 16)
}

/// The nearest binary16 pattern, ties to even; beyond the range, infinity. NaN stays NaN.
pub fn f16_from_f32(value: f32) -> u16 {
    let bits = value.to_bits();
    let sign = (bits >> 16) as u16 & 0x8000;
    let magnitude = bits & 0x7fff_ffff;
    if magnitude > 0x7f80_0000 {
        return sign | 0x7e00 | (magnitude >> 13) as u16 & 0x3ff;
    }
    // 65520 lies halfway between the largest value and the next, which does not exist.
    if magnitude >= 65520f32.to_bits() {
        return sign | 0x7c00;
    }
    if magnitude < 2f32.powi(-14).to_bits() {
        // Adding 0.5 leaves the multiple of 2^-24 in the low bits, rounded to nearest even.
        return sign | ((f32::from_bits(magnitude) + 0.5).to_bits() - 0.5f32.to_bits()) as u16;
    }
    let rebased = magnitude - ((127 - 15) << 23);
    sign | ((rebased + 0xfff + (rebased >> 13 & 1)) >> 13) as u16
}

/// The nearest bfloat16 pattern, ties to even. NaN stays NaN.
pub fn bf16_from_f32(value: f32) -> u16 {
    let bits = value.to_bits();
    if value.is_nan() {
        return (bits >> 16) as u16 | 0x40;
    }
    // Cannot overflow: the largest pattern that is no NaN is infinity, 0xff80_0000.
    ((bits + 0x7fff + (bits >> 16 & 1)) >> 16) as u16
}

/// Reads `bytes`, which hold a whole number of `N`-byte elements.
pub(super) fn each<const N: usize, T>(bytes: &[u8], read: impl Fn([u8; N]) -> T) -> Vec<T> {
    let (elements, rest) = bytes.as_chunks::<N>();
    debug_assert!(rest.is_empty(), "the header check fixed the byte count");
    elements.iter().map(|&element| read(element)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The definition of a small float, in f64: ±2^(e−bias)·(1 + m/2^f), subnormals without the 1.
    fn by_definition(bits: u16, fraction_bits: u32) -> f64 {
        let exponent_bits = 15 - fraction_bits;
        let bias = (1 << (exponent_bits - 1)) - 1;
        let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
        let exponent = i32::from(bits >> fraction_bits) & ((1 << exponent_bits) - 1);
        let fraction = f64::from(bits & ((1 << fraction_bits) - 1)) / f64::from(1 << fraction_bits);
        if exponent == (1 << exponent_bits) - 1 {
            return if fraction == 0.0 {
                sign * f64::INFINITY
            } else {
                f64::NAN
            };
        }
        if exponent == 0 {
            return sign * fraction * 2f64.powi(1 - bias);
        }
        sign * (1.0 + fraction) * 2f64.powi(exponent - bias)
    }

    #[track_caller]
    fn check(bits: u16, value: f32, expected: f64) {
        if expected.is_nan() {
            assert!(value.is_nan(), "{bits:#06x} gave {value}");
        } else {
            assert_eq!(
                f64::from(value).to_bits(),
                expected.to_bits(),
                "{bits:#06x} gave {value}"
            );
        }
    }

    #[test]
    fn every_f16_pattern_has_its_value() {
        (0..=u16::MAX).for_each(|bits| check(bits, f32_from_f16(bits), by_definition(bits, 10)));
    }

    #[test]
    fn every_bf16_pattern_has_its_value() {
        (0..=u16::MAX).for_each(|bits| check(bits, f32_from_bf16(bits), by_definition(bits, 7)));
    }

    #[test]
    fn every_pattern_survives_the_way_there_and_back() {
        for bits in 0..=u16::MAX {
            let quiet = |bits: u16, quiet_bit: u16, is_nan: bool| {
                if is_nan { bits | quiet_bit } else { bits }
            };
            let half = f32_from_f16(bits);
            assert_eq!(
                f16_from_f32(half),
                quiet(bits, 0x200, half.is_nan()),
                "{bits:#06x}"
            );
            let brain = f32_from_bf16(bits);
            assert_eq!(
                bf16_from_f32(brain),
                quiet(bits, 0x40, brain.is_nan()),
                "{bits:#06x}"
            );
        }
    }

    /// Between each finite pattern and the next: the middle goes to the even one, its neighbours to
    /// the nearer.
    #[test]
    fn rounding_is_to_nearest_even_everywhere() {
        fn sweep(last: u16, widen: fn(u16) -> f32, narrow: fn(f32) -> u16) {
            for bits in 0..last {
                let (low, high) = (f64::from(widen(bits)), f64::from(widen(bits + 1)));
                let middle = ((low + high) / 2.0) as f32;
                assert_eq!(narrow(middle), bits + (bits & 1), "{bits:#06x}");
                assert_eq!(narrow(middle.next_down()), bits, "{bits:#06x}");
                assert_eq!(narrow(middle.next_up()), bits + 1, "{bits:#06x}");
                assert_eq!(narrow(-middle), 0x8000 | (bits + (bits & 1)), "{bits:#06x}");
            }
        }
        sweep(0x7bff, f32_from_f16, f16_from_f32);
        sweep(0x7f7f, f32_from_bf16, bf16_from_f32);
    }

    #[test]
    fn overflow_goes_to_infinity() {
        assert_eq!(f16_from_f32(65519.996), 0x7bff);
        assert_eq!(f16_from_f32(65520.0), 0x7c00);
        assert_eq!(f16_from_f32(f32::MAX), 0x7c00);
        assert_eq!(f16_from_f32(f32::NEG_INFINITY), 0xfc00);
        assert_eq!(bf16_from_f32(f32::MAX), 0x7f80);
    }
}
