//! Comparison of numbers.

/// ‖a − b‖₂ / ‖b‖₂ in f64; ‖a − b‖₂ where ‖b‖₂ < 1e-9. NaN anywhere gives NaN.
///
/// # Panics
/// When the lengths differ.
pub fn rel_err<T: Copy + Into<f64>>(a: &[T], b: &[T]) -> f64 {
    assert_eq!(
        a.len(),
        b.len(),
        "tensors of different length cannot be compared"
    );
    let mut difference = 0.0;
    let mut norm = 0.0;
    for (&a, &b) in a.iter().zip(b) {
        let (a, b): (f64, f64) = (a.into(), b.into());
        // Equal infinities differ by nothing; their difference would be NaN.
        difference += if a == b { 0.0 } else { (a - b).powi(2) };
        norm += b.powi(2);
    }
    let (difference, norm) = (f64::sqrt(difference), f64::sqrt(norm));
    if norm < 1e-9 {
        difference
    } else {
        difference / norm
    }
}

/// Asserts that [`rel_err`] of `a` against `b` is at most `tolerance`; NaN fails.
#[track_caller]
pub fn assert_rel<T: Copy + Into<f64>>(a: &[T], b: &[T], tolerance: f64, what: &str) {
    let error = rel_err(a, b);
    assert!(
        error <= tolerance,
        "{what}: relative error {error:.3e}, limit {tolerance:.1e}"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_where_there_is_a_norm_and_absolute_where_there_is_none() {
        assert_eq!(rel_err(&[1.0, 1.0], &[1.0, 1.0]), 0.0);
        assert!((rel_err(&[3.0, 4.5], &[3.0, 4.0]) - 0.1).abs() < 1e-15);
        assert_eq!(rel_err(&[0.5], &[0.0]), 0.5);
        assert_eq!(rel_err::<f32>(&[], &[]), 0.0);
    }

    #[test]
    fn not_a_number_never_passes() {
        assert!(rel_err(&[f32::NAN], &[1.0]).is_nan());
        assert!(rel_err(&[1.0], &[f32::NAN]).is_nan());
        let caught = std::panic::catch_unwind(|| assert_rel(&[f64::NAN], &[1.0], 1.0, "x"));
        assert!(caught.is_err());
    }
}
