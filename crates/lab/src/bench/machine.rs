//! What the machine at hand can do at most: the yardstick of every measurement, taken in the same
//! run and through the same table of kernels.

use std::hint::black_box;

use tenon_base::clock::Clock;
use tenon_engine::{Buf, DType, Kernels};

use super::{Times, least};

/// Bytes of a buffer: more than caches hold.
const BYTES: usize = 128 << 20;
/// Readings, of which the best counts.
const READINGS: usize = 5;
/// Width of a buffer.
const COLUMNS: usize = 1024;

/// Rows and columns of a buffer and its type.
pub type Shape = (DType, usize, usize);

/// Gives a device memory for buffers of these shapes alone. Floats are ½, indices 0.
pub fn buffers<const N: usize>(device: &mut dyn Kernels, shapes: [Shape; N]) -> [Buf; N] {
    let mut end = 0;
    let placed = shapes.map(|(dtype, rows, cols)| {
        let buf = Buf::matrix(end, dtype, rows, cols);
        end += buf.span_bytes().next_multiple_of(64);
        buf
    });
    device.reserve(end);
    for &buf in placed.iter().filter(|buf| buf.dtype != DType::I32) {
        // Written, so that the pages exist.
        device.fill(buf, 0.5);
    }
    placed
}

/// The best rate to and from main memory, in GB/s (10⁹ bytes): of sums, copies and additions, since
/// none of them is the fastest everywhere.
pub fn bandwidth(device: &mut dyn Kernels, clock: &dyn Clock) -> f64 {
    let rows = BYTES / COLUMNS / size_of::<f32>();
    let [x, y] = buffers(device, [(DType::F32, rows, COLUMNS); 2]);
    let sums = Times::of(clock, 1, READINGS, || {
        black_box(device.sum(x));
    });
    let copies = Times::of(clock, 1, READINGS, || device.copy(x, y));
    let additions = Times::of(clock, 1, READINGS, || device.add_assign(x, y));
    let words = [(1, sums), (2, copies), (3, additions)];
    let rates = words.map(|(words, times)| rate((words * BYTES) as f64, &times));
    rates.into_iter().fold(f64::NAN, f64::max)
}

/// Units of 10⁹ a second at the best reading; NaN without one.
pub fn rate(amount: f64, times: &Times) -> f64 {
    amount / (least(&times.wall_ms).unwrap_or(f64::NAN) * 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenon_engine::Isa;
    use tenon_engine::cpu::Cpu;

    #[test]
    fn buffers_do_not_overlap_and_are_filled() {
        let mut device = Cpu::new(1, Isa::Scalar);
        let shapes = [(DType::F32, 3, 5), (DType::I32, 7, 1), (DType::F64, 2, 2)];
        let [a, ids, b] = buffers(&mut device, shapes);
        assert!(a.offset + a.span_bytes() <= ids.offset);
        assert!(ids.offset + ids.span_bytes() <= b.offset);
        assert_eq!((device.sum(a), device.sum(b)), (7.5, 2.0));
        let mut bytes = [1; 28];
        device.download(ids, &mut bytes);
        assert_eq!(bytes, [0; 28]);
    }

    #[test]
    fn a_rate_is_that_of_the_best_reading() {
        let times = Times {
            wall_ms: vec![4.0, 2.0],
            cpu_ms: Vec::new(),
        };
        assert_eq!(rate(6e6, &times), 3.0);
        assert!(rate(1.0, &Times::default()).is_nan());
    }
}
