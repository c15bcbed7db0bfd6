//! Persistent buffers and the forward pass of a plan.

use super::{Call, Content, Planner, SlotId};
use crate::graph::{NodeId, Origin, ParamId, ValueId};
use crate::shape::{Shape, Ty};

impl Planner<'_> {
    /// Buffers of parameters, their gradients and moments, inputs, tables and state.
    pub(super) fn persistent(&mut self) {
        let graph = self.graph;
        let ty = |p: ParamId| Ty::float(Shape::fixed(&graph.param(p).shape));
        for p in graph.param_ids() {
            let slot = self.slot(Content::Param(p), &ty(p));
            self.params.push(slot);
        }
        if self.options.panels {
            self.choose_panels();
        }
        for p in graph.param_ids() {
            let wanted = self.options.training && graph.param(p).trainable;
            let slot = wanted.then(|| self.slot(Content::ParamGrad(p), &ty(p)));
            self.param_grads.push(slot);
        }
        for p in graph.param_ids() {
            let n = if self.param_grads[p.0 as usize].is_some() {
                self.options.moments
            } else {
                0
            };
            let slots = (0..n)
                .map(|i| self.slot(Content::Moment(p, i), &ty(p)))
                .collect();
            self.moments.push(slots);
        }
        for (i, value) in graph.values.iter().enumerate() {
            let id = ValueId(i as u32);
            self.value[i] = match &value.origin {
                Origin::Param(p) => Some(self.params[p.0 as usize]),
                Origin::Input(_) => Some(self.slot(Content::Input(id), &value.ty)),
                Origin::Const(_) => Some(self.slot(Content::Const(id), &value.ty)),
                Origin::State(_) => Some(self.slot(Content::State(id), &value.ty)),
                Origin::Node(..) => None,
            };
        }
    }

    /// Whether training computes the node's outputs in its derivative.
    pub(super) fn forward_is_in_vjp(&self, node: NodeId) -> bool {
        let n = self.graph.node(node);
        self.options.training
            && n.op.saves().vjp_writes_outputs
            && n.outs.iter().any(|v| self.graph.losses.contains(v))
            && n.ins.iter().any(|v| self.needs_grad[v.0 as usize])
    }

    pub(super) fn forward(&mut self) {
        for i in 0..self.graph.nodes.len() {
            let node = NodeId(i as u32);
            if !self.forward_is_in_vjp(node) {
                self.push_forward(node, false);
            }
        }
    }

    /// The buffer of a value as the forward pass, or its repetition for this block, sees it.
    pub(super) fn value_slot(&self, v: ValueId, again: bool) -> SlotId {
        let i = v.0 as usize;
        let slot = if again {
            self.again[i].or(self.value[i])
        } else {
            self.value[i]
        };
        slot.expect("verify: a value is computed before it is used")
    }

    pub(super) fn push_forward(&mut self, node: NodeId, again: bool) {
        let n = self.graph.node(node);
        let ins: Vec<SlotId> = n.ins.iter().map(|&v| self.value_slot(v, again)).collect();
        let outs: Vec<SlotId> = n.outs.iter().map(|&v| self.new_value(v, again)).collect();
        for &slot in ins.iter().chain(&outs) {
            self.touch(slot);
        }
        let scratch = self.scratch(node);
        self.calls.push(Call::Forward {
            node,
            ins,
            outs,
            scratch,
        });
    }

    /// A buffer for a value that is about to be computed.
    pub(super) fn new_value(&mut self, v: ValueId, again: bool) -> SlotId {
        let ty = self.graph.ty(v).clone();
        let content = if again {
            Content::Again(v)
        } else {
            Content::Value(v)
        };
        let slot = self.slot(content, &ty);
        let table = if again {
            &mut self.again
        } else {
            &mut self.value
        };
        table[v.0 as usize] = Some(slot);
        slot
    }
}
