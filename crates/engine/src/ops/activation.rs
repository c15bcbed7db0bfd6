//! Elementwise activations.

use crate::check::{Case, CaseInput, Entry, Reject};
use crate::constraint;
use crate::meaning::{Build, Val};
use crate::op::{Cost, Cx, Grad, Op, Room, Rows, Saves, Vjp};
use crate::shape::{Elem, Extent, Shape, ShapeError, Ty};
use crate::table::{Activation, Buf};

/// `y = act(x)`: GELU through the error function or through tanh (Hendrycks & Gimpel 2016), ReLU,
/// SiLU, logistic function, tanh.
///
/// C1 the input is float.
///
/// Derivative: `dx = dy·act'(x)` of the very function that ran forward; ReLU has slope 0 at 0.
///
/// Floor of an element: forward 8 bytes, 1 exp; derivative 12 bytes, 1 exp; no exp in ReLU.
#[derive(Clone, Copy, Debug)]
pub struct Activate {
    /// Which function.
    pub function: Activation,
}

impl Op for Activate {
    fn name(&self) -> &'static str {
        match self.function {
            Activation::GeluErf => "gelu_erf",
            Activation::GeluTanh => "gelu_tanh",
            Activation::Relu => "relu",
            Activation::Silu => "silu",
            Activation::Sigmoid => "sigmoid",
            Activation::Tanh => "tanh",
        }
    }

    fn outputs(&self, ins: &[&Ty]) -> Result<Vec<Ty>, ShapeError> {
        constraint!(ins[0].elem == Elem::Float, "C1", "the input is {}", ins[0]);
        Ok(vec![ins[0].clone()])
    }

    fn grads(&self) -> Vec<Grad> {
        vec![Grad::Flows]
    }

    fn rows(&self) -> Rows {
        Rows::Same
    }

    fn saves(&self) -> Saves {
        Saves::new(&[0], &[]).cheap()
    }

    fn scratch(&self, _ins: &[&Ty], _room: &Room<'_>) -> usize {
        0
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        cx.k.activation(self.function, ins[0], outs[0]);
    }

    fn vjp(&self, cx: &mut Cx<'_>, call: &Vjp<'_>) {
        if let Some(dx) = call.dx[0] {
            cx.k.activation_vjp(self.function, call.dy(), call.input(0), dx);
        }
    }

    fn cost(&self, ins: &[&Ty], extent: Extent) -> Cost {
        let n = ins[0].shape.len(extent) as f64;
        Cost {
            flops: 8.0 * n,
            elements: 2.0 * n,
        }
    }

    fn meaning(&self, b: &mut Build, ins: &[Val]) -> Vec<Val> {
        let x = ins[0];
        let y = match self.function {
            Activation::GeluErf => {
                let z = b.scale(x, std::f64::consts::FRAC_1_SQRT_2);
                let e = b.erf(z);
                let e = b.add_scalar(e, 1.0);
                let e = b.scale(e, 0.5);
                b.mul(x, e)
            }
            Activation::GeluTanh => {
                let square = b.mul(x, x);
                let cube = b.mul(square, x);
                let cube = b.scale(cube, 0.044715);
                let z = b.add(x, cube);
                let z = b.scale(z, (2.0 / std::f64::consts::PI).sqrt());
                let t = b.tanh(z);
                let t = b.add_scalar(t, 1.0);
                let t = b.scale(t, 0.5);
                b.mul(x, t)
            }
            Activation::Relu => {
                let zero = b.scalar(0.0);
                b.maximum(x, zero)
            }
            Activation::Silu => {
                let s = b.sigmoid(x);
                b.mul(x, s)
            }
            Activation::Sigmoid => b.sigmoid(x),
            Activation::Tanh => b.tanh(x),
        };
        vec![y]
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "activation",
    cases,
    rejects,
};

fn cases() -> Vec<Case> {
    use Activation::{GeluErf, GeluTanh, Relu, Sigmoid, Silu, Tanh};
    let all = [GeluErf, GeluTanh, Relu, Silu, Sigmoid, Tanh];
    let mut cases = Vec::new();
    for function in all {
        for (n, d) in [(1, 1), (5, 7), (9, 33), (4, 256)] {
            let x = CaseInput::random(Ty::float(Shape::rows(d)));
            cases.push(Case::new(
                format!("{function:?} {n}x{d}"),
                Activate { function },
                n,
                vec![x],
            ));
        }
        let far = vec![-60.0, -12.0, -5.5, -1e-8, 1e-8, 5.5, 12.0, 60.0];
        let x = CaseInput::floats(Ty::float(Shape::rows(8)), far);
        cases.push(Case::new(
            format!("{function:?} far out"),
            Activate { function },
            1,
            vec![x],
        ));
    }
    cases
}

fn rejects() -> Vec<Reject> {
    let op = Activate {
        function: Activation::Relu,
    };
    vec![Reject::new("C1", op, vec![Ty::index(Shape::rows(4))])]
}
