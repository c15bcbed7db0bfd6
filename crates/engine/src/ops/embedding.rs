//! Embedding: rows of a table, chosen by index. Tokens and learned positions alike.

use crate::check::{Case, CaseInput, Entry, Reject};
use crate::constraint;
use crate::meaning::{Build, Val};
use crate::op::{Cost, Cx, Grad, Op, Room, Saves, Vjp};
use crate::shape::{Dim, Elem, Extent, Shape, ShapeError, Ty};
use crate::table::{Buf, Panels};

/// `y[r] = table[ids[r]]`.
///
/// Inputs `table [V, D]`, `ids [N]`. Output `y [N, D]`. The caller has checked `0 ≤ ids < V`.
///
/// C1 `table` has two dimensions. C2 `ids` are indices, one a row.
///
/// Derivative: `dtable[ids[r]] += dy[r]`, in row order.
///
/// Floor of an element of `y`: forward 8 bytes; derivative 12 bytes.
#[derive(Clone, Copy, Debug)]
pub struct Embedding;

impl Op for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn outputs(&self, ins: &[&Ty]) -> Result<Vec<Ty>, ShapeError> {
        let (table, ids) = (&ins[0].shape, ins[1]);
        constraint!(table.dims().len() == 2, "C1", "table {table} is no matrix");
        let one = ids.shape.dims().len() == 1;
        constraint!(one && ids.elem == Elem::Index, "C2", "ids are {ids}");
        Ok(vec![Ty::float(Shape::new([
            ids.shape.lead(),
            Dim::Fixed(table.cols()),
        ]))])
    }

    fn grads(&self) -> Vec<Grad> {
        vec![Grad::Flows, Grad::None("ids are discrete")]
    }

    fn saves(&self) -> Saves {
        Saves::new(&[1], &[]).in_panels(0, Panels::Transposed, false)
    }

    fn scratch(&self, _ins: &[&Ty], _room: &Room<'_>) -> usize {
        0
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        cx.k.embedding(ins[0], ins[1], outs[0]);
    }

    fn vjp(&self, cx: &mut Cx<'_>, call: &Vjp<'_>) {
        if let Some(dtable) = call.dx[0] {
            let dtable = cx.adding(dtable);
            cx.k.embedding_vjp(call.dy(), call.input(1), dtable);
        }
    }

    fn cost(&self, ins: &[&Ty], extent: Extent) -> Cost {
        let n = (ins[1].shape.len(extent) * ins[0].shape.cols()) as f64;
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
    name: "embedding",
    cases,
    rejects,
};

fn cases() -> Vec<Case> {
    let case = |name: &str, v: usize, d: usize, ids: &[i64]| {
        let table = CaseInput::random(Ty::float(Shape::fixed(&[v, d])));
        let index = CaseInput::given(Ty::index(Shape::new([Dim::Tokens])), ids.iter().copied());
        Case::new(name, Embedding, ids.len(), vec![table, index])
    };
    vec![
        case("one row", 1, 1, &[0]),
        case("repeated ids", 5, 7, &[4, 0, 4, 4, 2, 0]),
        case("wide rows", 9, 129, &[8, 1, 0, 3, 3, 3, 7, 5, 2]),
    ]
}

fn rejects() -> Vec<Reject> {
    let ids = || Ty::index(Shape::new([Dim::Tokens]));
    let table = || Ty::float(Shape::fixed(&[9, 4]));
    vec![
        Reject::new("C1", Embedding, vec![Ty::float(Shape::fixed(&[9])), ids()]),
        Reject::new(
            "C2",
            Embedding,
            vec![table(), Ty::float(Shape::new([Dim::Tokens]))],
        ),
    ]
}
