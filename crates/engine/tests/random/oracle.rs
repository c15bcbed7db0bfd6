//! A random graph with numbers, and what it means: values and directional derivatives through dual
//! numbers.

use crate::graphs::{POSITIONS, Sketch, VOCAB};
use std::collections::BTreeMap;
use std::sync::Arc;
use tenon_base::rng::{Key, Stream};
use tenon_engine::graph::Origin;
use tenon_engine::meaning::{Build, Dual, Real, Tensor, run};
use tenon_engine::{Elem, Executor, Extent, Graph, ValueId};

const DROPOUT_KEY: [u32; 2] = [3, 8];

/// A graph, its inputs and parameters, and a direction in which they move.
pub(crate) struct Problem {
    pub(crate) graph: Arc<Graph>,
    pub(crate) extent: Extent,
    given: BTreeMap<ValueId, Tensor<f64>>,
    directions: BTreeMap<ValueId, Vec<f64>>,
    cotangents: Vec<Vec<f64>>,
}

impl Problem {
    pub(crate) fn new(sketch: &Sketch) -> Problem {
        let graph = sketch.graph();
        let extent = sketch.extent;
        let key = Key::new(5, Stream::Direction);
        let normals = |step: u64, i: usize, len: usize| -> Vec<f64> {
            let mut rng = key.at(step, i as u64);
            (0..len).map(|_| rng.normal()).collect()
        };
        let (mut given, mut directions) = (BTreeMap::new(), BTreeMap::new());
        for (i, value) in graph.values.iter().enumerate() {
            let id = ValueId(i as u32);
            let shape = value.ty.shape.resolve(extent);
            let len = shape.iter().product();
            let (data, moves) = match &value.origin {
                Origin::Node(..) => continue,
                Origin::Param(p) => (normals(0, i, len), graph.param(*p).trainable),
                Origin::Const(table) => (table.values.to_vec(), false),
                Origin::Input(name) if value.ty.elem == Elem::Index => {
                    (index_values(name, extent), false)
                }
                Origin::Input(_) => (normals(1, i, len), true),
                Origin::State(name) => panic!("random graphs have no state {name}"),
            };
            if moves {
                directions.insert(id, normals(2, i, len));
            }
            given.insert(id, Tensor { shape, data });
        }
        let cotangent = |(i, v): (usize, &ValueId)| normals(3, i, graph.ty(*v).shape.len(extent));
        let cotangents = graph.seeds.iter().enumerate().map(cotangent).collect();
        Problem {
            graph: Arc::new(graph),
            extent,
            given,
            directions,
            cotangents,
        }
    }

    pub(crate) fn feed(&self, exec: &mut Executor) {
        exec.set_extent(self.extent);
        exec.set_key(DROPOUT_KEY);
        for (id, tensor) in &self.given {
            match &self.graph.value(*id).origin {
                Origin::Param(p) => exec.write_param(*p, &tensor.data),
                Origin::Input(name) => exec.set_float_input(name, &tensor.data),
                Origin::Const(_) | Origin::State(_) | Origin::Node(..) => {}
            }
        }
    }

    pub(crate) fn seed(&self, exec: &mut Executor) {
        for (i, cotangent) in self.cotangents.iter().enumerate() {
            exec.set_seed(i, cotangent);
        }
    }

    /// Gradients of everything that moves, in the order of the directions.
    pub(crate) fn grads(&self, exec: &mut Executor) -> Vec<Option<Vec<f64>>> {
        let grad = |id: &ValueId| match self.graph.value(*id).origin {
            Origin::Param(p) => exec.read_grad(p),
            _ => exec.read_value_grad(*id),
        };
        self.directions.keys().map(grad).collect()
    }

    pub(crate) fn param_grads(&self, exec: &mut Executor) -> Vec<Option<Vec<f64>>> {
        self.graph.param_ids().map(|p| exec.read_grad(p)).collect()
    }

    /// The directional derivative that the graph means, the one that gradients give, and the size
    /// of what was summed for it.
    pub(crate) fn directional(&self, grads: &[Option<Vec<f64>>]) -> [f64; 3] {
        let moving = |(id, x): (&ValueId, &Tensor<f64>)| {
            let direction = self.directions.get(id);
            let dual = |(i, &v): (usize, &f64)| Dual {
                v,
                d: direction.map_or(0.0, |d| d[i]),
            };
            let data = x.data.iter().enumerate().map(dual).collect();
            (
                *id,
                Tensor {
                    shape: x.shape.clone(),
                    data,
                },
            )
        };
        let values = self.evaluate(self.given.iter().map(moving).collect());
        let mut meant = 0.0;
        for (v, cotangent) in self.graph.seeds.iter().zip(&self.cotangents) {
            meant += values[v]
                .data
                .iter()
                .zip(cotangent)
                .map(|(y, c)| y.d * c)
                .sum::<f64>();
        }
        for loss in &self.graph.losses {
            meant += values[loss].data.iter().map(|y| y.d).sum::<f64>();
        }
        let (mut have, mut size) = (0.0, 0.0);
        for (grad, direction) in grads.iter().zip(self.directions.values()) {
            for (g, d) in grad.iter().flatten().zip(direction) {
                have += g * d;
                size += (g * d).abs();
            }
        }
        [meant, have, size]
    }

    /// The largest absolute value that the graph computes.
    pub(crate) fn magnitude(&self) -> f64 {
        let values = self.evaluate(self.given.clone());
        let all = values.values().flat_map(|x| &x.data);
        all.fold(0.0, |max, x| x.abs().max(max))
    }

    /// The named outputs and the values that the graph means for them.
    pub(crate) fn outputs(&self) -> Vec<(String, Vec<f64>)> {
        let values = self.evaluate(self.given.clone());
        let named = |(name, v): &(String, ValueId)| (name.clone(), values[v].data.clone());
        self.graph.outputs.iter().map(named).collect()
    }

    /// All values, node after node through the operators' meanings.
    fn evaluate<R: Real>(
        &self,
        mut values: BTreeMap<ValueId, Tensor<R>>,
    ) -> BTreeMap<ValueId, Tensor<R>> {
        for node in &self.graph.nodes {
            let mut b = Build::new();
            let ins: Vec<Tensor<R>> = node.ins.iter().map(|v| values[v].clone()).collect();
            let vals: Vec<_> = (0..ins.len()).map(|i| b.input(i, &ins[i].shape)).collect();
            let outs = node.op.meaning(&mut b, &vals);
            let outs = run(&b, &ins, DROPOUT_KEY, &outs);
            values.extend(node.outs.iter().copied().zip(outs));
        }
        values
    }
}

fn index_values(name: &str, extent: Extent) -> Vec<f64> {
    let Extent {
        tokens,
        seqs,
        counted,
    } = extent;
    let rows = 0..tokens;
    match name {
        "ids" => rows.map(|t| (t * 5 % VOCAB) as f64).collect(),
        "positions" => rows.map(|t| (t % POSITIONS) as f64).collect(),
        "targets" => rows
            .map(|t| {
                if t % 3 == 2 {
                    -100.0
                } else {
                    (t * 2 % VOCAB) as f64
                }
            })
            .collect(),
        "per_seq" => (0..seqs).map(|s| (s * 3 % tokens) as f64).collect(),
        "counted" => (0..counted).map(|c| (tokens - 1 - 2 * c) as f64).collect(),
        "bounds" => (0..=seqs).map(|s| (s * tokens / seqs) as f64).collect(),
        _ => panic!("unknown input {name}"),
    }
}
