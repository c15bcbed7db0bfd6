//! A model of two sparse layers, small enough for differences.

use std::collections::BTreeMap;
use std::sync::Arc;
use tenon_engine::cpu::{Cpu, Isa};
use tenon_engine::graph::Part;
use tenon_engine::ops::{Add, Embedding, Experts, Linear, LinearXent, RouterBalance, WeightLayout};
use tenon_engine::table::XentSpec;
use tenon_engine::{
    DType, Dim, Executor, Extent, Graph, GraphBuilder, Init, PlanOptions, Role, Shape, Ty, ValueId,
};

const V: usize = 11;
const D: usize = 6;
const F: usize = 5;
const E: usize = 4;
pub(crate) const COEFFICIENT: f64 = 0.1;

/// The model and a batch.
#[derive(Clone)]
pub(crate) struct Toy {
    pub(crate) graph: Arc<Graph>,
    pub(crate) ids: Vec<i32>,
    pub(crate) targets: Vec<i32>,
}

fn param(b: &mut GraphBuilder, name: &str, shape: &[usize]) -> ValueId {
    let role = Role {
        layer: None,
        part: Part::FeedForwardIn,
    };
    b.param(name, shape, role, Init::Normal(1.0))
}

/// `x + experts(x)` and the logits of the router.
pub(crate) fn layer(
    b: &mut GraphBuilder,
    i: usize,
    x: ValueId,
    [d, f, e]: [usize; 3],
) -> [ValueId; 2] {
    let mut stack = |name: &str, shape: &[usize]| param(b, &format!("blocks.{i}.{name}"), shape);
    let router = stack("router", &[e, d]);
    let stacks = [
        stack("gate", &[e, f, d]),
        stack("up", &[e, f, d]),
        stack("down", &[e, d, f]),
    ];
    let linear = Linear {
        layout: WeightLayout::OutIn,
        bias: false,
    };
    let logits = b.apply("router", linear, &[x, router]);
    let op = Experts {
        n_experts: e,
        per_token: 2,
    };
    let [gate, up, down] = stacks;
    let y = b.apply("experts", op, &[x, logits, gate, up, down]);
    [b.apply("sum", Add, &[x, y]), logits]
}

/// The balance of one layer's logits that are given.
pub(crate) fn balance(b: &mut GraphBuilder) -> ValueId {
    let targets = b.input("targets", Ty::index(Shape::new([Dim::Tokens])));
    let logits = b.input("logits", Ty::float(Shape::rows(E)));
    b.apply("balance", balance_of(1), &[targets, logits])
}

fn balance_of(n_layers: usize) -> RouterBalance {
    RouterBalance {
        n_experts: E,
        per_token: 2,
        coefficient: COEFFICIENT,
        n_layers,
    }
}

fn graph(balance: bool) -> Graph {
    let mut b = GraphBuilder::new();
    let index = |b: &mut GraphBuilder, name| b.input(name, Ty::index(Shape::new([Dim::Tokens])));
    let ids = index(&mut b, "ids");
    let targets = index(&mut b, "targets");
    let table = param(&mut b, "table", &[V, D]);
    let mut x = b.apply("embedding", Embedding::default(), &[table, ids]);
    let mut ins = vec![targets];
    for i in 0..2 {
        b.set_block(Some(i));
        let [y, logits] = layer(&mut b, i, x, [D, F, E]);
        x = y;
        ins.push(logits);
    }
    b.set_block(None);
    b.output("y", x);
    let head = param(&mut b, "head", &[V, D]);
    let xent = LinearXent {
        bias: false,
        layout: WeightLayout::OutIn,
        spec: XentSpec {
            label_smoothing: 0.0,
            z_loss: 0.0,
        },
        rank: false,
    };
    let loss = b.apply("loss", xent, &[x, head, targets]);
    b.set_loss(loss);
    if balance {
        let loss = b.apply("balance", balance_of(2), &ins);
        b.add_loss(loss);
    }
    b.finish()
}

/// `sin(1.7·i² + i + seed)`.
pub(crate) fn wave(seed: f64, n: usize) -> Vec<f64> {
    let at = |i: f64| (1.7 * i * i + i + seed).sin();
    (0..n).map(|i| at(i as f64)).collect()
}

impl Toy {
    pub(crate) fn new(n: usize) -> Toy {
        Toy::of(graph(true), n)
    }

    pub(crate) fn without_balance(n: usize) -> Toy {
        Toy::of(graph(false), n)
    }

    fn of(graph: Graph, n: usize) -> Toy {
        let target = |i: usize| if i % 4 == 2 { -100 } else { (i * 3 % V) as i32 };
        Toy {
            graph: Arc::new(graph),
            ids: (0..n).map(|i| (i * i % V) as i32).collect(),
            targets: (0..n).map(target).collect(),
        }
    }

    /// Trains only the parameters whose names the filter accepts.
    pub(crate) fn trained(&self, accepts: impl Fn(&str) -> bool) -> Toy {
        let mut graph = Graph::clone(&self.graph);
        for param in &mut graph.params {
            param.trainable = accepts(&param.name);
        }
        Toy {
            graph: Arc::new(graph),
            ..self.clone()
        }
    }

    /// The two halves of the batch.
    pub(crate) fn halves(&self) -> [Toy; 2] {
        let (ids, targets) = (&self.ids, &self.targets);
        let half = ids.len() / 2;
        [0..half, half..ids.len()].map(|rows| Toy {
            ids: ids[rows.clone()].to_vec(),
            targets: targets[rows].to_vec(),
            ..self.clone()
        })
    }

    fn extent(&self) -> Extent {
        Extent::new(self.ids.len(), 1)
    }

    pub(crate) fn options(&self, float: DType) -> PlanOptions {
        PlanOptions::training(float, self.extent(), 0)
    }

    pub(crate) fn training(&self, float: DType, threads: usize) -> Executor {
        self.executor(self.options(float), threads)
    }

    pub(crate) fn inference(&self, float: DType, threads: usize) -> Executor {
        self.executor(PlanOptions::inference(float, self.extent()), threads)
    }

    /// With its parameters set.
    pub(crate) fn executor(&self, options: PlanOptions, threads: usize) -> Executor {
        let device = Box::new(Cpu::new(threads, Isa::detect()));
        let mut exec = Executor::new(self.graph.clone(), options, device);
        for (i, id) in self.graph.param_ids().enumerate() {
            let n = self.graph.param(id).len();
            exec.write_param(id, &wave(i as f64, n));
        }
        exec
    }

    /// Sets the batch.
    pub(crate) fn feed(&self, exec: &mut Executor) {
        exec.set_extent(self.extent());
        exec.set_input("ids", &self.ids);
        exec.set_input("targets", &self.targets);
    }

    /// Both passes on the batch; what derivatives do not declare is poisoned in between.
    pub(crate) fn step(&self, exec: &mut Executor) {
        self.feed(exec);
        exec.forward();
        exec.poison();
        exec.backward();
    }
}

/// Gradients by name.
pub(crate) fn gradients(exec: &mut Executor) -> BTreeMap<String, Vec<f64>> {
    let graph = exec.graph().clone();
    let mut grads = BTreeMap::new();
    for id in graph.param_ids() {
        if let Some(grad) = exec.read_grad(id) {
            grads.insert(graph.param(id).name.clone(), grad);
        }
    }
    grads
}

/// Gradients of one batch alone.
pub(crate) fn run(exec: &mut Executor, toy: &Toy) -> BTreeMap<String, Vec<f64>> {
    exec.zero_grads();
    toy.step(exec);
    gradients(exec)
}
