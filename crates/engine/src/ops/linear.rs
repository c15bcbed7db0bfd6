//! Linear map with an optional bias.

use crate::check::{Case, CaseInput, Entry, Reject};
use crate::constraint;
use crate::meaning::{Build, Val};
use crate::op::{Cost, Cx, Grad, Op, Room, Rows, Saves, Vjp};
use crate::shape::{Extent, Shape, ShapeError, Ty};
use crate::table::{Buf, Operand, Panels, Target};

/// How the weight lies in memory, which is how checkpoints hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WeightLayout {
    /// `[out, in]`: `y = x·Wᵀ`.
    OutIn,
    /// `[in, out]`: `y = x·W`.
    InOut,
}

impl WeightLayout {
    /// The operand that multiplies rows of inputs.
    pub(super) fn forward(self, w: Buf) -> Operand {
        Operand {
            buf: w,
            transposed: self == WeightLayout::OutIn,
        }
    }

    /// The operand that multiplies rows of output gradients.
    pub(super) fn backward(self, w: Buf) -> Operand {
        Operand {
            buf: w,
            transposed: self == WeightLayout::InOut,
        }
    }

    /// `dW += ` the product of these two operands, in the weight's own layout.
    pub(super) fn weight_grad(self, x: Buf, dy: Buf) -> (Operand, Operand) {
        match self {
            WeightLayout::OutIn => (Operand::transposed(dy), Operand::plain(x)),
            WeightLayout::InOut => (Operand::transposed(x), Operand::plain(dy)),
        }
    }

    /// Inputs and outputs of a weight of this layout.
    pub fn in_out(self, w: &Shape) -> (usize, usize) {
        let dims = w.resolve(Extent::new(0, 0));
        match self {
            WeightLayout::OutIn => (dims[1], dims[0]),
            WeightLayout::InOut => (dims[0], dims[1]),
        }
    }
}

/// `y = x·Wᵀ + b` (or `x·W + b`).
///
/// Inputs `x [N, I]`, `w [O, I]` or `[I, O]`, and `b [O]` when `bias`. Output `y [N, O]`.
///
/// C1 `w` has two dimensions. C2 the width of `x` is the weight's number of inputs. C3 `b` has one
/// value an output.
///
/// Derivative: `dx = dy·W`, `dW += dyᵀ·x` (transposed for `[I, O]`), `db += Σ_rows dy`.
///
/// Floor of a row: forward `2·I·O` operations; derivative `4·I·O` operations. Of a call: forward
/// `4·I·O` bytes of the weight, which bind a call with few rows; derivative `12·I·O` bytes.
#[derive(Clone, Copy, Debug)]
pub struct Linear {
    /// Layout of the weight.
    pub layout: WeightLayout,
    /// Whether there is a bias.
    pub bias: bool,
}

impl Op for Linear {
    fn name(&self) -> &'static str {
        "linear"
    }

    fn outputs(&self, ins: &[&Ty]) -> Result<Vec<Ty>, ShapeError> {
        let (x, w) = (&ins[0].shape, &ins[1].shape);
        constraint!(w.dims().len() == 2, "C1", "weight {w} is no matrix");
        let (i, o) = self.layout.in_out(w);
        constraint!(
            x.cols() == i,
            "C2",
            "input {x} has rows of {}, weight {w} takes {i}",
            x.cols()
        );
        if self.bias {
            let b = &ins[2].shape;
            constraint!(*b == Shape::fixed(&[o]), "C3", "bias {b} for {o} outputs");
        }
        let lead = x.lead();
        Ok(vec![Ty::float(Shape::new([lead, crate::Dim::Fixed(o)]))])
    }

    fn grads(&self) -> Vec<Grad> {
        vec![Grad::Flows; if self.bias { 3 } else { 2 }]
    }

    fn rows(&self) -> Rows {
        Rows::Same
    }

    fn saves(&self) -> Saves {
        let panels = match self.layout {
            WeightLayout::OutIn => Panels::Transposed,
            WeightLayout::InOut => Panels::Plain,
        };
        Saves::new(&[0, 1], &[]).in_panels(1, panels, true)
    }

    fn scratch(&self, _ins: &[&Ty], room: &Room<'_>) -> usize {
        room.device.gemm_work_len(room.float)
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        let bias = self.bias.then(|| ins[2]);
        let c = Target {
            buf: outs[0],
            accumulate: false,
        };
        cx.k.gemm(
            Operand::plain(ins[0]),
            self.layout.forward(ins[1]),
            c,
            bias,
            cx.scratch,
        );
    }

    fn vjp(&self, cx: &mut Cx<'_>, call: &Vjp<'_>) {
        let dy = call.dy();
        if let Some(dx) = call.dx[0] {
            cx.k.gemm(
                Operand::plain(dy),
                self.layout.backward(call.input(1)),
                dx,
                None,
                cx.scratch,
            );
        }
        if let Some(dw) = call.dx[1] {
            let (a, b) = self.layout.weight_grad(call.input(0), dy);
            cx.k.gemm(a, b, dw, None, cx.scratch);
        }
        if let Some(Some(db)) = call.dx.get(2) {
            let db = cx.adding(*db);
            cx.k.add_column_sums(dy, db);
        }
    }

    fn cost(&self, ins: &[&Ty], extent: Extent) -> Cost {
        let (i, o) = self.layout.in_out(&ins[1].shape);
        let n = ins[0].shape.lead().resolve(extent);
        let elements = (n * i + n * o + i * o) as f64;
        Cost {
            flops: 2.0 * n as f64 * i as f64 * o as f64,
            elements,
        }
    }

    fn meaning(&self, b: &mut Build, ins: &[Val]) -> Vec<Val> {
        let w = match self.layout {
            WeightLayout::OutIn => b.transpose(ins[1]),
            WeightLayout::InOut => ins[1],
        };
        let y = b.matmul(ins[0], w);
        vec![if self.bias { b.add(y, ins[2]) } else { y }]
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "linear",
    cases,
    rejects,
};

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (n, i, o) in [
        (1, 1, 1),
        (5, 7, 3),
        (17, 33, 65),
        (64, 16, 129),
        (3, 300, 5),
    ] {
        for layout in [WeightLayout::OutIn, WeightLayout::InOut] {
            for bias in [false, true] {
                let w = if layout == WeightLayout::OutIn {
                    [o, i]
                } else {
                    [i, o]
                };
                let mut ins = vec![
                    CaseInput::random(Ty::float(Shape::rows(i))),
                    CaseInput::random(Ty::float(Shape::fixed(&w))),
                ];
                if bias {
                    ins.push(CaseInput::random(Ty::float(Shape::fixed(&[o]))));
                }
                let name = format!("{n}x{i}x{o} {layout:?} bias {bias}");
                cases.push(Case::new(name, Linear { layout, bias }, n, ins));
            }
        }
    }
    cases
}

fn rejects() -> Vec<Reject> {
    let x = || Ty::float(Shape::rows(8));
    let fixed = |dims: &[usize]| Ty::float(Shape::fixed(dims));
    let plain = Linear {
        layout: WeightLayout::OutIn,
        bias: false,
    };
    let biased = Linear {
        layout: WeightLayout::InOut,
        bias: true,
    };
    vec![
        Reject::new("C1", plain, vec![x(), fixed(&[8])]),
        Reject::new("C2", plain, vec![x(), fixed(&[8, 4])]),
        Reject::new("C3", biased, vec![x(), fixed(&[8, 4]), fixed(&[8])]),
    ]
}
