//! What the machine at hand can do at most: the yardstick of every measurement, taken in the same
//! run.

use std::hint::black_box;

use tenon_base::clock::Clock;
use tenon_kernels::{Cx, sum};

use super::{Times, least};

/// Bytes that no cache holds.
const BYTES: usize = 256 << 20;
/// Readings, of which the best counts.
const READINGS: usize = 5;

/// The best rate at which main memory was read, in GB/s (10⁹ bytes).
pub fn bandwidth(cx: Cx<'_>, clock: &dyn Clock) -> f64 {
    // Written, so that the pages exist.
    let values = vec![1.0f32; BYTES / size_of::<f32>()];
    let times = Times::of(clock, 1, READINGS, || {
        black_box(sum(cx, black_box(&values)));
    });
    rate(BYTES as f64, &times)
}

/// Units of 10⁹ a second at the best reading.
pub fn rate(amount: f64, times: &Times) -> f64 {
    amount / (least(&times.wall_ms).unwrap_or(f64::NAN) * 1e6)
}
