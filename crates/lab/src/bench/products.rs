//! The matrix products of a step, and the best rate that they reach alone.

use std::any::Any;
use std::collections::BTreeSet;

use tenon_base::clock::Clock;
use tenon_engine::ops::{Linear, LinearXent, WeightLayout};
use tenon_engine::table::{Operand, Target};
use tenon_engine::{DType, Extent, Graph, Kernels};

use super::Times;
use super::machine::{buffers, rate};

/// Readings of each shape, of which the best counts.
const READINGS: usize = 5;

/// `C [m, n] = A [m, k] · B [k, n]`, with factors that lie in memory as they are or transposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Product {
    /// Rows of A and C.
    pub m: usize,
    /// Columns of B and C.
    pub n: usize,
    /// Columns of A, rows of B.
    pub k: usize,
    /// Whether A lies in memory as `[k, m]`.
    pub a_transposed: bool,
    /// Whether B lies in memory as `[n, k]`.
    pub b_transposed: bool,
}

impl Product {
    /// Floating-point operations; a multiply-add is two.
    pub fn flops(&self) -> f64 {
        2.0 * self.m as f64 * self.n as f64 * self.k as f64
    }
}

/// The shapes of all products of one step: forward and, in training, both derivatives.
pub fn of_step(graph: &Graph, batch: Extent, float: DType, training: bool) -> BTreeSet<Product> {
    let mut products = BTreeSet::new();
    for node in &graph.nodes {
        let op: &dyn Any = node.op.as_ref();
        let layout = match (op.downcast_ref::<Linear>(), op.downcast_ref::<LinearXent>()) {
            (Some(op), _) => op.layout,
            (_, Some(op)) => op.layout,
            _ => continue,
        };
        let (inputs, outputs) = layout.in_out(&graph.ty(node.ins[1]).shape);
        let rows = graph.ty(node.ins[0]).shape.resolve(batch)[0];
        let rows = match op.is::<LinearXent>() {
            true => rows.min(LinearXent::chunk_rows(outputs, float)),
            false => rows,
        };
        let all = of_layer(layout, [rows, inputs, outputs]);
        products.extend(all.into_iter().take(if training { 3 } else { 1 }));
    }
    products
}

/// Outputs, the gradient of the inputs, and that of the weight.
fn of_layer(layout: WeightLayout, [rows, inputs, outputs]: [usize; 3]) -> [Product; 3] {
    let product = |m, n, k, a_transposed, b_transposed| Product {
        m,
        n,
        k,
        a_transposed,
        b_transposed,
    };
    let (y_transposed, dx_transposed, weight_grad) = match layout {
        WeightLayout::OutIn => (true, false, [outputs, inputs]),
        WeightLayout::InOut => (false, true, [inputs, outputs]),
    };
    let [m, n] = weight_grad;
    [
        product(rows, outputs, inputs, false, y_transposed),
        product(rows, inputs, outputs, false, dx_transposed),
        product(m, n, rows, true, false),
    ]
}

/// The best rate of any of the products, in GFLOP/s; NaN without products.
pub fn best_rate(
    products: &BTreeSet<Product>,
    float: DType,
    device: &mut dyn Kernels,
    clock: &dyn Clock,
) -> f64 {
    let rates = products
        .iter()
        .map(|product| rate_of(product, float, device, clock));
    rates.fold(f64::NAN, f64::max)
}

/// The best rate of one product, in GFLOP/s.
pub fn rate_of(
    product: &Product,
    float: DType,
    device: &mut dyn Kernels,
    clock: &dyn Clock,
) -> f64 {
    let &Product { m, n, k, .. } = product;
    let stored = |transposed, rows, cols| match transposed {
        true => (float, cols, rows),
        false => (float, rows, cols),
    };
    let operand = |transposed, buf| Operand { buf, transposed };
    let work = (float, 1, device.gemm_work_len(float));
    let (a, b) = (
        stored(product.a_transposed, m, k),
        stored(product.b_transposed, k, n),
    );
    let [a, b, c, work] = buffers(device, [a, b, (float, m, n), work]);
    let times = Times::of(clock, 1, READINGS, || {
        let c = Target {
            buf: c,
            accumulate: false,
        };
        let (a, b) = (
            operand(product.a_transposed, a),
            operand(product.b_transposed, b),
        );
        device.gemm(a, b, c, None, work);
    });
    rate(product.flops(), &times)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::case::Named;
    use tenon_engine::Isa;
    use tenon_engine::cpu::Cpu;
    use tenon_models::net::{LossOptions, Outputs};

    #[test]
    fn the_products_of_a_step_are_those_of_its_layers() {
        let case = Named::Gpt28m.case();
        let graph = case.spec.graph(&Outputs::training(LossOptions::PLAIN, 0.0));
        let forward = of_step(&graph, case.batch, case.float, false);
        let shape = |p: &Product| [p.m, p.n, p.k];
        let shapes: Vec<[usize; 3]> = forward.iter().map(shape).collect();
        let head = [LinearXent::chunk_rows(50257, DType::F32), 50257, 256];
        let layers = [[2048, 256, 256], [2048, 256, 512], [2048, 512, 256]];
        let qkv = [2048, 768, 256];
        assert_eq!(shapes, [&[head], &layers[..], &[qkv]].concat());
        let training = of_step(&graph, case.batch, case.float, true);
        assert!(forward.is_subset(&training));
        assert!(training.iter().any(
            |p| shape(p) == [768, 2048, 256] || p.a_transposed && shape(p) == [256, 768, 2048]
        ));
    }

    #[test]
    fn a_rate_is_that_of_the_whole_product() {
        let clock = tenon_base::clock::RealClock::start();
        let mut device = Cpu::new(1, Isa::Scalar);
        for (a_transposed, b_transposed) in [(false, false), (false, true), (true, false)] {
            let product = Product {
                m: 5,
                n: 7,
                k: 11,
                a_transposed,
                b_transposed,
            };
            assert_eq!(product.flops(), 770.0);
            for float in [DType::F32, DType::F64] {
                assert!(rate_of(&product, float, &mut device, &clock) > 0.0);
            }
        }
        let none = best_rate(&BTreeSet::new(), DType::F32, &mut device, &clock);
        assert!(none.is_nan());
    }
}
