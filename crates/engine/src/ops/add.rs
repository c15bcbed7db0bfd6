//! Residual addition.

use crate::check::{Case, CaseInput, Entry, Reject};
use crate::constraint;
use crate::meaning::{Build, Val};
use crate::op::{Cost, Cx, Grad, Op, Room, Rows, Saves, Vjp};
use crate::shape::{Extent, Shape, ShapeError, Ty};
use crate::table::Buf;

/// `y = a + b` for two values of one type.
///
/// C1 both inputs have the same type.
///
/// Derivative: `da = db = dy`; the plan hands the buffer on, so there is no kernel.
///
/// Floor of an element: forward 12 bytes; derivative nothing.
#[derive(Clone, Copy, Debug)]
pub struct Add;

impl Op for Add {
    fn name(&self) -> &'static str {
        "add"
    }

    fn outputs(&self, ins: &[&Ty]) -> Result<Vec<Ty>, ShapeError> {
        constraint!(ins[0] == ins[1], "C1", "{} and {} differ", ins[0], ins[1]);
        Ok(vec![ins[0].clone()])
    }

    fn grads(&self) -> Vec<Grad> {
        vec![Grad::Same, Grad::Same]
    }

    fn rows(&self) -> Rows {
        Rows::Same
    }

    fn saves(&self) -> Saves {
        Saves::new(&[], &[]).in_place(0)
    }

    fn scratch(&self, _ins: &[&Ty], _room: &Room<'_>) -> usize {
        0
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        cx.k.add(ins[0], ins[1], outs[0]);
    }

    fn vjp(&self, _cx: &mut Cx<'_>, _call: &Vjp<'_>) {
        unreachable!("both gradients are the output's own, handed on by the plan")
    }

    fn cost(&self, ins: &[&Ty], extent: Extent) -> Cost {
        let n = ins[0].shape.len(extent) as f64;
        Cost {
            flops: n,
            elements: 3.0 * n,
        }
    }

    fn meaning(&self, b: &mut Build, ins: &[Val]) -> Vec<Val> {
        vec![b.add(ins[0], ins[1])]
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "add",
    cases,
    rejects,
};

fn cases() -> Vec<Case> {
    let x = |d| CaseInput::random(Ty::float(Shape::rows(d)));
    [(1, 1), (5, 7), (33, 65)]
        .map(|(n, d)| Case::new(format!("{n}x{d}"), Add, n, vec![x(d), x(d)]))
        .to_vec()
}

fn rejects() -> Vec<Reject> {
    let x = |d| Ty::float(Shape::rows(d));
    vec![Reject::new("C1", Add, vec![x(4), x(5)])]
}
