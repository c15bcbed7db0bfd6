//! Layer normalisation (Ba et al. 2016) and RMS normalisation (Zhang & Sennrich 2019).

mod backward;
mod columns;

use crate::isa::simd;
use crate::lanes;
use crate::pool::Parts;
use crate::{Cx, Float};
use backward::norm_vjp;

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
        let d = x.len() as f64;
        let m = lanes::sum(x) / S::from_f64(d);
        let variance = lanes::sum_sq_from(x, m) * (1.0 / d);
        let r = S::from_f64(1.0 / (variance + eps).sqrt());
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
        let mean_sq = lanes::sum_sq(x) * (1.0 / x.len() as f64);
        let r = S::from_f64(1.0 / (mean_sq + eps).sqrt());
        for ((y, &x), &g) in y.iter_mut().zip(x).zip(gain) {
            *y = x * r * g;
        }
        rstd[0] = r;
    }
}
