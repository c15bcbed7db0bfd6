//! The head of a language model and its loss in one operator.

use super::WeightLayout;
use crate::check::{Case, CaseInput, Entry, Reject};
use crate::constraint;
use crate::meaning::{Build, Val};
use crate::op::{Cost, Cx, Grad, Op, Room, Saves, Vjp};
use crate::shape::{DType, Dim, Elem, Extent, Shape, ShapeError, Ty};
use crate::table::{Buf, Operand, Target, XentSpec};

/// Cross-entropy of `logits = x·Wᵀ` (or `x·W`) against `targets`, computed for a chunk of rows at a
/// time: a `[N, V]` matrix never exists.
///
/// Inputs `x [N, D]`, `w [V, D]` or `[D, V]`, `targets [N]` in `[0, V)` or −100 for rows that do
/// not count. Outputs `loss [N]` in nats (0 where not counted) and, when `rank`, `rank [N]`: how
/// many logits are larger than the target's, −1 where not counted.
///
/// With `lse = log Σ exp(logits)`, smoothing `ε` and z-loss weight `ζ`, a row's loss is
/// `(1 − ε)·(lse − logit_target) + ε·(lse − mean(logits)) + ζ·lse²`.
///
/// C1 the weight's inputs are the columns of `x`. C2 targets are one index a row. C3 `0 ≤ ε < 1`,
/// `ζ ≥ 0`.
///
/// Derivative of the sum of all rows, with `p = softmax(logits)` and `q = (1 − ε)·onehot + ε/V`:
/// `dlogits = (1 + 2ζ·lse)·p − q`, `dx = dlogits·W`, `dW += dlogitsᵀ·x`. Loss and derivative come
/// from one pass over the logits, so training computes both in the derivative call.
#[derive(Clone, Copy, Debug)]
pub struct LinearXent {
    /// Layout of the weight.
    pub layout: WeightLayout,
    /// Smoothing and z-loss.
    pub spec: XentSpec,
    /// Whether ranks are wanted; training does without.
    pub rank: bool,
}

/// Room for the logits of a chunk: large enough that the products run at full speed.
const CHUNK_BYTES: usize = 112 << 20;

impl LinearXent {
    fn vocabulary(&self, w: &Shape) -> usize {
        self.layout.in_out(w).1
    }

    /// Most rows whose logits exist at a time: a function of vocabulary and type alone, since it
    /// decides the order of summation of the weight's gradient.
    pub fn chunk_rows(vocabulary: usize, float: DType) -> usize {
        let rows = CHUNK_BYTES / (vocabulary * float.bytes());
        // Whole blocks of the product's k, where there is room for one.
        let step = if rows < 256 { 32 } else { 256 };
        (rows / step * step).clamp(32, 512)
    }

    /// Calls `f` with each chunk's rows and its logits.
    fn chunks(
        &self,
        cx: &mut Cx<'_>,
        [x, w]: [Buf; 2],
        mut f: impl FnMut(&mut Cx<'_>, std::ops::Range<usize>, Buf, Buf),
    ) {
        let vocabulary = if self.layout == WeightLayout::OutIn {
            w.rows
        } else {
            w.cols
        };
        let chunk = Self::chunk_rows(vocabulary, x.dtype);
        let logits = cx.scratch.columns(0..chunk.min(x.rows) * vocabulary);
        let work = cx.scratch.columns(logits.cols..cx.scratch.cols);
        for start in (0..x.rows).step_by(chunk) {
            let rows = start..(start + chunk).min(x.rows);
            let logits = logits
                .columns(0..rows.len() * vocabulary)
                .reshaped(rows.len(), vocabulary);
            let c = Target {
                buf: logits,
                accumulate: false,
            };
            let x = Operand::plain(x.rows(rows.clone()));
            cx.k.gemm(x, self.layout.forward(w), c, None, work);
            f(cx, rows, logits, work);
        }
    }
}

impl Op for LinearXent {
    fn name(&self) -> &'static str {
        "linear_xent"
    }

    fn outputs(&self, ins: &[&Ty]) -> Result<Vec<Ty>, ShapeError> {
        let (x, w, targets) = (&ins[0].shape, &ins[1].shape, ins[2]);
        constraint!(w.dims().len() == 2, "C1", "weight {w} is no matrix");
        let (i, _) = self.layout.in_out(w);
        constraint!(
            x.cols() == i,
            "C1",
            "input {x} has rows of {}, weight {w} takes {i}",
            x.cols()
        );
        let one = targets.shape == Shape::new([Dim::Tokens]) && targets.elem == Elem::Index;
        constraint!(one, "C2", "targets are {targets}");
        let XentSpec {
            label_smoothing,
            z_loss,
        } = self.spec;
        let sane = (0.0..1.0).contains(&label_smoothing) && z_loss >= 0.0;
        constraint!(sane, "C3", "smoothing {label_smoothing}, z-loss {z_loss}");
        let mut outs = vec![Ty::sum(Shape::new([Dim::Tokens]))];
        if self.rank {
            outs.push(Ty::index(Shape::new([Dim::Tokens])));
        }
        Ok(outs)
    }

    fn grads(&self) -> Vec<Grad> {
        vec![Grad::Flows, Grad::Flows, Grad::None("targets are discrete")]
    }

    fn saves(&self) -> Saves {
        Saves::new(&[0, 1, 2], &[]).with_outputs()
    }

    fn scratch(&self, ins: &[&Ty], room: &Room<'_>) -> usize {
        let vocabulary = self.vocabulary(&ins[1].shape);
        let rows = Self::chunk_rows(vocabulary, room.float).min(room.extent.tokens);
        rows * vocabulary + room.device.gemm_work_len(room.float)
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        let rank = self.rank.then(|| outs[1]);
        self.chunks(cx, [ins[0], ins[1]], |cx, rows, logits, _| {
            let targets = ins[2].rows(rows.clone());
            let rank = rank.map(|r| r.rows(rows.clone()));
            cx.k.xent_rows(&self.spec, logits, targets, false, outs[0].rows(rows), rank);
        });
    }

    fn vjp(&self, cx: &mut Cx<'_>, call: &Vjp<'_>) {
        assert!(call.dy[0].is_none(), "the loss is where derivatives start");
        let (x, w, targets, loss) = (call.input(0), call.input(1), call.input(2), call.output(0));
        let rank = self.rank.then(|| call.output(1));
        let dw = call.dx[1].map(|t| Target {
            buf: cx.adding(t),
            accumulate: true,
        });
        self.chunks(cx, [x, w], |cx, rows, logits, work| {
            let at = |b: Buf| b.rows(rows.clone());
            cx.k.xent_rows(
                &self.spec,
                logits,
                at(targets),
                true,
                at(loss),
                rank.map(at),
            );
            if let Some(dx) = call.dx[0] {
                let dx = Target {
                    buf: at(dx.buf),
                    ..dx
                };
                cx.k.gemm(
                    Operand::plain(logits),
                    self.layout.backward(w),
                    dx,
                    None,
                    work,
                );
            }
            if let Some(dw) = dw {
                let (a, b) = self.layout.weight_grad(at(x), logits);
                cx.k.gemm(a, b, dw, None, work);
            }
        });
    }

    fn cost(&self, ins: &[&Ty], extent: Extent) -> Cost {
        let (d, v) = self.layout.in_out(&ins[1].shape);
        let (n, d, v) = (extent.tokens as f64, d as f64, v as f64);
        Cost {
            flops: 2.0 * n * d * v + 4.0 * n * v,
            elements: n * d + d * v,
        }
    }

    fn meaning(&self, b: &mut Build, ins: &[Val]) -> Vec<Val> {
        let w = match self.layout {
            WeightLayout::OutIn => b.transpose(ins[1]),
            WeightLayout::InOut => ins[1],
        };
        let logits = b.matmul(ins[0], w);
        let (n, v) = (b.shape(logits)[0], b.shape(logits)[1]);
        let top = b.max(logits, 1);
        let shifted = b.sub(logits, top);
        let weights = b.exp(shifted);
        let total = b.sum(weights, 1);
        let lse = b.log(total);
        let lse = b.add(lse, top);
        let classes = b.iota(v);
        let classes = b.reshape(classes, &[1, v]);
        let targets = b.reshape(ins[2], &[n, 1]);
        let hit = b.equal(classes, targets);
        let chosen = b.mul(hit, logits);
        let chosen = b.sum(chosen, 1);
        let nll = b.sub(lse, chosen);
        let mean = b.mean(logits, 1);
        let flat = b.sub(lse, mean);
        let nll = b.scale(nll, 1.0 - self.spec.label_smoothing);
        let flat = b.scale(flat, self.spec.label_smoothing);
        let square = b.mul(lse, lse);
        let square = b.scale(square, self.spec.z_loss);
        let loss = b.add(nll, flat);
        let loss = b.add(loss, square);
        let zero = b.scalar(0.0);
        let ignored = b.less(targets, zero);
        let loss = b.select(ignored, zero, loss);
        let mut outs = vec![b.reshape(loss, &[n])];
        if self.rank {
            let larger = b.less(chosen, logits);
            let earlier = b.less(classes, targets);
            let tied = b.equal(chosen, logits);
            let tied = b.mul(tied, earlier);
            let ahead = b.add(larger, tied);
            let ahead = b.sum(ahead, 1);
            let none = b.scalar(-1.0);
            let rank = b.select(ignored, none, ahead);
            outs.push(b.reshape(rank, &[n]));
        }
        outs
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "linear_xent",
    cases,
    rejects,
};

fn cases() -> Vec<Case> {
    let case = |n: usize, d: usize, v: usize, layout, spec, rank| {
        let w = if layout == WeightLayout::OutIn {
            [v, d]
        } else {
            [d, v]
        };
        let target = |r: usize| if r % 5 == 3 { -100 } else { (r * 7 % v) as i64 };
        let ins = vec![
            CaseInput::random(Ty::float(Shape::rows(d))),
            CaseInput::random(Ty::float(Shape::fixed(&w))),
            CaseInput::given(Ty::index(Shape::new([Dim::Tokens])), (0..n).map(target)),
        ];
        let name = format!("{n}x{d}x{v} {layout:?} {spec:?} rank {rank}");
        Case::new(name, LinearXent { layout, spec, rank }, n, ins)
    };
    let plain = XentSpec {
        label_smoothing: 0.0,
        z_loss: 0.0,
    };
    let full = XentSpec {
        label_smoothing: 0.1,
        z_loss: 1e-2,
    };
    vec![
        case(1, 1, 2, WeightLayout::OutIn, plain, true),
        case(9, 5, 17, WeightLayout::OutIn, plain, true),
        case(9, 8, 33, WeightLayout::InOut, full, false),
        case(70, 4, 5, WeightLayout::InOut, plain, true),
        case(600, 3, 7, WeightLayout::OutIn, full, true),
    ]
}

fn rejects() -> Vec<Reject> {
    let op = |label_smoothing, z_loss| LinearXent {
        layout: WeightLayout::OutIn,
        spec: XentSpec {
            label_smoothing,
            z_loss,
        },
        rank: false,
    };
    let x = || Ty::float(Shape::rows(4));
    let w = |d| Ty::float(Shape::fixed(&[9, d]));
    let targets = || Ty::index(Shape::new([Dim::Tokens]));
    vec![
        Reject::new("C1", op(0.0, 0.0), vec![x(), w(5), targets()]),
        Reject::new(
            "C2",
            op(0.0, 0.0),
            vec![x(), w(4), Ty::float(Shape::new([Dim::Tokens]))],
        ),
        Reject::new("C3", op(1.0, 0.0), vec![x(), w(4), targets()]),
        Reject::new("C3", op(0.0, -1.0), vec![x(), w(4), targets()]),
    ]
}
