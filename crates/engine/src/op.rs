//! What an operator must state: its shape rule, its forward, its hand-written derivative, its cost
//! and its meaning in primitives.

use crate::meaning::{Build, Val};
use crate::shape::{DType, Extent, ShapeError, Ty};
use crate::table::{Buf, Kernels, Panels, Target};
use std::any::Any;
use std::fmt;

/// An operator. None of the methods has a default: an operator without a derivative or a meaning
/// does not compile.
pub trait Op: fmt::Debug + Send + Sync + Any {
    /// The name in listings, e.g. `layer_norm`.
    fn name(&self) -> &'static str;

    /// Types of the outputs; the only place where the numbered constraints are checked.
    fn outputs(&self, ins: &[&Ty]) -> Result<Vec<Ty>, ShapeError>;

    /// For every input: gradient flows, is the output's own, or does not exist, and why.
    fn grads(&self) -> Vec<Grad>;

    /// Which rows of the inputs a row of the outputs is computed from.
    fn rows(&self) -> Rows;

    /// All that [`Op::vjp`] may read beside the gradient of the outputs.
    fn saves(&self) -> Saves;

    /// Elements of scratch that one call needs, in the plan's float type.
    fn scratch(&self, ins: &[&Ty], room: &Room<'_>) -> usize;

    /// Computes `outs` from `ins`.
    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]);

    /// Writes (or adds, as each target says) the gradients of the inputs.
    fn vjp(&self, cx: &mut Cx<'_>, call: &Vjp<'_>);

    /// Cost of one forward call.
    fn cost(&self, ins: &[&Ty], extent: Extent) -> Cost;

    /// What the operator means, in primitives: oracle of values and derivatives, lowering for
    /// exports.
    fn meaning(&self, b: &mut Build, ins: &[Val]) -> Vec<Val>;
}

/// What an operator is asked for when its scratch is planned.
pub struct Room<'a> {
    /// The device, for the workspace of its kernels.
    pub device: &'a dyn Kernels,
    /// The plan's float type.
    pub float: DType,
    /// Capacity of the plan.
    pub extent: Extent,
}

/// What a call may use beside its buffers.
pub struct Cx<'a> {
    /// The device's kernels.
    pub k: &'a mut dyn Kernels,
    /// Scratch of the size asked for, one row.
    pub scratch: Buf,
    /// Counter key of this run, for dropout.
    pub key: [u32; 2],
}

/// Whether gradient reaches an input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Grad {
    /// [`Op::vjp`] computes it.
    Flows,
    /// It equals the gradient of the first output; the plan hands the buffer on without a kernel.
    Same,
    /// There is none, for this reason.
    None(&'static str),
}

/// Which rows of the inputs a row of the outputs is computed from: what tells rows that nobody
/// reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rows {
    /// The same row of every input that has rows, wherever in the batch it lies. Dropout is among
    /// these: its masks are of the rows that it is given.
    Same,
    /// The row of the first input that the second one names.
    Chosen,
    /// Others too, or it is no matter: the operator always computes all its rows.
    Others,
}

/// All that the derivative reads.
#[derive(Clone, Copy, Debug)]
pub struct Saves {
    /// Indices of inputs.
    pub ins: &'static [usize],
    /// Indices of outputs.
    pub outs: &'static [usize],
    /// Whether computing the outputs again costs little against keeping them.
    pub recompute: Cheapness,
    /// The first output may take over the buffer of this input.
    pub in_place: Option<usize>,
    /// The derivative also computes the outputs, so that training skips the forward call.
    pub vjp_writes_outputs: bool,
    /// The derivative computes the gradients of all inputs together, so the plan gives each a
    /// buffer.
    pub together: bool,
    /// The derivative cannot add to a gradient: where one is there already, the plan adds
    /// afterwards.
    pub replaces: bool,
    /// The forward call can read this input from panels.
    pub panels: Option<InPanels>,
}

/// An input that the forward call can read from panels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InPanels {
    /// Its index.
    pub input: usize,
    /// For which products it would be packed.
    pub panels: Panels,
    /// Whether the call is faster for it.
    pub gains: bool,
}

impl Saves {
    /// Reads these inputs and outputs, is dear to compute again, and never runs in place.
    pub const fn new(ins: &'static [usize], outs: &'static [usize]) -> Self {
        let recompute = Cheapness::Dear;
        Saves {
            ins,
            outs,
            recompute,
            in_place: None,
            vjp_writes_outputs: false,
            together: false,
            replaces: false,
            panels: None,
        }
    }

    /// Marks the operator as cheap to compute again.
    pub const fn cheap(self) -> Self {
        Saves {
            recompute: Cheapness::Cheap,
            ..self
        }
    }

    /// Lets the first output take over the buffer of an input where the plan grants it.
    pub const fn in_place(self, input: usize) -> Self {
        Saves {
            in_place: Some(input),
            ..self
        }
    }

    /// The derivative writes gradients afresh.
    pub const fn replacing(self) -> Self {
        Saves {
            replaces: true,
            ..self
        }
    }

    /// The derivative computes all gradients together.
    pub const fn together(self) -> Self {
        Saves {
            together: true,
            ..self
        }
    }

    /// Can read an input from panels, and gains by it or not.
    pub const fn in_panels(self, input: usize, panels: Panels, gains: bool) -> Self {
        let panels = Some(InPanels {
            input,
            panels,
            gains,
        });
        Saves { panels, ..self }
    }

    /// The derivative computes the outputs too.
    pub const fn with_outputs(self) -> Self {
        Saves {
            vjp_writes_outputs: true,
            ..self
        }
    }
}

/// How much it costs to compute an operator's outputs again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cheapness {
    /// A few operations an element: norms, activations, additions.
    Cheap,
    /// Products and attention.
    Dear,
}

impl Cx<'_> {
    /// A buffer that kernels may add a gradient to: zeroed first unless the target accumulates.
    pub fn adding(&mut self, target: Target) -> Buf {
        if !target.accumulate {
            self.k.fill(target.buf, 0.0);
        }
        target.buf
    }
}

/// One derivative call. Buffers that were not declared in [`Saves`] are absent.
pub struct Vjp<'a> {
    /// Gradients of the outputs; absent where none flows.
    pub dy: &'a [Option<Buf>],
    /// Saved inputs.
    pub ins: &'a [Option<Buf>],
    /// Saved outputs.
    pub outs: &'a [Option<Buf>],
    /// Gradients to write; absent where not wanted.
    pub dx: &'a [Option<Target>],
}

impl Vjp<'_> {
    /// The gradient of the first output.
    pub fn dy(&self) -> Buf {
        self.dy[0].expect("the first output has a gradient")
    }

    /// A saved input.
    pub fn input(&self, i: usize) -> Buf {
        self.ins[i].expect("the input is declared in saves()")
    }

    /// A saved output.
    pub fn output(&self, i: usize) -> Buf {
        self.outs[i].expect("the output is declared in saves()")
    }
}

/// Cost of a forward call.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Floating-point operations; a multiply-add is two, a transcendental function one.
    pub flops: f64,
    /// Elements read and written.
    pub elements: f64,
}
