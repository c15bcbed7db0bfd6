//! A step that is watched call by call is the step that is not.

use std::sync::Arc;
use tenon_engine::cpu::{Cpu, Isa};
use tenon_engine::graph::Part;
use tenon_engine::ops::{Activate, Add, Linear, LinearXent, WeightLayout};
use tenon_engine::table::{Activation, XentSpec};
use tenon_engine::{
    DType, Dim, Executor, Extent, Graph, GraphBuilder, Init, Pass, PlanOptions, Role, Shape, Ty,
};

const D: usize = 6;
const V: usize = 11;
const CAPACITY: Extent = Extent::new(5, 1);

/// `loss(x + relu(x·W), head)`.
fn graph() -> Graph {
    let mut b = GraphBuilder::new();
    let role = Role {
        layer: None,
        part: Part::Head,
    };
    let x = b.input("x", Ty::float(Shape::rows(D)));
    b.differentiate(x);
    let w = b.param("w", &[D, D], role.clone(), Init::Constant(0.0));
    let head = b.param("head", &[V, D], role, Init::Constant(0.0));
    let targets = b.input("targets", Ty::index(Shape::new([Dim::Tokens])));
    let layout = WeightLayout::OutIn;
    let bias = false;
    let y = b.apply("inner", Linear { layout, bias }, &[x, w]);
    let function = Activation::Relu;
    let y = b.apply("act", Activate { function }, &[y]);
    let y = b.apply("sum", Add, &[x, y]);
    let op = LinearXent {
        layout,
        bias,
        spec: XentSpec {
            label_smoothing: 0.0,
            z_loss: 0.0,
        },
        rank: false,
    };
    let outs = b.apply_all("loss", op, &[y, head, targets]);
    b.set_loss(outs[0]);
    b.finish()
}

fn executor(options: PlanOptions) -> Executor {
    let mut exec = Executor::new(
        Arc::new(graph()),
        options,
        Box::new(Cpu::new(1, Isa::Scalar)),
    );
    let mut wave = 0.0f64;
    let mut some = |n: usize| -> Vec<f64> {
        let next = |_| {
            wave += 1.0;
            wave.sin()
        };
        (0..n).map(next).collect()
    };
    let ids: Vec<_> = exec.graph().param_ids().collect();
    for id in ids {
        let n = exec.graph().param(id).len();
        exec.write_param(id, &some(n));
    }
    exec.set_float_input("x", &some(CAPACITY.tokens * D));
    exec.set_input("targets", &[0, 10, 3, -100, 7]);
    exec.zero_grads();
    exec
}

/// Loss and gradients.
fn results(exec: &mut Executor) -> (f64, Vec<Option<Vec<f64>>>) {
    let ids: Vec<_> = exec.graph().param_ids().collect();
    let x = exec.graph().differentiated[0];
    let mut grads: Vec<_> = ids.into_iter().map(|id| exec.read_grad(id)).collect();
    grads.push(exec.read_value_grad(x));
    (exec.loss().total, grads)
}

#[test]
fn a_watched_step_has_the_bits_of_one_that_is_not() {
    let options = PlanOptions::training(DType::F32, CAPACITY, 0);
    let mut plain = executor(options);
    plain.forward();
    plain.backward();
    let mut watched = executor(options);
    let mut n = 0;
    watched.step_observed(&mut |_| n += 1);
    assert_eq!(n, watched.plan().calls.len());
    let expected = results(&mut plain);
    assert!(expected.0 > 0.0 && expected.1.iter().all(Option::is_some));
    assert_eq!(results(&mut watched), expected);
}

#[test]
fn calls_come_in_order_with_their_names_and_passes() {
    let mut exec = executor(PlanOptions::training(DType::F32, CAPACITY, 0));
    let from = exec.plan().backward_from;
    let mut told = Vec::new();
    exec.step_observed(&mut |call| {
        assert_eq!(call.index, told.len());
        assert_eq!(call.pass == Pass::Forward, call.index < from);
        told.push((call.pass, call.operator()));
    });
    let forward = ["linear", "relu", "add"].map(|op| (Pass::Forward, op));
    assert_eq!(told[..from], forward);
    assert_eq!(told[from], (Pass::Backward, "linear_xent"));
    let others = told[from..].iter().filter(|(_, op)| *op == "linear");
    assert_eq!(others.count(), 1, "{told:?}");
}

#[test]
fn without_derivatives_there_is_only_the_forward_pass() {
    let mut exec = executor(PlanOptions::inference(DType::F32, CAPACITY));
    let mut told = Vec::new();
    exec.step_observed(&mut |call| told.push((call.pass, call.operator())));
    let all = ["linear", "relu", "add", "linear_xent"].map(|op| (Pass::Forward, op));
    assert_eq!(told, all);
    assert!(exec.loss().total > 0.0);
}
