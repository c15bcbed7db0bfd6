//! Attention over a cache has the bits of attention over whole sequences, with and without a
//! window.

use std::ops::Range;
use std::sync::Arc;
use tenon_base::rng::{Key, Stream};
use tenon_engine::cpu::{Cpu, Isa};
use tenon_engine::ops::{Attention, AttentionLayout, CachedAttention};
use tenon_engine::table::AttentionDims;
use tenon_engine::{DType, Dim, Executor, Extent, GraphBuilder, PlanOptions, Shape, Ty, ValueId};

const CAPACITY: usize = 100;
const SLOTS: usize = 2;

fn dims(window: Option<usize>) -> AttentionDims {
    AttentionDims {
        n_heads: 4,
        n_kv_heads: 2,
        head_dim: 12,
        scale: 0.3,
        causal: true,
        window,
    }
}

/// Widths of queries, keys and values.
const WIDTHS: [(&str, usize); 3] = [("q", 48), ("k", 24), ("v", 24)];

fn executor(
    threads: usize,
    build: impl FnOnce(&mut GraphBuilder, Vec<ValueId>) -> ValueId,
) -> Executor {
    let mut b = GraphBuilder::new();
    let mut ins: Vec<ValueId> = WIDTHS
        .map(|(name, width)| b.input(name, Ty::float(Shape::rows(width))))
        .to_vec();
    ins.push(b.input("bounds", Ty::index(Shape::new([Dim::Bounds]))));
    let out = build(&mut b, ins);
    b.output("out", out);
    let capacity = Extent::new(2 * CAPACITY, SLOTS);
    let options = PlanOptions::inference(DType::F32, capacity);
    Executor::new(
        Arc::new(b.finish()),
        options,
        Box::new(Cpu::new(threads, Isa::detect())),
    )
}

fn whole(window: Option<usize>) -> Executor {
    let op = Attention {
        dims: dims(window),
        layout: AttentionLayout::Separate,
        key_mask: false,
    };
    executor(1, |b, ins| b.apply("attend", op, &ins))
}

fn cached(window: Option<usize>, threads: usize) -> Executor {
    let layout = AttentionLayout::Separate;
    let op = CachedAttention {
        dims: dims(window),
        layout,
        capacity: CAPACITY,
    };
    executor(threads, |b, mut ins| {
        for name in ["past", "slots"] {
            ins.push(b.input(name, Ty::index(Shape::new([Dim::Seqs]))));
        }
        for name in ["k_cache", "v_cache"] {
            ins.push(b.state(name, &[SLOTS, CAPACITY, WIDTHS[1].1]));
        }
        b.apply("attend", op, &ins)
    })
}

/// Rows `range` of sequence `s`, of the given width.
fn rows(i: usize, s: usize, range: &Range<usize>) -> Vec<f64> {
    let width = WIDTHS[i].1;
    let mut rng = Key::new(3, Stream::Direction).at(i as u64, s as u64);
    let all: Vec<f64> = (0..range.end * width).map(|_| rng.normal()).collect();
    all[range.start * width..].to_vec()
}

/// Runs some rows of some sequences and returns the bits of the output, row by row.
fn attend(exec: &mut Executor, parts: &[(usize, Range<usize>)]) -> Vec<Vec<u64>> {
    let mut bounds = vec![0];
    for (_, range) in parts {
        bounds.push(bounds[bounds.len() - 1] + range.len() as i32);
    }
    let tokens = bounds[parts.len()] as usize;
    exec.set_extent(Extent::new(tokens, parts.len()));
    for (i, (name, _)) in WIDTHS.iter().enumerate() {
        let values: Vec<f64> = parts
            .iter()
            .flat_map(|(s, range)| rows(i, *s, range))
            .collect();
        exec.set_float_input(name, &values);
    }
    exec.set_input("bounds", &bounds);
    if exec.has_input("past") {
        let past: Vec<i32> = parts.iter().map(|(_, range)| range.start as i32).collect();
        let slots: Vec<i32> = parts.iter().map(|&(s, _)| s as i32).collect();
        exec.set_input("past", &past);
        exec.set_input("slots", &slots);
    }
    exec.forward();
    let out = exec.read_output("out").expect("the output is kept");
    let bits: Vec<u64> = out.iter().map(|x| x.to_bits()).collect();
    bits.chunks(WIDTHS[0].1).map(<[u64]>::to_vec).collect()
}

#[test]
fn chunks_and_single_tokens_have_the_bits_of_the_whole() {
    let lengths = [91, 73];
    for window in [None, Some(1), Some(5), Some(64), Some(70)] {
        let mut full = whole(window);
        let want = [0, 1].map(|s| attend(&mut full, &[(s, 0..lengths[s])]));
        let cuts: [&[usize]; 4] = [
            &[0, 73],
            &[0, 1, 2, 3, 40, 73],
            &[0, 33, 64, 65, 73],
            &[0, 72, 73],
        ];
        for (i, cuts) in cuts.into_iter().enumerate() {
            let mut exec = cached(window, 1 + i);
            for cut in cuts.windows(2) {
                // Both sequences at once, the second one first and half as far.
                let half = cut[0] / 2..cut[1] / 2;
                let parts = [(1, half), (0, cut[0]..cut[1])];
                let want = parts.iter().flat_map(|(s, range)| &want[*s][range.clone()]);
                let have = attend(&mut exec, &parts);
                assert!(have.iter().eq(want), "window {window:?}, {parts:?}");
            }
            for t in 73..91 {
                let have = attend(&mut exec, &[(0, t..t + 1)]);
                assert!(have[0] == want[0][t], "window {window:?}, token {t}");
            }
        }
    }
}
