//! Chosen rows, such as the last of each sequence, or those that count for the loss.

use crate::check::{Case, CaseInput, Entry, Reject};
use crate::constraint;
use crate::meaning::{Build, Val};
use crate::op::{Cost, Cx, Grad, Op, Room, Rows, Saves, Vjp};
use crate::shape::{Dim, Elem, Extent, Shape, ShapeError, Ty};
use crate::table::Buf;

/// `y[i] = x[index[i]]`.
///
/// Inputs `x [N, D]`, `index [S]` or `[C]` with values below `N`. Output `y [S, D]` or `[C, D]`.
///
/// C1 the index has one entry a sequence, or one a token that counts. C2 `x` has rows of floats.
///
/// A graph chooses rows as early as it can ([`crate::GraphBuilder::finish`]).
///
/// Derivative: `dx[index[i]] += dy[i]`, other rows 0.
///
/// Floor of an element of `y`: forward 8 bytes; derivative 8 bytes, and `dx` written once.
#[derive(Clone, Copy, Debug)]
pub struct SelectRows;

impl Op for SelectRows {
    fn name(&self) -> &'static str {
        "select_rows"
    }

    fn outputs(&self, ins: &[&Ty]) -> Result<Vec<Ty>, ShapeError> {
        let (x, index) = (ins[0], ins[1]);
        let lead = index.shape.lead();
        let one = matches!(lead, Dim::Seqs | Dim::Counted);
        let one = one && *index == Ty::index(Shape::new([lead]));
        constraint!(one, "C1", "index is {index}");
        let rows = x.shape.lead() == Dim::Tokens && x.elem == Elem::Float;
        constraint!(rows, "C2", "x is {x}");
        let mut dims = x.shape.dims().to_vec();
        dims[0] = lead;
        Ok(vec![Ty::float(Shape::new(dims))])
    }

    fn grads(&self) -> Vec<Grad> {
        vec![Grad::Flows, Grad::None("the index is discrete")]
    }

    fn rows(&self) -> Rows {
        Rows::Chosen
    }

    fn saves(&self) -> Saves {
        Saves::new(&[1], &[]).cheap()
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
        let n = (ins[1].shape.lead().resolve(extent) * ins[0].shape.cols()) as f64;
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
    let case = |dim: Dim, [n, d]: [usize; 2], index: &[i64]| {
        let x = CaseInput::random(Ty::float(Shape::rows(d)));
        let at = CaseInput::given(Ty::index(Shape::new([dim])), index.iter().copied());
        let name = format!("{} of {n} rows by {dim}", index.len());
        let case = Case::new(name, SelectRows, n, vec![x, at]);
        match dim {
            Dim::Counted => case.counted(index.len()),
            _ => case.seqs(index.len()),
        }
    };
    vec![
        case(Dim::Seqs, [1, 1], &[0]),
        case(Dim::Seqs, [7, 33], &[6, 0, 6]),
        case(Dim::Counted, [7, 33], &[1, 2, 5]),
        case(Dim::Counted, [3, 8], &[0, 1, 2]),
    ]
}

fn rejects() -> Vec<Reject> {
    let x = Ty::float(Shape::rows(4));
    let index = |dim| Ty::index(Shape::new([dim]));
    let per_seq = Ty::float(Shape::new([Dim::Seqs, Dim::Fixed(4)]));
    let reject = |label, x, index| Reject::new(label, SelectRows, vec![x, index]);
    vec![
        reject("C1", x.clone(), index(Dim::Tokens)),
        reject("C1", x, Ty::float(Shape::new([Dim::Seqs]))),
        reject("C2", per_seq, index(Dim::Counted)),
        reject("C2", index(Dim::Tokens), index(Dim::Seqs)),
    ]
}
