//! The loss that spreads rows over experts.

use super::experts::{chosen, softmax};
use crate::check::{Case, CaseInput, Entry, Reject};
use crate::constraint;
use crate::meaning::{Build, Val};
use crate::op::{Cost, Cx, Grad, Op, Room, Rows, Saves, Vjp};
use crate::shape::{DType, Dim, Elem, Extent, Shape, ShapeError, Ty};
use crate::table::{Balance, Buf};

/// Load balancing (Fedus et al. 2021, equations 4 to 6) over all layers together, as Jiang et al.
/// (2024) compute it: with the `M = L·N` rows of all layers' logits, `f_e` the choices of expert
/// `e` by M and `P_e` the mean of `softmax` over M rows, `aux = E·Σ_e f_e·P_e`.
///
/// Inputs `targets [N]`, then `router_logits [N, E]` of each of L layers. Output `loss [N]`:
/// `coefficient·aux` in rows that count (target ≥ 0), 0 in others, so that the sum of rows by the
/// number that counts is `coefficient·aux`. All rows are routed and enter `f` and `P`.
///
/// C1 targets are one index a row. C2 the logits of `n_layers`, 1 to 256, are `n_experts` a row.
/// C3 `1 ≤ per_token ≤ n_experts`. C4 `coefficient` is finite and not negative.
///
/// Derivative of the sum of all rows, `f` being constant and C of them counting:
/// `g_e = C·coefficient·E·f_e / M`, `dlogits = p·(g − Σ p·g)`. Training computes both in the
/// derivative call.
///
/// Floor of a logit: forward 4 bytes, 1 exp; derivative with the loss 12 bytes, 1 exp.
#[derive(Clone, Copy, Debug)]
pub struct RouterBalance {
    /// `E`.
    pub n_experts: usize,
    /// Experts that a row goes to.
    pub per_token: usize,
    /// Factor of the loss.
    pub coefficient: f64,
    /// `L`.
    pub n_layers: usize,
}

/// Most layers.
const LAYERS: usize = 256;

/// Targets and the logits of all layers.
const ALL: [usize; LAYERS + 1] = {
    let mut all = [0; LAYERS + 1];
    let mut i = 0;
    while i <= LAYERS {
        all[i] = i;
        i += 1;
    }
    all
};

impl RouterBalance {
    /// Writes the losses and leaves sums that the derivative reads.
    fn losses(
        &self,
        cx: &mut Cx<'_>,
        targets: Buf,
        layers: impl ExactSizeIterator<Item = Buf>,
        loss: Buf,
    ) -> Buf {
        let sums = Buf::matrix(cx.scratch.offset, DType::F64, 2, self.n_experts);
        let balance = Balance {
            coefficient: self.coefficient,
            n_rows: layers.len() * loss.rows,
        };
        cx.k.fill(sums, 0.0);
        for logits in layers {
            cx.k.balance_add(logits, self.per_token, sums);
        }
        cx.k.balance_rows(&balance, targets, sums, loss);
        sums
    }
}

impl Op for RouterBalance {
    fn name(&self) -> &'static str {
        "router_balance"
    }

    fn outputs(&self, ins: &[&Ty]) -> Result<Vec<Ty>, ShapeError> {
        let (targets, layers) = (ins[0], &ins[1..]);
        let one = targets.shape == Shape::new([Dim::Tokens]) && targets.elem == Elem::Index;
        constraint!(one, "C1", "targets are {targets}");
        let n = layers.len();
        let fit = n == self.n_layers && (1..=LAYERS).contains(&n);
        constraint!(fit, "C2", "logits of {n} layers for {}", self.n_layers);
        let (e, k) = (self.n_experts, self.per_token);
        let logits = Ty::float(Shape::rows(e));
        let other = layers.iter().find(|ty| ***ty != logits);
        constraint!(other.is_none(), "C2", "logits {other:?} of {e} experts");
        constraint!((1..=e).contains(&k), "C3", "{k} of {e} experts");
        let sane = (0.0..f64::INFINITY).contains(&self.coefficient);
        constraint!(sane, "C4", "coefficient {}", self.coefficient);
        Ok(vec![Ty::sum(Shape::new([Dim::Tokens]))])
    }

    fn grads(&self) -> Vec<Grad> {
        let mut grads = vec![Grad::Flows; 1 + self.n_layers];
        grads[0] = Grad::None("targets are discrete");
        grads
    }

    fn rows(&self) -> Rows {
        Rows::Others
    }

    fn saves(&self) -> Saves {
        Saves::new(&ALL, &[]).with_outputs()
    }

    fn scratch(&self, _ins: &[&Ty], room: &Room<'_>) -> usize {
        2 * self.n_experts * DType::F64.bytes() / room.float.bytes()
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        self.losses(cx, ins[0], ins[1..].iter().copied(), outs[0]);
    }

    fn vjp(&self, cx: &mut Cx<'_>, call: &Vjp<'_>) {
        assert!(call.dy[0].is_none(), "the loss is where derivatives start");
        let n = call.ins.len();
        let layers = (1..n).map(|i| call.input(i));
        let sums = self.losses(cx, call.input(0), layers, call.output(0));
        for i in 1..n {
            if let Some(dlogits) = call.dx[i] {
                cx.k.balance_vjp(call.input(i), sums, dlogits);
            }
        }
    }

    fn cost(&self, ins: &[&Ty], extent: Extent) -> Cost {
        let logits = (ins[1..].len() * extent.tokens * self.n_experts) as f64;
        Cost {
            flops: (5 + self.per_token) as f64 * logits,
            elements: logits,
        }
    }

    fn meaning(&self, b: &mut Build, ins: &[Val]) -> Vec<Val> {
        let logits = b.concat(&ins[1..], 0);
        let n = b.shape(ins[0])[0];
        let p = softmax(b, logits);
        let chosen = chosen(b, logits, self.per_token);
        let (f, p) = (b.mean(chosen, 0), b.mean(p, 0));
        let product = b.mul(f, p);
        let aux = b.sum(product, 1);
        let loss = b.scale(aux, self.coefficient * self.n_experts as f64);
        let loss = b.reshape(loss, &[1]);
        let zero = b.scalar(0.0);
        let ignored = b.less(ins[0], zero);
        let loss = b.select(ignored, zero, loss);
        vec![b.reshape(loss, &[n])]
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "router_balance",
    cases,
    rejects,
};

fn cases() -> Vec<Case> {
    let case = |name: &str, n: usize, [n_experts, per_token, n_layers]: [usize; 3], logits| {
        let target = |r: usize| if r % 4 == 2 { -100 } else { r as i64 };
        let targets = Ty::index(Shape::new([Dim::Tokens]));
        let mut ins = vec![CaseInput::given(targets, (0..n).map(target))];
        let of_router = || Ty::float(Shape::rows(n_experts));
        ins.extend((0..n_layers).map(|_| match logits {
            None => CaseInput::random(of_router()),
            Some(f) => CaseInput::floats(of_router(), (0..n * n_experts).map(f).collect()),
        }));
        let op = RouterBalance {
            n_experts,
            per_token,
            coefficient: 0.02,
            n_layers,
        };
        Case::new(name, op, n, ins)
    };
    let unused = |i: usize| [5.0, (i / 4) as f64 / 8.0, -9.0, 0.25][i % 4];
    let tied = |i: usize| [0.5, 1.0, 0.5, 1.0, 1.0][i % 5];
    let none: Option<fn(usize) -> f64> = None;
    vec![
        case("one row", 1, [4, 2, 1], none),
        case("one expert", 3, [1, 1, 2], none),
        case("one of three", 9, [3, 1, 1], none),
        case("all of three", 5, [3, 3, 2], none),
        case("two of eight in five layers", 33, [8, 2, 5], none),
        case("an unused expert", 6, [4, 2, 2], Some(unused)),
        case("equal logits", 4, [5, 2, 1], Some(tied)),
    ]
}

fn rejects() -> Vec<Reject> {
    let op = |per_token, coefficient, n_layers| RouterBalance {
        n_experts: 3,
        per_token,
        coefficient,
        n_layers,
    };
    let targets = || Ty::index(Shape::new([Dim::Tokens]));
    let logits = |e| Ty::float(Shape::rows(e));
    let ins = |n: usize| {
        let mut all = vec![targets()];
        all.resize(n + 1, logits(3));
        all
    };
    vec![
        Reject::new("C1", op(2, 1.0, 1), vec![logits(1), logits(3)]),
        Reject::new("C2", op(2, 1.0, 0), ins(0)),
        Reject::new("C2", op(2, 1.0, 1), ins(2)),
        Reject::new("C2", op(2, 1.0, 257), ins(257)),
        Reject::new("C2", op(2, 1.0, 2), vec![targets(), logits(3), logits(4)]),
        Reject::new("C3", op(0, 1.0, 1), ins(1)),
        Reject::new("C3", op(4, 1.0, 1), ins(1)),
        Reject::new("C4", op(2, -1.0, 1), ins(1)),
        Reject::new("C4", op(2, f64::INFINITY, 1), ins(1)),
        Reject::new("C4", op(2, f64::NAN, 1), ins(1)),
    ]
}
