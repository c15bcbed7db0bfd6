//! Each kernel alone, beside the least that it could take at rates of the same run: of the best
//! product for work that computes, and for other work the greatest of three, its bytes at the best
//! rate that any kernel moved them with (those that caches hold have a rate of their own), its
//! exponentials and its random words at the rates of bare loops.

mod attention;
mod rates;
mod rows;

use std::num::NonZeroUsize;

use tenon_base::clock::Clock;
use tenon_engine::cpu::Cpu;
use tenon_engine::{Buf, DType, Isa, Kernels};
use tenon_kernels::Pointwise;

use super::machine::{Shape, bandwidth, buffers};
use super::products::{Product, rate_of};
use super::{Times, least};
pub use rates::{Bound, Rates, Work};

/// Readings of each kernel, of which the best counts.
const READINGS: usize = 7;
/// Rows and width of a layer's values.
const ROWS: usize = 2048;
const WIDTH: usize = 512;
/// Rows, inputs and outputs of the layers whose products are measured.
const LAYERS: [[usize; 3]; 2] = [[ROWS, WIDTH, 4 * WIDTH], [160, 256, 50257]];

/// A kernel's best reading.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelTime {
    /// The kernel.
    pub kernel: &'static str,
    /// What it was given.
    pub shape: String,
    /// The best reading.
    pub best_ms: f64,
    /// What it does at least.
    pub work: Work,
}

/// What was measured.
#[derive(Clone, Debug, PartialEq)]
pub struct KernelsReport {
    /// One entry a kernel.
    pub kernels: Vec<KernelTime>,
    /// What the machine does at most.
    pub rates: Rates,
}

impl KernelsReport {
    /// The least time of a kernel, in milliseconds, and what it is bound by.
    pub fn floor_ms(&self, kernel: &KernelTime) -> (f64, Bound) {
        self.rates.floor_ms(&kernel.work)
    }
}

/// Measures all kernels.
pub fn measure(threads: NonZeroUsize, isa: Isa, clock: &dyn Clock) -> KernelsReport {
    let mut rates = Rates::of_bare_loops(threads, isa, clock);
    let mut device = Cpu::new(threads.get(), isa);
    let mut bench = Bench {
        device: &mut device,
        clock,
        kernels: Vec::new(),
    };
    rates.sgemm_gflops = bench.products();
    bench.attention();
    bench.decoding();
    bench.norms();
    bench.activations();
    bench.values();
    bench.tables();
    bench.losses();
    bench.updates();
    let kernels = bench.kernels;
    rates.bandwidth = bandwidth(&mut device, clock);
    for kernel in &kernels {
        rates.raise(kernel);
    }
    KernelsReport { kernels, rates }
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
        self.push(kernel, shape, Work::product(flops), call);
    }

    /// Measures a call over a layer's values.
    fn values_of_layer(&mut self, kernel: Pointwise, call: impl FnMut(&mut dyn Kernels)) {
        let work = Work::each(kernel, ROWS * WIDTH, false);
        self.push(kernel.name(), format!("{ROWS}×{WIDTH}"), work, call);
    }

    fn push(
        &mut self,
        kernel: &'static str,
        shape: String,
        work: Work,
        mut call: impl FnMut(&mut dyn Kernels),
    ) {
        let times = Times::of(self.clock, 1, READINGS, || call(self.device));
        self.kernels.push(KernelTime {
            kernel,
            shape,
            best_ms: least(&times.wall_ms).unwrap_or(f64::NAN),
            work,
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
                    work: Work::product(product.flops()),
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
            work: Work {
                elements,
                bytes: elements * size_of::<f32>(),
                from_main_memory: true,
                ..Work::default()
            },
        });
    }
}
