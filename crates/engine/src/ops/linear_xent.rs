//! The head of a language model and its loss in one operator.

mod cases;

pub(super) use cases::ENTRY;

use super::WeightLayout;
use crate::constraint;
use crate::meaning::{Build, Val};
use crate::op::{Cost, Cx, Grad, Op, Room, Rows, Saves, Vjp};
use crate::shape::{DType, Extent, Shape, ShapeError, Ty};
use crate::table::{Buf, Operand, Target, XentSpec};
use std::ops::Range;

/// Cross-entropy of `logits = x·Wᵀ + b` (or `x·W + b`) against `targets`, computed for a chunk of
/// rows at a time: a `[N, V]` matrix never exists.
///
/// Inputs `x [N, D]`, `w [V, D]` or `[D, V]`, `targets [N]` in `[0, V)` or −100 for rows that do
/// not count, and `b [V]` when `bias`. Rows may be tokens or sequences alike. Outputs `loss [N]` in
/// nats (0 where not counted) and, when `rank`, `rank [N]`: how many logits are larger than the
/// target's, −1 where not counted.
///
/// With `lse = log Σ exp(logits)`, smoothing `ε` and z-loss weight `ζ`, a row's loss is
/// `(1 − ε)·(lse − logit_target) + ε·(lse − mean(logits)) + ζ·lse²`.
///
/// C1 the weight's inputs are the columns of `x`. C2 targets are one index a row. C3 `0 ≤ ε < 1`,
/// `ζ ≥ 0`. C4 `b` has one value a class.
///
/// Derivative of the sum of all rows, with `p = softmax(logits)` and `q = (1 − ε)·onehot + ε/V`:
/// `dlogits = (1 + 2ζ·lse)·p − q`, `dx = dlogits·W`, `dW += dlogitsᵀ·x`, `db += Σ_rows dlogits`.
/// Loss and derivative come from one pass over the logits, so training computes both in the
/// derivative call.
///
/// Rows that do not count cost nothing: where there are some, the counted rows are gathered in
/// order, a chunk at a time, and their gradients scattered, so that the head costs what a batch of
/// the counted rows alone would. Chunks are cut from the counted rows, which decides the order of
/// summation of `dW` and `db`; where all rows count nothing is copied. The cost counts all rows.
///
/// Floor of a row that counts: forward `2·D·V` operations, `V` exps; derivative with the loss
/// `6·D·V` operations, `V` exps.
#[derive(Clone, Copy, Debug)]
pub struct LinearXent {
    /// Layout of the weight.
    pub layout: WeightLayout,
    /// Whether there is a bias.
    pub bias: bool,
    /// Smoothing and z-loss.
    pub spec: XentSpec,
    /// Whether ranks are wanted; training does without.
    pub rank: bool,
}

/// Room for the logits of a chunk: large enough that the products run at full speed.
const CHUNK_BYTES: usize = 112 << 20;

impl LinearXent {
    /// Most rows whose logits exist at a time: a function of vocabulary and type alone, since it
    /// decides the order of summation of the weight's gradient.
    pub fn chunk_rows(vocabulary: usize, float: DType) -> usize {
        let rows = CHUNK_BYTES / (vocabulary * float.bytes());
        // Whole blocks of the product's k, where there is room for one.
        let step = if rows < 256 { 32 } else { 256 };
        (rows / step * step).clamp(32, 512)
    }

    /// Elements from one row of logits to the next: rows start on a cache line's boundary, and not
    /// all at the same place of a page, where they would share few places of a cache.
    fn row_stride(vocabulary: usize, float: DType) -> usize {
        let line = 64 / float.bytes();
        let stride = vocabulary.next_multiple_of(line);
        match (stride * float.bytes()).is_multiple_of(4096) {
            true => stride + line,
            false => stride,
        }
    }

    /// Elements of scratch for the logits of a chunk, its gathered rows, and all indices, for `n`
    /// rows of `d` and `v` classes.
    fn parts([n, d, v]: [usize; 3], float: DType) -> [usize; 3] {
        let chunk = Self::chunk_rows(v, float).min(n);
        let indices = (n * DType::I32.bytes()).div_ceil(float.bytes());
        [chunk * Self::row_stride(v, float), chunk * d, indices]
    }

    /// Computes losses and ranks, and calls `f` with each chunk's logits: replaced by their
    /// gradients when `gradient`.
    fn chunks(
        &self,
        cx: &mut Cx<'_>,
        head: &Head,
        gradient: bool,
        mut f: impl FnMut(&mut Cx<'_>, &Chunk),
    ) {
        let (x, [n, d]) = (head.x, [head.x.rows, head.x.cols]);
        let v = match self.layout {
            WeightLayout::OutIn => head.w.rows,
            WeightLayout::InOut => head.w.cols,
        };
        let mut end = 0;
        let [logits, gathered, indices] = Self::parts([n, d, v], x.dtype).map(|len| {
            end += len;
            cx.scratch.columns(end - len..end)
        });
        let work = cx.scratch.columns(end..cx.scratch.cols);
        let indices = Buf::matrix(indices.offset, DType::I32, n, 1);
        let counted = cx.k.counted_rows(head.targets, indices);
        if counted < n {
            cx.k.fill(head.loss, 0.0);
            head.rank.into_iter().for_each(|rank| cx.k.fill(rank, -1.0));
            head.dx.into_iter().for_each(|dx| _ = cx.adding(dx));
        }
        let step = Self::chunk_rows(v, x.dtype);
        for start in (0..counted).step_by(step) {
            let rows = start..(start + step).min(counted);
            let part = |b: Buf, cols| b.columns(0..rows.len() * cols).reshaped(rows.len(), cols);
            let chosen = (counted < n).then(|| indices.rows(rows.clone()));
            let at = |b: Buf| if counted < n { b } else { b.rows(rows.clone()) };
            let x = chosen.map_or(at(x), |_| part(gathered, d));
            if let Some(chosen) = chosen {
                cx.k.embedding(head.x, chosen, x);
            }
            let logits = part(logits, Self::row_stride(v, x.dtype)).columns(0..v);
            let c = Target {
                buf: logits,
                accumulate: false,
            };
            let w = self.layout.forward(head.w);
            cx.k.gemm(Operand::plain(x), w, c, head.bias, work);
            let (targets, loss, rank) = (at(head.targets), at(head.loss), head.rank.map(at));
            cx.k.xent_rows(&self.spec, logits, targets, chosen, gradient, loss, rank);
            f(
                cx,
                &Chunk {
                    x,
                    logits,
                    rows,
                    chosen,
                    work,
                },
            );
        }
    }

    /// The part of `dx` that comes from a chunk, the last that is asked of it: gathered rows make
    /// room for their gradients.
    fn input_grad(&self, cx: &mut Cx<'_>, chunk: &Chunk, w: Buf, dx: Target) {
        let (dy, w) = (Operand::plain(chunk.logits), self.layout.backward(w));
        let c = match chunk.chosen {
            None => Target {
                buf: dx.buf.rows(chunk.rows.clone()),
                ..dx
            },
            Some(_) => Target {
                buf: chunk.x,
                accumulate: false,
            },
        };
        cx.k.gemm(dy, w, c, None, chunk.work);
        if let Some(chosen) = chunk.chosen {
            cx.k.embedding_vjp(chunk.x, chosen, dx.buf);
        }
    }
}

/// What is computed from what.
struct Head {
    x: Buf,
    w: Buf,
    bias: Option<Buf>,
    targets: Buf,
    loss: Buf,
    rank: Option<Buf>,
    dx: Option<Target>,
}

/// Counted rows whose logits exist at the same time.
struct Chunk {
    /// Their rows of `x`.
    x: Buf,
    /// Their logits, or gradients of those.
    logits: Buf,
    /// Which of the counted rows they are.
    rows: Range<usize>,
    /// Which rows of `x` they are, where not all count; then `x` is a copy.
    chosen: Option<Buf>,
    /// Workspace of products.
    work: Buf,
}

impl Op for LinearXent {
    fn name(&self) -> &'static str {
        "linear_xent"
    }

    fn outputs(&self, ins: &[&Ty]) -> Result<Vec<Ty>, ShapeError> {
        let (x, w, targets) = (&ins[0].shape, &ins[1].shape, ins[2]);
        constraint!(w.dims().len() == 2, "C1", "weight {w} is no matrix");
        let (i, v) = self.layout.in_out(w);
        constraint!(
            x.cols() == i,
            "C1",
            "input {x} has rows of {}, weight {w} takes {i}",
            x.cols()
        );
        let row = Shape::new([x.lead()]);
        let one = *targets == Ty::index(row.clone());
        constraint!(one, "C2", "targets are {targets} for input {x}");
        let (smoothing, z_loss) = (self.spec.label_smoothing, self.spec.z_loss);
        let sane = (0.0..1.0).contains(&smoothing) && z_loss >= 0.0;
        constraint!(sane, "C3", "smoothing {smoothing}, z-loss {z_loss}");
        if self.bias {
            let b = &ins[3].shape;
            constraint!(*b == Shape::fixed(&[v]), "C4", "bias {b} for {v} classes");
        }
        let mut outs = vec![Ty::sum(row.clone())];
        if self.rank {
            outs.push(Ty::index(row));
        }
        Ok(outs)
    }

    fn grads(&self) -> Vec<Grad> {
        let targets = Grad::None("targets are discrete");
        let mut grads = vec![Grad::Flows, Grad::Flows, targets];
        if self.bias {
            grads.push(Grad::Flows);
        }
        grads
    }

    fn rows(&self) -> Rows {
        Rows::Others
    }

    fn saves(&self) -> Saves {
        let ins = if self.bias { 0..4 } else { 0..3 };
        Saves::new(&[0, 1, 2, 3][ins], &[]).with_outputs()
    }

    fn scratch(&self, ins: &[&Ty], room: &Room<'_>) -> usize {
        let n = ins[0].shape.lead().resolve(room.extent);
        let (d, v) = self.layout.in_out(&ins[1].shape);
        let parts: usize = Self::parts([n, d, v], room.float).iter().sum();
        parts + room.device.gemm_work_len(room.float)
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        let head = Head {
            x: ins[0],
            w: ins[1],
            targets: ins[2],
            bias: self.bias.then(|| ins[3]),
            loss: outs[0],
            rank: self.rank.then(|| outs[1]),
            dx: None,
        };
        self.chunks(cx, &head, false, |_, _| ());
    }

    fn vjp(&self, cx: &mut Cx<'_>, call: &Vjp<'_>) {
        assert!(call.dy[0].is_none(), "the loss is where derivatives start");
        let head = Head {
            x: call.input(0),
            w: call.input(1),
            targets: call.input(2),
            bias: self.bias.then(|| call.input(3)),
            loss: call.output(0),
            rank: self.rank.then(|| call.output(1)),
            dx: call.dx[0],
        };
        let dw = call.dx[1].map(|t| Target {
            buf: cx.adding(t),
            accumulate: true,
        });
        let db = call.dx.get(3).copied().flatten().map(|t| cx.adding(t));
        self.chunks(cx, &head, true, |cx, chunk| {
            let Chunk { logits, work, .. } = *chunk;
            if let Some(dw) = dw {
                let (a, b) = self.layout.weight_grad(chunk.x, logits);
                cx.k.gemm(a, b, dw, None, work);
            }
            if let Some(db) = db {
                cx.k.add_column_sums(logits, db);
            }
            if let Some(dx) = head.dx {
                self.input_grad(cx, chunk, head.w, dx);
            }
        });
    }

    fn cost(&self, ins: &[&Ty], extent: Extent) -> Cost {
        let (d, v) = self.layout.in_out(&ins[1].shape);
        let n = ins[0].shape.lead().resolve(extent);
        let (n, d, v) = (n as f64, d as f64, v as f64);
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
        let mut logits = b.matmul(ins[0], w);
        if self.bias {
            logits = b.add(logits, ins[3]);
        }
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
