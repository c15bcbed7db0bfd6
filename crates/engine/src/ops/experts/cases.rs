//! Cases and rejects of the experts.

use super::Experts;
use crate::check::{Case, CaseInput, Entry, Reject};
use crate::shape::{Shape, Ty};

pub(in crate::ops) const ENTRY: Entry = Entry {
    name: "experts",
    cases,
    rejects,
};

/// `x`, logits (random unless given) and the stacks.
fn inputs(d: usize, f: usize, e: usize, logits: Option<Vec<f64>>) -> Vec<CaseInput> {
    let stack = |a, b| CaseInput::random(Ty::float(Shape::fixed(&[e, a, b])));
    let of_router = Ty::float(Shape::rows(e));
    vec![
        CaseInput::random(Ty::float(Shape::rows(d))),
        match logits {
            None => CaseInput::random(of_router),
            Some(values) => CaseInput::floats(of_router, values),
        },
        stack(f, d),
        stack(f, d),
        stack(d, f),
    ]
}

fn cases() -> Vec<Case> {
    let case = |name: &str, n, [d, f, n_experts, per_token]: [usize; 4], logits| {
        let op = Experts {
            n_experts,
            per_token,
        };
        Case::new(name, op, n, inputs(d, f, n_experts, logits))
    };
    // Expert 2 is never chosen, expert 0 always.
    let unused = |i: usize| [5.0, (i / 4) as f64 / 8.0, -9.0, 0.25][i % 4];
    let tied = |i: usize| [0.5, 1.0, 0.5, 1.0, 1.0][i % 5];
    vec![
        case("one row", 1, [7, 5, 4, 2], None),
        case("one expert", 3, [4, 5, 1, 1], None),
        case("one of three", 9, [5, 7, 3, 1], None),
        case("all of three", 5, [4, 3, 3, 3], None),
        case("two of eight", 33, [17, 31, 8, 2], None),
        case(
            "an unused expert",
            6,
            [4, 3, 4, 2],
            Some((0..24).map(unused).collect()),
        ),
        case(
            "equal logits",
            4,
            [4, 3, 5, 2],
            Some((0..20).map(tied).collect()),
        ),
        case("more rows than a chunk", 1100, [3, 2, 2, 1], None),
    ]
}

fn rejects() -> Vec<Reject> {
    let op = |per_token| Experts {
        n_experts: 3,
        per_token,
    };
    let fitting = || -> Vec<Ty> {
        let all = inputs(4, 5, 3, None).into_iter();
        all.map(|input| input.ty).collect()
    };
    let with = |i: usize, ty: Ty| {
        let mut all = fitting();
        all[i] = ty;
        all
    };
    let stack = |dims: &[usize]| Ty::float(Shape::fixed(dims));
    let rows = |cols| Ty::float(Shape::rows(cols));
    vec![
        Reject::new("C1", op(2), with(1, rows(4))),
        Reject::new("C1", op(2), with(1, Ty::index(Shape::rows(3)))),
        Reject::new("C2", op(2), with(2, stack(&[3, 4, 5]))),
        Reject::new("C2", op(2), with(3, stack(&[3, 6, 4]))),
        Reject::new("C2", op(2), with(0, rows(5))),
        Reject::new("C3", op(2), with(4, stack(&[3, 5, 4]))),
        Reject::new("C4", op(0), fitting()),
        Reject::new("C4", op(4), fitting()),
    ]
}
