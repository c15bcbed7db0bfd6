//! One operator in a graph of its own, run by the real planner and executor.

use super::Case;
use crate::cpu::Cpu;
use crate::exec::Executor;
use crate::graph::{Graph, GraphBuilder, ValueId};
use crate::meaning::{Build, Dual, Real, Tensor, run};
use crate::op::Grad;
use crate::plan::PlanOptions;
use crate::shape::{DType, Elem};
use std::sync::Arc;
use tenon_base::rng::{Key, Stream};

/// A case as a graph with its inputs.
pub struct Single {
    case: Case,
    graph: Arc<Graph>,
    inputs: Vec<Tensor<f64>>,
    directions: Vec<Tensor<f64>>,
    cotangent: Vec<f64>,
    dropout_key: [u32; 2],
}

/// What a run of a case gave.
pub struct Ran {
    /// Outputs.
    pub outs: Vec<Vec<f64>>,
    /// Gradients of the inputs, where there are any.
    pub grads: Vec<Option<Vec<f64>>>,
}

impl Single {
    /// Draws the case's inputs, directions and cotangents.
    pub fn new(case: Case) -> Single {
        let mut b = GraphBuilder::new();
        let mut ids: Vec<ValueId> = Vec::new();
        for (i, input) in case.ins.iter().enumerate() {
            let name = format!("in{i}");
            ids.push(match input.is_state {
                true => b.state(&name, &input.ty.shape.resolve(case.extent)),
                false => b.input(&name, input.ty.clone()),
            });
        }
        let outs = b
            .try_apply("op", case.op.clone(), &ids)
            .unwrap_or_else(|e| panic!("{}: {e}", case.name));
        let is_loss = case.op.saves().vjp_writes_outputs;
        if is_loss {
            b.set_loss(outs[0]);
        } else if b.ty(outs[0]).elem == Elem::Float {
            b.seed(outs[0]);
        }
        for (i, grad) in case.op.grads().iter().enumerate() {
            if !matches!(grad, Grad::None(_)) {
                b.differentiate(ids[i]);
            }
        }
        for (i, &out) in outs.iter().enumerate() {
            b.output(format!("out{i}"), out);
        }
        let graph = Arc::new(b.finish());
        let key = Key::new(17, Stream::Direction);
        let normal = |step: u64, shape: Vec<usize>| {
            let mut rng = key.at(step, 0);
            let data = (0..shape.iter().product::<usize>())
                .map(|_| rng.normal())
                .collect();
            Tensor { shape, data }
        };
        let draw = |(i, input): (usize, &super::CaseInput)| {
            let shape = input.ty.shape.resolve(case.extent);
            match &input.values {
                Some(values) => Tensor {
                    shape,
                    data: values.clone(),
                },
                None => {
                    let mut x = normal(i as u64, shape);
                    // The same numbers in f32 and f64, so that both runs see one problem.
                    x.data.iter_mut().for_each(|v| *v = f64::from(*v as f32));
                    x
                }
            }
        };
        let inputs: Vec<Tensor<f64>> = case.ins.iter().enumerate().map(draw).collect();
        let directions = inputs
            .iter()
            .enumerate()
            .map(|(i, x)| normal(100 + i as u64, x.shape.clone()))
            .collect();
        let n_out = graph.ty(outs[0]).shape.len(case.extent);
        let cotangent = if is_loss {
            vec![1.0; n_out]
        } else {
            normal(200, vec![n_out]).data
        };
        Single {
            case,
            graph,
            inputs,
            directions,
            cotangent,
            dropout_key: [5, 9],
        }
    }

    /// Runs forward and, where the operator has one, backward.
    pub fn run(&self, float: DType, cpu: Cpu, poison: bool) -> Ran {
        let training = self
            .case
            .op
            .grads()
            .iter()
            .any(|g| !matches!(g, Grad::None(_)));
        let options = match training {
            true => PlanOptions::training(float, self.case.extent, 0),
            false => PlanOptions::inference(float, self.case.extent),
        };
        let mut exec = Executor::new(self.graph.clone(), options, Box::new(cpu));
        exec.set_extent(self.case.extent);
        exec.set_key(self.dropout_key);
        for (i, (x, input)) in self.inputs.iter().zip(&self.case.ins).enumerate() {
            let name = format!("in{i}");
            match input.is_state {
                true => exec.set_state(&name, &x.data),
                false => exec.set_float_input(&name, &x.data),
            }
        }
        exec.forward();
        if poison {
            exec.poison();
        }
        if training {
            if !self.graph.seeds.is_empty() {
                exec.set_seed(0, &self.cotangent);
            }
            exec.backward();
        }
        let n_outs = self.graph.nodes[0].outs.len();
        let outs = (0..n_outs)
            .map(|i| {
                exec.read_output(&format!("out{i}"))
                    .expect("outputs are kept")
            })
            .collect();
        let ins = &self.graph.nodes[0].ins;
        Ran {
            outs,
            grads: ins.iter().map(|&v| exec.read_value_grad(v)).collect(),
        }
    }

    /// The outputs that the operator means.
    pub fn meant(&self) -> Vec<Vec<f64>> {
        self.meaning(&self.inputs)
            .into_iter()
            .map(|t| t.data)
            .collect()
    }

    fn meaning<R: Real>(&self, inputs: &[Tensor<R>]) -> Vec<Tensor<R>> {
        let mut b = Build::new();
        let ins: Vec<_> = inputs
            .iter()
            .enumerate()
            .map(|(i, x)| b.input(i, &x.shape))
            .collect();
        let outs = self.case.op.meaning(&mut b, &ins);
        run(&b, inputs, self.dropout_key, &outs)
    }

    /// `⟨cotangent, J·direction⟩` through dual numbers, and `⟨Jᵀ·cotangent, direction⟩` from the
    /// gradients of a run. Equal when the derivative is right.
    pub fn adjoint(&self, ran: &Ran) -> (f64, f64) {
        let wanted = |i: usize| ran.grads[i].is_some();
        let dual: Vec<Tensor<Dual>> = (0..self.inputs.len())
            .map(|i| {
                let (x, d) = (&self.inputs[i], &self.directions[i]);
                let pair = |(&v, &d): (&f64, &f64)| Dual {
                    v,
                    d: if wanted(i) { d } else { 0.0 },
                };
                Tensor {
                    shape: x.shape.clone(),
                    data: x.data.iter().zip(&d.data).map(pair).collect(),
                }
            })
            .collect();
        let out = &self.meaning(&dual)[0];
        let forward = out
            .data
            .iter()
            .zip(&self.cotangent)
            .map(|(y, c)| y.d * c)
            .sum();
        let dot =
            |g: &Vec<f64>, d: &Tensor<f64>| g.iter().zip(&d.data).map(|(a, b)| a * b).sum::<f64>();
        let pairs = ran.grads.iter().zip(&self.directions);
        let reverse = pairs
            .filter_map(|(g, d)| g.as_ref().map(|g| dot(g, d)))
            .sum();
        (forward, reverse)
    }
}

/// Relative distance of two vectors, absolute below norm 1e-9; infinite entries must be equal.
pub fn values_gap(have: &[f64], want: &[f64]) -> f64 {
    assert_eq!(have.len(), want.len());
    let (mut gap, mut norm) = (0.0, 0.0);
    for (&a, &b) in have.iter().zip(want) {
        if a.is_nan() || b.is_nan() || (a.is_infinite() || b.is_infinite()) && a != b {
            return f64::INFINITY;
        }
        if a.is_finite() {
            gap += (a - b) * (a - b);
            norm += b * b;
        }
    }
    if norm < 1e-18 {
        gap.sqrt()
    } else {
        (gap / norm).sqrt()
    }
}

/// Relative distance of the two sides of the adjoint identity.
pub fn adjoint_gap((forward, reverse): (f64, f64)) -> f64 {
    (forward - reverse).abs() / forward.abs().max(reverse.abs()).max(1e-3)
}
