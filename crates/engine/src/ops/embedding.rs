//! Embedding: rows of a table, chosen by index. Tokens and learned positions alike.

use crate::check::{Case, CaseInput, Entry, Reject};
use crate::constraint;
use crate::meaning::{Build, Val};
use crate::op::{Cost, Cx, Grad, Op, Room, Rows, Saves, Vjp};
use crate::shape::{Dim, Elem, Extent, Shape, ShapeError, Ty};
use crate::table::{Buf, Panels};

/// `y[r] = table[first + ids[r]]`.
///
/// Inputs `table [V, D]`, `ids [N]`. Output `y [N, D]`. The caller has checked `0 ≤ ids < V −
/// first`.
///
/// C1 `table` has two dimensions. C2 `ids` are indices, one a row. C3 `first` is a row of a table
/// of fixed size.
///
/// Derivative: `dtable[first + ids[r]] += dy[r]`, in row order.
///
/// Floor of an element of `y`: forward 8 bytes; derivative 12 bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Embedding {
    /// The row of the table that index 0 chooses.
    pub first: usize,
}

impl Embedding {
    fn chosen(&self, table: Buf) -> Buf {
        match self.first {
            0 => table,
            first => table.rows(first..table.rows),
        }
    }
}

impl Op for Embedding {
    fn name(&self) -> &'static str {
        "embedding"
    }

    fn outputs(&self, ins: &[&Ty]) -> Result<Vec<Ty>, ShapeError> {
        let (table, ids) = (&ins[0].shape, ins[1]);
        constraint!(table.dims().len() == 2, "C1", "table {table} is no matrix");
        let one = ids.shape.dims().len() == 1;
        constraint!(one && ids.elem == Elem::Index, "C2", "ids are {ids}");
        let first = self.first;
        let is_row = first == 0 || matches!(table.lead(), Dim::Fixed(rows) if first < rows);
        constraint!(is_row, "C3", "row {first} of table {table}");
        Ok(vec![Ty::float(Shape::new([
            ids.shape.lead(),
            Dim::Fixed(table.cols()),
        ]))])
    }

    fn grads(&self) -> Vec<Grad> {
        vec![Grad::Flows, Grad::None("ids are discrete")]
    }

    fn rows(&self) -> Rows {
        Rows::Others
    }

    fn saves(&self) -> Saves {
        let saves = Saves::new(&[1], &[]);
        match self.first {
            0 => saves.in_panels(0, Panels::Transposed, false),
            // Panels have no rows to begin at.
            _ => saves,
        }
    }

    fn scratch(&self, _ins: &[&Ty], _room: &Room<'_>) -> usize {
        0
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        cx.k.embedding(self.chosen(ins[0]), ins[1], outs[0]);
    }

    fn vjp(&self, cx: &mut Cx<'_>, call: &Vjp<'_>) {
        if let Some(dtable) = call.dx[0] {
            let dtable = self.chosen(cx.adding(dtable));
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
        let rows = b.shape(ins[0])[0];
        let table = match self.first {
            0 => ins[0],
            first => b.slice(ins[0], 0, first, rows - first),
        };
        vec![b.gather(table, ins[1])]
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "embedding",
    cases,
    rejects,
};

fn cases() -> Vec<Case> {
    let from = |first: usize, name: &str, [v, d]: [usize; 2], ids: &[i64]| {
        let table = CaseInput::random(Ty::float(Shape::fixed(&[v, d])));
        let index = CaseInput::given(Ty::index(Shape::new([Dim::Tokens])), ids.iter().copied());
        Case::new(name, Embedding { first }, ids.len(), vec![table, index])
    };
    let case = |name: &str, v: usize, d: usize, ids: &[i64]| from(0, name, [v, d], ids);
    vec![
        case("one row", 1, 1, &[0]),
        case("repeated ids", 5, 7, &[4, 0, 4, 4, 2, 0]),
        case("wide rows", 9, 129, &[8, 1, 0, 3, 3, 3, 7, 5, 2]),
        from(2, "from a later row", [5, 7], &[2, 0, 1, 0]),
        from(4, "from the last row", [5, 3], &[0, 0]),
    ]
}

fn rejects() -> Vec<Reject> {
    let ids = || Ty::index(Shape::new([Dim::Tokens]));
    let table = || Ty::float(Shape::fixed(&[9, 4]));
    let op = |first| Embedding { first };
    vec![
        Reject::new("C1", op(0), vec![Ty::float(Shape::fixed(&[9])), ids()]),
        Reject::new(
            "C2",
            op(0),
            vec![table(), Ty::float(Shape::new([Dim::Tokens]))],
        ),
        Reject::new("C3", op(9), vec![table(), ids()]),
    ]
}
