//! Layer normalisation (Ba et al. 2016) and RMS normalisation (Zhang & Sennrich 2019).

use crate::isa::simd;
use crate::lanes;
use crate::pool::Parts;
use crate::{Cx, Float};
use std::ops::Range;

/// Columns of a parameter gradient that one task sums over all rows.
const COLS: usize = 64;
/// Rows summed before they are added to the gradient: keeps f32 sums short.
const ROWS: usize = 128;

/// Reads of a normalisation's derivative. `mean` is `None` for RMS normalisation.
#[derive(Clone, Copy, Debug)]
pub struct NormSaved<'a, S> {
    /// The input `[N, D]`.
    pub x: &'a [S],
    /// The gain `[D]`.
    pub gain: &'a [S],
    /// Row means `[N]`, as the forward wrote them.
    pub mean: Option<&'a [S]>,
    /// Reciprocal row deviations `[N]`, as the forward wrote them.
    pub rstd: &'a [S],
}

/// Writes of a normalisation's derivative; what is `None` is not computed.
#[derive(Debug)]
pub struct NormGrads<'a, S> {
    /// `[N, D]`.
    pub dx: Option<&'a mut [S]>,
    /// Add to `dx` instead of replacing it.
    pub accumulate_dx: bool,
    /// `[D]`, added to.
    pub dgain: Option<&'a mut [S]>,
    /// `[D]`, added to.
    pub dbias: Option<&'a mut [S]>,
}

/// y = (x − mean) · rstd · gain + bias over rows of x `[N, D]`, with the population variance and
/// rstd = 1 / √(variance + eps). Writes `mean` and `rstd` `[N]`.
///
/// # Panics
/// When a length does not fit D = `gain.len()`.
pub fn layer_norm<S: Float>(
    cx: Cx<'_>,
    x: &[S],
    gain: &[S],
    bias: Option<&[S]>,
    eps: f64,
    y: &mut [S],
    mean: &mut [S],
    rstd: &mut [S],
) {
    let n = assert_rows(x.len(), gain.len(), rstd.len());
    assert_eq!(
        (y.len(), mean.len()),
        (x.len(), n),
        "y and mean of layer norm"
    );
    assert!(
        bias.is_none_or(|bias| bias.len() == gain.len()),
        "bias of layer norm"
    );
    let d = gain.len();
    let (y, mean, rstd) = (Parts::new(y), Parts::new(mean), Parts::new(rstd));
    cx.ranges(n, d, &|rows| {
        for i in rows {
            // SAFETY: ranges of rows are disjoint.
            let (y, mean, rstd) = unsafe {
                (
                    y.rows(&(i..i + 1), d),
                    mean.part(i..i + 1),
                    rstd.part(i..i + 1),
                )
            };
            layer_norm_row(cx.isa(), &x[i * d..][..d], gain, bias, eps, y, mean, rstd);
        }
    });
}

/// y = x · rstd · gain over rows of x `[N, D]`, rstd = 1 / √(mean x² + eps). Writes `rstd` `[N]`.
///
/// # Panics
/// When a length does not fit D = `gain.len()`.
pub fn rms_norm<S: Float>(cx: Cx<'_>, x: &[S], gain: &[S], eps: f64, y: &mut [S], rstd: &mut [S]) {
    let n = assert_rows(x.len(), gain.len(), rstd.len());
    assert_eq!(y.len(), x.len(), "y of RMS norm");
    let d = gain.len();
    let (y, rstd) = (Parts::new(y), Parts::new(rstd));
    cx.ranges(n, d, &|rows| {
        for i in rows {
            // SAFETY: ranges of rows are disjoint.
            let (y, rstd) = unsafe { (y.rows(&(i..i + 1), d), rstd.part(i..i + 1)) };
            rms_norm_row(cx.isa(), &x[i * d..][..d], gain, eps, y, rstd);
        }
    });
}

/// The derivative of [`layer_norm`] for dy `[N, D]`. With h = dy·gain and n = (x − mean)·rstd:
/// dx = rstd·(h − mean(h) − n·mean(h·n)), dgain += Σ dy·n, dbias += Σ dy over rows.
///
/// # Panics
/// When a length does not fit, or `saved.mean` is missing.
pub fn layer_norm_vjp<S: Float>(
    cx: Cx<'_>,
    dy: &[S],
    saved: NormSaved<'_, S>,
    grads: NormGrads<'_, S>,
) {
    assert!(saved.mean.is_some(), "layer norm has saved means");
    norm_vjp(cx, dy, saved, grads);
}

/// The derivative of [`rms_norm`] for dy `[N, D]`. With h = dy·gain and n = x·rstd:
/// dx = rstd·(h − n·mean(h·n)), dgain += Σ dy·n over rows.
///
/// # Panics
/// When a length does not fit, or `saved.mean` or `grads.dbias` is given.
pub fn rms_norm_vjp<S: Float>(
    cx: Cx<'_>,
    dy: &[S],
    saved: NormSaved<'_, S>,
    grads: NormGrads<'_, S>,
) {
    assert!(
        saved.mean.is_none() && grads.dbias.is_none(),
        "RMS norm has no mean and no bias"
    );
    norm_vjp(cx, dy, saved, grads);
}

fn assert_rows(elements: usize, d: usize, n: usize) -> usize {
    assert_eq!(Some(elements), n.checked_mul(d), "x is [{n}, {d}]");
    n
}

fn norm_vjp<S: Float>(cx: Cx<'_>, dy: &[S], saved: NormSaved<'_, S>, grads: NormGrads<'_, S>) {
    let d = saved.gain.len();
    let n = assert_rows(saved.x.len(), d, saved.rstd.len());
    assert_eq!(dy.len(), saved.x.len(), "dy of a norm");
    assert!(
        saved.mean.is_none_or(|mean| mean.len() == n),
        "mean of a norm"
    );
    if let Some(dx) = grads.dx {
        assert_eq!(dx.len(), saved.x.len(), "dx of a norm");
        let dx = Parts::new(dx);
        cx.ranges(n, 2 * d, &|rows| {
            // SAFETY: ranges of rows are disjoint.
            let dx = unsafe { dx.rows(&rows, d) };
            dx_rows(cx.isa(), dy, saved, grads.accumulate_dx, rows, dx);
        });
    }
    let mut nothing = [];
    let dgain = grads.dgain.unwrap_or(&mut nothing);
    let mut nothing = [];
    let dbias = grads.dbias.unwrap_or(&mut nothing);
    for grad in [&dgain, &dbias] {
        assert!(
            grad.is_empty() || grad.len() == d,
            "a gradient of {} for {d}",
            grad.len()
        );
    }
    if dgain.is_empty() && dbias.is_empty() {
        return;
    }
    let (has_gain, has_bias) = (!dgain.is_empty(), !dbias.is_empty());
    let (dgain, dbias) = (Parts::new(dgain), Parts::new(dbias));
    cx.ranges(d.div_ceil(COLS), 2 * n * COLS, &|blocks| {
        for block in blocks {
            let cols = block * COLS..d.min((block + 1) * COLS);
            // SAFETY: blocks of columns are disjoint.
            let dgain = unsafe { dgain.part(if has_gain { cols.clone() } else { 0..0 }) };
            // SAFETY: as above.
            let dbias = unsafe { dbias.part(if has_bias { cols.clone() } else { 0..0 }) };
            parameter_columns(cx.isa(), dy, saved, cols, dgain, dbias);
        }
    });
}

simd! {
    fn layer_norm_row<S: Float>(
        x: &[S],
        gain: &[S],
        bias: Option<&[S]>,
        eps: f64,
        y: &mut [S],
        mean: &mut [S],
        rstd: &mut [S],
    ) {
        let d = S::from_f64(x.len() as f64);
        let m = lanes::sum(x) / d;
        let variance = lanes::sum_sq_from(x, m) / d;
        let r = S::ONE / (variance + S::from_f64(eps)).sqrt();
        match bias {
            Some(bias) => {
                for (((y, &x), &g), &b) in y.iter_mut().zip(x).zip(gain).zip(bias) {
                    *y = ((x - m) * r).mul_add(g, b);
                }
            }
            None => {
                for ((y, &x), &g) in y.iter_mut().zip(x).zip(gain) {
                    *y = (x - m) * r * g;
                }
            }
        }
        mean[0] = m;
        rstd[0] = r;
    }
}

simd! {
    fn rms_norm_row<S: Float>(x: &[S], gain: &[S], eps: f64, y: &mut [S], rstd: &mut [S]) {
        let mean_sq = lanes::dot(x, x) / S::from_f64(x.len() as f64);
        let r = S::ONE / (mean_sq + S::from_f64(eps)).sqrt();
        for ((y, &x), &g) in y.iter_mut().zip(x).zip(gain) {
            *y = x * r * g;
        }
        rstd[0] = r;
    }
}

simd! {
    fn dx_rows<S: Float>(
        dy: &[S],
        saved: NormSaved<'_, S>,
        accumulate: bool,
        rows: Range<usize>,
        dx: &mut [S],
    ) {
        let gain = saved.gain;
        let width = gain.len();
        let d = S::from_f64(width as f64);
        let first = rows.start;
        for i in rows {
            let x = &saved.x[i * width..][..width];
            let dy = &dy[i * width..][..width];
            let dx = &mut dx[(i - first) * width..][..width];
            let rstd = saved.rstd[i];
            let mean = saved.mean.map_or(S::ZERO, |mean| mean[i]);
            let (sum_h, sum_hn) = row_sums(x, dy, gain, mean, rstd);
            let mean_h = if saved.mean.is_some() { sum_h / d } else { S::ZERO };
            let mean_hn = sum_hn / d;
            for (((dx, &x), &dy), &g) in dx.iter_mut().zip(x).zip(dy).zip(gain) {
                let n = (x - mean) * rstd;
                let grad = rstd * (-n).mul_add(mean_hn, dy * g - mean_h);
                *dx = if accumulate { *dx + grad } else { grad };
            }
        }
    }
}

/// Σ h and Σ h·n with h = dy·gain and n = (x − mean)·rstd.
#[inline(always)]
fn row_sums<S: Float>(x: &[S], dy: &[S], gain: &[S], mean: S, rstd: S) -> (S, S) {
    const L: usize = lanes::LANES;
    let (mut acc_h, mut acc_hn) = ([S::ZERO; L], [S::ZERO; L]);
    let whole = x.len() - x.len() % L;
    let mut at = 0;
    while at < whole {
        let (x, dy, gain) = (&x[at..at + L], &dy[at..at + L], &gain[at..at + L]);
        for l in 0..L {
            let h = dy[l] * gain[l];
            acc_h[l] += h;
            acc_hn[l] = h.mul_add((x[l] - mean) * rstd, acc_hn[l]);
        }
        at += L;
    }
    for l in 0..x.len() - whole {
        let h = dy[whole + l] * gain[whole + l];
        acc_h[l] += h;
        acc_hn[l] = h.mul_add((x[whole + l] - mean) * rstd, acc_hn[l]);
    }
    (lanes::tree(acc_h), lanes::tree(acc_hn))
}

simd! {
    /// Adds the columns `cols` of the parameter gradients, over rows in order.
    fn parameter_columns<S: Float>(
        dy: &[S],
        saved: NormSaved<'_, S>,
        cols: Range<usize>,
        dgain: &mut [S],
        dbias: &mut [S],
    ) {
        let (d, width) = (saved.gain.len(), cols.len());
        let n = saved.rstd.len();
        for first in (0..n).step_by(ROWS) {
            let (mut gains, mut biases) = ([S::ZERO; COLS], [S::ZERO; COLS]);
            for i in first..n.min(first + ROWS) {
                let at = i * d + cols.start;
                let (x, dy) = (&saved.x[at..at + width], &dy[at..at + width]);
                let rstd = saved.rstd[i];
                let mean = saved.mean.map_or(S::ZERO, |mean| mean[i]);
                let sums = gains[..width].iter_mut().zip(&mut biases[..width]);
                for ((&x, &dy), (gain, bias)) in x.iter().zip(dy).zip(sums) {
                    *gain = dy.mul_add((x - mean) * rstd, *gain);
                    *bias += dy;
                }
            }
            dgain.iter_mut().zip(&gains).for_each(|(to, &x)| *to += x);
            dbias.iter_mut().zip(&biases).for_each(|(to, &x)| *to += x);
        }
    }
}
