//! The backward pass of a plan: derivatives in reverse, gradients handed on without copies where
//! that is safe.

use super::{Call, Content, Planner, SlotId};
use crate::graph::{Graph, NodeId, Origin, ValueId};
use crate::op::Grad;
use std::collections::BTreeSet;

/// Which values depend, differentiably, on a trainable parameter (or on a seeded input).
pub(super) fn needs_grad(graph: &Graph) -> Vec<bool> {
    let mut needs: Vec<bool> = graph
        .values
        .iter()
        .map(|v| match &v.origin {
            Origin::Param(p) => graph.param(*p).trainable,
            _ => false,
        })
        .collect();
    for v in &graph.differentiated {
        needs[v.0 as usize] = true;
    }
    for node in &graph.nodes {
        let grads = node.op.grads();
        let flows = |(v, g): (&ValueId, &Grad)| needs[v.0 as usize] && !matches!(g, Grad::None(_));
        let any = node.ins.iter().zip(&grads).any(flows);
        for out in &node.outs {
            needs[out.0 as usize] = any;
        }
    }
    needs
}

impl Planner<'_> {
    pub(super) fn backward(&mut self) {
        for &v in &self.graph.seeds {
            let ty = self.graph.ty(v).clone();
            // Filled from outside before the run, so it lives from the first call on.
            let slot = self.slot(Content::Grad(v), &ty);
            let last = self.calls.len();
            let s = &mut self.slots[slot.0 as usize];
            (s.first, s.last) = (0, last);
            self.grad[v.0 as usize] = Some(slot);
            self.seeds.push(slot);
        }
        for i in (0..self.graph.nodes.len()).rev() {
            let node = NodeId(i as u32);
            if !self.is_active(node) {
                continue;
            }
            self.repeat_for(node);
            self.push_vjp(node);
        }
    }

    fn is_active(&self, node: NodeId) -> bool {
        let n = self.graph.node(node);
        let arrived =
            |v: &ValueId| self.grad[v.0 as usize].is_some() || self.graph.losses.contains(v);
        n.outs.iter().any(arrived) && n.ins.iter().any(|v| self.needs_grad[v.0 as usize])
    }

    fn push_vjp(&mut self, node: NodeId) {
        let n = self.graph.node(node);
        let grads = n.op.grads();
        let wanted: Vec<bool> = n
            .ins
            .iter()
            .map(|v| self.needs_grad[v.0 as usize])
            .collect();
        let together = n.op.saves().together;
        let flows: Vec<bool> = (0..n.ins.len())
            .map(|i| (together || wanted[i]) && grads[i] == Grad::Flows)
            .collect();
        if flows.contains(&true) {
            self.push_kernel_vjp(node, &flows);
        }
        let same: Vec<ValueId> = (0..n.ins.len())
            .filter(|&i| wanted[i] && grads[i] == Grad::Same)
            .map(|i| n.ins[i])
            .collect();
        if !same.is_empty() {
            self.pass_on(node, &same);
        }
    }

    fn push_kernel_vjp(&mut self, node: NodeId, flows: &[bool]) {
        let n = self.graph.node(node);
        let saves = n.op.saves();
        let in_vjp = self.forward_is_in_vjp(node);
        let dy: Vec<Option<SlotId>> = n.outs.iter().map(|v| self.grad[v.0 as usize]).collect();
        let saved = |i: usize| {
            saves
                .ins
                .contains(&i)
                .then(|| self.value_slot(n.ins[i], true))
        };
        let ins: Vec<Option<SlotId>> = (0..n.ins.len()).map(saved).collect();
        let outs: Vec<Option<SlotId>> = (0..n.outs.len())
            .map(|i| match in_vjp {
                true => Some(self.new_value(n.outs[i], false)),
                false => saves
                    .outs
                    .contains(&i)
                    .then(|| self.value_slot(n.outs[i], true)),
            })
            .collect();
        let mut later = Vec::new();
        let mut targets = BTreeSet::new();
        let mut target = |v: ValueId| -> (SlotId, bool) {
            if !self.needs_grad[v.0 as usize] {
                // Computed together with the gradients that are wanted, and read by nobody.
                return (
                    self.slot(Content::Grad(v), &self.graph.ty(v).clone()),
                    false,
                );
            }
            let (slot, accumulate) = self.grad_target(v);
            // An operator writes each of its gradients to a place of its own, also when two are of
            // one value.
            let is_taken = !targets.insert(slot);
            if !(accumulate && saves.replaces || is_taken) {
                return (slot, accumulate);
            }
            let fresh = self.slot(Content::Grad(v), &self.graph.ty(v).clone());
            later.push((fresh, slot));
            (fresh, false)
        };
        let dx: Vec<Option<(SlotId, bool)>> = (0..n.ins.len())
            .map(|i| flows[i].then(|| target(n.ins[i])))
            .collect();
        let used = dy.iter().chain(&ins).chain(&outs).flatten().copied();
        for slot in used
            .chain(dx.iter().flatten().map(|&(s, _)| s))
            .collect::<Vec<_>>()
        {
            self.touch(slot);
        }
        let scratch = self.scratch(node);
        self.calls.push(Call::Vjp {
            node,
            dy,
            ins,
            outs,
            dx,
            scratch,
        });
        for (from, to) in later {
            self.pass(from, to, true);
        }
    }

    /// Where the gradient of a value goes: added to what another consumer left, or to a fresh
    /// buffer.
    fn grad_target(&mut self, v: ValueId) -> (SlotId, bool) {
        if let Origin::Param(p) = self.graph.value(v).origin {
            let slot = self.param_grads[p.0 as usize].expect("frozen parameters need no gradient");
            return (slot, true);
        }
        if let Some(slot) = self.grad[v.0 as usize] {
            return (slot, true);
        }
        let ty = self.graph.ty(v).clone();
        let slot = self.slot(Content::Grad(v), &ty);
        self.grad[v.0 as usize] = Some(slot);
        (slot, false)
    }

    /// Hands the gradient of a node's output to inputs whose gradient equals it.
    fn pass_on(&mut self, node: NodeId, inputs: &[ValueId]) {
        let out = self.graph.node(node).outs[0];
        let from = self.grad[out.0 as usize].expect("an active node has a gradient");
        let (owner, reader) = match self.seeds.contains(&from) {
            true => (None, None),
            false => self.takers(node, inputs),
        };
        for &v in inputs {
            if Some(v) == owner || Some(v) == reader {
                continue;
            }
            let (to, accumulate) = self.grad_target(v);
            self.pass(from, to, accumulate);
        }
        for v in [owner, reader].into_iter().flatten() {
            self.grad[v.0 as usize] = Some(from);
        }
    }

    fn pass(&mut self, from: SlotId, to: SlotId, accumulate: bool) {
        self.touch(from);
        self.touch(to);
        self.calls.push(Call::PassGrad {
            from,
            to,
            accumulate,
        });
    }

    /// Which inputs take over the gradient buffer of the output: one that owns it from now on, and
    /// one that only reads it.
    fn takers(&self, node: NodeId, inputs: &[ValueId]) -> (Option<ValueId>, Option<ValueId>) {
        let is_free = |v: &ValueId| {
            self.grad[v.0 as usize].is_none()
                && matches!(self.graph.value(*v).origin, Origin::Node(..))
                && inputs.iter().filter(|&w| w == v).count() == 1
        };
        let free: Vec<ValueId> = inputs.iter().copied().filter(is_free).collect();
        match free[..] {
            [a, b] if self.may_read_along(a, b, node) => (Some(a), Some(b)),
            [a, b] if self.may_read_along(b, a, node) => (Some(b), Some(a)),
            _ => (free.first().copied(), None),
        }
    }

    /// Whether `reader` may share the gradient buffer that `owner` takes over at `node`: it is read
    /// for the last time before anything is added for the owner.
    fn may_read_along(&self, owner: ValueId, reader: ValueId, node: NodeId) -> bool {
        let producer = |v: ValueId| match self.graph.value(v).origin {
            Origin::Node(p, _) => Some(p),
            _ => None,
        };
        let (Some(read_at), Some(owner_at)) = (producer(reader), producer(owner)) else {
            return false;
        };
        let consumers = |v: ValueId| {
            let uses = move |(_, n): &(usize, &crate::graph::Node)| n.ins.contains(&v);
            self.graph
                .nodes
                .iter()
                .enumerate()
                .filter(uses)
                .map(|(i, _)| NodeId(i as u32))
        };
        let hands_on = self.graph.node(read_at).op.grads().contains(&Grad::Same);
        !hands_on
            && owner_at < read_at
            && consumers(reader).all(|c| c == node)
            && consumers(owner).all(|c| c == node || c < read_at)
    }
}
