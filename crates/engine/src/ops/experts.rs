//! The experts of a sparse feed-forward part.

mod cases;
mod choice;
mod space;

pub(super) use cases::ENTRY;
pub(super) use choice::{chosen, softmax};

use crate::constraint;
use crate::meaning::{Build, Val};
use crate::op::{Cost, Cx, Grad, Op, Room, Rows, Saves, Vjp};
use crate::shape::{Dim, Elem, Extent, Shape, ShapeError, Ty};
use crate::table::{Buf, Operand, Target};
use space::{CHUNK, Chunk, Sizes, Space};
use std::ops::Range;

/// A mixture of SwiGLU experts (Jiang et al. 2024): with `p = softmax(router_logits)`, the
/// `per_token` experts of a row with the largest `p`, and weights `w_e = p_e / Σ p` over those,
/// `y = Σ_e w_e · down_e·(silu(gate_e·x) · (up_e·x))`, summed by rising expert.
///
/// Inputs `x [N, D]`, `router_logits [N, E]`, `gate [E, F, D]`, `up [E, F, D]`, `down [E, D, F]`.
/// Output `y [N, D]`. Of experts with equal logits the one with the lower index is chosen. A row
/// whose logits have no softmax, as with a NaN, is NaN and spoils no other.
///
/// C1 `router_logits` are `n_experts` a row of `x`. C2 `gate` and `up` are `[E, F, D]` alike.
/// C3 `down` is `[E, D, F]`. C4 `1 ≤ per_token ≤ n_experts`.
///
/// Derivative, the choice being constant and `h_e = silu(gate_e·x) · (up_e·x)`:
/// `dh_e = w_e·downᵀ_e·dy` and from there as in SwiGLU and linear maps; `dw_e = (downᵀ_e·dy)·h_e`,
/// and the probabilities of the other experts cancel: `dlogit_e = w_e·(dw_e − Σ w·dw)`, 0 for an
/// expert that is not chosen.
///
/// Rows are sorted by expert, and each expert multiplies its own, at most 512 at a time: what
/// exists at once is `[512, F]`, not `[N·k, F]`. Nothing of that is kept; the derivative computes
/// both projections again.
///
/// Floor of a row, with `k = per_token`: forward `6·k·D·F` operations, `k·F + E` exps; derivative
/// `16·k·D·F` operations, of which `4·k·D·F` repeat the projections, and as many exps. An expert
/// that any row chooses reads its matrices, `12·D·F` bytes, once for each 512 rows.
#[derive(Clone, Copy, Debug)]
pub struct Experts {
    /// `E`.
    pub n_experts: usize,
    /// Experts that a row goes to.
    pub per_token: usize,
}

/// The matrix of one expert in a stack.
fn matrix(stack: Buf, expert: usize, rows: usize) -> Buf {
    stack
        .rows(expert..expert + 1)
        .reshaped(rows, stack.cols / rows)
}

/// `c = a·b` or `c += a·b`.
fn product(cx: &mut Cx<'_>, a: Operand, b: Operand, c: Buf, accumulate: bool, work: Buf) {
    let c = Target { buf: c, accumulate };
    cx.k.gemm(a, b, c, None, work);
}

/// Inputs of a call: rows and stacks of matrices.
#[derive(Clone, Copy)]
struct Given {
    x: Buf,
    gate: Buf,
    up: Buf,
    down: Buf,
}

impl Given {
    fn hidden(&self) -> usize {
        self.gate.cols / self.x.cols
    }
}

impl Experts {
    fn sizes(&self, n_rows: usize, width: usize, hidden: usize) -> Sizes {
        Sizes {
            n_rows,
            per_token: self.per_token,
            n_experts: self.n_experts,
            width,
            hidden,
        }
    }

    /// Routes the rows, and calls `f` with each chunk of each expert's, projected.
    fn chunks(
        &self,
        cx: &mut Cx<'_>,
        given: &Given,
        logits: Buf,
        mut f: impl FnMut(&mut Cx<'_>, usize, &Chunk, Buf),
    ) -> Space {
        let sizes = self.sizes(given.x.rows, given.x.cols, given.hidden());
        let space = Space::new(cx.scratch, &sizes);
        cx.k.route(logits, &space.routes);
        for expert in 0..self.n_experts {
            let Range { start, end } = places(cx, space.routes.bounds, expert);
            for from in (start..end).step_by(CHUNK) {
                let chunk = space.chunk(from..end.min(from + CHUNK));
                project(cx, given, expert, &chunk, space.work);
                f(cx, expert, &chunk, space.work);
            }
        }
        space
    }
}

/// Where an expert's rows stand in order of experts.
fn places(cx: &mut Cx<'_>, bounds: Buf, expert: usize) -> Range<usize> {
    let mut bytes = [0; 8];
    cx.k.download(bounds.columns(expert..expert + 2), &mut bytes);
    let [a, b, c, d, e, f, g, h] = bytes;
    let at = |bytes| i32::from_le_bytes(bytes) as usize;
    at([a, b, c, d])..at([e, f, g, h])
}

/// The rows of a chunk, and what an expert makes of them before its last product.
fn project(cx: &mut Cx<'_>, given: &Given, expert: usize, chunk: &Chunk, work: Buf) {
    cx.k.embedding(given.x, chunk.rows, chunk.x);
    for (stack, to) in [(given.gate, chunk.gate), (given.up, chunk.up)] {
        let w = Operand::transposed(matrix(stack, expert, given.hidden()));
        product(cx, Operand::plain(chunk.x), w, to, false, work);
    }
    cx.k.swiglu(chunk.gate, chunk.up, chunk.hidden);
}

/// Gradients to add to, where they are wanted.
#[derive(Clone, Copy)]
struct Wanted {
    x: Option<Buf>,
    gate: Option<Buf>,
    up: Option<Buf>,
    down: Option<Buf>,
}

/// The derivative of one expert on the rows of a chunk.
fn chunk_vjp(
    cx: &mut Cx<'_>,
    given: &Given,
    dy: Buf,
    wanted: &Wanted,
    (expert, chunk, work): (usize, &Chunk, Buf),
) {
    let plain = Operand::plain;
    let (width, hidden) = (given.x.cols, given.hidden());
    cx.k.embedding(dy, chunk.rows, chunk.y);
    let down = plain(matrix(given.down, expert, width));
    product(cx, plain(chunk.y), down, chunk.dhidden, false, work);
    cx.k.weigh_rows_vjp(chunk.weights, chunk.hidden, chunk.dhidden, chunk.dweights);
    if let Some(ddown) = wanted.down {
        cx.k.weigh_rows(chunk.weights, chunk.y);
        let to = matrix(ddown, expert, width);
        let dy = Operand::transposed(chunk.y);
        product(cx, dy, plain(chunk.hidden), to, true, work);
    }
    // From here on nobody reads what the projections became.
    let grads = [chunk.hidden, chunk.dup];
    cx.k.swiglu_vjp(chunk.dhidden, chunk.gate, chunk.up, grads);
    for (stack, d) in [wanted.gate, wanted.up].into_iter().zip(grads) {
        if let Some(stack) = stack {
            let to = matrix(stack, expert, hidden);
            product(cx, Operand::transposed(d), plain(chunk.x), to, true, work);
        }
    }
    if let Some(dx) = wanted.x {
        let [gate, up] = [given.gate, given.up].map(|w| plain(matrix(w, expert, hidden)));
        product(cx, plain(grads[0]), gate, chunk.y, false, work);
        product(cx, plain(grads[1]), up, chunk.y, true, work);
        cx.k.embedding_vjp(chunk.y, chunk.rows, dx);
    }
}

impl Op for Experts {
    fn name(&self) -> &'static str {
        "experts"
    }

    fn outputs(&self, ins: &[&Ty]) -> Result<Vec<Ty>, ShapeError> {
        let (x, logits, e) = (&ins[0].shape, ins[1], self.n_experts);
        let fit = *logits == Ty::float(Shape::new([x.lead(), Dim::Fixed(e)]));
        constraint!(fit, "C1", "logits {logits} of {e} experts for rows {x}");
        let (gate, up, down) = (&ins[2].shape, &ins[3].shape, &ins[4].shape);
        let d = x.cols();
        let f = gate.cols() / d.max(1);
        let fit = *gate == Shape::fixed(&[e, f, d]) && gate == up;
        constraint!(fit, "C2", "gate {gate} and up {up} of {e} experts for {x}");
        let fit = *down == Shape::fixed(&[e, d, f]);
        constraint!(fit, "C3", "down {down} of {e} experts from {f} to {d}");
        let k = self.per_token;
        constraint!((1..=e).contains(&k), "C4", "{k} of {e} experts");
        Ok(vec![Ty {
            shape: x.clone(),
            elem: Elem::Float,
        }])
    }

    fn grads(&self) -> Vec<Grad> {
        vec![Grad::Flows; 5]
    }

    fn rows(&self) -> Rows {
        Rows::Same
    }

    fn saves(&self) -> Saves {
        Saves::new(&[0, 1, 2, 3, 4], &[])
    }

    fn scratch(&self, ins: &[&Ty], room: &Room<'_>) -> usize {
        let n = ins[0].shape.lead().resolve(room.extent);
        let d = ins[0].shape.cols();
        let sizes = self.sizes(n, d, ins[2].shape.cols() / d);
        Space::len(&sizes, room.float) + room.device.gemm_work_len(room.float)
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        let (logits, y) = (ins[1], outs[0]);
        let given = Given {
            x: ins[0],
            gate: ins[2],
            up: ins[3],
            down: ins[4],
        };
        cx.k.fill(y, 0.0);
        self.chunks(cx, &given, logits, |cx, expert, chunk, work| {
            let down = Operand::transposed(matrix(given.down, expert, given.x.cols));
            let hidden = Operand::plain(chunk.hidden);
            product(cx, hidden, down, chunk.y, false, work);
            cx.k.weigh_rows(chunk.weights, chunk.y);
            cx.k.embedding_vjp(chunk.y, chunk.rows, y);
        });
    }

    fn vjp(&self, cx: &mut Cx<'_>, call: &Vjp<'_>) {
        let given = Given {
            x: call.input(0),
            gate: call.input(2),
            up: call.input(3),
            down: call.input(4),
        };
        let mut adding = |i: usize| call.dx[i].map(|target| cx.adding(target));
        let wanted = Wanted {
            x: adding(0),
            gate: adding(2),
            up: adding(3),
            down: adding(4),
        };
        let dy = call.dy();
        let space = self.chunks(cx, &given, call.input(1), |cx, expert, chunk, work| {
            chunk_vjp(cx, &given, dy, &wanted, (expert, chunk, work));
        });
        if let Some(dlogits) = call.dx[1] {
            cx.k.route_vjp(&space.routes, space.dweights, dlogits);
        }
    }

    fn cost(&self, ins: &[&Ty], extent: Extent) -> Cost {
        let n = ins[0].shape.lead().resolve(extent) as f64;
        let (d, e) = (ins[0].shape.cols() as f64, self.n_experts as f64);
        let stack = ins[2].shape.cols() as f64;
        let (f, k) = (stack / d, self.per_token as f64);
        Cost {
            flops: n * (k * (6.0 * stack + 5.0 * f + 2.0 * d) + 2.0 * e),
            elements: 3.0 * e.min(n * k) * stack + n * (k * (4.0 * d + 5.0 * f) + e + d),
        }
    }

    fn meaning(&self, b: &mut Build, ins: &[Val]) -> Vec<Val> {
        let (n, d) = (b.shape(ins[0])[0], b.shape(ins[0])[1]);
        let e = self.n_experts;
        let p = softmax(b, ins[1]);
        let chosen = chosen(b, ins[1], self.per_token);
        let p = b.mul(p, chosen);
        let total = b.sum(p, 1);
        let weights = b.div(p, total);
        let weights = b.transpose(weights);
        let weights = b.reshape(weights, &[e, n, 1]);
        let x = b.reshape(ins[0], &[1, n, d]);
        let x = b.broadcast(x, &[e, n, d]);
        let [gate, up, down] = [ins[2], ins[3], ins[4]].map(|w| b.transpose(w));
        let (gate, up) = (b.matmul(x, gate), b.matmul(x, up));
        let s = b.sigmoid(gate);
        let silu = b.mul(gate, s);
        let hidden = b.mul(silu, up);
        let y = b.matmul(hidden, down);
        let y = b.mul(y, weights);
        let y = b.sum(y, 0);
        vec![b.reshape(y, &[n, d])]
    }
}
