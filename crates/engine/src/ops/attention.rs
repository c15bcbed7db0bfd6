//! Attention over packed sequences.

use super::qkv::{AttentionLayout, masked_softmax, split, widths};
use crate::check::{Case, CaseInput, Entry, Reject};
use crate::constraint;
use crate::meaning::{Build, Val};
use crate::op::{Cost, Cx, Grad, Op, Room, Rows, Saves, Vjp};
use crate::shape::{Dim, Elem, Extent, Shape, ShapeError, Ty};
use crate::table::{AttentionDims, AttentionIn, Buf};

/// `out = softmax(scale·q·kᵀ + mask)·v`, per head, within each sequence (Vaswani et al. 2017),
/// computed over tiles of keys with an online softmax (Milakov & Gimelshein 2018; Dao 2023): no `T
/// × T` matrix exists, tiles that no query sees are skipped, and a row without a visible key gives
/// 0.
///
/// Inputs: as the layout says, then `bounds [S+1]`, then `key_mask [N]` when `key_mask`. Outputs
/// `out [N, H·K]`, and for the derivative `lse [N, H]`, the logarithm to the base 2 of the softmax'
/// denominator.
///
/// C1 widths fit heads. C2 `H` is a multiple of `G`. C3 bounds are `[S+1]` indices. C4 the mask has
/// one index a token. C5 a window is at least 1.
///
/// Derivative (Dao 2023, §3.1), with `P = exp(S) / 2^lse`, `dP = dO·vᵀ`, `δ = rowsum(dO ∘ O)`:
/// `dv = Pᵀ·dO`, `dS = P ∘ (dP − δ)`, `dq = scale·dS·k`, `dk = scale·dSᵀ·q`; heads that share a
/// key/value head add up.
///
/// Floor of a key that a query's head sees: forward `4·K` operations, 1 exp; derivative `10·K`
/// operations, 1 exp. Of a token: forward `8·(H + G)·K` bytes; derivative `16·(H + G)·K` bytes.
#[derive(Clone, Copy, Debug)]
pub struct Attention {
    /// Heads, mask and scale.
    pub dims: AttentionDims,
    /// Form of the inputs.
    pub layout: AttentionLayout,
    /// Whether a key mask is given.
    pub key_mask: bool,
}

impl Attention {
    fn n_qkv(&self) -> usize {
        self.layout.n_qkv()
    }

    fn inputs(&self, at: impl Fn(usize) -> Buf) -> AttentionIn {
        let n = self.n_qkv();
        let [q, k, v] = self.layout.bufs(&self.dims, &at);
        AttentionIn {
            q,
            k,
            v,
            bounds: at(n),
            key_mask: self.key_mask.then(|| at(n + 1)),
        }
    }
}

impl Op for Attention {
    fn name(&self) -> &'static str {
        "attention"
    }

    fn outputs(&self, ins: &[&Ty]) -> Result<Vec<Ty>, ShapeError> {
        self.layout.check(&self.dims, ins)?;
        let n_qkv = self.n_qkv();
        let AttentionDims {
            n_heads,
            n_kv_heads,
            window,
            ..
        } = self.dims;
        let grouped = n_kv_heads > 0 && n_heads.is_multiple_of(n_kv_heads);
        constraint!(
            grouped,
            "C2",
            "{n_heads} heads over {n_kv_heads} key/value heads"
        );
        let bounds = ins[n_qkv];
        let is_bounds = bounds.shape == Shape::new([Dim::Bounds]) && bounds.elem == Elem::Index;
        constraint!(is_bounds, "C3", "bounds are {bounds}");
        if self.key_mask {
            let mask = ins[n_qkv + 1];
            constraint!(
                *mask == Ty::index(Shape::new([Dim::Tokens])),
                "C4",
                "mask is {mask}"
            );
        }
        constraint!(window != Some(0), "C5", "a window of 0 sees nothing");
        let lead = ins[0].shape.lead();
        let rows = |cols| Ty::float(Shape::new([lead, Dim::Fixed(cols)]));
        Ok(vec![rows(widths(&self.dims)[0]), rows(n_heads)])
    }

    fn grads(&self) -> Vec<Grad> {
        let mut grads = vec![Grad::Flows; self.n_qkv()];
        grads.push(Grad::None("bounds are discrete"));
        if self.key_mask {
            grads.push(Grad::None("the mask is discrete"));
        }
        grads
    }

    fn rows(&self) -> Rows {
        Rows::Others
    }

    fn saves(&self) -> Saves {
        let ins: &[usize] = match (self.layout, self.key_mask) {
            (AttentionLayout::Packed, false) => &[0, 1],
            (AttentionLayout::Packed, true) => &[0, 1, 2],
            (AttentionLayout::Separate, false) => &[0, 1, 2, 3],
            (AttentionLayout::Separate, true) => &[0, 1, 2, 3, 4],
        };
        Saves::new(ins, &[0, 1]).together().replacing()
    }

    fn scratch(&self, _ins: &[&Ty], room: &Room<'_>) -> usize {
        room.device.attention_work_len(&self.dims, room.float)
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        let x = self.inputs(|i| ins[i]);
        cx.k.attention(&self.dims, &x, outs[0], outs[1], cx.scratch);
    }

    fn vjp(&self, cx: &mut Cx<'_>, call: &Vjp<'_>) {
        let x = self.inputs(|i| call.input(i));
        let target = |i: usize| {
            call.dx[i]
                .expect("the plan gives all gradients a buffer")
                .buf
        };
        let grads = match self.layout {
            AttentionLayout::Packed => split(&self.dims, target(0)),
            AttentionLayout::Separate => [target(0), target(1), target(2)],
        };
        let (out, lse) = (call.output(0), call.output(1));
        cx.k.attention_vjp(&self.dims, &x, out, lse, call.dy(), grads, cx.scratch);
    }

    fn cost(&self, _ins: &[&Ty], extent: Extent) -> Cost {
        let n = extent.tokens as f64;
        let length = n / extent.seqs.max(1) as f64;
        let seen = match (self.dims.causal, self.dims.window) {
            (true, None) => (length + 1.0) / 2.0,
            (_, Some(w)) => (w as f64).min(length),
            (false, None) => length,
        };
        let width = widths(&self.dims)[0] as f64;
        let kv: usize = widths(&self.dims).iter().sum();
        Cost {
            flops: 4.0 * n * seen * width,
            elements: n * (kv as f64 + width),
        }
    }

    fn meaning(&self, b: &mut Build, ins: &[Val]) -> Vec<Val> {
        let n = b.shape(ins[0])[0];
        let [q, k, v] = self.layout.vals(&self.dims, b, ins);
        let bounds = ins[self.n_qkv()];
        let sequence = b.sequence_of_row(bounds, n);
        let (of_query, of_key) = (b.reshape(sequence, &[n, 1]), b.reshape(sequence, &[1, n]));
        let mut visible = b.equal(of_query, of_key);
        let rows = b.iota(n);
        let (i, j) = (b.reshape(rows, &[n, 1]), b.reshape(rows, &[1, n]));
        let ahead = b.sub(j, i);
        let distance = if self.dims.causal {
            let limit = b.scalar(0.5);
            let past = b.less(ahead, limit);
            visible = b.mul(visible, past);
            b.neg(ahead)
        } else {
            let behind = b.neg(ahead);
            b.maximum(ahead, behind)
        };
        if let Some(window) = self.dims.window {
            let limit = b.scalar(window as f64);
            let near = b.less(distance, limit);
            visible = b.mul(visible, near);
        }
        if self.key_mask {
            let mask = b.reshape(ins[self.n_qkv() + 1], &[1, n]);
            let zero = b.scalar(0.0);
            let masked = b.equal(mask, zero);
            let shown = b.equal(masked, zero);
            visible = b.mul(visible, shown);
        }
        masked_softmax(b, &self.dims, [q, k, v], visible)
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "attention",
    cases,
    rejects,
};

fn case(name: &str, op: Attention, bounds: &[i64], mask: Option<&[i64]>) -> Case {
    let n = *bounds.last().expect("bounds are given") as usize;
    let rows = |width| CaseInput::random(Ty::float(Shape::rows(width)));
    let [q, k, v] = widths(&op.dims);
    let mut ins = match op.layout {
        AttentionLayout::Packed => vec![rows(q + k + v)],
        AttentionLayout::Separate => vec![rows(q), rows(k), rows(v)],
    };
    ins.push(CaseInput::given(
        Ty::index(Shape::new([Dim::Bounds])),
        bounds.iter().copied(),
    ));
    if let Some(mask) = mask {
        ins.push(CaseInput::given(
            Ty::index(Shape::new([Dim::Tokens])),
            mask.iter().copied(),
        ));
    }
    Case::new(name, op, n, ins).seqs(bounds.len() - 1)
}

fn op(n_heads: usize, n_kv_heads: usize, head_dim: usize, causal: bool) -> Attention {
    let scale = 1.0 / (head_dim as f64).sqrt();
    let dims = AttentionDims {
        n_heads,
        n_kv_heads,
        head_dim,
        scale,
        causal,
        window: None,
    };
    Attention {
        dims,
        layout: AttentionLayout::Separate,
        key_mask: false,
    }
}

fn cases() -> Vec<Case> {
    let packed = |a: Attention| Attention {
        layout: AttentionLayout::Packed,
        ..a
    };
    let masked = |a: Attention| Attention {
        key_mask: true,
        ..a
    };
    let window = |a: Attention, w| Attention {
        dims: AttentionDims {
            window: Some(w),
            ..a.dims
        },
        ..a
    };
    vec![
        case("one token", op(1, 1, 2, true), &[0, 1], None),
        case(
            "causal, packed",
            packed(op(2, 2, 8, true)),
            &[0, 5, 6, 13],
            None,
        ),
        case("bidirectional", op(2, 2, 5, false), &[0, 7, 9], None),
        case("grouped queries", op(6, 2, 8, true), &[0, 17], None),
        case("several key tiles", op(2, 1, 16, true), &[0, 70, 200], None),
        case(
            "several key tiles, bidirectional",
            op(1, 1, 7, false),
            &[0, 130, 131],
            None,
        ),
        case("window", window(op(2, 2, 8, true), 3), &[0, 11, 90], None),
        case(
            "window, bidirectional",
            window(op(1, 1, 8, false), 4),
            &[0, 70],
            None,
        ),
        case(
            "masked keys",
            masked(op(2, 1, 4, false)),
            &[0, 4, 6],
            Some(&[1, 0, 1, 0, 1, 1]),
        ),
        case(
            "rows that see nothing",
            masked(op(1, 1, 4, true)),
            &[0, 3, 5],
            Some(&[0, 0, 1, 0, 0]),
        ),
        case("an empty sequence", op(1, 1, 4, true), &[0, 3, 3, 5], None),
    ]
}

fn rejects() -> Vec<Reject> {
    let rows = |width| Ty::float(Shape::rows(width));
    let bounds = || Ty::index(Shape::new([Dim::Bounds]));
    let masked = Attention {
        key_mask: true,
        ..op(2, 2, 4, true)
    };
    let mut blind = op(2, 2, 4, true);
    blind.dims.window = Some(0);
    let all = || vec![rows(8), rows(8), rows(8), bounds()];
    vec![
        Reject::new(
            "C1",
            op(2, 2, 4, true),
            vec![rows(8), rows(4), rows(8), bounds()],
        ),
        Reject::new(
            "C2",
            op(3, 2, 4, true),
            vec![rows(12), rows(8), rows(8), bounds()],
        ),
        Reject::new(
            "C3",
            op(2, 2, 4, true),
            vec![rows(8), rows(8), rows(8), rows(1)],
        ),
        Reject::new(
            "C4",
            masked,
            vec![rows(8), rows(8), rows(8), bounds(), bounds()],
        ),
        Reject::new("C5", blind, all()),
    ]
}
