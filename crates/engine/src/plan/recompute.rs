//! What the backward pass computes again instead of reading what was kept, and when.

use super::{Call, Plan, Planner};
use crate::graph::{Graph, Node, NodeId, Origin, ValueId};
use crate::op::{Cheapness, Grad};
use std::collections::BTreeSet;

/// How much of the activations is computed again in the backward pass instead of being kept. No
/// choice changes a bit of the result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Recompute {
    /// Keep everything that a derivative reads.
    #[default]
    None,
    /// Compute norms, activations and the like again, where what they are computed from is kept
    /// anyway.
    Selective,
    /// Of this many blocks, from the first on, keep the input only; of the others, as
    /// [`Recompute::Selective`]. The first ones, since the last block's values would be needed
    /// right after they were given up.
    Blocks(usize),
    /// Keep the input of each block only.
    Full,
}

impl Recompute {
    /// All levels for a graph, by rising cost.
    pub fn levels(graph: &Graph) -> Vec<Recompute> {
        let n_blocks = graph.n_blocks();
        let some = (1..n_blocks).map(Recompute::Blocks);
        let full = (n_blocks > 0).then_some(Recompute::Full);
        [Recompute::None, Recompute::Selective]
            .into_iter()
            .chain(some)
            .chain(full)
            .collect()
    }

    /// Whether a block keeps its input only.
    fn is_whole(self, block: usize) -> bool {
        match self {
            Recompute::None | Recompute::Selective => false,
            Recompute::Blocks(n) => block < n,
            Recompute::Full => true,
        }
    }
}

impl Graph {
    /// Number of blocks, the units of recomputation.
    pub fn n_blocks(&self) -> usize {
        let blocks = self.nodes.iter().filter_map(|n| n.block);
        blocks.max().map_or(0, |last| last + 1)
    }
}

/// Which values the backward pass computes again.
pub(super) fn repeated(graph: &Graph, recompute: Recompute, needs_grad: &[bool]) -> Vec<bool> {
    let mut repeated = vec![false; graph.values.len()];
    if recompute == Recompute::None {
        return repeated;
    }
    let saved = saved(graph, needs_grad);
    let is_at_hand = |v: &ValueId| {
        let is_computed = matches!(graph.value(*v).origin, Origin::Node(..));
        !is_computed || saved[v.0 as usize]
    };
    for node in &graph.nodes {
        let Some(block) = node.block else { continue };
        let is_cheap = || {
            node.op.saves().recompute == Cheapness::Cheap
                && saved[node.outs[0].0 as usize]
                && node.ins.iter().all(is_at_hand)
        };
        if recompute.is_whole(block) || is_cheap() {
            for &v in &node.outs {
                repeated[v.0 as usize] = !leaves_block(graph, v, node);
            }
        }
    }
    repeated
}

/// Values that derivatives read.
fn saved(graph: &Graph, needs_grad: &[bool]) -> Vec<bool> {
    let mut saved = vec![false; graph.values.len()];
    for node in &graph.nodes {
        if !reads_saved(node, needs_grad) {
            continue;
        }
        let saves = node.op.saves();
        let ins = saves.ins.iter().filter_map(|&i| node.ins.get(i));
        for v in ins.chain(saves.outs.iter().map(|&i| &node.outs[i])) {
            saved[v.0 as usize] = true;
        }
    }
    saved
}

/// Whether the node's derivative runs a kernel: a gradient that is only handed on reads nothing.
fn reads_saved(node: &Node, needs_grad: &[bool]) -> bool {
    let grads = node.op.grads();
    let mut inputs = node.ins.iter().zip(&grads);
    inputs.any(|(v, grad)| *grad == Grad::Flows && needs_grad[v.0 as usize])
}

/// Whether a value is read outside of its block.
fn leaves_block(graph: &Graph, v: ValueId, producer: &Node) -> bool {
    let is_reader = |n: &Node| n.block != producer.block && n.ins.contains(&v);
    graph.outputs.iter().any(|&(_, o)| o == v) || graph.nodes.iter().any(is_reader)
}

impl Planner<'_> {
    /// Computes again what the derivative of a node reads and is not there yet: as late as can be,
    /// so that it lives no longer than it must.
    pub(super) fn repeat_for(&mut self, node: NodeId) {
        let n = self.graph.node(node);
        if !reads_saved(n, &self.needs_grad) {
            return;
        }
        let saves = n.op.saves();
        let ins = saves.ins.iter().filter_map(|&i| n.ins.get(i));
        let mut wanted: Vec<ValueId> = ins.copied().collect();
        wanted.extend(saves.outs.iter().map(|&i| n.outs[i]));
        let mut nodes = BTreeSet::new();
        while let Some(v) = wanted.pop() {
            let i = v.0 as usize;
            let Origin::Node(producer, _) = self.graph.value(v).origin else {
                continue;
            };
            if self.repeated[i] && self.again[i].is_none() && nodes.insert(producer) {
                wanted.extend(&self.graph.node(producer).ins);
            }
        }
        for node in nodes {
            self.push_forward(node, true);
        }
    }
}

impl Plan {
    /// Floating-point operations that the backward pass repeats, in percent of those of a step
    /// (three times the forward pass, since the derivative of a product is two products).
    pub fn repeated_percent(&self, graph: &Graph) -> f64 {
        let step = 3.0 * graph.forward_flops(self.options.capacity);
        match step > 0.0 {
            true => 100.0 * self.repeated_flops(graph) / step,
            false => 0.0,
        }
    }

    fn repeated_flops(&self, graph: &Graph) -> f64 {
        let cost = |call: &Call| match call {
            Call::Forward { node, .. } => {
                graph
                    .node_cost(graph.node(*node), self.options.capacity)
                    .flops
            }
            Call::Vjp { .. } | Call::PassGrad { .. } => 0.0,
        };
        self.calls[self.backward_from..].iter().map(cost).sum()
    }
}
