//! The passes: the calls of the plan in their order, with or without someone who looks on.

use super::{Executor, Program};
use crate::graph::Node;
use crate::op::{Cx, Vjp};
use crate::plan::{Call, Plan, SlotId};
use crate::table::{Buf, Target};

/// Which part of a step a call belongs to. What the backward pass computes again belongs to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Pass {
    /// The forward pass.
    Forward,
    /// The backward pass.
    Backward,
}

/// A call that has just been made.
#[derive(Clone, Copy, Debug)]
pub struct CallInfo<'a> {
    /// Where it stands in [`Plan::calls`].
    pub index: usize,
    /// The pass.
    pub pass: Pass,
    /// The node; none where a gradient is only handed on.
    pub node: Option<&'a Node>,
}

impl CallInfo<'_> {
    /// The operator's name, or `pass_gradient`.
    pub fn operator(&self) -> &'static str {
        self.node.map_or("pass_gradient", |node| node.op.name())
    }
}

impl Executor {
    /// Runs the forward pass. In training the loss node waits for [`Executor::backward`].
    pub fn forward(&mut self) {
        self.run(0, self.plan().backward_from);
    }

    /// Runs the backward pass; gradients are added to those that are there.
    pub fn backward(&mut self) {
        self.run(self.plan().backward_from, self.plan().calls.len());
    }

    /// Runs all calls of the plan, forward and (when it has one) backward, and tells `observe` of
    /// each one after it is done. Gives the bits of [`Executor::forward`] and
    /// [`Executor::backward`].
    pub fn step_observed(&mut self, observe: &mut dyn FnMut(&CallInfo<'_>)) {
        let graph = self.graph().clone();
        for index in 0..self.plan().calls.len() {
            self.call(index);
            let plan = self.plan();
            let node = match &plan.calls[index] {
                Call::Forward { node, .. } | Call::Vjp { node, .. } => Some(graph.node(*node)),
                Call::PassGrad { .. } => None,
            };
            let pass = match index < plan.backward_from {
                true => Pass::Forward,
                false => Pass::Backward,
            };
            observe(&CallInfo { index, pass, node });
        }
    }

    fn run(&mut self, from: usize, to: usize) {
        for t in from..to {
            self.call(t);
        }
    }

    fn call(&mut self, t: usize) {
        let (Program { graph, plan }, extent) = (&self.programs[self.active], self.extent);
        let buf = |s: SlotId| plan.buf(s, extent);
        match &plan.calls[t] {
            Call::Forward {
                node,
                ins,
                outs,
                scratch,
            } => {
                refill(&mut self.ins, ins.iter().map(|&s| buf(s)));
                refill(&mut self.outs, outs.iter().map(|&s| buf(s)));
                let scratch = scratch_buf(plan, *scratch);
                let mut cx = Cx {
                    k: self.device.as_mut(),
                    scratch,
                    key: self.key,
                };
                graph.node(*node).op.forward(&mut cx, &self.ins, &self.outs);
            }
            Call::Vjp {
                node,
                dy,
                ins,
                outs,
                dx,
                scratch,
            } => {
                for (list, slots) in self.maybe.iter_mut().zip([dy, ins, outs]) {
                    refill(list, slots.iter().map(|s| s.map(buf)));
                }
                let target = |&(s, accumulate): &(SlotId, bool)| Target {
                    buf: buf(s),
                    accumulate,
                };
                refill(&mut self.targets, dx.iter().map(|d| d.as_ref().map(target)));
                let scratch = scratch_buf(plan, *scratch);
                let mut cx = Cx {
                    k: self.device.as_mut(),
                    scratch,
                    key: self.key,
                };
                let [dy, ins, outs] = &self.maybe;
                let call = Vjp {
                    dy,
                    ins,
                    outs,
                    dx: &self.targets,
                };
                graph.node(*node).op.vjp(&mut cx, &call);
            }
            Call::PassGrad {
                from,
                to,
                accumulate: true,
            } => self.device.add_assign(buf(*from), buf(*to)),
            Call::PassGrad {
                from,
                to,
                accumulate: false,
            } => self.device.copy(buf(*from), buf(*to)),
        }
    }
}

fn refill<T>(list: &mut Vec<T>, items: impl Iterator<Item = T>) {
    list.clear();
    list.extend(items);
}

/// Scratch has its full size whatever the extent.
fn scratch_buf(plan: &Plan, slot: Option<SlotId>) -> Buf {
    match slot {
        Some(s) => plan.buf(s, plan.options.capacity),
        None => Buf::matrix(0, plan.options.float, 0, 0),
    }
}
