//! Routing of rows to experts, weighted rows, and the loss that balances the experts.

use crate::common::{assert_close, assert_gradient, noise, once, same_everywhere};
use tenon_kernels::{
    Balance, Cx, Float, IGNORED, Routes, balance_add, balance_rows, balance_vjp, route, route_vjp,
    weigh_rows, weigh_rows_vjp,
};

/// Routes with their memory.
pub(crate) struct Routed<S> {
    n_experts: usize,
    experts: Vec<i32>,
    pub(crate) shares: Vec<S>,
    places: Vec<i32>,
    rows: Vec<i32>,
    bounds: Vec<i32>,
    pub(crate) weights: Vec<S>,
}

impl<S: Float> Routed<S> {
    pub(crate) fn new(cx: Cx<'_>, logits: &[S], n_experts: usize, per_row: usize) -> Self {
        let n = logits.len() / n_experts * per_row;
        let mut routed = Routed {
            n_experts,
            experts: vec![-7; n],
            shares: vec![S::ZERO; n],
            places: vec![-7; n],
            rows: vec![-7; n],
            bounds: vec![-7; n_experts + 1],
            weights: vec![S::ZERO; n],
        };
        let routes = Routes {
            experts: &mut routed.experts,
            shares: &mut routed.shares,
            places: &mut routed.places,
            rows: &mut routed.rows,
            bounds: &mut routed.bounds,
            weights: &mut routed.weights,
        };
        route(cx, logits, routes);
        routed
    }

    pub(crate) fn indices(&self) -> Vec<f64> {
        let all = [&self.experts, &self.places, &self.rows, &self.bounds];
        all.into_iter().flatten().map(|&i| f64::from(i)).collect()
    }

    pub(crate) fn vjp(&self, cx: Cx<'_>, dweights: &[S], dlogits: &mut [S], accumulate: bool) {
        let indices = [&self.experts[..], &self.places];
        let values = [&self.shares[..], dweights];
        route_vjp(cx, indices, values, self.n_experts, dlogits, accumulate);
    }
}

/// The experts of a row by falling probability, of equal ones the lower index first.
fn order(z: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..z.len()).collect();
    order.sort_by(|&a, &b| z[b].total_cmp(&z[a]).then(a.cmp(&b)));
    order
}

fn softmax(z: &[f64]) -> Vec<f64> {
    let e: Vec<f64> = z.iter().map(|z| z.exp()).collect();
    let total: f64 = e.iter().sum();
    e.iter().map(|e| e / total).collect()
}

/// Logits with ties inside rows.
fn logits<S: Float>(n: usize, n_experts: usize, seed: u64) -> Vec<S> {
    let mut z: Vec<S> = noise(n * n_experts, seed);
    for (i, z) in z.iter_mut().enumerate() {
        *z = S::from_f64((z.to_f64() * if i % 5 == 0 { 3.0 } else { 64.0 }).round() / 16.0);
    }
    z
}

#[test]
fn rows_go_to_their_most_probable_experts() {
    for (n, n_experts, per_row) in [(1, 1, 1), (1, 8, 2), (7, 3, 3), (40, 8, 2), (9, 130, 8)] {
        let z = logits::<f64>(n, n_experts, 3);
        let routed = once(|cx| Routed::new(cx, &z, n_experts, per_row));
        for i in 0..n {
            let z = &z[i * n_experts..][..n_experts];
            let mut best = order(z)[..per_row].to_vec();
            best.sort_unstable();
            let of_row = i * per_row..(i + 1) * per_row;
            let have: Vec<usize> = routed.experts[of_row.clone()]
                .iter()
                .map(|&e| e as usize)
                .collect();
            assert_eq!(have, best, "row {i} of {n}x{n_experts}");
            let p = softmax(z);
            let total: f64 = best.iter().map(|&e| p[e]).sum();
            let shares: Vec<f64> = best.iter().map(|&e| p[e] / total).collect();
            assert_close(&routed.shares[of_row], &shares, 1e-14, "shares");
        }
    }
}

#[test]
fn rows_in_order_of_experts_are_a_stable_sort() {
    let (n, n_experts, per_row) = (50, 6, 2);
    let mut z = logits::<f32>(n, n_experts, 8);
    // Nobody chooses expert 2.
    z.iter_mut()
        .skip(2)
        .step_by(n_experts)
        .for_each(|z| *z = -100.0);
    let routed = once(|cx| Routed::new(cx, &z, n_experts, per_row));
    let mut sorted: Vec<(i32, usize)> = routed.experts.iter().copied().zip(0..).collect();
    sorted.sort_unstable();
    for (place, &(expert, choice)) in sorted.iter().enumerate() {
        assert_eq!(routed.places[choice] as usize, place);
        assert_eq!(routed.rows[place] as usize, choice / per_row);
        assert_eq!(routed.weights[place], routed.shares[choice]);
        let bounds = &routed.bounds[expert as usize..][..2];
        assert!((bounds[0]..bounds[1]).contains(&(place as i32)));
    }
    assert_eq!(routed.bounds[2], routed.bounds[3]);
    assert_eq!((routed.bounds[0], routed.bounds[6]), (0, 100));
}

#[test]
fn of_equal_logits_the_lower_index_wins() {
    let routed = once(|cx| Routed::new(cx, &[1.0f32, 2.0, 2.0, 2.0, 0.0, 0.0, 0.0, 0.0], 4, 2));
    assert_eq!(routed.experts, [1, 2, 0, 1]);
    assert_eq!(routed.shares, [0.5; 4]);
}

#[test]
fn a_row_that_is_no_distribution_has_weights_nan_and_spoils_no_other() {
    for bad in [f32::NAN, f32::INFINITY] {
        let z = [0.0, bad, 1.0, 0.0, 0.5, 1.0];
        let routed = once(|cx| Routed::new(cx, &z, 3, 2));
        assert_eq!(routed.experts, [0, 1, 1, 2]);
        assert!(routed.shares[..2].iter().all(|w| w.is_nan()));
        assert!(routed.shares[2..].iter().all(|w| w.is_finite()));
        let mut sums = [0.0; 6];
        once(|cx| balance_add(cx, &z, 2, &mut sums));
        assert!(sums[3..].iter().all(|s| s.is_nan()));
    }
    let routed = once(|cx| Routed::new(cx, &[f32::NEG_INFINITY, 0.0, f32::NEG_INFINITY], 3, 2));
    assert_eq!(
        (&routed.experts[..], &routed.shares[..]),
        (&[0, 1][..], &[0.0, 1.0][..])
    );
}

#[test]
fn the_derivative_of_shares_is_that_of_differences() {
    let (n, n_experts, per_row) = (6, 5, 3);
    let z: Vec<f64> = noise(n * n_experts, 21);
    let dweights: Vec<f64> = noise(n * per_row, 22);
    let weights = |z: &[f64]| once(|cx| Routed::new(cx, z, n_experts, per_row)).weights;
    let routed = once(|cx| Routed::new(cx, &z, n_experts, per_row));
    let mut dz = vec![f64::NAN; z.len()];
    once(|cx| routed.vjp(cx, &dweights, &mut dz, false));
    assert_gradient(weights, &z, &dweights, &dz);
    once(|cx| routed.vjp(cx, &dweights, &mut dz, true));
    let twice: Vec<f64> = dz.iter().map(|d| d / 2.0).collect();
    assert_gradient(weights, &z, &dweights, &twice);
}

#[test]
fn weighted_rows_and_their_derivative() {
    let (n, d) = (4, 7);
    let (weights, y): (Vec<f64>, Vec<f64>) = (noise(n, 1), noise(n * d, 2));
    let cotangent: Vec<f64> = noise(n * d, 3);
    let weighed = |weights: &[f64], y: &[f64]| {
        let mut x = y.to_vec();
        once(|cx| weigh_rows(cx, weights, &mut x));
        x
    };
    assert_eq!(weighed(&weights, &y)[3 * d + 1], weights[3] * y[3 * d + 1]);
    let (mut dy, mut dweights) = (cotangent.clone(), vec![f64::NAN; n]);
    once(|cx| weigh_rows_vjp(cx, &weights, &y, &mut dy, &mut dweights));
    assert_gradient(|y| weighed(&weights, y), &y, &cotangent, &dy);
    assert_gradient(|w| weighed(w, &y), &weights, &cotangent, &dweights);
}

/// Losses of all rows, and the slopes.
fn balance<S: Float>(cx: Cx<'_>, layers: &[&[S]], n_experts: usize) -> (Vec<f64>, Vec<f64>) {
    let n = layers[0].len() / n_experts;
    let targets: Vec<i32> = (0..n)
        .map(|i| if i % 3 == 1 { IGNORED } else { 4 })
        .collect();
    let mut sums = vec![0.0; 2 * n_experts];
    for z in layers {
        balance_add(cx, z, 2, &mut sums);
    }
    let how = Balance {
        coefficient: 0.3,
        n_rows: n * layers.len(),
    };
    let mut losses = vec![f64::NAN; n];
    balance_rows(how, &targets, &mut sums, &mut losses);
    sums.truncate(n_experts);
    (losses, sums)
}

#[test]
fn the_balance_is_expert_count_times_fractions_times_mean_probabilities() {
    let (n, n_experts) = (11, 5);
    let layers = [
        logits::<f64>(n, n_experts, 4),
        logits::<f64>(n, n_experts, 5),
    ];
    let (losses, _) = once(|cx| balance(cx, &[&layers[0], &layers[1]], n_experts));
    let (mut f, mut p) = (vec![0.0; n_experts], vec![0.0; n_experts]);
    let rows = (2 * n) as f64;
    for z in layers.iter().flat_map(|z| z.chunks(n_experts)) {
        order(z)[..2].iter().for_each(|&e| f[e] += 1.0 / rows);
        p.iter_mut()
            .zip(softmax(z))
            .for_each(|(p, x)| *p += x / rows);
    }
    let aux: f64 = f.iter().zip(&p).map(|(f, p)| f * p).sum::<f64>() * n_experts as f64;
    for (i, loss) in losses.iter().enumerate() {
        let want = if i % 3 == 1 { 0.0 } else { 0.3 * aux };
        assert!((loss - want).abs() < 1e-14, "row {i}: {loss}, not {want}");
    }
}

#[test]
fn the_derivative_of_the_balance_is_that_of_differences() {
    let (n, n_experts) = (7, 4);
    let layers: [Vec<f64>; 2] = [noise(n * n_experts, 31), noise(n * n_experts, 32)];
    let losses = |z: &[f64]| once(|cx| balance(cx, &[&layers[0], z], n_experts)).0;
    let (_, slopes) = once(|cx| balance(cx, &[&layers[0], &layers[1]], n_experts));
    let mut dz = vec![f64::NAN; n * n_experts];
    once(|cx| balance_vjp(cx, &layers[1], &slopes, &mut dz, false));
    assert_gradient(losses, &layers[1], &[1.0; 7], &dz);
}

#[test]
fn routes_and_balance_have_the_same_bits_everywhere() {
    let (n, n_experts) = (3000, 9);
    let z = logits::<f32>(n, n_experts, 6);
    same_everywhere(|cx| {
        let routed = Routed::new(cx, &z, n_experts, 2);
        let mut all = routed.weights.clone();
        let (mut dz, mut x) = (z.clone(), z.clone());
        routed.vjp(cx, &noise(2 * n, 7), &mut dz, true);
        let mut dweights = vec![0.0; n];
        weigh_rows(cx, &noise(n, 8), &mut x);
        weigh_rows_vjp(cx, &noise(n, 8), &z, &mut x, &mut dweights);
        let (losses, slopes) = balance(cx, &[&z], n_experts);
        balance_vjp(cx, &z, &slopes, &mut dz, true);
        all.extend(dz.into_iter().chain(x).chain(dweights));
        all.extend(losses.into_iter().map(|x| x as f32));
        all
    });
}

#[test]
#[should_panic(expected = "choices for")]
fn no_more_choices_than_experts() {
    once(|cx| Routed::new(cx, &[0.0f32; 6], 3, 4));
}

#[test]
fn nothing_to_route() {
    let routed = once(|cx| Routed::<f32>::new(cx, &[], 3, 2));
    assert_eq!(routed.bounds, [0; 4]);
}
