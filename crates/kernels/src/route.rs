//! Mixture of experts: which experts a row goes to and with what weight (Jiang et al. 2024).

use crate::isa::simd;
use crate::pool::Parts;
use crate::{Cx, Float, lanes};

/// Element visits that one logit is worth when work is cut for threads.
const COST: usize = 16;

/// Where the routing of N rows to k of E experts is written. *In order of experts* means: all rows
/// of expert 0, then all of expert 1, …; those of one expert ascend.
#[derive(Debug)]
pub struct Routes<'a, S> {
    /// The experts of each row, ascending: `[N, k]`.
    pub experts: &'a mut [i32],
    /// Their weights, which sum to 1 in each row: `[N, k]`.
    pub shares: &'a mut [S],
    /// Where each of them stands in order of experts: `[N, k]`.
    pub places: &'a mut [i32],
    /// Rows in order of experts: `[N·k]`.
    pub rows: &'a mut [i32],
    /// Where the rows of each expert begin in that order, and where the last one's end: `[E + 1]`.
    pub bounds: &'a mut [i32],
    /// Weights in order of experts: `[N·k]`.
    pub weights: &'a mut [S],
}

/// Routes each row of logits `[N, E]` to its k experts with the largest p = softmax(logits), with
/// weights p / Σ p over those k. Of equal logits the one with the lower index wins. The choice is
/// made by logits, whose order is that of p but for what rounds to the same p.
///
/// A row with a logit that is NaN or +∞ goes to experts 0..k with weights NaN.
///
/// # Panics
/// When a length does not fit, or k is not in 1..=E.
pub fn route<S: Float>(cx: Cx<'_>, logits: &[S], routes: Routes<'_, S>) {
    let n_experts = routes.bounds.len() - 1;
    let (n, per_row) = shape(logits.len(), n_experts, routes.experts.len());
    let lens = [
        routes.shares.len(),
        routes.places.len(),
        routes.rows.len(),
        routes.weights.len(),
    ];
    assert_eq!(lens, [n * per_row; 4], "routes of {n} rows");
    {
        let experts = Parts::new(&mut *routes.experts);
        let shares = Parts::new(&mut *routes.shares);
        cx.ranges(n, COST * n_experts * per_row, &|range| {
            for i in range {
                let z = &logits[i * n_experts..][..n_experts];
                let row = i..i + 1;
                // SAFETY: ranges of rows are disjoint.
                let (experts, shares) =
                    unsafe { (experts.rows(&row, per_row), shares.rows(&row, per_row)) };
                route_row(cx.isa(), z, experts, shares);
            }
        });
    }
    sort(routes.experts, routes.bounds, routes.places);
    let choices = routes.places.iter().zip(&*routes.shares);
    for (a, (&place, &share)) in choices.enumerate() {
        routes.rows[place as usize] = (a / per_row) as i32;
        routes.weights[place as usize] = share;
    }
}

/// N and k, given the number of logits and of choices.
fn shape(n_logits: usize, n_experts: usize, n_choices: usize) -> (usize, usize) {
    assert!(n_experts > 0, "no experts");
    let n = n_logits / n_experts;
    assert_eq!(n * n_experts, n_logits, "logits of {n_experts} experts");
    let per_row = n_choices.checked_div(n).unwrap_or(1);
    assert!(
        per_row * n == n_choices && (1..=n_experts).contains(&per_row),
        "{n_choices} choices for {n} rows among {n_experts} experts"
    );
    (n, per_row)
}

/// A stable counting sort: where each choice stands in order of experts.
fn sort(experts: &[i32], bounds: &mut [i32], places: &mut [i32]) {
    bounds.fill(0);
    for &e in experts {
        bounds[e as usize + 1] += 1;
    }
    for e in 1..bounds.len() {
        bounds[e] += bounds[e - 1];
    }
    // The starts serve as cursors; afterwards each is its expert's end, the next one's start.
    for (place, &e) in places.iter_mut().zip(experts) {
        *place = bounds[e as usize];
        bounds[e as usize] += 1;
    }
    bounds.copy_within(..bounds.len() - 1, 1);
    bounds[0] = 0;
}

simd! {
    fn route_row<S: Float>(z: &[S], experts: &mut [i32], shares: &mut [S]) {
        let (max, total) = normaliser(z);
        if total.is_nan() {
            experts.iter_mut().zip(0..).for_each(|(to, e)| *to = e);
            shares.fill(S::NAN);
            return;
        }
        let mut last = None;
        for to in experts.iter_mut() {
            let best = next_choice(z, last);
            *to = best as i32;
            last = Some(best);
        }
        experts.sort_unstable();
        let mut chosen = S::ZERO;
        for (share, &e) in shares.iter_mut().zip(&*experts) {
            *share = (z[e as usize] - max).exp_normal() / total;
            chosen += *share;
        }
        for share in shares {
            *share = *share / chosen;
        }
    }
}

/// The maximum of a row and Σ e^(z − max), which is NaN when an element is NaN or +∞, or all are
/// −∞.
#[inline(always)]
pub(crate) fn normaliser<S: Float>(z: &[S]) -> (S, S) {
    let max = lanes::max(z);
    let mut total = S::ZERO;
    for &z in z {
        total += (z - max).exp_normal();
    }
    (max, total)
}

/// The index that follows `last` in the order of falling values, equal ones by rising index. No
/// element is NaN.
#[inline(always)]
pub(crate) fn next_choice<S: Float>(z: &[S], last: Option<usize>) -> usize {
    let mut best: Option<usize> = None;
    for (i, &x) in z.iter().enumerate() {
        let follows = last.is_none_or(|l| x < z[l] || x == z[l] && i > l);
        if follows && best.is_none_or(|b| x > z[b]) {
            best = Some(i);
        }
    }
    best.expect("there are more experts than choices made")
}

/// The derivative of [`route`] in the logits, given that of its weights in order of experts: with
/// shares s of a row, `dz_e = s_e·(ds_e − Σ s·ds)` for its experts and 0 for all others, whose
/// probabilities cancel. Added to `dlogits [N, E]` when `accumulate`.
///
/// # Panics
/// When a length does not fit.
pub fn route_vjp<S: Float>(
    cx: Cx<'_>,
    [experts, places]: [&[i32]; 2],
    [shares, dweights]: [&[S]; 2],
    n_experts: usize,
    dlogits: &mut [S],
    accumulate: bool,
) {
    let (n, per_row) = shape(dlogits.len(), n_experts, experts.len());
    let lens = [places.len(), shares.len(), dweights.len()];
    assert_eq!(lens, [n * per_row; 3], "routes of {n} rows");
    let dlogits = Parts::new(dlogits);
    cx.ranges(n, n_experts + COST * per_row, &|range| {
        for i in range {
            // SAFETY: ranges of rows are disjoint.
            let dz = unsafe { dlogits.rows(&(i..i + 1), n_experts) };
            if !accumulate {
                dz.fill(S::ZERO);
            }
            let of_row = i * per_row..(i + 1) * per_row;
            let (experts, places) = (&experts[of_row.clone()], &places[of_row.clone()]);
            route_vjp_row(cx.isa(), experts, places, &shares[of_row], dweights, dz);
        }
    });
}

simd! {
    fn route_vjp_row<S: Float>(
        experts: &[i32],
        places: &[i32],
        shares: &[S],
        dweights: &[S],
        dz: &mut [S],
    ) {
        // Differences from the heaviest expert's, so that its own, nearly the mean where it has
        // nearly all of the weight, does not cancel.
        let reference = dweights[places[heaviest(shares)] as usize];
        let mut mean = S::ZERO;
        for (&share, &place) in shares.iter().zip(places) {
            mean = share.mul_add(dweights[place as usize] - reference, mean);
        }
        for ((&share, &place), &e) in shares.iter().zip(places).zip(experts) {
            let ds = dweights[place as usize] - reference - mean;
            dz[e as usize] = share.mul_add(ds, dz[e as usize]);
        }
    }
}

/// The first index of the largest value; 0 where nothing is larger than the first, as NaN.
#[inline(always)]
pub(crate) fn heaviest<S: Float>(x: &[S]) -> usize {
    let mut best = 0;
    for (i, &value) in x.iter().enumerate() {
        if value > x[best] {
            best = i;
        }
    }
    best
}

/// `x[i] ← weights[i]·x[i]` for rows of `x [R, D]`.
///
/// # Panics
/// When the elements of `x` are not rows for the weights.
pub fn weigh_rows<S: Float>(cx: Cx<'_>, weights: &[S], x: &mut [S]) {
    let width = row_width(weights.len(), x.len());
    let x = Parts::new(x);
    cx.ranges(weights.len(), width, &|range| {
        for i in range {
            // SAFETY: ranges of rows are disjoint.
            let x = unsafe { x.rows(&(i..i + 1), width) };
            weigh(cx.isa(), weights[i], x);
        }
    });
}

/// The derivative of [`weigh_rows`] of `y [R, D]`: `dweights[i] = Σ dy[i]·y[i]`, and in place
/// `dy[i] ← weights[i]·dy[i]`.
///
/// # Panics
/// When a length does not fit.
pub fn weigh_rows_vjp<S: Float>(
    cx: Cx<'_>,
    weights: &[S],
    y: &[S],
    dy: &mut [S],
    dweights: &mut [S],
) {
    let width = row_width(weights.len(), y.len());
    assert_eq!(
        (dy.len(), dweights.len()),
        (y.len(), weights.len()),
        "gradients of weighted rows"
    );
    let (dy, dweights) = (Parts::new(dy), Parts::new(dweights));
    cx.ranges(weights.len(), 2 * width, &|range| {
        for i in range {
            let y = &y[i * width..][..width];
            // SAFETY: ranges of rows are disjoint.
            let (dy, to) = unsafe { (dy.rows(&(i..i + 1), width), dweights.part(i..i + 1)) };
            to[0] = dot(cx.isa(), dy, y);
            weigh(cx.isa(), weights[i], dy);
        }
    });
}

fn row_width(n: usize, len: usize) -> usize {
    let width = len.checked_div(n).unwrap_or(0);
    assert_eq!(width * n, len, "{n} rows");
    width
}

simd! {
    fn weigh<S: Float>(weight: S, x: &mut [S]) {
        for x in x {
            *x *= weight;
        }
    }
}

simd! {
    fn dot<S: Float>(x: &[S], y: &[S]) -> S {
        lanes::dot(x, y)
    }
}
