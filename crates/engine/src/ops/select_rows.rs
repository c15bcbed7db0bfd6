//! Chosen rows, such as the last of each sequence.

use crate::check::{Case, CaseInput, Entry, Reject};
use crate::constraint;
use crate::meaning::{Build, Val};
use crate::op::{Cost, Cx, Grad, Op, Room, Saves, Vjp};
use crate::shape::{Dim, Elem, Extent, Shape, ShapeError, Ty};
use crate::table::Buf;

/// `y[s] = x[index[s]]`.
///
/// Inputs `x [N, D]`, `index [S]` with values below `N`. Output `y [S, D]`.
///
/// C1 the index has one entry a sequence.
///
/// Derivative: `dx[index[s]] += dy[s]`, other rows 0.
///
/// Floor of an element of `y`: forward 8 bytes; derivative 8 bytes, and `dx` written once.
#[derive(Clone, Copy, Debug)]
pub struct SelectRows;

impl Op for SelectRows {
    fn name(&self) -> &'static str {
        "select_rows"
    }

    fn outputs(&self, ins: &[&Ty]) -> Result<Vec<Ty>, ShapeError> {
        let index = ins[1];
        let one = index.shape == Shape::new([Dim::Seqs]) && index.elem == Elem::Index;
        constraint!(one, "C1", "index is {index}");
        Ok(vec![Ty::float(Shape::new([
            Dim::Seqs,
            Dim::Fixed(ins[0].shape.cols()),
        ]))])
    }

    fn grads(&self) -> Vec<Grad> {
        vec![Grad::Flows, Grad::None("the index is discrete")]
    }

    fn saves(&self) -> Saves {
        Saves::new(&[1], &[])
    }

    fn scratch(&self, _ins: &[&Ty], _room: &Room<'_>) -> usize {
        0
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        cx.k.embedding(ins[0], ins[1], outs[0]);
    }

    fn vjp(&self, cx: &mut Cx<'_>, call: &Vjp<'_>) {
        if let Some(dx) = call.dx[0] {
            let dx = cx.adding(dx);
            cx.k.embedding_vjp(call.dy(), call.input(1), dx);
        }
    }

    fn cost(&self, ins: &[&Ty], extent: Extent) -> Cost {
        let n = (extent.seqs * ins[0].shape.cols()) as f64;
        Cost {
            flops: 0.0,
            elements: 2.0 * n,
        }
    }

    fn meaning(&self, b: &mut Build, ins: &[Val]) -> Vec<Val> {
        vec![b.gather(ins[0], ins[1])]
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "select_rows",
    cases,
    rejects,
};

fn cases() -> Vec<Case> {
    let case = |n, d, index: &[i64]| {
        let x = CaseInput::random(Ty::float(Shape::rows(d)));
        let index_ty = Ty::index(Shape::new([Dim::Seqs]));
        let at = CaseInput::given(index_ty, index.iter().copied());
        Case::new(
            format!("{} of {n} rows", index.len()),
            SelectRows,
            n,
            vec![x, at],
        )
        .seqs(index.len())
    };
    vec![case(1, 1, &[0]), case(7, 33, &[6, 0, 6])]
}

fn rejects() -> Vec<Reject> {
    let x = Ty::float(Shape::rows(4));
    vec![Reject::new(
        "C1",
        SelectRows,
        vec![x, Ty::index(Shape::new([Dim::Tokens]))],
    )]
}
