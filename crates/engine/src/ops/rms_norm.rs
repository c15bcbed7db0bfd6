//! RMS norm.

use crate::check::{Case, CaseInput, Entry, Reject};
use crate::constraint;
use crate::meaning::{Build, Val};
use crate::op::{Cost, Cx, Grad, Op, Room, Saves, Vjp};
use crate::shape::{Extent, Shape, ShapeError, Ty};
use crate::table::Buf;

/// `y = x / √(mean(x²) + eps) · gain` over a row (Zhang & Sennrich 2019).
///
/// Inputs `x [N, D]`, `gain [D]`. Outputs `y [N, D]`, and for the derivative `rstd [N]`.
///
/// C1 `gain` has one value a column. C2 `eps > 0`.
///
/// Derivative, with `n = x·rstd` and `h = dy·gain`: `dx = rstd·(h − n·mean(h·n))`,
/// `dgain += Σ_rows dy·n`.
///
/// Floor in f32: 8 bytes an element forward, 12 in the derivative.
#[derive(Clone, Copy, Debug)]
pub struct RmsNorm {
    /// Added to the mean square.
    pub eps: f64,
}

impl Op for RmsNorm {
    fn name(&self) -> &'static str {
        "rms_norm"
    }

    fn outputs(&self, ins: &[&Ty]) -> Result<Vec<Ty>, ShapeError> {
        let (x, gain) = (&ins[0].shape, &ins[1].shape);
        constraint!(
            *gain == Shape::fixed(&[x.cols()]),
            "C1",
            "gain {gain} for rows of {}",
            x.cols()
        );
        constraint!(self.eps > 0.0, "C2", "eps is {}", self.eps);
        Ok(vec![ins[0].clone(), Ty::float(Shape::new([x.lead()]))])
    }

    fn grads(&self) -> Vec<Grad> {
        vec![Grad::Flows, Grad::Flows]
    }

    fn saves(&self) -> Saves {
        Saves::new(&[0, 1], &[1]).cheap()
    }

    fn scratch(&self, _ins: &[&Ty], _room: &Room<'_>) -> usize {
        0
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        cx.k.rms_norm(ins[0], ins[1], self.eps, outs[0], outs[1]);
    }

    fn vjp(&self, cx: &mut Cx<'_>, call: &Vjp<'_>) {
        let (x, gain, rstd) = (call.input(0), call.input(1), call.output(1));
        let dgain = call.dx[1].map(|t| cx.adding(t));
        cx.k.rms_norm_vjp(call.dy(), x, gain, rstd, call.dx[0], dgain);
    }

    fn cost(&self, ins: &[&Ty], extent: Extent) -> Cost {
        let n = ins[0].shape.len(extent) as f64;
        Cost {
            flops: 4.0 * n,
            elements: 2.0 * n,
        }
    }

    fn meaning(&self, b: &mut Build, ins: &[Val]) -> Vec<Val> {
        let square = b.mul(ins[0], ins[0]);
        let mean = b.mean(square, 1);
        let mean = b.add_scalar(mean, self.eps);
        let root = b.sqrt(mean);
        let one = b.scalar(1.0);
        let rstd = b.div(one, root);
        let y = b.mul(ins[0], rstd);
        let y = b.mul(y, ins[1]);
        let n = b.shape(ins[0])[0];
        vec![y, b.reshape(rstd, &[n])]
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "rms_norm",
    cases,
    rejects,
};

fn cases() -> Vec<Case> {
    let gain = |d| CaseInput::random(Ty::float(Shape::fixed(&[d])));
    let mut cases: Vec<Case> = [(1, 3), (5, 7), (3, 64), (33, 129)]
        .into_iter()
        .map(|(n, d)| {
            let x = CaseInput::random(Ty::float(Shape::rows(d)));
            Case::new(
                format!("{n}x{d}"),
                RmsNorm { eps: 1e-6 },
                n,
                vec![x, gain(d)],
            )
        })
        .collect();
    let zero = CaseInput::floats(Ty::float(Shape::rows(8)), vec![0.0; 16]);
    cases.push(Case::new(
        "rows of zeros",
        RmsNorm { eps: 1e-6 },
        2,
        vec![zero, gain(8)],
    ));
    cases
}

fn rejects() -> Vec<Reject> {
    let x = || Ty::float(Shape::rows(8));
    let v = |d| Ty::float(Shape::fixed(&[d]));
    vec![
        Reject::new("C1", RmsNorm { eps: 1e-6 }, vec![x(), v(7)]),
        Reject::new("C2", RmsNorm { eps: 0.0 }, vec![x(), v(8)]),
    ]
}
