//! The numbers of transformers' `MixtralSparseMoeBlock` and `load_balancing_loss_func`.

use crate::toy::{gradients, layer, wave};
use serde_json::Value;
use std::path::Path;
use std::sync::Arc;
use tenon_engine::check::values_gap;
use tenon_engine::cpu::{Cpu, Isa};
use tenon_engine::ops::RouterBalance;
use tenon_engine::{DType, Dim, Executor, Extent, Graph, GraphBuilder, PlanOptions, Shape, Ty};

/// As in `mixtral.py`.
const ROWS: usize = 8;
const WIDTH: usize = 6;
const HIDDEN: usize = 5;
const EXPERTS: usize = 4;
const COEFFICIENT: f64 = 0.02;

fn graph() -> Graph {
    let mut b = GraphBuilder::new();
    let mut x = b.input("x", Ty::float(Shape::rows(WIDTH)));
    b.differentiate(x);
    let mut ins = vec![b.input("targets", Ty::index(Shape::new([Dim::Tokens])))];
    for i in 0..2 {
        let [y, logits] = layer(&mut b, i, x, [WIDTH, HIDDEN, EXPERTS]);
        b.output(format!("logits{i}"), logits);
        ins.push(logits);
        x = y;
    }
    b.output("y", x);
    b.seed(x);
    let op = RouterBalance {
        n_experts: EXPERTS,
        per_token: 2,
        coefficient: COEFFICIENT,
        n_layers: 2,
    };
    let loss = b.apply("balance", op, &ins);
    b.set_loss(loss);
    b.finish()
}

fn executor(float: DType) -> Executor {
    let extent = Extent::new(ROWS, 1);
    let options = PlanOptions::training(float, extent, 0);
    let device = Box::new(Cpu::new(1, Isa::detect()));
    let mut exec = Executor::new(Arc::new(graph()), options, device);
    let graph = exec.graph().clone();
    for (i, id) in graph.param_ids().enumerate() {
        // Router, gate, up and down of each layer.
        let seed = 10.0 * (i / 4 + 1) as f64 + (i % 4) as f64;
        let mut values = wave(seed, graph.param(id).len());
        values.iter_mut().for_each(|x| *x /= 2.0);
        exec.write_param(id, &values);
    }
    exec.set_float_input("x", &wave(1.0, ROWS * WIDTH));
    exec.set_input("targets", &[0, 1, 2, -100, 4, 5, 6, 7]);
    exec.zero_grads();
    exec.forward();
    exec.set_seed(0, &wave(2.0, ROWS * WIDTH));
    exec.backward();
    exec
}

fn recorded() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/experts/mixtral.json");
    let text = std::fs::read_to_string(path).expect("the numbers are there");
    serde_json::from_str(&text).expect("the numbers are JSON")
}

#[test]
fn values_and_gradients_are_those_of_transformers() {
    let recorded = recorded();
    let numbers = |name: &str| -> Vec<f64> {
        let list = recorded[name].as_array().expect("a list");
        list.iter().map(|x| x.as_f64().expect("a number")).collect()
    };
    for (float, limit) in [(DType::F64, 1e-13), (DType::F32, 5e-6)] {
        let mut exec = executor(float);
        let x = exec.graph().differentiated[0];
        let aux = exec.loss().mean().expect("rows count") / COEFFICIENT;
        let mut have = vec![("aux".to_string(), vec![aux])];
        have.push(("dx".to_string(), exec.read_value_grad(x).expect("wanted")));
        for name in ["y", "logits0", "logits1"] {
            have.push((name.to_string(), exec.read_output(name).expect("kept")));
        }
        for (name, grad) in gradients(&mut exec) {
            let (_, of_layer) = name.split_once('.').expect("blocks.0.gate");
            let (i, part) = of_layer.split_once('.').expect("0.gate");
            have.push((format!("d{part}{i}"), grad));
        }
        assert_eq!(have.len(), recorded.as_object().expect("an object").len());
        for (name, have) in have {
            let gap = values_gap(&have, &numbers(&name));
            assert!(
                gap <= limit,
                "{name} misses transformers by {gap:e} in {float:?}"
            );
        }
    }
}
