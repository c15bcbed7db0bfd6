//! Attention: values, derivative, and the same bits alone, packed, padded and cached.

use crate::common::{
    assert_close, assert_gradient, assert_same_bits, noise, once, same_everywhere, wide,
};
use tenon_kernels::{
    Attention, AttentionGrads, Cols, Cx, Float, attention, attention_vjp, attention_vjp_work_len,
    attention_work_len, split_cols,
};

/// A packed projection `[N, (H + 2G)·K]` and the rules.
#[derive(Clone)]
pub(crate) struct Case<S> {
    pub(crate) qkv: Vec<S>,
    pub(crate) n_heads: usize,
    pub(crate) n_kv_heads: usize,
    pub(crate) head_dim: usize,
    causal: bool,
    pub(crate) window: Option<usize>,
    pub(crate) cu_seqlens: Vec<i32>,
    pub(crate) key_mask: Option<Vec<i32>>,
}

impl<S: Float> Case<S> {
    pub(crate) fn new(
        lens: &[usize],
        heads: (usize, usize),
        head_dim: usize,
        causal: bool,
    ) -> Self {
        let mut cu_seqlens = vec![0];
        for &len in lens {
            cu_seqlens.push(cu_seqlens[cu_seqlens.len() - 1] + len as i32);
        }
        let n = lens.iter().sum::<usize>();
        let (n_heads, n_kv_heads) = heads;
        let qkv = noise::<S>(n * (n_heads + 2 * n_kv_heads) * head_dim, 5);
        Case {
            qkv: qkv.iter().map(|&x| x + x).collect(),
            n_heads,
            n_kv_heads,
            head_dim,
            causal,
            window: None,
            cu_seqlens,
            key_mask: None,
        }
    }

    pub(crate) fn n(&self) -> usize {
        self.cu_seqlens[self.cu_seqlens.len() - 1] as usize
    }

    pub(crate) fn widths(&self) -> [usize; 3] {
        [self.n_heads, self.n_kv_heads, self.n_kv_heads].map(|heads| heads * self.head_dim)
    }

    pub(crate) fn row_stride(&self) -> usize {
        self.widths().iter().sum()
    }

    pub(crate) fn scale(&self) -> f64 {
        1.0 / (self.head_dim as f64).sqrt()
    }

    pub(crate) fn view<'a>(&'a self, qkv: &'a [S]) -> Attention<'a, S> {
        let [q, k, _] = self.widths();
        let cols = |offset| Cols {
            data: qkv,
            row_stride: self.row_stride(),
            offset,
        };
        Attention {
            q: cols(0),
            k: cols(q),
            v: cols(q + k),
            n_heads: self.n_heads,
            n_kv_heads: self.n_kv_heads,
            head_dim: self.head_dim,
            scale: self.scale(),
            causal: self.causal,
            window: self.window,
            cu_seqlens: &self.cu_seqlens,
            key_mask: self.key_mask.as_deref(),
        }
    }

    pub(crate) fn forward(&self, cx: Cx<'_>, qkv: &[S]) -> (Vec<S>, Vec<S>) {
        let mut out = vec![S::NAN; self.n() * self.widths()[0]];
        let mut lse = vec![S::NAN; self.n() * self.n_heads];
        let mut work = vec![S::NAN; attention_work_len::<S>(self.head_dim, cx.pool().threads())];
        attention(cx, self.view(qkv), &mut out, &mut lse, &mut work);
        (out, lse)
    }

    /// The gradient of the packed projection.
    pub(crate) fn vjp(&self, cx: Cx<'_>, dout: &[S], start: Option<&[S]>) -> Vec<S> {
        let (out, lse) = self.forward(cx, &self.qkv);
        let mut grad = start.map_or(vec![S::NAN; self.qkv.len()], <[S]>::to_vec);
        let len = attention_vjp_work_len::<S>(self.head_dim, cx.pool().threads());
        let (view, mut work) = (self.view(&self.qkv), vec![S::NAN; len]);
        let [dq, dk, dv] = split_cols(&mut grad, self.row_stride(), self.widths());
        let grads = AttentionGrads {
            dq,
            dk,
            dv,
            accumulate: start.is_some(),
        };
        attention_vjp(cx, view, &out, &lse, dout, grads, &mut work);
        grad
    }

    fn sees(&self, i: usize, j: usize, first: usize) -> bool {
        let near = self.window.is_none_or(|w| i.abs_diff(j) < w);
        let open = self
            .key_mask
            .as_ref()
            .is_none_or(|mask| mask[first + j] != 0);
        (!self.causal || j <= i) && near && open
    }

    /// The definition, in f64.
    fn reference(&self) -> (Vec<f64>, Vec<f64>) {
        let (d, [q_width, k_width, _]) = (self.head_dim, self.widths());
        let at = |row: usize, col: usize| self.qkv[row * self.row_stride() + col].to_f64();
        let mut out = vec![0.0; self.n() * q_width];
        let mut lse = vec![f64::NEG_INFINITY; self.n() * self.n_heads];
        for ends in self.cu_seqlens.windows(2) {
            let (first, len) = (ends[0] as usize, (ends[1] - ends[0]) as usize);
            for h in 0..self.n_heads {
                let kv = q_width + h / (self.n_heads / self.n_kv_heads) * d;
                for i in 0..len {
                    let row = first + i;
                    let keys: Vec<_> = (0..len).filter(|&j| self.sees(i, j, first)).collect();
                    let score = |j: usize| {
                        let dot = |c| at(row, h * d + c) * at(first + j, kv + c);
                        (0..d).map(dot).sum::<f64>() * self.scale()
                    };
                    let exps: Vec<f64> = keys.iter().map(|&j| score(j).exp()).collect();
                    let total: f64 = exps.iter().sum();
                    lse[row * self.n_heads + h] = total.log2();
                    for (&j, e) in keys.iter().zip(&exps) {
                        for c in 0..d {
                            let v = at(first + j, kv + k_width + c);
                            out[row * q_width + h * d + c] += e / total * v;
                        }
                    }
                }
            }
        }
        (out, lse)
    }
}

/// Rules that together touch every branch.
fn cases<S: Float>() -> Vec<Case<S>> {
    let mut cases = vec![
        Case::new(&[1], (1, 1), 1, true),
        Case::new(&[5, 0, 70, 1], (2, 2), 8, true),
        Case::new(&[130], (4, 2), 20, true),
        Case::new(&[200, 3], (3, 1), 16, false),
        Case::new(&[64, 65], (2, 2), 24, false),
        Case::new(&[300], (2, 1), 64, true),
    ];
    for (causal, window) in [(true, 1), (true, 70), (false, 5), (false, 100)] {
        let mut case = Case::new(&[150, 20], (2, 1), 8, causal);
        case.window = Some(window);
        cases.push(case);
    }
    for (causal, hidden) in [
        (true, 0..10),
        (false, 140..150),
        (false, 60..130),
        (true, 0..150),
    ] {
        let mut case = Case::new(&[150, 20], (2, 2), 8, causal);
        case.key_mask = Some((0..170).map(|j| i32::from(!hidden.contains(&j))).collect());
        cases.push(case);
    }
    cases
}

#[test]
fn forward_matches_the_definition_with_the_same_bits_everywhere() {
    for (c, case) in cases::<f32>().iter().enumerate() {
        let n_out = case.n() * case.widths()[0];
        let got = same_everywhere(|cx| {
            let (out, lse) = case.forward(cx, &case.qkv);
            [out, lse].concat()
        });
        let (out, lse) = case.reference();
        assert_close(&got[..n_out], &out, 2e-6, &format!("out of case {c}"));
        for (got, want) in got[n_out..].iter().zip(&lse) {
            let error = (f64::from(*got) - want).abs();
            assert!(
                error < 1e-5 || f64::from(*got) == *want,
                "lse {got} of case {c} is not {want}"
            );
        }
    }
    for case in cases::<f64>() {
        let got = once(|cx| case.forward(cx, &case.qkv).0);
        assert_close(&got, &case.reference().0, 1e-14, "in f64");
    }
}

#[test]
fn derivative_matches_differences() {
    let mut cases = vec![
        Case::<f64>::new(&[3, 0, 5], (2, 1), 3, true),
        Case::new(&[4, 2], (2, 2), 5, false),
        Case::new(&[70], (1, 1), 2, true),
        // Several tiles of queries and of keys.
        Case::new(&[200], (1, 1), 2, true),
    ];
    for (len, heads, window) in [(9, (4, 2), 3), (130, (1, 1), 50)] {
        let mut windowed = Case::new(&[len], heads, 2, false);
        windowed.window = Some(window);
        cases.push(windowed);
    }
    let mut masked = Case::new(&[6, 3], (1, 1), 3, true);
    masked.key_mask = Some(vec![0, 0, 1, 0, 1, 1, 0, 0, 0]);
    cases.push(masked);
    for case in &cases {
        let dout = noise::<f64>(case.n() * case.widths()[0], 9);
        once(|cx| {
            let grad = case.vjp(cx, &dout, None);
            assert_gradient(|qkv| case.forward(cx, qkv).0, &case.qkv, &dout, &grad);
        });
    }
}

#[test]
fn derivative_is_close_to_f64_with_the_same_bits_everywhere() {
    for (c, case) in cases::<f32>().iter().enumerate() {
        let dout = noise::<f32>(case.n() * case.widths()[0], 9);
        let got = same_everywhere(|cx| case.vjp(cx, &dout, None));
        let exact = Case {
            qkv: wide(&case.qkv),
            n_heads: case.n_heads,
            n_kv_heads: case.n_kv_heads,
            head_dim: case.head_dim,
            causal: case.causal,
            window: case.window,
            cu_seqlens: case.cu_seqlens.clone(),
            key_mask: case.key_mask.clone(),
        };
        let want = once(|cx| exact.vjp(cx, &wide(&dout), None));
        assert_close(&got, &want, 5e-6, &format!("case {c}"));
        let start = noise::<f32>(got.len(), 11);
        let added = once(|cx| case.vjp(cx, &dout, Some(&start)));
        let want: Vec<f64> = want
            .iter()
            .zip(&start)
            .map(|(g, &s)| g + f64::from(s))
            .collect();
        assert_close(&added, &want, 5e-6, &format!("case {c}, accumulated"));
    }
}

/// Keys that are all alike cannot be told apart: queries have no gradient, and what is left of it
/// is rounding, of Σ P·(⟨dout, v⟩ − δ) over keys times their common value.
#[test]
fn equal_keys_leave_queries_without_a_gradient() {
    let mut case = Case::<f32>::new(&[90], (1, 1), 16, true);
    let row = case.row_stride();
    for qkv in case.qkv.chunks_exact_mut(row) {
        qkv[16..32].fill(1.0);
    }
    let dout = noise::<f32>(case.n() * 16, 9);
    let grad = once(|cx| case.vjp(cx, &dout, None));
    let left = grad.chunks_exact(row).flat_map(|row| &row[..16]);
    let left = left.map(|x| f64::from(x * x)).sum::<f64>().sqrt();
    assert!(left < 5e-7, "{left} of {} rows", case.n());
}

#[test]
fn a_sequence_has_the_same_bits_alone_and_packed() {
    for (causal, window) in [
        (true, None),
        (false, None),
        (true, Some(40)),
        (false, Some(40)),
    ] {
        let mut packed = Case::<f32>::new(&[33, 250, 7], (4, 2), 16, causal);
        packed.window = window;
        let mut alone = Case::<f32>::new(&[250], (4, 2), 16, causal);
        alone.window = window;
        let row = packed.row_stride();
        alone.qkv.copy_from_slice(&packed.qkv[33 * row..283 * row]);
        let dout = noise::<f32>(packed.n() * 64, 2);
        once(|cx| {
            let (all, one) = (
                packed.forward(cx, &packed.qkv),
                alone.forward(cx, &alone.qkv),
            );
            assert_same_bits(&all.0[33 * 64..283 * 64], &one.0, "out");
            assert_same_bits(&all.1[33 * 4..283 * 4], &one.1, "lse");
            let all = packed.vjp(cx, &dout, None);
            let one = alone.vjp(cx, &dout[33 * 64..283 * 64], None);
            assert_same_bits(&all[33 * row..283 * row], &one, "gradient");
        });
    }
}

#[test]
fn padding_on_either_side_changes_no_bit() {
    const REAL: usize = 230;
    for (causal, before, after) in [(true, 0, 50), (true, 30, 0), (false, 70, 3), (false, 0, 64)] {
        let alone = Case::<f32>::new(&[REAL], (2, 1), 8, causal);
        let mut padded = Case::<f32>::new(&[before + REAL + after], (2, 1), 8, causal);
        let n = padded.n();
        let is_real = |j: &usize| (before..before + REAL).contains(j);
        padded.key_mask = Some((0..n).map(|j| i32::from(is_real(&j))).collect());
        let row = alone.row_stride();
        padded.qkv[before * row..][..REAL * row].copy_from_slice(&alone.qkv);
        let mut dout = vec![0.0f32; n * 16];
        dout[before * 16..][..REAL * 16].copy_from_slice(&noise::<f32>(REAL * 16, 3));
        once(|cx| {
            let (out, lse) = padded.forward(cx, &padded.qkv);
            let want = alone.forward(cx, &alone.qkv);
            assert_same_bits(&out[before * 16..][..REAL * 16], &want.0, "out");
            assert_same_bits(&lse[before * 2..][..REAL * 2], &want.1, "lse");
            let grad = padded.vjp(cx, &dout, None);
            let want = alone.vjp(cx, &dout[before * 16..][..REAL * 16], None);
            assert_same_bits(&grad[before * row..][..REAL * row], &want, "gradient");
        });
    }
}

#[test]
#[should_panic(expected = "q: 6 rows of 8 columns")]
fn queries_that_leave_their_slice_are_refused() {
    let mut case = Case::<f32>::new(&[6], (2, 1), 4, true);
    case.qkv.truncate(60);
    once(|cx| case.forward(cx, &case.qkv));
}

#[test]
fn a_huge_score_does_not_overflow() {
    let mut case = Case::<f32>::new(&[70], (1, 1), 4, true);
    case.qkv.iter_mut().for_each(|x| *x *= 1e10);
    let (out, lse) = once(|cx| case.forward(cx, &case.qkv));
    assert!(out.iter().chain(&lse).all(|x| x.is_finite()));
}
