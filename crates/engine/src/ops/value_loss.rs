//! The loss of rows of numbers against given ones.

use crate::check::{Case, CaseInput, Entry, Reject};
use crate::constraint;
use crate::meaning::{Build, Val};
use crate::op::{Cost, Cx, Grad, Op, Room, Rows, Saves, Vjp};
use crate::shape::{Dim, Elem, Extent, Shape, ShapeError, Ty};
use crate::table::{Buf, ValueLoss};

/// Regression, or several yes-or-no questions at once: `y [R, C]` against given numbers `[R, C]`.
///
/// Inputs `y [R, C]`, `given [R, C]` and `targets [R]`, which is negative in rows that do not
/// count. Output `loss [R]`: the mean over C, 0 where not counted. Squared: `(y − t)²`; logistic:
/// `max(y, 0) − y·t + ln(1 + e^−|y|)`, the cross-entropy of `σ(y)` with the probability t.
///
/// C1 the given numbers have the shape of `y`. C2 targets are one index a row.
///
/// Derivative of the sum of all rows: `dy = 2·(y − t)/C`, or `(σ(y) − t)/C`. Training computes both
/// in the derivative call.
///
/// Floor of a number, logistic: forward 8 bytes, 1 exp, 1 logarithm; derivative 12 bytes, 1 exp.
/// Squared: the same bytes alone. All in f64.
#[derive(Clone, Copy, Debug)]
pub struct RowValueLoss {
    /// How two numbers are compared.
    pub kind: ValueLoss,
}

impl Op for RowValueLoss {
    fn name(&self) -> &'static str {
        "value_loss"
    }

    fn outputs(&self, ins: &[&Ty]) -> Result<Vec<Ty>, ShapeError> {
        let (y, given, targets) = (ins[0], ins[1], ins[2]);
        let same = y == given && y.elem == Elem::Float && y.shape.dims().len() == 2;
        constraint!(same, "C1", "{given} is given for {y}");
        let row = Shape::new([y.shape.lead()]);
        let one = targets.shape == row && targets.elem == Elem::Index;
        constraint!(one, "C2", "targets are {targets} for {y}");
        Ok(vec![Ty::sum(row)])
    }

    fn grads(&self) -> Vec<Grad> {
        let given = Grad::None("what is to be told is given");
        vec![Grad::Flows, given, Grad::None("targets are discrete")]
    }

    fn rows(&self) -> Rows {
        Rows::Others
    }

    fn saves(&self) -> Saves {
        Saves::new(&[0, 1, 2], &[]).with_outputs()
    }

    fn scratch(&self, _ins: &[&Ty], _room: &Room<'_>) -> usize {
        0
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        cx.k.value_rows(self.kind, ins[0], ins[1], ins[2], outs[0]);
    }

    fn vjp(&self, cx: &mut Cx<'_>, call: &Vjp<'_>) {
        assert!(call.dy[0].is_none(), "the loss is where derivatives start");
        let [y, given, targets] = [0, 1, 2].map(|i| call.input(i));
        let loss = call.output(0);
        cx.k.value_rows(self.kind, y, given, targets, loss);
        if let Some(dy) = call.dx[0] {
            cx.k.value_rows_vjp(self.kind, y, given, targets, dy);
        }
    }

    fn cost(&self, ins: &[&Ty], extent: Extent) -> Cost {
        let elements = ins[0].shape.len(extent) as f64;
        Cost {
            flops: 6.0 * elements,
            elements: 2.0 * elements,
        }
    }

    fn meaning(&self, b: &mut Build, ins: &[Val]) -> Vec<Val> {
        let (y, given) = (ins[0], ins[1]);
        let n = b.shape(y)[0];
        let zero = b.scalar(0.0);
        let each = match self.kind {
            ValueLoss::Squared => {
                let gap = b.sub(y, given);
                b.mul(gap, gap)
            }
            ValueLoss::Logistic => {
                let below = b.less(y, zero);
                let minus = b.neg(y);
                let positive = b.select(below, zero, y);
                let small = b.select(below, y, minus);
                let small = b.exp(small);
                let small = b.add_scalar(small, 1.0);
                let small = b.log(small);
                let product = b.mul(y, given);
                let rest = b.sub(positive, product);
                b.add(rest, small)
            }
        };
        let loss = b.mean(each, 1);
        let targets = b.reshape(ins[2], &[n, 1]);
        let ignored = b.less(targets, zero);
        let loss = b.select(ignored, zero, loss);
        vec![b.reshape(loss, &[n])]
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "value_loss",
    cases,
    rejects,
};

fn cases() -> Vec<Case> {
    let case = |name: &str, kind, [n, c]: [usize; 2], lead, given: fn(usize) -> f64| {
        let ty = || Ty::float(Shape::new([lead, Dim::Fixed(c)]));
        let target = |r: usize| if r % 4 == 2 { -100 } else { 0 };
        let ins = vec![
            CaseInput::random(ty()),
            CaseInput::floats(ty(), (0..n * c).map(given).collect()),
            CaseInput::given(Ty::index(Shape::new([lead])), (0..n).map(target)),
        ];
        Case::new(name, RowValueLoss { kind }, n, ins).seqs(n)
    };
    let (squared, logistic) = (ValueLoss::Squared, ValueLoss::Logistic);
    let number: fn(usize) -> f64 = |i| (i % 7) as f64 - 2.5;
    let answer: fn(usize) -> f64 = |i| [0.0, 1.0, 1.0, 0.0, 0.25][i % 5];
    vec![
        case("one number", squared, [1, 1], Dim::Seqs, number),
        case("a number a sequence", squared, [9, 1], Dim::Seqs, number),
        case("three numbers", squared, [7, 3], Dim::Seqs, number),
        case("numbers of tokens", squared, [33, 2], Dim::Tokens, number),
        case("one answer", logistic, [1, 1], Dim::Seqs, answer),
        case("five answers", logistic, [9, 5], Dim::Seqs, answer),
        case("answers of tokens", logistic, [33, 3], Dim::Tokens, answer),
    ]
}

fn rejects() -> Vec<Reject> {
    let op = RowValueLoss {
        kind: ValueLoss::Squared,
    };
    let y = |c| Ty::float(Shape::new([Dim::Seqs, Dim::Fixed(c)]));
    let targets = |lead| Ty::index(Shape::new([lead]));
    vec![
        Reject::new("C1", op, vec![y(2), y(3), targets(Dim::Seqs)]),
        Reject::new(
            "C1",
            op,
            vec![y(2), Ty::float(Shape::rows(2)), targets(Dim::Seqs)],
        ),
        Reject::new("C2", op, vec![y(2), y(2), targets(Dim::Tokens)]),
        Reject::new(
            "C2",
            op,
            vec![y(2), y(2), Ty::float(Shape::new([Dim::Seqs]))],
        ),
    ]
}
