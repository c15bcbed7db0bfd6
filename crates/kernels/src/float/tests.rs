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
    assert_eq!(Float::exp2_block(x), x.map(Float::exp2_weight));
    let (a, density) = (x.map(f32::abs), x.map(|x| (-0.5 * x * x).exp_normal()));
    let tails = std::array::from_fn(|i| a[i].normal_tail(density[i]));
    assert_eq!(Float::normal_tail_block(a, density), tails);
}

#[test]
fn special_values() {
    let (inf, nan) = (f32::INFINITY, f32::NAN);
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
