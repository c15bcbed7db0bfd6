//! ESM-2's treatment of masked tokens.

use crate::check::{Case, CaseInput, Entry, Reject};
use crate::constraint;
use crate::meaning::{Build, Val};
use crate::op::{Cost, Cx, Grad, Op, Room, Rows, Saves, Vjp};
use crate::shape::{Dim, Elem, Extent, Shape, ShapeError, Ty};
use crate::table::Buf;

/// Embeddings of masked tokens are 0, and those of other tokens are scaled so that as much is left
/// as in training, where 15 % of the tokens were chosen and 80 % of those masked (Lin et al. 2023;
/// `EsmEmbeddings` of transformers): `y[r] = x[r]·(1 − 0.15·0.8) / (1 − masked/T)` with the masked
/// tokens and the length `T` of the row's sequence.
///
/// Inputs `x [N, D]`, `ids [N]`, `bounds [S+1]`. Output `y [N, D]`. A sequence of nothing but
/// masked tokens, where the reference divides 0 by 0, gives 0. The factor of a sequence is computed
/// in f64 and rounded once to the plan's float type; the reference rounds the observed ratio to
/// f32, multiplies and divides, which is the same within 3 roundings of f32.
///
/// C1 ids are one index a token. C2 bounds are `[S+1]` indices. C3 `x` has a row of floats a token.
///
/// Derivative: `dx[r]` is `dy[r]` under the same factor, 0 for masked tokens.
///
/// Floor of an element: forward and derivative 8 bytes.
#[derive(Clone, Copy, Debug)]
pub struct TokenDropout {
    /// The id of masked tokens.
    pub mask_id: u32,
}

/// Fraction of tokens that were masked when ESM-2 was trained.
const TRAINED: f64 = 0.15 * 0.8;

impl Op for TokenDropout {
    fn name(&self) -> &'static str {
        "token_dropout"
    }

    fn outputs(&self, ins: &[&Ty]) -> Result<Vec<Ty>, ShapeError> {
        let (x, ids, bounds) = (ins[0], ins[1], ins[2]);
        let one = ids.shape == Shape::new([Dim::Tokens]) && ids.elem == Elem::Index;
        constraint!(one, "C1", "ids are {ids}");
        let is_bounds = bounds.shape == Shape::new([Dim::Bounds]) && bounds.elem == Elem::Index;
        constraint!(is_bounds, "C2", "bounds are {bounds}");
        let rows = x.shape.lead() == Dim::Tokens && x.elem == Elem::Float;
        constraint!(rows, "C3", "the input is {x}");
        Ok(vec![x.clone()])
    }

    fn grads(&self) -> Vec<Grad> {
        let bounds = Grad::None("bounds are discrete");
        vec![Grad::Flows, Grad::None("ids are discrete"), bounds]
    }

    fn rows(&self) -> Rows {
        Rows::Others
    }

    fn saves(&self) -> Saves {
        Saves::new(&[1, 2], &[]).cheap().replacing()
    }

    fn scratch(&self, _ins: &[&Ty], _room: &Room<'_>) -> usize {
        0
    }

    fn forward(&self, cx: &mut Cx<'_>, ins: &[Buf], outs: &[Buf]) {
        cx.k.token_dropout(self.mask_id, TRAINED, ins[0], ins[1], ins[2], outs[0]);
    }

    fn vjp(&self, cx: &mut Cx<'_>, call: &Vjp<'_>) {
        if let Some(dx) = call.dx[0] {
            let (ids, bounds) = (call.input(1), call.input(2));
            cx.k.token_dropout(self.mask_id, TRAINED, call.dy(), ids, bounds, dx.buf);
        }
    }

    fn cost(&self, ins: &[&Ty], extent: Extent) -> Cost {
        let n = ins[0].shape.len(extent) as f64;
        Cost {
            flops: n,
            elements: 2.0 * n,
        }
    }

    fn meaning(&self, b: &mut Build, ins: &[Val]) -> Vec<Val> {
        let (n, zero) = (b.shape(ins[0])[0], b.scalar(0.0));
        let mask = b.scalar(f64::from(self.mask_id));
        let masked = b.equal(ins[1], mask);
        let masked = b.reshape(masked, &[n, 1]);
        let inside = b.rows_of_sequences(ins[2], n, [0, 0]);
        let n_masked = b.matmul(inside, masked);
        let length = b.sum(inside, 1);
        let left = b.sub(length, n_masked);
        // The fraction that is left is 0 where nothing is, and in an empty sequence 0/0.
        let left = b.div(left, length);
        let kept = b.scalar(1.0 - TRAINED);
        let factor = b.div(kept, left);
        let some = b.less(zero, left);
        let factor = b.select(some, factor, zero);
        let of_row = b.transpose(inside);
        let factor = b.matmul(of_row, factor);
        let y = b.mul(ins[0], factor);
        vec![b.select(masked, zero, y)]
    }
}

pub(super) const ENTRY: Entry = Entry {
    name: "token_dropout",
    cases,
    rejects,
};

fn cases() -> Vec<Case> {
    const MASK: i64 = 32;
    let case = |name: &str, d: usize, ids: &[i64], bounds: &[i64]| {
        let index = |dim, values: &[i64]| {
            CaseInput::given(Ty::index(Shape::new([dim])), values.iter().copied())
        };
        let ins = vec![
            CaseInput::random(Ty::float(Shape::rows(d))),
            index(Dim::Tokens, ids),
            index(Dim::Bounds, bounds),
        ];
        let op = TokenDropout {
            mask_id: MASK as u32,
        };
        Case::new(name, op, ids.len(), ins).seqs(bounds.len() - 1)
    };
    let long: Vec<i64> = (0..70)
        .map(|i| if i % 6 == 1 { MASK } else { i % 20 })
        .collect();
    let packed = [0, MASK, 5, 2, MASK, MASK, 7, 0, 4, 4, MASK, 2];
    vec![
        case("one token", 1, &[4], &[0, 1]),
        case("one masked token", 3, &[MASK], &[0, 1]),
        case("none masked", 5, &[0, 4, 5, 2], &[0, 4]),
        case(
            "packed, one of them masked as a whole",
            9,
            &packed,
            &[0, 4, 6, 7, 12],
        ),
        case("an empty sequence", 4, &packed, &[0, 5, 5, 12]),
        case("long", 33, &long, &[0, 1, 70]),
    ]
}

fn rejects() -> Vec<Reject> {
    let op = TokenDropout { mask_id: 3 };
    let x = || Ty::float(Shape::rows(4));
    let index = |dim| Ty::index(Shape::new([dim]));
    let (tokens, bounds, seqs) = (Dim::Tokens, Dim::Bounds, Dim::Seqs);
    let fixed = Ty::float(Shape::fixed(&[9, 4]));
    vec![
        Reject::new("C1", op, vec![x(), index(seqs), index(bounds)]),
        Reject::new("C2", op, vec![x(), index(tokens), index(seqs)]),
        Reject::new("C3", op, vec![fixed, index(tokens), index(bounds)]),
    ]
}
