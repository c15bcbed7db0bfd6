//! SwiGLU.

use crate::check::{Case, CaseInput, Entry, Reject};
use crate::constraint;
use crate::meaning::{Build, Val};
use crate::op::{Cost, Cx, Grad, Op, Room, Rows, Saves, Vjp};
use crate::shape::{Extent, Shape, ShapeError, Ty};
use crate::table::Buf;

/// `y = silu(gate) · up` (Shazeer 2020).
///
/// Inputs `gate [N, F]`, `up [N, F]`. Output `y [N, F]`.
///
/// C1 both inputs have the same type.
///
/// Derivative, with `s = sigmoid(gate)`: `dup = dy·gate·s`, `dgate = dy·up·s·(1 + gate·(1 − s))`.
///
/// Floor of an element: forward 12 bytes, 1 exp; derivative 20 bytes, 1 exp.
#[derive(Clone, Copy, Debug)]
pub struct SwiGlu;

impl Op for SwiGlu {
    fn name(&self) -> &'static str {
        "swiglu"
    }

    fn outputs(&self, ins: &[&Ty]) -> Result<Vec<Ty>, ShapeError> {
        constraint!(
            ins[0] == ins[1],
            "C1",
            "gate {} and up {} differ",
            ins[0],
            ins[1]
        );
        Ok(vec![ins[0].clone()])
    }

    fn grads(&self) -> Vec<Grad> {
        vec![Grad::Flows, Grad::Flows]
    }

    fn rows(&self) -> Rows {
        Rows::Same
    }

    fn saves(&self) -> Saves {
        Saves::new(&[0, 1], &[]).cheap().together().replacing()
    }

    fn scratch(&self, _ins: &[&Ty], _room: &Room<'_>) -> usize {
        0
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        cx.k.swiglu(ins[0], ins[1], outs[0]);
    }

    fn vjp(&self, cx: &mut Cx<'_>, call: &Vjp<'_>) {
        let grads = [0, 1].map(|i| {
            call.dx[i]
                .expect("the plan gives both gradients a buffer")
                .buf
        });
        cx.k.swiglu_vjp(call.dy(), call.input(0), call.input(1), grads);
    }

    fn cost(&self, ins: &[&Ty], extent: Extent) -> Cost {
        let n = ins[0].shape.len(extent) as f64;
        Cost {
            flops: 5.0 * n,
            elements: 3.0 * n,
        }
    }

    fn meaning(&self, b: &mut Build, ins: &[Val]) -> Vec<Val> {
        let s = b.sigmoid(ins[0]);
        let silu = b.mul(ins[0], s);
        vec![b.mul(silu, ins[1])]
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "swiglu",
    cases,
    rejects,
};

fn cases() -> Vec<Case> {
    let x = |d| CaseInput::random(Ty::float(Shape::rows(d)));
    [(1, 1), (5, 7), (3, 65)]
        .map(|(n, d)| Case::new(format!("{n}x{d}"), SwiGlu, n, vec![x(d), x(d)]))
        .to_vec()
}

fn rejects() -> Vec<Reject> {
    let x = |d| Ty::float(Shape::rows(d));
    vec![Reject::new("C1", SwiGlu, vec![x(4), x(5)])]
}
