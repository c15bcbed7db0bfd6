//! Each kernel alone, beside the least that it could take: at the rate of the best product for work
//! that computes, at the best rate that any kernel moved bytes with for work that moves them. Bytes
//! that caches hold have a rate of their own.

mod attention;
mod rows;

use std::num::NonZeroUsize;

use tenon_base::clock::Clock;
use tenon_engine::cpu::Cpu;
use tenon_engine::{Buf, DType, Isa, Kernels};

use super::machine::{Shape, bandwidth, buffers};
use super::products::{Product, rate_of};
use super::{Times, least};

/// Readings of each kernel, of which the best counts.
const READINGS: usize = 7;
/// Rows and width of a layer's values.
const ROWS: usize = 2048;
const WIDTH: usize = 512;
/// Rows, inputs and outputs of the layers whose products are measured.
const LAYERS: [[usize; 3]; 2] = [[ROWS, WIDTH, 4 * WIDTH], [160, 256, 50257]];

/// What a kernel is bound by.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// Floating-point operations of a call.
    Compute(f64),
    /// Elements of a call, and bytes that it reads and writes.
    Move {
        /// Elements.
        elements: usize,
        /// Bytes.
        bytes: usize,
        /// Whether no cache holds them.
        from_main_memory: bool,
    },
}

/// A kernel's best reading.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelTime {
    /// The kernel.
    pub kernel: &'static str,
    /// What it was given.
    pub shape: String,
    /// The best reading.
    pub best_ms: f64,
    /// What it is bound by.
    pub bound: Bound,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelsReport {
    /// One entry a kernel.
    pub kernels: Vec<KernelTime>,
    /// The best rate of any product, in GFLOP/s.
    pub sgemm_gflops: f64,
    /// The best rate to and from main memory, in GB/s.
    pub bandwidth: f64,
    /// The best rate to and from caches, in GB/s.
    pub cache_bandwidth: f64,
}

impl KernelsReport {
    /// The least time of a kernel, in milliseconds.
    pub fn floor_ms(&self, kernel: &KernelTime) -> f64 {
        let (amount, rate) = match kernel.bound {
            Bound::Compute(flops) => (flops, self.sgemm_gflops),
            Bound::Move {
                bytes,
                from_main_memory,
                ..
            } => {
                let rate = match from_main_memory {
                    true => self.bandwidth,
                    false => self.cache_bandwidth,
                };
                (bytes as f64, rate)
            }
        };
        amount / (rate * 1e6)
    }
}

/// Measures all kernels.
pub fn measure(threads: NonZeroUsize, isa: Isa, clock: &dyn Clock) -> KernelsReport {
    let mut device = Cpu::new(threads.get(), isa);
    let mut bench = Bench {
        device: &mut device,
        clock,
        kernels: Vec::new(),
    };
    let sgemm_gflops = bench.products();
    bench.attention();
    bench.decoding();
    bench.norms();
    bench.activations();
    bench.values();
    bench.tables();
    bench.losses();
    bench.updates();
    let kernels = bench.kernels;
    let read = bandwidth(&mut device, clock);
    KernelsReport {
        sgemm_gflops,
        bandwidth: best_bandwidth(&kernels, true).max(read),
        cache_bandwidth: best_bandwidth(&kernels, false),
        kernels,
    }
}

/// The best rate of the kernels that move bytes from main memory, or from caches, in GB/s.
fn best_bandwidth(kernels: &[KernelTime], main_memory: bool) -> f64 {
    let rates = kernels.iter().filter_map(|kernel| match kernel.bound {
        Bound::Move {
            bytes,
            from_main_memory,
            ..
        } if from_main_memory == main_memory => Some(bytes as f64 / (kernel.best_ms * 1e6)),
        _ => None,
    });
    rates.fold(f64::NAN, f64::max)
}

/// Kernels that are being measured.
struct Bench<'a> {
    device: &'a mut dyn Kernels,
    clock: &'a dyn Clock,
    kernels: Vec<KernelTime>,
}

impl Bench<'_> {
    fn buffers<const N: usize>(&mut self, shapes: [Shape; N]) -> [Buf; N] {
        buffers(self.device, shapes)
    }

    /// Measures a call that computes.
    fn compute(
        &mut self,
        kernel: &'static str,
        shape: String,
        flops: f64,
        call: impl FnMut(&mut dyn Kernels),
    ) {
        self.push(kernel, shape, Bound::Compute(flops), call);
    }

    /// Measures a call over a layer's values that moves `words` floats for each of them.
    fn values_of_layer(
        &mut self,
        kernel: &'static str,
        words: usize,
        call: impl FnMut(&mut dyn Kernels),
    ) {
        let elements = ROWS * WIDTH;
        let bound = Bound::Move {
            elements,
            bytes: words * elements * size_of::<f32>(),
            from_main_memory: false,
        };
        self.push(kernel, format!("{ROWS}×{WIDTH}"), bound, call);
    }

    fn push(
        &mut self,
        kernel: &'static str,
        shape: String,
        bound: Bound,
        mut call: impl FnMut(&mut dyn Kernels),
    ) {
        let times = Times::of(self.clock, 1, READINGS, || call(self.device));
        self.kernels.push(KernelTime {
            kernel,
            shape,
            best_ms: least(&times.wall_ms).unwrap_or(f64::NAN),
            bound,
        });
    }

    /// Returns the best rate.
    fn products(&mut self) -> f64 {
        let mut best = f64::NAN;
        for [rows, inputs, outputs] in LAYERS {
            let product = |m, n, k, a_transposed, b_transposed| Product {
                m,
                n,
                k,
                a_transposed,
                b_transposed,
            };
            let all = [
                ("linear", product(rows, outputs, inputs, false, true)),
                (
                    "linear, inputs' gradient",
                    product(rows, inputs, outputs, false, false),
                ),
                (
                    "linear, weight's gradient",
                    product(outputs, inputs, rows, true, false),
                ),
            ];
            for (kernel, product) in all {
                let gflops = rate_of(&product, DType::F32, self.device, self.clock);
                best = best.max(gflops);
                self.kernels.push(KernelTime {
                    kernel,
                    shape: format!("{rows}×{inputs}→{outputs}"),
                    best_ms: product.flops() / (gflops * 1e6),
                    bound: Bound::Compute(product.flops()),
                });
            }
        }
        self.one_row();
        best
    }

    /// A product with one row reads its matrix once: as fast as memory is.
    fn one_row(&mut self) {
        let [_, [_, inputs, outputs]] = LAYERS;
        let product = Product {
            m: 1,
            n: outputs,
            k: inputs,
            a_transposed: false,
            b_transposed: true,
        };
        let gflops = rate_of(&product, DType::F32, self.device, self.clock);
        let elements = inputs * outputs;
        self.kernels.push(KernelTime {
            kernel: "linear, one row",
            shape: format!("1×{inputs}→{outputs}"),
            best_ms: product.flops() / (gflops * 1e6),
            bound: Bound::Move {
                elements,
                bytes: elements * size_of::<f32>(),
                from_main_memory: true,
            },
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor_is_that_of_what_binds_the_kernel() {
        let kernel = |bound| KernelTime {
            kernel: "k",
            shape: String::new(),
            best_ms: 1.0,
            bound,
        };
        let moves = |from_main_memory| Bound::Move {
            elements: 1,
            bytes: 8_000_000,
            from_main_memory,
        };
        let report = KernelsReport {
            kernels: Vec::new(),
            sgemm_gflops: 100.0,
            bandwidth: 8.0,
            cache_bandwidth: 16.0,
        };
        let floor = |bound| report.floor_ms(&kernel(bound));
        assert_eq!(floor(Bound::Compute(1e9)), 10.0);
        assert_eq!(floor(moves(true)), 1.0);
        assert_eq!(floor(moves(false)), 0.5);
    }
}
