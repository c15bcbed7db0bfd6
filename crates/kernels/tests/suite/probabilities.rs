//! Probabilities of attention heads against their definition, and against attention itself.

use crate::attention::Case;
use crate::common::{assert_close, noise, once, same_everywhere};
use tenon_kernels::{AttentionHead, Cols, Cx, Float, attention_probabilities, gemm_work_len};

fn probabilities<S: Float>(cx: Cx<'_>, head: AttentionHead<'_, S>) -> Vec<S> {
    let mut out = vec![S::NAN; head.len * head.len];
    let mut work = vec![S::NAN; gemm_work_len::<S>(cx.pool().threads())];
    attention_probabilities(cx, head, &mut out, &mut work);
    out
}

/// The second of three heads in rows of `q` and `k`.
fn head<'a, S>(q: &'a [S], k: &'a [S], len: usize, head_dim: usize) -> AttentionHead<'a, S> {
    let cols = |data| Cols {
        data,
        row_stride: 3 * head_dim,
        offset: head_dim,
    };
    AttentionHead {
        q: cols(q),
        k: cols(k),
        len,
        head_dim,
        scale: 1.0 / (head_dim as f64).sqrt(),
        causal: false,
        window: None,
        key_mask: None,
    }
}

fn defined(head: AttentionHead<'_, f32>) -> Vec<f64> {
    let (n, width) = (head.len, head.head_dim);
    let row = |x: Cols<'_, f32>, i: usize| -> Vec<f64> {
        let row = &x.data[i * x.row_stride + x.offset..][..width];
        row.iter().map(|&x| f64::from(x)).collect()
    };
    let score = |i: usize, j: usize| -> f64 {
        let near = head.window.is_none_or(|window| i.abs_diff(j) < window);
        let shown = head.key_mask.is_none_or(|mask| mask[j] != 0);
        let products = row(head.q, i).into_iter().zip(row(head.k, j));
        match near && shown && !(head.causal && j > i) {
            true => head.scale * products.map(|(q, k)| q * k).sum::<f64>(),
            false => f64::NEG_INFINITY,
        }
    };
    let softmax = |i: usize| {
        let weights: Vec<f64> = (0..n).map(|j| score(i, j).exp()).collect();
        let total = weights.iter().sum::<f64>().max(f64::MIN_POSITIVE);
        weights.into_iter().map(move |w| w / total)
    };
    (0..n).flat_map(softmax).collect()
}

#[test]
fn probabilities_match_the_definition_with_the_same_bits_everywhere() {
    for (len, head_dim) in [(1, 4), (7, 3), (33, 16), (150, 20)] {
        let [q, k] = [1, 2].map(|seed| noise::<f32>(len * 3 * head_dim, seed));
        // Holes everywhere, and a stretch where nobody of a window is seen.
        let mask: Vec<i32> = (0..len)
            .map(|j| i32::from(j % 3 != 0 && j / 20 != 2))
            .collect();
        let all = head(&q, &k, len, head_dim);
        let cases = [
            all,
            AttentionHead {
                causal: true,
                ..all
            },
            AttentionHead {
                window: Some(5),
                ..all
            },
            AttentionHead {
                key_mask: Some(&mask),
                ..all
            },
            AttentionHead {
                key_mask: Some(&mask),
                window: Some(4),
                ..all
            },
        ];
        for case in cases {
            let have = same_everywhere(|cx| probabilities(cx, case));
            assert_close(&have, &defined(case), 2e-6, "probabilities");
        }
    }
}

#[test]
fn probabilities_weight_values_as_attention_does() {
    let case = Case::<f64>::new(&[40], (1, 1), 8, true);
    let (qkv, stride) = (&case.qkv[..], 24);
    let cols = |offset| Cols {
        data: qkv,
        row_stride: stride,
        offset,
    };
    let head = AttentionHead {
        q: cols(0),
        k: cols(8),
        causal: true,
        ..head(&[], &[], 40, 8)
    };
    once(|cx| {
        let p = probabilities(cx, head);
        let out = case.forward(cx, qkv).0;
        for i in 0..40 {
            let value = |d: usize| {
                (0..40)
                    .map(|j| p[i * 40 + j] * qkv[j * stride + 16 + d])
                    .sum()
            };
            let want: Vec<f64> = (0..8).map(value).collect();
            assert_close(&out[i * 8..][..8], &want, 1e-13, "a row");
        }
    });
}

#[test]
fn no_rows_and_scores_far_out() {
    once(|cx| assert!(probabilities(cx, head::<f32>(&[], &[], 0, 4)).is_empty()));
    let (q, k) = (vec![1e4f32; 6], vec![1e4, 1e4, 1e4, -1e4, -1e4, -1e4]);
    let p = once(|cx| probabilities(cx, head(&q, &k, 2, 1)));
    assert_eq!(p, [1.0, 0.0, 1.0, 0.0]);
    let lost = [f32::NAN; 6];
    let p = once(|cx| probabilities(cx, head(&lost, &k, 2, 1)));
    assert!(p.iter().all(|p| p.is_nan()), "{p:?}");
}

#[test]
#[should_panic(expected = "key mask of 2 rows")]
fn a_mask_of_another_length_is_refused() {
    let x = [0.0f32; 6];
    let masked = AttentionHead {
        key_mask: Some(&[1]),
        ..head(&x, &x, 2, 1)
    };
    once(|cx| probabilities(cx, masked));
}
