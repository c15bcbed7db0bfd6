use proptest::prelude::*;
use tenon_base::Kind;
use tenon_base::rng::{Key, Stream};

use super::*;

fn all(logits: &[f64], temperature: f64) -> Vec<Candidate> {
    let mut out = Vec::new();
    candidates(logits, temperature, &mut out);
    out
}

fn ids(candidates: &[Candidate]) -> Vec<u32> {
    candidates.iter().map(|c| c.id).collect()
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|x| (x - top).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|w| w / total).collect()
}

/// Ids from the likeliest to the least likely, by insertion: of equal logits the lower id first.
fn ranked(logits: &[f64]) -> Vec<u32> {
    let mut order: Vec<u32> = Vec::new();
    for id in 0..logits.len() as u32 {
        let is_behind = |&other: &u32| logits[other as usize] < logits[id as usize];
        let at = order.iter().position(is_behind).unwrap_or(order.len());
        order.insert(at, id);
    }
    order
}

/// χ² of `n` draws against the probabilities of their ids.
fn chi_squared(settings: &Sampling, logits: &[f64], expected: &[f64], n: u32) -> f64 {
    let mut sampler = Sampler::new(settings).unwrap();
    let mut counts = vec![0.0; logits.len()];
    for step in 0..u64::from(n) {
        let u = Key::new(settings.seed, Stream::Sample)
            .at(step, 0)
            .uniform_f64();
        let id = sampler
            .choose(&mut logits.to_vec(), &BTreeSet::new(), u)
            .unwrap();
        counts[id as usize] += 1.0;
    }
    let mut chi2 = 0.0;
    for (count, p) in counts.iter().zip(expected) {
        assert!(*p > 0.0 || *count == 0.0, "an impossible token was drawn");
        if *p > 0.0 {
            chi2 += (count - p * f64::from(n)).powi(2) / (p * f64::from(n));
        }
    }
    chi2
}

const LOGITS: [f64; 8] = [1.0, -0.5, 2.0, f64::NEG_INFINITY, 0.3, 2.0, -2.0, 0.0];

/// The 99.9 % points of χ² with 6, 3 and 2 degrees of freedom are 22.5, 16.3 and 13.8.
#[test]
fn draws_have_the_distribution_that_the_filters_leave() {
    let settings = Sampling::drawn(1, 11);
    assert!(chi_squared(&settings, &LOGITS, &softmax(&LOGITS), 20_000) < 22.5);
    let warm = Sampling {
        temperature: 1.7,
        ..settings.clone()
    };
    let expected = softmax(&LOGITS.map(|x| x / 1.7));
    assert!(chi_squared(&warm, &LOGITS, &expected, 20_000) < 22.5);
    assert!(chi_squared(&warm, &LOGITS, &softmax(&LOGITS), 20_000) > 100.0);
    let only = |kept: &[usize]| {
        let keep = |i| {
            if kept.contains(&i) {
                LOGITS[i]
            } else {
                f64::NEG_INFINITY
            }
        };
        softmax(&std::array::from_fn::<f64, 8, _>(keep))
    };
    let four = Sampling {
        top_k: 4,
        ..settings.clone()
    };
    assert!(chi_squared(&four, &LOGITS, &only(&[0, 2, 4, 5]), 20_000) < 16.3);
    // The shares are .36, .36, .13, …: 0.8 is reached by the third.
    let most = Sampling {
        top_p: 0.8,
        ..settings
    };
    assert!(chi_squared(&most, &LOGITS, &only(&[0, 2, 5]), 20_000) < 13.8);
}

#[test]
fn the_penalty_divides_positive_logits_and_multiplies_negative_ones() {
    let mut logits = [2.0, -2.0, 0.0, 3.0, -1.0];
    penalize(&mut logits, &BTreeSet::from([0, 1, 2, 99]), 2.0);
    assert_eq!(logits, [1.0, -4.0, 0.0, 3.0, -1.0]);
    let settings = Sampling {
        repetition_penalty: 4.0,
        ..Sampling::greedy(1)
    };
    let mut sampler = Sampler::new(&settings).unwrap();
    let mut choose = |seen| sampler.choose(&mut [2.0, 1.0], &seen, 0.0).unwrap();
    assert_eq!(choose(BTreeSet::new()), 0);
    assert_eq!(choose(BTreeSet::from([0])), 1);
    assert_eq!(choose(BTreeSet::from([0, 1])), 0);
}

/// With the penalty last, token 1 would stay among the two likeliest.
#[test]
fn the_penalty_comes_before_the_filters() {
    let settings = Sampling {
        repetition_penalty: 10.0,
        top_k: 2,
        ..Sampling::drawn(1, 0)
    };
    let mut sampler = Sampler::new(&settings).unwrap();
    let seen = BTreeSet::from([1]);
    for u in 0..100 {
        let u = f64::from(u) / 100.0;
        let id = sampler.choose(&mut [2.0, 3.0, 2.5], &seen, u).unwrap();
        assert_ne!(id, 1);
    }
}

/// With top-p first, the shares .5, .3, .2 reach 0.6 at the second; after top-k 2 they are .625 and
/// .375, and the first alone reaches it.
#[test]
fn top_p_takes_its_share_of_what_top_k_leaves() {
    let logits = [0.5f64.ln(), 0.3f64.ln(), 0.2f64.ln()];
    let mut both = all(&logits, 1.0);
    keep_top_k(&mut both, 2);
    keep_top_p(&mut both, 0.6);
    assert_eq!(ids(&both), [0]);
    let mut one = all(&logits, 1.0);
    keep_top_p(&mut one, 0.6);
    assert_eq!(ids(&one), [0, 1]);
}

/// The share of three tokens is .85 at temperature 1 and .6 at temperature 3.
#[test]
fn temperature_comes_before_top_p() {
    let kept = |temperature| {
        let mut c = all(&LOGITS, temperature);
        keep_top_p(&mut c, 0.8);
        c.len()
    };
    assert_eq!((kept(1.0), kept(3.0)), (3, 5));
}

#[test]
fn ties_go_to_the_lower_id() {
    assert_eq!(argmax(&[1.0, 3.0, 3.0, 2.0]), 1);
    let mut tied = all(&[1.0; 6], 1.0);
    keep_top_k(&mut tied, 2);
    assert_eq!(ids(&tied), [0, 1]);
    let mut tied = all(&[0.0, 1.0, 1.0, 1.0], 1.0);
    keep_top_p(&mut tied, 0.5);
    assert_eq!(ids(&tied), [1, 2]);
}

#[test]
fn no_temperature_overflows() {
    for temperature in [f64::MIN_POSITIVE, 1e-300, 1e300, f64::MAX] {
        let candidates = all(&[-3e38, 3e38, 3e38, 0.0], temperature);
        assert!(candidates.iter().all(|c| c.score <= 0.0), "{temperature}");
        assert_eq!(candidates[1].score, 0.0);
    }
    let cold = all(&[1.0, 1.5, -1.0], 1e-300);
    assert!((0..10).all(|i| draw(&cold, f64::from(i) / 10.0) == 1));
}

#[test]
fn the_largest_share_still_draws_a_possible_token() {
    let logits = [0.0, 1.0, f64::NEG_INFINITY];
    let u = 1.0 - f64::EPSILON / 2.0;
    assert_eq!(draw(&all(&logits, 1.0), u), 1);
    assert_eq!(draw(&all(&logits, 1.0), 0.0), 0);
    assert_eq!(draw(&all(&[f64::NEG_INFINITY, 0.0], 1.0), 0.0), 1);
}

#[test]
fn what_is_no_distribution_is_judged_bad() {
    let settings = Sampling::drawn(1, 0);
    let mut sampler = Sampler::new(&settings).unwrap();
    let (inf, nan) = (f64::INFINITY, f64::NAN);
    let cases = [
        (vec![0.0, nan], "the logit of token 1 is NaN"),
        (vec![inf, 0.0], "the logit of token 0 is inf"),
        (vec![-inf, -inf], "no token has a finite logit"),
        (vec![], "no token has a finite logit"),
    ];
    for (mut logits, message) in cases {
        let error = sampler
            .choose(&mut logits, &BTreeSet::new(), 0.5)
            .unwrap_err();
        assert_eq!((error.kind(), error.message()), (Kind::Judged, message));
    }
    assert_eq!(
        sampler
            .choose(&mut [-inf, 0.0], &BTreeSet::new(), 0.5)
            .unwrap(),
        1
    );
}

#[track_caller]
fn refuses(change: impl Fn(&mut Sampling), message: &str) {
    let mut settings = Sampling::drawn(5, 0);
    change(&mut settings);
    let error = Sampler::new(&settings).expect_err("accepted");
    assert_eq!((error.kind(), error.message()), (Kind::Usage, message));
}

#[test]
fn settings_outside_their_range_are_refused() {
    refuses(
        |s| s.max_new_tokens = 0,
        "`max_new_tokens` is 0, it must be at least 1",
    );
    for value in [-0.1, f64::NAN, f64::INFINITY] {
        let range = "it must be a number from 0 up; 0 means greedy";
        refuses(
            |s| s.temperature = value,
            &format!("`temperature` is {value}, {range}"),
        );
    }
    for value in [-0.1, 1.1, f64::NAN] {
        let message = format!("`top_p` is {value}, it must be from 0 to 1");
        refuses(|s| s.top_p = value, &message);
    }
    for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let range = "it must be a number above 0";
        let message = format!("`repetition_penalty` is {value}, {range}");
        refuses(|s| s.repetition_penalty = value, &message);
    }
    let message = "a `stop` sequence is empty, it must have at least 1 token";
    refuses(|s| s.stop = vec![vec![1], vec![]], message);
}

fn logits() -> impl Strategy<Value = Vec<f64>> {
    // Few distinct values, so that ties are common.
    let logit = prop_oneof![(-4i32..4).prop_map(f64::from), -9.0..9.0f64];
    prop::collection::vec(logit, 1..40)
}

proptest! {
    #[test]
    fn top_k_keeps_the_first_by_rank(logits in logits(), k in 0usize..45) {
        let mut kept = all(&logits, 0.7);
        keep_top_k(&mut kept, k);
        let n = if k == 0 { logits.len() } else { k };
        let mut expected: Vec<u32> = ranked(&logits).into_iter().take(n).collect();
        expected.sort();
        prop_assert_eq!(ids(&kept), expected);
    }

    #[test]
    fn top_p_keeps_the_smallest_set_that_reaches_the_share(logits in logits(), p in 0.0..=1.0f64) {
        let mut kept = all(&logits, 1.0);
        keep_top_p(&mut kept, p);
        let shares = softmax(&logits);
        let order = ranked(&logits);
        let mass = |n: usize| order[..n].iter().map(|&id| shares[id as usize]).sum::<f64>();
        let n = kept.len();
        prop_assert!(n >= 1);
        prop_assert!(mass(n) >= p - 1e-12);
        prop_assert!(n == 1 || p == 1.0 || mass(n - 1) < p + 1e-12);
        let mut expected = order[..n].to_vec();
        expected.sort();
        prop_assert_eq!(ids(&kept), expected);
    }

    #[test]
    fn filters_that_keep_all_change_no_draw(logits in logits(), u in 0.0..1.0f64) {
        let draw_with = |top_k, top_p| {
            let settings = Sampling { top_k, top_p, ..Sampling::drawn(1, 0) };
            Sampler::new(&settings).unwrap().choose(&mut logits.clone(), &BTreeSet::new(), u).unwrap()
        };
        let plain = draw_with(0, 1.0);
        prop_assert_eq!(draw_with(logits.len(), 1.0), plain);
        prop_assert_eq!(draw_with(logits.len() + 1, 1.0), plain);
        let greedy = argmax(&logits);
        prop_assert_eq!(draw_with(1, 1.0), greedy);
        prop_assert_eq!(draw_with(0, 0.0), greedy);
    }

    #[test]
    fn a_draw_inverts_the_distribution(logits in logits(), u in 0.0..1.0f64) {
        let id = draw(&all(&logits, 1.0), u) as usize;
        let shares = softmax(&logits);
        let before: f64 = shares[..id].iter().sum();
        prop_assert!(before <= u + 1e-12 && u < before + shares[id] + 1e-12);
    }

    #[test]
    fn log_probs_sum_to_one(logits in logits()) {
        let total: f64 = (0..logits.len() as u32).map(|id| log_prob(&logits, id).exp()).sum();
        prop_assert!((total - 1.0).abs() < 1e-12);
    }

    #[test]
    fn the_penalty_lowers_what_was_seen(logits in logits(), penalty in 1.0..5.0f64) {
        let seen: BTreeSet<u32> = (0..logits.len() as u32).step_by(3).collect();
        let mut penalized = logits.clone();
        penalize(&mut penalized, &seen, penalty);
        for (id, (after, before)) in (0u32..).zip(penalized.iter().zip(&logits)) {
            prop_assert!(after <= before);
            prop_assert!(seen.contains(&id) || after == before);
        }
        let undo: Vec<f64> = penalized.clone();
        let mut undone = undo;
        penalize(&mut undone, &seen, 1.0 / penalty);
        prop_assert!(undone.iter().zip(&logits).all(|(a, b)| (a - b).abs() < 1e-12));
    }
}
