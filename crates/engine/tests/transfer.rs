//! Numbers go to the device and come back through a window, whatever their number.

use std::sync::Arc;
use tenon_engine::cpu::{Cpu, Isa};
use tenon_engine::graph::{ParamId, Part};
use tenon_engine::ops::{Linear, WeightLayout};
use tenon_engine::{DType, Executor, Extent, GraphBuilder, Init, PlanOptions, Role, Shape, Ty};

const P: ParamId = ParamId(0);

/// One parameter of `rows × 3`.
fn executor(rows: usize, float: DType) -> Executor {
    let mut b = GraphBuilder::new();
    let role = Role {
        layer: None,
        part: Part::Head,
    };
    let x = b.input("x", Ty::float(Shape::rows(3)));
    let w = b.param("w", &[rows, 3], role, Init::Constant(0.0));
    let layout = WeightLayout::OutIn;
    let bias = false;
    let y = b.apply("y", Linear { layout, bias }, &[x, w]);
    b.output("y", y);
    let capacity = Extent::new(1, 1);
    let options = PlanOptions::training(float, capacity, 1);
    let device = Box::new(Cpu::new(1, Isa::Scalar));
    Executor::new(Arc::new(b.finish()), options, device)
}

fn value(i: usize) -> f64 {
    (i as f64 + 0.3).sin()
}

#[test]
fn parameters_of_any_size_arrive_whole_and_rounded() {
    for rows in [1, 682, 683, 1365, 1366, 4099] {
        for float in [DType::F32, DType::F64] {
            let mut exec = executor(rows, float);
            exec.fill_param(P, (0..3 * rows).map(value));
            let round = |x: f64| match float {
                DType::F64 => x,
                _ => f64::from(x as f32),
            };
            let expected: Vec<f64> = (0..3 * rows).map(|i| round(value(i))).collect();
            assert_eq!(exec.read_param(P), expected, "{rows} {float:?}");
            let mut bytes = Vec::new();
            let taken = exec.param_pieces(P, |piece| {
                bytes.extend_from_slice(piece);
                Ok::<(), ()>(())
            });
            assert_eq!((taken, bytes), (Ok(()), exec.param_bytes(P)));
            let moment: Vec<u8> = (0..exec.param_bytes(P).len()).map(|i| i as u8).collect();
            exec.set_moment_bytes(P, 0, &moment);
            let mut bytes = Vec::new();
            let taken = exec.moment_pieces(P, 0, |piece| {
                bytes.extend_from_slice(piece);
                Ok::<(), ()>(())
            });
            assert_eq!((taken, bytes), (Ok(()), moment));
        }
    }
}

#[test]
fn the_first_failure_ends_the_reading() {
    let mut exec = executor(4099, DType::F64);
    let mut n = 0;
    let taken = exec.param_pieces(P, |_| {
        n += 1;
        if n == 2 { Err("full") } else { Ok(()) }
    });
    assert_eq!((taken, n), (Err("full"), 2));
}

#[test]
#[should_panic(expected = "too few values")]
fn too_few_values_are_a_mistake() {
    executor(2, DType::F32).fill_param(P, (0..5).map(value));
}

#[test]
#[should_panic(expected = "too many values")]
fn too_many_values_are_a_mistake() {
    executor(2, DType::F32).fill_param(P, (0..7).map(value));
}
