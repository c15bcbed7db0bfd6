//! Probabilities of attention heads, computed beside a model.

use tenon_engine::cpu::{Cpu, Isa};
use tenon_engine::table::AttentionDims;

const DIMS: AttentionDims = AttentionDims {
    n_heads: 4,
    n_kv_heads: 2,
    head_dim: 3,
    scale: 0.5,
    causal: false,
    window: None,
};

fn probabilities(dims: &AttentionDims, head: usize, q: &[f64], k: &[f64]) -> Vec<f64> {
    let len = q.len() / (dims.n_heads * dims.head_dim);
    let mut out = vec![f64::NAN; len * len];
    Cpu::new(2, Isa::detect()).attention_probabilities(dims, head, q, k, &mut out);
    out
}

#[test]
fn each_head_weighs_the_keys_of_its_group() {
    let len = 5;
    let wave = |n: usize, step: f64| (0..n).map(|i| (i as f64 * step).sin()).collect::<Vec<_>>();
    let (q, k) = (wave(len * 12, 0.7), wave(len * 6, 1.3));
    for head in 0..4 {
        let have = probabilities(&DIMS, head, &q, &k);
        for (i, row) in have.chunks(len).enumerate() {
            let score = |j: usize| -> f64 {
                let (q, k) = (
                    &q[i * 12 + head * 3..][..3],
                    &k[j * 6 + head / 2 * 3..][..3],
                );
                0.5 * q.iter().zip(k).map(|(q, k)| q * k).sum::<f64>()
            };
            let total: f64 = (0..len).map(|j| score(j).exp()).sum();
            for (j, p) in row.iter().enumerate() {
                assert!(
                    (p - score(j).exp() / total).abs() < 1e-14,
                    "head {head}: {i}, {j}"
                );
            }
        }
    }
}

#[test]
fn causal_heads_see_no_later_key() {
    let dims = AttentionDims {
        causal: true,
        ..DIMS
    };
    let have = probabilities(&dims, 0, &[1.0; 24], &[1.0; 12]);
    assert_eq!(have, [1.0, 0.0, 0.5, 0.5]);
}

#[test]
#[should_panic(expected = "rows of q and k")]
fn keys_of_another_length_are_refused() {
    probabilities(&DIMS, 0, &[1.0; 24], &[1.0; 6]);
}

#[test]
#[should_panic(expected = "head 4 of 4")]
fn a_head_that_is_not_there_is_refused() {
    probabilities(&DIMS, 4, &[1.0; 24], &[1.0; 12]);
}
