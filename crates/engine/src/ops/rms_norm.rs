//! RMS norm.

use crate::check::{Case, CaseInput, Entry, Reject};
use crate::constraint;
use crate::meaning::{Build, Val};
use crate::op::{Cost, Cx, Grad, Op, Room, Rows, Saves, Vjp};
use crate::shape::{Dim, Extent, Shape, ShapeError, Ty};
use crate::table::{Buf, Target};

/// `y = x / √(mean(x²) + eps) · gain` over a row (Zhang & Sennrich 2019), or over each head of it.
///
/// Inputs `x [N, D]`, or `[N, H·D]`, and `gain [D]`. Outputs `y` as `x`, and for the derivative
/// `rstd [N, H]`.
///
/// C1 `gain` has one value a column, or a column of a head. C2 `eps > 0`.
///
/// Derivative, with `n = x·rstd` and `h = dy·gain`: `dx = rstd·(h − n·mean(h·n))`,
/// `dgain += Σ_rows dy·n`.
///
/// Floor of an element: forward 8 bytes; derivative 12 bytes.
#[derive(Clone, Copy, Debug)]
pub struct RmsNorm {
    /// Added to the mean square.
    pub eps: f64,
}

/// The heads of all rows, one below the other.
fn heads(x: Buf, width: usize) -> Buf {
    x.reshaped(x.len() / width, width)
}

impl Op for RmsNorm {
    fn name(&self) -> &'static str {
        "rms_norm"
    }

    fn outputs(&self, ins: &[&Ty]) -> Result<Vec<Ty>, ShapeError> {
        let (x, gain) = (&ins[0].shape, &ins[1].shape);
        let width = gain.len(Extent::new(0, 0));
        constraint!(
            *gain == Shape::fixed(&[width]) && width > 0 && x.cols().is_multiple_of(width),
            "C1",
            "gain {gain} for rows of {}",
            x.cols()
        );
        constraint!(self.eps > 0.0, "C2", "eps is {}", self.eps);
        let rstd = Shape::new([x.lead(), Dim::Fixed(x.cols() / width)]);
        Ok(vec![ins[0].clone(), Ty::float(rstd)])
    }

    fn grads(&self) -> Vec<Grad> {
        vec![Grad::Flows, Grad::Flows]
    }

    fn rows(&self) -> Rows {
        Rows::Same
    }

    fn saves(&self) -> Saves {
        Saves::new(&[0, 1], &[1]).cheap()
    }

    fn scratch(&self, _ins: &[&Ty], _room: &Room<'_>) -> usize {
        0
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        let width = ins[1].len();
        let [x, y] = [ins[0], outs[0]].map(|b| heads(b, width));
        cx.k.rms_norm(x, ins[1], self.eps, y, heads(outs[1], 1));
    }

    fn vjp(&self, cx: &mut Cx<'_>, call: &Vjp<'_>) {
        let (x, gain, rstd) = (call.input(0), call.input(1), call.output(1));
        let dgain = call.dx[1].map(|t| cx.adding(t));
        let width = gain.len();
        let [dy, x] = [call.dy(), x].map(|b| heads(b, width));
        let dx = call.dx[0].map(|t| Target {
            buf: heads(t.buf, width),
            ..t
        });
        cx.k.rms_norm_vjp(dy, x, gain, heads(rstd, 1), dx, dgain);
    }

    fn cost(&self, ins: &[&Ty], extent: Extent) -> Cost {
        let n = ins[0].shape.len(extent) as f64;
        Cost {
            flops: 4.0 * n,
            elements: 2.0 * n,
        }
    }

    fn meaning(&self, b: &mut Build, ins: &[Val]) -> Vec<Val> {
        let (n, d) = (b.shape(ins[0])[0], b.shape(ins[0])[1]);
        let width = b.shape(ins[1])[0];
        let x = b.reshape(ins[0], &[n, d / width, width]);
        let square = b.mul(x, x);
        let mean = b.mean(square, 2);
        let mean = b.add_scalar(mean, self.eps);
        let root = b.sqrt(mean);
        let one = b.scalar(1.0);
        let rstd = b.div(one, root);
        let y = b.mul(x, rstd);
        let y = b.mul(y, ins[1]);
        vec![b.reshape(y, &[n, d]), b.reshape(rstd, &[n, d / width])]
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
    for (n, heads, width) in [(1, 2, 3), (5, 3, 16), (2, 4, 34)] {
        let x = CaseInput::random(Ty::float(Shape::rows(heads * width)));
        let name = format!("{n}x{heads} heads of {width}");
        let op = RmsNorm { eps: 1e-6 };
        cases.push(Case::new(name, op, n, vec![x, gain(width)]));
    }
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
