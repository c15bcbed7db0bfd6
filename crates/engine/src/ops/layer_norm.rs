//! Layer norm.

use crate::check::{Case, CaseInput, Entry, Reject};
use crate::constraint;
use crate::meaning::{Build, Val};
use crate::op::{Cost, Cx, Grad, Op, Room, Rows, Saves, Vjp};
use crate::shape::{Extent, Shape, ShapeError, Ty};
use crate::table::Buf;

/// `y = (x − mean) / √(var + eps) · gain + bias`, mean and population variance over a row
/// (Ba, Kiros & Hinton 2016).
///
/// Inputs `x [N, D]`, `gain [D]`, and `bias [D]` when `bias`. Outputs `y [N, D]`, and for the
/// derivative `mean [N]`, `rstd [N]`.
///
/// C1 `gain` has one value a column. C2 `bias` too. C3 `eps > 0`.
///
/// Derivative, with `x̂ = (x − mean)·rstd` and `h = dy·gain`:
/// `dx = rstd·(h − mean(h) − x̂·mean(h·x̂))`, `dgain += Σ_rows dy·x̂`, `dbias += Σ_rows dy`.
///
/// Floor of an element: forward 8 bytes; derivative 12 bytes.
#[derive(Clone, Copy, Debug)]
pub struct LayerNorm {
    /// Added to the variance.
    pub eps: f64,
    /// Whether there is a bias.
    pub bias: bool,
}

impl Op for LayerNorm {
    fn name(&self) -> &'static str {
        "layer_norm"
    }

    fn outputs(&self, ins: &[&Ty]) -> Result<Vec<Ty>, ShapeError> {
        let (x, gain) = (&ins[0].shape, &ins[1].shape);
        let vector = Shape::fixed(&[x.cols()]);
        constraint!(
            *gain == vector,
            "C1",
            "gain {gain} for rows of {}",
            x.cols()
        );
        if self.bias {
            let bias = &ins[2].shape;
            constraint!(
                *bias == vector,
                "C2",
                "bias {bias} for rows of {}",
                x.cols()
            );
        }
        constraint!(self.eps > 0.0, "C3", "eps is {}", self.eps);
        let stat = Ty::float(Shape::new([x.lead()]));
        Ok(vec![ins[0].clone(), stat.clone(), stat])
    }

    fn grads(&self) -> Vec<Grad> {
        vec![Grad::Flows; if self.bias { 3 } else { 2 }]
    }

    fn rows(&self) -> Rows {
        Rows::Same
    }

    fn saves(&self) -> Saves {
        Saves::new(&[0, 1], &[1, 2]).cheap()
    }

    fn scratch(&self, _ins: &[&Ty], _room: &Room<'_>) -> usize {
        0
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        let bias = self.bias.then(|| ins[2]);
        cx.k.layer_norm(ins[0], ins[1], bias, self.eps, outs[0], outs[1], outs[2]);
    }

    fn vjp(&self, cx: &mut Cx<'_>, call: &Vjp<'_>) {
        let (x, gain) = (call.input(0), call.input(1));
        let (mean, rstd) = (call.output(1), call.output(2));
        let dgain = call.dx[1].map(|t| cx.adding(t));
        let dbias = call.dx.get(2).copied().flatten().map(|t| cx.adding(t));
        cx.k.layer_norm_vjp(call.dy(), x, gain, mean, rstd, call.dx[0], dgain, dbias);
    }

    fn cost(&self, ins: &[&Ty], extent: Extent) -> Cost {
        let n = ins[0].shape.len(extent) as f64;
        Cost {
            flops: 8.0 * n,
            elements: 2.0 * n,
        }
    }

    fn meaning(&self, b: &mut Build, ins: &[Val]) -> Vec<Val> {
        let mean = b.mean(ins[0], 1);
        let centred = b.sub(ins[0], mean);
        let square = b.mul(centred, centred);
        let var = b.mean(square, 1);
        let var = b.add_scalar(var, self.eps);
        let std = b.sqrt(var);
        let one = b.scalar(1.0);
        let rstd = b.div(one, std);
        let y = b.mul(centred, rstd);
        let y = b.mul(y, ins[1]);
        let y = if self.bias { b.add(y, ins[2]) } else { y };
        let n = b.shape(ins[0])[0];
        vec![y, b.reshape(mean, &[n]), b.reshape(rstd, &[n])]
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "layer_norm",
    cases,
    rejects,
};

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (n, d) in [(1, 3), (5, 7), (3, 64), (33, 129)] {
        for bias in [false, true] {
            let mut ins = vec![
                CaseInput::random(Ty::float(Shape::rows(d))),
                CaseInput::random(Ty::float(Shape::fixed(&[d]))),
            ];
            if bias {
                ins.push(CaseInput::random(Ty::float(Shape::fixed(&[d]))));
            }
            let op = LayerNorm { eps: 1e-5, bias };
            cases.push(Case::new(format!("{n}x{d} bias {bias}"), op, n, ins));
        }
    }
    let zero = CaseInput::floats(Ty::float(Shape::rows(8)), vec![0.0; 16]);
    let gain = CaseInput::random(Ty::float(Shape::fixed(&[8])));
    cases.push(Case::new(
        "rows of zeros",
        LayerNorm {
            eps: 1e-5,
            bias: false,
        },
        2,
        vec![zero, gain],
    ));
    cases
}

fn rejects() -> Vec<Reject> {
    let x = || Ty::float(Shape::rows(8));
    let v = |d| Ty::float(Shape::fixed(&[d]));
    let op = |eps, bias| LayerNorm { eps, bias };
    vec![
        Reject::new("C1", op(1e-5, false), vec![x(), v(7)]),
        Reject::new("C2", op(1e-5, true), vec![x(), v(8), v(9)]),
        Reject::new("C3", op(0.0, false), vec![x(), v(8)]),
    ]
}
