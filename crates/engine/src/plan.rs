//! The plan: which calls run in which order, and where in one arena every buffer lies.
//!
//! A plan is a pure function of graph, options and the device's workspace sizes. It is made once; a
//! step allocates nothing.

mod backward;
mod forward;
mod pack;
mod panels;
mod peak;
mod print;
mod recompute;

use crate::graph::{Graph, NodeId, ParamId, ValueId};
use crate::shape::{DType, Dim, Extent, Ty};
use crate::table::{Buf, Kernels, Panels};
use std::sync::Arc;

pub use recompute::Recompute;

/// What a plan is made for.
#[derive(Clone, Copy, Debug)]
pub struct PlanOptions {
    /// Type of all floats.
    pub float: DType,
    /// The largest batch.
    pub capacity: Extent,
    /// Whether derivatives are wanted.
    pub training: bool,
    /// Recomputation of activations.
    pub recompute: Recompute,
    /// Optimiser buffers for each trainable parameter (AdamW: 2).
    pub moments: usize,
    /// Parameters that only products multiply with lie in panels, packed when they are written: for
    /// plans without derivatives that run often. Changes no bit of the result.
    pub panels: bool,
}

impl PlanOptions {
    /// Forward passes only.
    pub fn inference(float: DType, capacity: Extent) -> Self {
        PlanOptions {
            float,
            capacity,
            training: false,
            recompute: Recompute::None,
            moments: 0,
            panels: false,
        }
    }

    /// Forward passes that read all parameters again and again: generation.
    pub fn generating(float: DType, capacity: Extent) -> Self {
        PlanOptions {
            panels: true,
            ..Self::inference(float, capacity)
        }
    }

    /// Forward and backward passes, everything kept.
    pub fn training(float: DType, capacity: Extent, moments: usize) -> Self {
        PlanOptions {
            float,
            capacity,
            training: true,
            recompute: Recompute::None,
            moments,
            panels: false,
        }
    }
}

/// A buffer of the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotId(pub(crate) u32);

impl SlotId {
    /// Where the buffer stands in [`Plan::slots`].
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// What a buffer holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// A parameter.
    Param(ParamId),
    /// The gradient of a parameter.
    ParamGrad(ParamId),
    /// An optimiser buffer of a parameter.
    Moment(ParamId, usize),
    /// An input.
    Input(ValueId),
    /// A constant table.
    Const(ValueId),
    /// State across runs.
    State(ValueId),
    /// A computed value.
    Value(ValueId),
    /// A value computed again in the backward pass.
    Again(ValueId),
    /// The gradient of a value.
    Grad(ValueId),
    /// Scratch of one call.
    Scratch(NodeId),
}

impl Content {
    /// Whether the buffer lives as long as the executor.
    pub fn is_persistent(&self) -> bool {
        matches!(
            self,
            Content::Param(_)
                | Content::ParamGrad(_)
                | Content::Moment(..)
                | Content::Input(_)
                | Content::Const(_)
                | Content::State(_)
        )
    }
}

/// A buffer: what it holds, how large it is, when it lives and where.
#[derive(Clone, Debug)]
pub struct Slot {
    /// What it holds.
    pub content: Content,
    /// Data type.
    pub dtype: DType,
    /// Rows, possibly symbolic.
    pub rows: Dim,
    /// Elements of a row.
    pub cols: usize,
    /// Bytes at full capacity.
    pub bytes: usize,
    /// First call that touches it.
    pub first: usize,
    /// Last call that touches it.
    pub last: usize,
    /// Byte offset in the arena.
    pub offset: usize,
    /// The buffer that it shares memory with, where the plan granted that.
    pub shares: Option<SlotId>,
    /// Whether its elements lie in panels.
    pub panels: Option<Panels>,
}

/// One call of the plan.
#[derive(Clone, Debug)]
pub enum Call {
    /// An operator's forward.
    Forward {
        /// The node.
        node: NodeId,
        /// Inputs.
        ins: Vec<SlotId>,
        /// Outputs.
        outs: Vec<SlotId>,
        /// Scratch.
        scratch: Option<SlotId>,
    },
    /// An operator's derivative.
    Vjp {
        /// The node.
        node: NodeId,
        /// Gradients of the outputs.
        dy: Vec<Option<SlotId>>,
        /// Saved inputs.
        ins: Vec<Option<SlotId>>,
        /// Saved outputs.
        outs: Vec<Option<SlotId>>,
        /// Gradients to write, and whether they are added to.
        dx: Vec<Option<(SlotId, bool)>>,
        /// Scratch.
        scratch: Option<SlotId>,
    },
    /// Hands a gradient on where the buffer itself could not be handed on.
    PassGrad {
        /// Where it is.
        from: SlotId,
        /// Where it goes.
        to: SlotId,
        /// Added to what is there.
        accumulate: bool,
    },
}

/// Calls and memory of a graph.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The options that it was made with.
    pub options: PlanOptions,
    /// Buffers.
    pub slots: Vec<Slot>,
    /// Calls in order; those from `backward_from` on are the backward pass.
    pub calls: Vec<Call>,
    /// Index of the first call of the backward pass.
    pub backward_from: usize,
    /// Bytes that live as long as the executor: parameters, gradients, moments, inputs, tables,
    /// state.
    pub persistent_bytes: usize,
    /// Bytes of the arena: the peak.
    pub peak_bytes: usize,
    pub(crate) params: Vec<SlotId>,
    pub(crate) param_grads: Vec<Option<SlotId>>,
    pub(crate) moments: Vec<Vec<SlotId>>,
    pub(crate) inputs: Vec<(String, SlotId)>,
    pub(crate) states: Vec<(String, SlotId)>,
    pub(crate) consts: Vec<(ValueId, SlotId)>,
    pub(crate) outputs: Vec<(String, SlotId)>,
    pub(crate) losses: Vec<SlotId>,
    pub(crate) seeds: Vec<SlotId>,
    pub(crate) value_grads: Vec<(ValueId, SlotId)>,
}

impl Plan {
    /// Plans a graph for a device.
    pub fn new(graph: &Graph, options: PlanOptions, device: &dyn Kernels) -> Plan {
        Self::beside(graph, options, device, 0)
    }

    /// Plans of graphs of one model for one arena: they share the parameters; everything transient
    /// of the later ones reuses the transient memory of the first.
    pub fn together(programs: &[(Arc<Graph>, PlanOptions)], device: &dyn Kernels) -> Vec<Plan> {
        let mut plans: Vec<Plan> = Vec::with_capacity(programs.len());
        for (graph, options) in programs {
            let floor = plans.iter().map(|p| p.persistent_bytes).max();
            plans.push(Self::beside(graph, *options, device, floor.unwrap_or(0)));
        }
        plans
    }

    /// Plans a graph that shares its parameters, at the start of the arena, with other graphs: all
    /// else is placed from `floor` on.
    fn beside(graph: &Graph, options: PlanOptions, device: &dyn Kernels, floor: usize) -> Plan {
        let mut planner = Planner::new(graph, options, device);
        planner.forward();
        let backward_from = planner.calls.len();
        if options.training {
            planner.backward();
        }
        planner.finish(backward_from, floor)
    }

    /// The handle of a buffer under an extent.
    pub fn buf(&self, slot: SlotId, extent: Extent) -> Buf {
        let s = &self.slots[slot.0 as usize];
        Buf {
            panels: s.panels,
            ..Buf::matrix(s.offset, s.dtype, s.rows.resolve(extent), s.cols)
        }
    }
}

/// Buffers start at multiples of a cache line, which is also the width of a vector register.
pub(crate) fn align(bytes: usize) -> usize {
    bytes.next_multiple_of(64)
}

/// A plan in the making.
pub(crate) struct Planner<'a> {
    graph: &'a Graph,
    options: PlanOptions,
    device: &'a dyn Kernels,
    slots: Vec<Slot>,
    calls: Vec<Call>,
    /// Buffer of each value, as computed first and as computed again.
    value: Vec<Option<SlotId>>,
    again: Vec<Option<SlotId>>,
    grad: Vec<Option<SlotId>>,
    params: Vec<SlotId>,
    param_grads: Vec<Option<SlotId>>,
    moments: Vec<Vec<SlotId>>,
    seeds: Vec<SlotId>,
    needs_grad: Vec<bool>,
    /// Values that the backward pass computes again.
    repeated: Vec<bool>,
}

impl<'a> Planner<'a> {
    fn new(graph: &'a Graph, options: PlanOptions, device: &'a dyn Kernels) -> Self {
        let n = graph.values.len();
        let needs_grad = backward::needs_grad(graph);
        let mut planner = Planner {
            graph,
            options,
            device,
            slots: Vec::new(),
            calls: Vec::new(),
            value: vec![None; n],
            again: vec![None; n],
            grad: vec![None; n],
            params: Vec::new(),
            param_grads: Vec::new(),
            moments: Vec::new(),
            seeds: Vec::new(),
            repeated: recompute::repeated(graph, options.recompute, &needs_grad),
            needs_grad,
        };
        planner.persistent();
        planner
    }

    fn slot(&mut self, content: Content, ty: &Ty) -> SlotId {
        let dtype = ty.elem.dtype(self.options.float);
        let bytes = ty.bytes(self.options.float, self.options.capacity);
        // A parameter vector is one row; a value of one dimension is a column of single elements.
        let (rows, cols) = match (ty.shape.dims(), ty.shape.lead()) {
            ([Dim::Fixed(n)], _) => (Dim::Fixed(1), *n),
            (_, lead) => (lead, ty.shape.cols()),
        };
        self.push_slot(Slot {
            content,
            dtype,
            rows,
            cols,
            bytes,
            first: usize::MAX,
            last: 0,
            offset: 0,
            shares: None,
            panels: None,
        })
    }

    fn push_slot(&mut self, slot: Slot) -> SlotId {
        self.slots.push(slot);
        SlotId(self.slots.len() as u32 - 1)
    }

    /// Scratch for the call that is about to be pushed.
    fn scratch(&mut self, node: NodeId) -> Option<SlotId> {
        let n = self.graph.node(node);
        let ins: Vec<&Ty> = n.ins.iter().map(|&v| self.graph.ty(v)).collect();
        let (float, extent) = (self.options.float, self.options.capacity);
        let len = n.op.scratch(
            &ins,
            &crate::op::Room {
                device: self.device,
                float,
                extent,
            },
        );
        if len == 0 {
            return None;
        }
        let ty = Ty::float(crate::shape::Shape::fixed(&[len]));
        let slot = self.slot(Content::Scratch(node), &ty);
        self.touch(slot);
        Some(slot)
    }

    /// Notes that the call which is about to be pushed uses the buffer.
    fn touch(&mut self, slot: SlotId) {
        let now = self.calls.len();
        let s = &mut self.slots[slot.0 as usize];
        s.first = s.first.min(now);
        s.last = s.last.max(now);
    }
}
