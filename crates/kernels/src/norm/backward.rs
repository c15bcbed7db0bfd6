//! Derivatives of the normalisations: one pass over the rows for dx and for the parameters.

use super::columns::add_by_columns;
use super::{NormGrads, NormSaved, assert_rows};
use crate::isa::simd;
use crate::lanes::{self, LANES};
use crate::pool::Parts;
use crate::turns::{Turns, with_turns};
use crate::{Cx, Float, Isa};
use std::ops::Range;

/// Rows of a task, summed before they are added to the gradients: keeps f32 sums short.
pub(super) const ROWS: usize = 128;
/// Columns whose sums a task holds. Rows wider than that are read twice.
const COLS: usize = 2048;
/// Parts of so many columns wait for each other's turn only among themselves.
const QUEUES: usize = 8;
/// Columns that are kept in registers.
const BLOCK: usize = 16;
/// Element visits below which one thread is as fast as several that go over the rows twice.
const APART_MIN: usize = 64 * 1024;

/// The gradients of gain and bias, and whether they are wanted.
pub(super) type Params<'a, 'p, S> = [(&'a Parts<'p, S>, bool); 2];

/// What the derivative of a row needs to know of the whole row: n = (x − mean)·rstd, and the
/// factors of dx = h·rstd + n·of_n + constant.
#[derive(Clone, Copy)]
pub(super) struct Row<S> {
    mean: S,
    rstd: S,
    /// −rstd·mean(h·n).
    of_n: S,
    /// −rstd·mean(h), and 0 without a mean.
    constant: S,
}

impl<S: Float> Row<S> {
    #[inline(always)]
    pub(super) fn new(saved: NormSaved<'_, S>, i: usize) -> Self {
        Row {
            mean: saved.mean.map_or(S::ZERO, |mean| mean[i]),
            rstd: saved.rstd[i],
            of_n: S::ZERO,
            constant: S::ZERO,
        }
    }

    /// With the sums over the row.
    #[inline(always)]
    fn of(x: &[S], dy: &[S], saved: NormSaved<'_, S>, i: usize) -> Self {
        let row = Row::new(saved, i);
        let (sum_h, sum_hn) = row_sums(x, dy, saved.gain, row);
        let factor = -row.rstd.to_f64() / x.len() as f64;
        Row {
            of_n: S::from_f64(factor * sum_hn),
            constant: match saved.mean {
                Some(_) => S::from_f64(factor * sum_h),
                None => S::ZERO,
            },
            ..row
        }
    }

    #[inline(always)]
    fn normal(&self, x: S) -> S {
        (x - self.mean) * self.rstd
    }

    /// dx for h = dy·gain and the normal value n.
    #[inline(always)]
    fn dx(&self, h: S, n: S) -> S {
        n.mul_add(self.of_n, h.mul_add(self.rstd, self.constant))
    }
}

/// Sums of the parameters' gradients over the rows of a task.
struct Sums<S> {
    gain: [S; COLS],
    bias: [S; COLS],
}

/// The derivative of either normalisation; see the entry points.
pub(super) fn norm_vjp<S: Float>(
    cx: Cx<'_>,
    dy: &[S],
    saved: NormSaved<'_, S>,
    grads: NormGrads<'_, S>,
) {
    let d = saved.gain.len();
    let n = assert_rows(saved.x.len(), d, saved.rstd.len());
    assert_eq!(dy.len(), saved.x.len(), "dy of a norm");
    assert!(
        saved.mean.is_none_or(|mean| mean.len() == n),
        "mean of a norm"
    );
    let (has_dx, has_gain) = (grads.dx.is_some(), grads.dgain.is_some());
    let has_bias = grads.dbias.is_some();
    let [mut no_dx, mut no_gain, mut no_bias]: [[S; 0]; 3] = [[]; 3];
    let dx = grads.dx.unwrap_or(&mut no_dx);
    let dgain = grads.dgain.unwrap_or(&mut no_gain);
    let dbias = grads.dbias.unwrap_or(&mut no_bias);
    assert!(!has_dx || dx.len() == dy.len(), "dx of a norm");
    for (has, grad) in [(has_gain, &dgain), (has_bias, &dbias)] {
        assert!(
            !has || grad.len() == d,
            "a gradient of {} for {d}",
            grad.len()
        );
    }
    let (dx, dgain, dbias) = (Parts::new(dx), Parts::new(dgain), Parts::new(dbias));
    let params = [(&dgain, has_gain), (&dbias, has_bias)];
    let has_params = has_gain || has_bias;
    if !has_params || are_better_apart(n, d, cx.pool().threads()) {
        if has_dx {
            cx.ranges(n, 2 * d, &|rows| {
                // SAFETY: ranges of rows are disjoint.
                let dx = unsafe { dx.rows(&rows, d) };
                dx_rows(cx.isa(), dy, saved, grads.accumulate_dx, rows, dx);
            });
        }
        if has_params {
            add_by_columns(cx, dy, saved, params);
        }
        return;
    }
    let turns = std::array::from_fn(|_| Turns::new());
    cx.in_order(n.div_ceil(ROWS), 2 * n * d, &|t| {
        let rows = t * ROWS..n.min((t + 1) * ROWS);
        let dx = has_dx.then(|| {
            // SAFETY: blocks of rows are disjoint.
            unsafe { dx.rows(&rows, d) }
        });
        let mut task = Task {
            dy,
            saved,
            rows,
            dx,
            accumulate: grads.accumulate_dx,
            known: [Row::new(saved, t * ROWS); ROWS],
        };
        with_turns(&turns, || {
            add_in_turn(cx.isa(), &mut task, params, &turns, t)
        });
    });
}

/// Whether dx by rows and then the parameters by columns are sooner done than both by blocks of
/// rows, which can be too few for the threads.
fn are_better_apart(n: usize, d: usize, threads: usize) -> bool {
    // Apart they read everything once more, and take about half as long again on one thread; a
    // block takes at least as long as its rows.
    2 * n * d >= APART_MIN && 3 * n < 2 * threads * n.min(ROWS)
}

/// Computes task `t` and adds its sums to the gradients of gain and bias, where there are any. The
/// order of the tasks is the order of the rows, whoever runs them.
fn add_in_turn<S: Float>(
    isa: Isa,
    task: &mut Task<'_, S>,
    params: Params<'_, '_, S>,
    turns: &[Turns; QUEUES],
    t: usize,
) {
    let d = task.saved.gain.len();
    let n_parts = d.div_ceil(COLS);
    for (part, start) in (0..d).step_by(COLS).enumerate() {
        let (queue, place) = (part % QUEUES, part / QUEUES);
        let turn = t * (n_parts - queue).div_ceil(QUEUES) + place;
        let cols = start..d.min(start + COLS);
        let mut sums = Sums {
            gain: [S::ZERO; COLS],
            bias: [S::ZERO; COLS],
        };
        task_columns(isa, task, cols.clone(), &mut sums);
        turns[queue].take(turn, || {
            // SAFETY: these columns belong to one queue, whose turns do not overlap in time.
            unsafe { add_sums(params, &cols, [&sums.gain, &sums.bias]) }
        });
    }
}

/// Adds sums of some columns to the gradients that are wanted.
///
/// # Safety
/// Nobody else touches these columns of the gradients.
pub(super) unsafe fn add_sums<S: Float>(
    params: Params<'_, '_, S>,
    cols: &Range<usize>,
    sums: [&[S]; 2],
) {
    for ((to, _), from) in params.into_iter().zip(sums).filter(|((_, has), _)| *has) {
        // SAFETY: the caller's promise.
        let to = unsafe { to.part(cols.clone()) };
        to.iter_mut().zip(from).for_each(|(to, &x)| *to += x);
    }
}

/// A block of rows on its way.
struct Task<'a, S> {
    dy: &'a [S],
    saved: NormSaved<'a, S>,
    rows: Range<usize>,
    /// The block's rows.
    dx: Option<&'a mut [S]>,
    accumulate: bool,
    known: [Row<S>; ROWS],
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
        for (i, dx) in rows.zip(dx.chunks_exact_mut(gain.len().max(1))) {
            let x = &saved.x[i * gain.len()..][..gain.len()];
            let dy = &dy[i * gain.len()..][..gain.len()];
            let row = Row::of(x, dy, saved, i);
            for (((dx, &x), &dy), &g) in dx.iter_mut().zip(x).zip(dy).zip(gain) {
                let grad = row.dx(dy * g, row.normal(x));
                *dx = if accumulate { *dx + grad } else { grad };
            }
        }
    }
}

/// Σ h and Σ h·n with h = dy·gain.
#[inline(always)]
fn row_sums<S: Float>(x: &[S], dy: &[S], gain: &[S], row: Row<S>) -> (f64, f64) {
    const L: usize = LANES;
    let (mut acc_h, mut acc_hn) = ([S::ZERO; L], [S::ZERO; L]);
    let whole = x.len() - x.len() % L;
    let mut at = 0;
    while at < whole {
        let (x, dy, gain) = (&x[at..at + L], &dy[at..at + L], &gain[at..at + L]);
        for l in 0..L {
            let h = dy[l] * gain[l];
            acc_h[l] += h;
            acc_hn[l] = h.mul_add(row.normal(x[l]), acc_hn[l]);
        }
        at += L;
    }
    for l in 0..x.len() - whole {
        let h = dy[whole + l] * gain[whole + l];
        acc_h[l] += h;
        acc_hn[l] = h.mul_add(row.normal(x[whole + l]), acc_hn[l]);
    }
    (lanes::tree_f64(acc_h), lanes::tree_f64(acc_hn))
}

simd! {
    /// Some columns of dx and of the sums; the first of a task's columns get to know its rows.
    fn task_columns<S: Float>(task: &mut Task<'_, S>, cols: Range<usize>, sums: &mut Sums<S>) {
        let Task { dy, saved, accumulate, .. } = *task;
        let d = saved.gain.len();
        let gain = &saved.gain[cols.clone()];
        let (dgain, dbias) = (&mut sums.gain[..cols.len()], &mut sums.bias[..cols.len()]);
        for (r, i) in task.rows.clone().enumerate() {
            let (x, dy) = (&saved.x[i * d..][..d], &dy[i * d..][..d]);
            if cols.start == 0 && task.dx.is_some() {
                task.known[r] = Row::of(x, dy, saved, i);
            } else if cols.start == 0 {
                task.known[r] = Row::new(saved, i);
            }
            let (x, dy, row) = (&x[cols.clone()], &dy[cols.clone()], task.known[r]);
            match &mut task.dx {
                None => parameters(row, x, dy, dgain, dbias),
                Some(dx) => {
                    let dx = &mut dx[r * d..][cols.clone()];
                    match accumulate {
                        true => everything::<S, true>(row, [x, dy, gain], dx, dgain, dbias),
                        false => everything::<S, false>(row, [x, dy, gain], dx, dgain, dbias),
                    }
                }
            }
        }
    }
}

/// Adds a row to the sums of the parameters.
#[inline(always)]
pub(super) fn parameters<S: Float>(
    row: Row<S>,
    x: &[S],
    dy: &[S],
    dgain: &mut [S],
    dbias: &mut [S],
) {
    for (((&x, &dy), dgain), dbias) in x.iter().zip(dy).zip(dgain).zip(dbias) {
        *dgain = dy.mul_add(row.normal(x), *dgain);
        *dbias += dy;
    }
}

/// Writes a row of dx and adds it to the sums of the parameters, in blocks, because a compiler
/// cannot tell that so many slices lie apart.
#[inline(always)]
fn everything<S: Float, const ADD: bool>(
    row: Row<S>,
    [x, dy, gain]: [&[S]; 3],
    dx: &mut [S],
    dgain: &mut [S],
    dbias: &mut [S],
) {
    let [(xs, x), (dys, dy), (gains, gain)] = [x, dy, gain].map(<[S]>::as_chunks::<BLOCK>);
    let [(dxs, dx), (dgains, dgain), (dbiases, dbias)] =
        [dx, dgain, dbias].map(<[S]>::as_chunks_mut::<BLOCK>);
    let read = xs.iter().zip(dys).zip(gains);
    let written = dxs.iter_mut().zip(dgains).zip(dbiases);
    for (((x, dy), gain), ((dx, dgain), dbias)) in read.zip(written) {
        let (mut grad, mut of_gain, mut of_bias) = (*dx, *dgain, *dbias);
        for l in 0..BLOCK {
            let n = row.normal(x[l]);
            of_gain[l] = dy[l].mul_add(n, of_gain[l]);
            of_bias[l] += dy[l];
            let new = row.dx(dy[l] * gain[l], n);
            grad[l] = if ADD { grad[l] + new } else { new };
        }
        (*dx, *dgain, *dbias) = (grad, of_gain, of_bias);
    }
    for l in 0..x.len() {
        let n = row.normal(x[l]);
        dgain[l] = dy[l].mul_add(n, dgain[l]);
        dbias[l] += dy[l];
        let new = row.dx(dy[l] * gain[l], n);
        dx[l] = if ADD { dx[l] + new } else { new };
    }
}
