//! What the tests of several kernels share.

use tenon_kernels::{Cx, Float, Isa, Pool};

/// Numbers in −1..1 from a seed.
pub(crate) fn noise<S: Float>(n: usize, seed: u64) -> Vec<S> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x1234_5678_9abc_def1;
    let mut next = || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) >> 11
    };
    (0..n)
        .map(|_| S::from_f64(next() as f64 / (1u64 << 52) as f64 - 1.0))
        .collect()
}

/// The instruction sets of this machine.
pub(crate) fn isas() -> Vec<Isa> {
    [Isa::Scalar, Isa::Avx2, Isa::Avx512]
        .into_iter()
        .filter(|isa| isa.is_available())
        .collect()
}

/// Calls `f` for every instruction set and 1, 2, 3 and 8 threads, and asserts that all results have
/// the bits of the first, which is returned.
#[track_caller]
pub(crate) fn same_everywhere<S: Float>(f: impl Fn(Cx<'_>) -> Vec<S>) -> Vec<S> {
    let mut first: Option<Vec<S>> = None;
    for threads in [1, 2, 3, 8] {
        let pool = Pool::new(threads);
        for isa in isas() {
            let got = f(Cx::new(&pool, isa));
            let Some(want) = &first else {
                first = Some(got);
                continue;
            };
            assert_same_bits(&got, want, &format!("{isa:?}, {threads} threads"));
        }
    }
    first.expect("at least one path")
}

/// Asserts equal bits (any NaN equals any NaN).
#[track_caller]
pub(crate) fn assert_same_bits<S: Float>(got: &[S], want: &[S], what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    for (i, (&g, &w)) in got.iter().zip(want).enumerate() {
        let same = g.to_f64().to_bits() == w.to_f64().to_bits() || g.is_nan() && w.is_nan();
        assert!(same, "{what}: element {i} is {g}, was {w}");
    }
}

/// Asserts ‖a − b‖₂ ≤ tolerance · (‖b‖₂ + 1e-6).
#[track_caller]
pub(crate) fn assert_close<S: Float>(got: &[S], want: &[f64], tolerance: f64, what: &str) {
    assert_eq!(got.len(), want.len(), "{what}");
    let error: f64 = got
        .iter()
        .zip(want)
        .map(|(g, w)| (g.to_f64() - w).powi(2))
        .sum();
    let size: f64 = want.iter().map(|w| w * w).sum();
    let (error, limit) = (error.sqrt(), tolerance * (size.sqrt() + 1e-6));
    assert!(error <= limit, "{what}: error {error}, limit {limit}");
}

/// Asserts that `dx` is the gradient of ⟨dy, f(x)⟩ by central differences in f64.
#[track_caller]
pub(crate) fn assert_gradient(f: impl Fn(&[f64]) -> Vec<f64>, x: &[f64], dy: &[f64], dx: &[f64]) {
    let value = |x: &[f64]| -> f64 { f(x).iter().zip(dy).map(|(y, dy)| y * dy).sum() };
    assert_eq!(x.len(), dx.len());
    for i in 0..x.len() {
        let mut moved = x.to_vec();
        let h = 1e-5;
        moved[i] = x[i] + h;
        let up = value(&moved);
        moved[i] = x[i] - h;
        let slope = (up - value(&moved)) / (2.0 * h);
        let error = (slope - dx[i]).abs();
        assert!(
            error <= 1e-7 * (1.0 + slope.abs()),
            "element {i}: {} is not {slope}",
            dx[i]
        );
    }
}

/// Calls `f` with one thread and the best instruction set.
pub(crate) fn once<T>(f: impl FnOnce(Cx<'_>) -> T) -> T {
    let pool = Pool::new(1);
    f(Cx::new(&pool, Isa::detect()))
}

/// The same values in f64.
pub(crate) fn wide(x: &[f32]) -> Vec<f64> {
    x.iter().map(|&x| f64::from(x)).collect()
}
