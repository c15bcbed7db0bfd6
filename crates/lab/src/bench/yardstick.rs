//! What the machine allows a model's step: the best rates of its products and of main memory. They
//! are measured several times between the steps, so that what else the machine does in a moment
//! slows neither all of them nor none.

use std::collections::BTreeSet;

use tenon_base::clock::Clock;
use tenon_engine::DType;
use tenon_engine::cpu::Cpu;

use super::machine::bandwidth;
use super::products::{Product, best_rate};

/// Best rates so far.
pub struct Yardstick<'a> {
    products: &'a BTreeSet<Product>,
    float: DType,
    device: Cpu,
    clock: &'a dyn Clock,
    /// Of any product of the step alone, in GFLOP/s; NaN before a measurement or without products.
    pub sgemm_gflops: f64,
    /// To and from main memory, in GB/s; NaN before a measurement.
    pub bandwidth: f64,
}

impl<'a> Yardstick<'a> {
    /// Nothing is measured yet.
    pub fn new(
        products: &'a BTreeSet<Product>,
        float: DType,
        device: Cpu,
        clock: &'a dyn Clock,
    ) -> Yardstick<'a> {
        Yardstick {
            products,
            float,
            device,
            clock,
            sgemm_gflops: f64::NAN,
            bandwidth: f64::NAN,
        }
    }

    /// Measures products and main memory once more.
    pub fn measure(&mut self) {
        self.measure_products();
        let rate = bandwidth(&mut self.device, self.clock);
        self.bandwidth = self.bandwidth.max(rate);
    }

    /// Measures products once more.
    pub fn measure_products(&mut self) {
        let rate = best_rate(self.products, self.float, &mut self.device, self.clock);
        self.sgemm_gflops = self.sgemm_gflops.max(rate);
    }
}
