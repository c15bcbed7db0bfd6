//! Where the bytes of a plan go.

use super::Purpose;
use std::collections::BTreeMap;
use tenon_engine::Plan;
use tenon_engine::graph::Origin;
use tenon_engine::graph::{Graph, ValueId};
use tenon_engine::plan::Content;

/// Bytes of a plan by what they are for. The parts add up to the peak.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Memory {
    /// What the plan is for.
    pub purpose: Purpose,
    /// Parameters.
    pub weights_bytes: usize,
    /// Gradients of parameters.
    pub gradients_bytes: usize,
    /// Optimiser buffers.
    pub moments_bytes: usize,
    /// Inputs, constant tables and state.
    pub inputs_bytes: usize,
    /// Values alive at the busiest call, kept or computed again.
    pub activations_bytes: usize,
    /// Gradients of values alive at the busiest call.
    pub value_gradients_bytes: usize,
    /// Workspace of the busiest call.
    pub scratch_bytes: usize,
    /// What alignment and placement add.
    pub gaps_bytes: usize,
    /// The whole arena.
    pub peak_bytes: usize,
    /// What the plan takes less than training without recomputation; negative when it takes more.
    pub saved_bytes: i64,
    /// Operations that the backward pass repeats, in percent of those of a step.
    pub repeated_percent: f64,
}

impl Memory {
    pub(super) fn of(
        purpose: Purpose,
        plan: &Plan,
        graph: &Graph,
        kept_peak_bytes: usize,
    ) -> Memory {
        let mut memory = Memory {
            purpose,
            weights_bytes: 0,
            gradients_bytes: 0,
            moments_bytes: 0,
            inputs_bytes: 0,
            activations_bytes: 0,
            value_gradients_bytes: 0,
            scratch_bytes: 0,
            gaps_bytes: 0,
            peak_bytes: plan.peak_bytes,
            saved_bytes: kept_peak_bytes as i64 - plan.peak_bytes as i64,
            repeated_percent: match purpose {
                Purpose::Inference => 0.0,
                Purpose::Training(_) => plan.repeated_percent(graph),
            },
        };
        let persistent = plan.slots.iter().filter(|s| s.content.is_persistent());
        for slot in persistent.chain(plan.transient_at(plan.busiest_call())) {
            *memory.part(&slot.content) += slot.bytes;
        }
        memory.gaps_bytes = memory.peak_bytes - memory.parts().iter().sum::<usize>();
        memory
    }

    fn part(&mut self, content: &Content) -> &mut usize {
        match content {
            Content::Param(_) => &mut self.weights_bytes,
            Content::ParamGrad(_) => &mut self.gradients_bytes,
            Content::Moment(..) => &mut self.moments_bytes,
            Content::Input(_) | Content::Const(_) | Content::State(_) => &mut self.inputs_bytes,
            Content::Value(_) | Content::Again(_) => &mut self.activations_bytes,
            Content::Grad(_) => &mut self.value_gradients_bytes,
            Content::Scratch(_) => &mut self.scratch_bytes,
        }
    }

    /// The parts in the order of the fields; they add up to [`Memory::peak_bytes`].
    pub fn parts(&self) -> [usize; 8] {
        [
            self.weights_bytes,
            self.gradients_bytes,
            self.moments_bytes,
            self.inputs_bytes,
            self.activations_bytes,
            self.value_gradients_bytes,
            self.scratch_bytes,
            self.gaps_bytes,
        ]
    }
}

/// Transient buffers of one kind, the same in every block.
#[derive(Clone, Debug, PartialEq)]
pub struct Tenant {
    /// What they hold and where in the model, `*` standing for the block.
    pub name: String,
    /// Shape of each, e.g. `[N, 768] f32`.
    pub shape: String,
    /// How many are alive at the busiest call.
    pub n: usize,
    /// Bytes of all of them.
    pub bytes: usize,
}

/// The largest tenants alive at the busiest call, the largest first.
pub(super) fn tenants(plan: &Plan, graph: &Graph, n_max: usize) -> Vec<Tenant> {
    let mut all: BTreeMap<(String, String), (usize, usize)> = BTreeMap::new();
    for slot in plan.transient_at(plan.busiest_call()) {
        let shape = format!("[{}, {}] {}", slot.rows, slot.cols, slot.dtype.name());
        let (n, bytes) = all.entry((name(graph, &slot.content), shape)).or_default();
        *n += 1;
        *bytes += slot.bytes;
    }
    let tenant = |((name, shape), (n, bytes))| Tenant {
        name,
        shape,
        n,
        bytes,
    };
    let mut tenants: Vec<Tenant> = all.into_iter().map(tenant).collect();
    tenants.sort_by_key(|t| std::cmp::Reverse(t.bytes));
    tenants.truncate(n_max);
    tenants
}

fn name(graph: &Graph, content: &Content) -> String {
    let node_path = |path: &str, block: Option<usize>| match block {
        Some(block) => path.replacen(&format!("blocks.{block}."), "blocks.*.", 1),
        None => path.to_string(),
    };
    let of_value = |v: &ValueId| match graph.value(*v).origin {
        Origin::Node(node, output) => {
            let node = graph.node(node);
            let path = node_path(&node.path, node.block);
            if output == 0 {
                path
            } else {
                format!("{path} (statistics)")
            }
        }
        _ => format!("%{}", v.0),
    };
    match content {
        Content::Value(v) => of_value(v),
        Content::Again(v) => format!("{}, again", of_value(v)),
        Content::Grad(v) => format!("gradient of {}", of_value(v)),
        Content::Scratch(node) => {
            let node = graph.node(*node);
            format!("scratch of {}", node_path(&node.path, node.block))
        }
        Content::Param(_)
        | Content::ParamGrad(_)
        | Content::Moment(..)
        | Content::Input(_)
        | Content::Const(_)
        | Content::State(_) => unreachable!("persistent buffers are no tenants"),
    }
}
