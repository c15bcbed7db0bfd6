//! What the head's loss is proved on.

use super::LinearXent;
use crate::check::{Case, CaseInput, Entry, Reject};
use crate::ops::WeightLayout;
use crate::shape::{Dim, Shape, Ty};
use crate::table::XentSpec;

pub(in crate::ops) const ENTRY: Entry = Entry {
    name: "linear_xent",
    cases,
    rejects,
};

fn cases() -> Vec<Case> {
    let plain = XentSpec {
        label_smoothing: 0.0,
        z_loss: 0.0,
    };
    let full = XentSpec {
        label_smoothing: 0.1,
        z_loss: 1e-2,
    };
    let op = |layout, bias, spec, rank| LinearXent {
        layout,
        bias,
        spec,
        rank,
    };
    let (out_in, in_out) = (WeightLayout::OutIn, WeightLayout::InOut);
    let [some, all, few, none]: [Counts; 4] = [|r| r % 5 != 3, |_| true, |r| r % 7 == 2, |_| false];
    let tokens = [
        (op(out_in, false, plain, true), [1, 1, 2], some),
        (op(out_in, false, plain, true), [9, 5, 17], some),
        (op(in_out, false, full, false), [9, 8, 33], some),
        (op(in_out, false, plain, true), [70, 4, 5], some),
        (op(out_in, false, full, true), [600, 3, 7], some),
        (op(out_in, true, plain, true), [1, 3, 2], some),
        (op(out_in, true, full, true), [9, 5, 17], some),
        (op(out_in, true, full, true), [1300, 5, 6], some),
        (op(in_out, true, plain, false), [600, 6, 9], all),
        (op(in_out, true, plain, true), [40, 7, 11], few),
        (op(out_in, true, plain, true), [6, 3, 4], none),
    ];
    let mut cases: Vec<Case> = tokens
        .into_iter()
        .map(|(op, sizes, counts)| case(op, sizes, Dim::Tokens, counts))
        .collect();
    let labels = op(out_in, true, plain, true);
    cases.push(case(labels, [7, 5, 3], Dim::Seqs, all));
    cases
}

/// Which rows of a case count.
type Counts = fn(usize) -> bool;

/// An `n × d × v` case on rows of the given kind, whose targets count where `counts` says so.
fn case(op: LinearXent, [n, d, v]: [usize; 3], lead: Dim, counts: Counts) -> Case {
    let w = match op.layout {
        WeightLayout::OutIn => [v, d],
        WeightLayout::InOut => [d, v],
    };
    let target = |r: usize| if counts(r) { (r * 7 % v) as i64 } else { -100 };
    let mut ins = vec![
        CaseInput::random(Ty::float(Shape::new([lead, Dim::Fixed(d)]))),
        CaseInput::random(Ty::float(Shape::fixed(&w))),
        CaseInput::given(Ty::index(Shape::new([lead])), (0..n).map(target)),
    ];
    if op.bias {
        ins.push(CaseInput::random(Ty::float(Shape::fixed(&[v]))));
    }
    let name = format!("{n}x{d}x{v} rows {lead} {op:?}");
    Case::new(name, op, n, ins).seqs(n)
}

fn rejects() -> Vec<Reject> {
    let op = |label_smoothing, z_loss| LinearXent {
        layout: WeightLayout::OutIn,
        bias: false,
        spec: XentSpec {
            label_smoothing,
            z_loss,
        },
        rank: false,
    };
    let biased = LinearXent {
        bias: true,
        ..op(0.0, 0.0)
    };
    let x = || Ty::float(Shape::rows(4));
    let fixed = |dims: &[usize]| Ty::float(Shape::fixed(dims));
    let w = |d| fixed(&[9, d]);
    let targets = || Ty::index(Shape::new([Dim::Tokens]));
    let labels = Ty::index(Shape::new([Dim::Seqs]));
    let no_index = Ty::float(Shape::new([Dim::Tokens]));
    vec![
        Reject::new("C1", op(0.0, 0.0), vec![x(), w(5), targets()]),
        Reject::new("C2", op(0.0, 0.0), vec![x(), w(4), no_index]),
        Reject::new("C2", op(0.0, 0.0), vec![x(), w(4), labels]),
        Reject::new("C3", op(1.0, 0.0), vec![x(), w(4), targets()]),
        Reject::new("C3", op(0.0, -1.0), vec![x(), w(4), targets()]),
        Reject::new("C4", biased, vec![x(), w(4), targets(), fixed(&[4])]),
    ]
}
