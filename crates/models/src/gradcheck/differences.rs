//! The derivative of a function of one variable from its values.

/// The first step, relative to the size of what is moved.
const STEP: f64 = 1.0 / 64.0;
/// Each step is this part of the one before.
const SHRINK: f64 = 0.25;
/// Down to a step of 1e-6: past the kinks that a larger one would straddle.
const STEPS_MAX: usize = 8;
/// Units in the last place by which two values of the function may differ for no reason. Without
/// it, two small steps that are wrong by the same rounding would look certain.
const ROUNDINGS: f64 = 4.0;
/// A numeric derivative as sure as this needs no smaller step.
const RELATIVE_GOAL: f64 = 1e-9;

/// `f'(0)` and an estimate of its error, by central differences with steps that shrink and
/// extrapolation to step 0 (Ridders 1982): of all entries of the tableau the one that differs least
/// from its parents.
pub(super) fn derivative(mut f: impl FnMut(f64) -> f64) -> (f64, f64) {
    let mut best = (f64::NAN, f64::INFINITY);
    let mut above: Vec<f64> = Vec::new();
    let mut step = STEP;
    for _ in 0..STEPS_MAX {
        let (after, before) = (f(step), f(-step));
        let mut row = vec![(after - before) / (2.0 * step)];
        let noise = ROUNDINGS * f64::EPSILON * (after.abs() + before.abs()) / (2.0 * step);
        // The error of central differences is a series in step².
        let mut factor = 1.0;
        for (order, &coarse) in above.iter().enumerate() {
            factor /= SHRINK * SHRINK;
            let fine = row[order];
            let value = fine + (fine - coarse) / (factor - 1.0);
            let error = (value - fine).abs().max((value - coarse).abs()) + noise;
            if error <= best.1 {
                best = (value, error);
            }
            row.push(value);
        }
        if best.1 <= RELATIVE_GOAL * best.0.abs() || noise > best.1 {
            break;
        }
        above = row;
        step *= SHRINK;
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn agrees(f: impl Fn(f64) -> f64, expected: f64) {
        let (value, error) = derivative(f);
        assert!(
            (value - expected).abs() <= 1e-9 * expected.abs(),
            "{value}, not {expected}"
        );
        assert!(error <= 1e-8 * expected.abs(), "error {error}");
    }

    #[test]
    fn smooth_functions() {
        agrees(|x| (1.0 + x).exp(), 1f64.exp());
        agrees(|x| (3.0 * x).sin() + 5.0, 3.0);
        agrees(|x| 1.0 / (2.0 + x), -0.25);
    }

    /// Two kinks that the first steps straddle.
    #[test]
    fn kinks_beside_the_point() {
        agrees(
            |x| 2.0 * x + (x - 1e-3).max(0.0) + (x + 2e-3).min(0.0) * 7.0,
            2.0,
        );
    }

    #[test]
    fn a_flat_function_has_derivative_zero() {
        let (value, error) = derivative(|_| 4.0);
        assert_eq!(value, 0.0);
        assert!(error < 1e-12, "error {error}");
    }

    /// A small slope on a large value, where small steps drown in rounding.
    #[test]
    fn rounding_is_not_mistaken_for_certainty() {
        let (value, error) = derivative(|x| 1e3 + 1e-4 * (8.0 * x).sin());
        assert!(
            (value - 8e-4).abs() <= error && error < 1e-8,
            "{value} ± {error}"
        );
    }

    #[test]
    fn a_function_that_is_no_number_is_no_derivative() {
        assert!(derivative(|_| f64::NAN).0.is_nan());
    }
}
