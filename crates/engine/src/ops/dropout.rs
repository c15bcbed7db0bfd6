//! Dropout with a counter-based mask.

use crate::check::{Case, CaseInput, Entry, Reject};
use crate::constraint;
use crate::meaning::{Build, Val};
use crate::op::{Cost, Cx, Grad, Op, Room, Rows, Saves, Vjp};
use crate::shape::{Extent, Shape, ShapeError, Ty};
use crate::table::Buf;

/// `y = x·mask / (1 − p)` (Srivastava et al. 2014). The mask is a function of the run's key, this
/// operator's site and the element's index, so the derivative and a repeated forward see the same
/// one and nothing is stored.
///
/// C1 `0 ≤ p < 1`.
///
/// Derivative: `dx = dy·mask / (1 − p)`.
///
/// Floor of an element: forward and derivative 8 bytes, 1 random word (5 products of Philox).
#[derive(Clone, Copy, Debug)]
pub struct Dropout {
    /// Probability of dropping an element.
    pub p: f64,
    /// Tells this dropout's mask from those of others in the same run.
    pub site: u32,
}

impl Op for Dropout {
    fn name(&self) -> &'static str {
        "dropout"
    }

    fn outputs(&self, ins: &[&Ty]) -> Result<Vec<Ty>, ShapeError> {
        constraint!((0.0..1.0).contains(&self.p), "C1", "p is {}", self.p);
        Ok(vec![ins[0].clone()])
    }

    fn grads(&self) -> Vec<Grad> {
        vec![Grad::Flows]
    }

    fn rows(&self) -> Rows {
        Rows::Same
    }

    fn saves(&self) -> Saves {
        Saves::new(&[], &[]).cheap().replacing()
    }

    fn scratch(&self, _ins: &[&Ty], _room: &Room<'_>) -> usize {
        0
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        cx.k.dropout(self.p, cx.key, self.site, ins[0], outs[0]);
    }

    fn vjp(&self, cx: &mut Cx<'_>, call: &Vjp<'_>) {
        if let Some(dx) = call.dx[0] {
            cx.k.dropout(self.p, cx.key, self.site, call.dy(), dx.buf);
        }
    }

    fn cost(&self, ins: &[&Ty], extent: Extent) -> Cost {
        let n = ins[0].shape.len(extent) as f64;
        Cost {
            flops: 2.0 * n,
            elements: 2.0 * n,
        }
    }

    fn meaning(&self, b: &mut Build, ins: &[Val]) -> Vec<Val> {
        let shape = b.shape(ins[0]).to_vec();
        let keep = b.keep(self.site, self.p, &shape);
        let y = b.mul(ins[0], keep);
        vec![b.scale(y, 1.0 / (1.0 - self.p))]
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "dropout",
    cases,
    rejects,
};

fn cases() -> Vec<Case> {
    let x = |d| CaseInput::random(Ty::float(Shape::rows(d)));
    let case =
        |p, site, n, d| Case::new(format!("p {p} {n}x{d}"), Dropout { p, site }, n, vec![x(d)]);
    vec![
        case(0.0, 1, 3, 5),
        case(0.1, 1, 1, 1),
        case(0.5, 2, 5, 7),
        case(0.9, 3, 33, 65),
    ]
}

fn rejects() -> Vec<Reject> {
    let x = || vec![Ty::float(Shape::rows(4))];
    let op = |p| Dropout { p, site: 0 };
    vec![
        Reject::new("C1", op(1.0), x()),
        Reject::new("C1", op(-0.1), x()),
    ]
}
