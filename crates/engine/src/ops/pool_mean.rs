//! The mean of each sequence's rows.

use crate::check::{Case, CaseInput, Entry, Reject};
use crate::constraint;
use crate::meaning::{Build, Val};
use crate::op::{Cost, Cx, Grad, Op, Room, Rows, Saves, Vjp};
use crate::shape::{Dim, Elem, Extent, Shape, ShapeError, Ty};
use crate::table::Buf;

/// `y[s]` is the mean of the rows of `x` that belong to sequence `s`, without the first and without
/// the last one where those are marks of beginning and end; 0 where no row is left.
///
/// Inputs `x [N, D]`, `bounds [S+1]`. Output `y [S, D]`, summed in f64 in the order of the rows.
///
/// C1 bounds are `[S+1]` indices. C2 `x` has a row of floats a token.
///
/// Derivative: `dx[r] = dy[s]/n` in the `n` rows that count for sequence `s`, 0 in others.
///
/// Floor of an element of `x`: forward and derivative 4 bytes.
#[derive(Clone, Copy, Debug)]
pub struct PoolMean {
    /// Leaves out the first row of each sequence.
    pub skip_first: bool,
    /// Leaves out the last row of each sequence.
    pub skip_last: bool,
}

impl Op for PoolMean {
    fn name(&self) -> &'static str {
        "pool_mean"
    }

    fn outputs(&self, ins: &[&Ty]) -> Result<Vec<Ty>, ShapeError> {
        let (x, bounds) = (ins[0], ins[1]);
        let is_bounds = bounds.shape == Shape::new([Dim::Bounds]) && bounds.elem == Elem::Index;
        constraint!(is_bounds, "C1", "bounds are {bounds}");
        let rows = x.shape.lead() == Dim::Tokens && x.elem == Elem::Float;
        constraint!(rows, "C2", "the input is {x}");
        let width = Dim::Fixed(x.shape.cols());
        Ok(vec![Ty::float(Shape::new([Dim::Seqs, width]))])
    }

    fn grads(&self) -> Vec<Grad> {
        vec![Grad::Flows, Grad::None("bounds are discrete")]
    }

    fn rows(&self) -> Rows {
        Rows::Others
    }

    fn saves(&self) -> Saves {
        Saves::new(&[1], &[])
    }

    fn scratch(&self, _ins: &[&Ty], _room: &Room<'_>) -> usize {
        0
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        cx.k.pool_mean(self.skip_first, self.skip_last, ins[0], ins[1], outs[0]);
    }

    fn vjp(&self, cx: &mut Cx<'_>, call: &Vjp<'_>) {
        if let Some(dx) = call.dx[0] {
            let bounds = call.input(1);
            cx.k.pool_mean_vjp(self.skip_first, self.skip_last, call.dy(), bounds, dx);
        }
    }

    fn cost(&self, ins: &[&Ty], extent: Extent) -> Cost {
        let n = ins[0].shape.len(extent) as f64;
        Cost {
            flops: n,
            elements: n,
        }
    }

    fn meaning(&self, b: &mut Build, ins: &[Val]) -> Vec<Val> {
        let n = b.shape(ins[0])[0];
        let skip = [self.skip_first, self.skip_last].map(usize::from);
        let inside = b.rows_of_sequences(ins[1], n, skip);
        let total = b.matmul(inside, ins[0]);
        let count = b.sum(inside, 1);
        let one = b.scalar(1.0);
        let count = b.maximum(count, one);
        vec![b.div(total, count)]
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "pool_mean",
    cases,
    rejects,
};

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (skip_first, skip_last) in [(false, false), (true, false), (false, true), (true, true)] {
        let op = PoolMean {
            skip_first,
            skip_last,
        };
        let sizes: [(usize, &[i64]); 4] = [
            (1, &[0, 1]),
            (7, &[0, 1, 3, 6, 12]),
            (5, &[0, 0, 4, 4]),
            (130, &[0, 3, 90]),
        ];
        for (d, bounds) in sizes {
            let bounds_ty = Ty::index(Shape::new([Dim::Bounds]));
            let ins = vec![
                CaseInput::random(Ty::float(Shape::rows(d))),
                CaseInput::given(bounds_ty, bounds.iter().copied()),
            ];
            let n = bounds[bounds.len() - 1] as usize;
            let name = format!("{n}x{d} {bounds:?} {op:?}");
            cases.push(Case::new(name, op, n, ins).seqs(bounds.len() - 1));
        }
    }
    cases
}

fn rejects() -> Vec<Reject> {
    let op = PoolMean {
        skip_first: false,
        skip_last: false,
    };
    let bounds = || Ty::index(Shape::new([Dim::Bounds]));
    let seqs = Ty::index(Shape::new([Dim::Seqs]));
    let pooled = Ty::float(Shape::new([Dim::Seqs, Dim::Fixed(4)]));
    vec![
        Reject::new("C1", op, vec![Ty::float(Shape::rows(4)), seqs]),
        Reject::new("C2", op, vec![pooled, bounds()]),
    ]
}
