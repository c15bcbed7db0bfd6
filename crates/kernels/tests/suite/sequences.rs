//! Token dropout and means over the rows of packed sequences.

use crate::common::{
    assert_close, assert_gradient, assert_same_bits, noise, once, same_everywhere, wide,
};
use tenon_kernels::{Cx, Float, MeanPool, TokenDropout, mean_pool, mean_pool_vjp, token_dropout};

const MASK: i32 = 32;
/// Sequences of 5, 0, 1, 3 and 400 rows.
const BOUNDS: [i32; 6] = [0, 5, 5, 6, 9, 409];
const WIDTH: usize = 130;

fn ids() -> Vec<i32> {
    let mut ids = vec![MASK, 4, 5, MASK, 6, 7, MASK, MASK, MASK];
    ids.extend((0..400).map(|i| if i % 7 == 3 { MASK } else { i % 20 }));
    ids
}

fn drop_tokens<S: Float>(cx: Cx<'_>, ids: &[i32], cu_seqlens: &[i32], x: &[S]) -> Vec<S> {
    let dropout = TokenDropout {
        ids,
        cu_seqlens,
        mask_id: MASK as u32,
        trained: 0.12,
    };
    let mut y = vec![S::NAN; x.len()];
    token_dropout(cx, dropout, x, &mut y);
    y
}

#[test]
fn masked_rows_are_zero_and_others_make_up_for_them() {
    let ids = ids();
    let x = noise::<f32>(ids.len() * WIDTH, 3);
    let y = same_everywhere(|cx| drop_tokens(cx, &ids, &BOUNDS, &x));
    let n_masked = ids[9..].iter().filter(|&&id| id == MASK).count();
    let factors = [
        (0..5, 0.6),
        (5..6, 1.0),
        (9..409, 1.0 - n_masked as f64 / 400.0),
    ];
    let mut want = vec![0.0; x.len()];
    for (rows, kept) in factors {
        for row in rows.filter(|&row| ids[row] != MASK) {
            for at in row * WIDTH..(row + 1) * WIDTH {
                want[at] = f64::from(x[at]) * 0.88 / kept;
            }
        }
    }
    assert_close(&y, &want, 1e-7, "token dropout");
}

#[test]
fn a_sequence_is_dropped_the_same_alone_and_packed() {
    let ids = ids();
    let mut x = noise::<f32>(ids.len() * WIDTH, 3);
    // What masked rows hold does not matter.
    x[..WIDTH].fill(f32::NAN);
    once(|cx| {
        let packed = drop_tokens(cx, &ids, &BOUNDS, &x);
        for pair in BOUNDS.windows(2) {
            let rows = pair[0] as usize..pair[1] as usize;
            let elements = rows.start * WIDTH..rows.end * WIDTH;
            let len = rows.len() as i32;
            let alone = drop_tokens(cx, &ids[rows], &[0, len], &x[elements.clone()]);
            assert_same_bits(&packed[elements], &alone, "a sequence");
        }
    });
}

/// Recorded by `tests/recorded/token_dropout.py`, in f32 throughout.
#[test]
fn token_dropout_is_that_of_transformers() {
    let ids = [
        0, 5, MASK, 7, MASK, 2, 0, 4, 4, MASK, 6, 7, 8, 9, 2, 0, 6, 2,
    ];
    let bounds = [0, 6, 15, 18];
    let reference = [
        0.440000057,
        2.6400001,
        0.0,
        3.52000046,
        0.0,
        1.32000005,
        0.330000013,
        1.64999986,
        1.64999986,
        0.0,
        2.30999994,
        2.6400001,
        2.96999979,
        3.29999971,
        0.99000001,
        0.293333352,
        2.05333328,
        0.879999995,
    ];
    let x: Vec<f32> = ids.iter().map(|&id| (id + 1) as f32 / 3.0).collect();
    let y = once(|cx| drop_tokens(cx, &ids, &bounds, &x));
    for (y, want) in y.iter().zip(reference) {
        let gap = (f64::from(*y) - want).abs();
        assert!(gap <= 2e-7 * want, "{y} is not {want}");
    }
}

#[test]
fn no_rows_of_masked_tokens() {
    once(|cx| {
        assert!(drop_tokens::<f32>(cx, &[], &[0], &[]).is_empty());
        assert!(drop_tokens::<f32>(cx, &[1, 2], &[0, 2], &[]).is_empty());
    });
}

#[test]
#[should_panic(expected = "bounds of 3 rows")]
fn rows_outside_all_sequences_are_refused() {
    once(|cx| drop_tokens(cx, &[1, 2, 3], &[0, 2], &[0.0f32; 3]));
}

fn pool(skip_first: bool, skip_last: bool) -> MeanPool<'static> {
    MeanPool {
        cu_seqlens: &BOUNDS,
        width: WIDTH,
        skip_first,
        skip_last,
    }
}

fn means<S: Float>(cx: Cx<'_>, pool: MeanPool<'_>, x: &[S]) -> Vec<S> {
    let mut y = vec![S::NAN; (pool.cu_seqlens.len() - 1) * pool.width];
    mean_pool(cx, pool, x, &mut y);
    y
}

fn spread<S: Float>(cx: Cx<'_>, pool: MeanPool<'_>, dy: &[S], dx: &[S]) -> Vec<S> {
    let mut out = dx.to_vec();
    mean_pool_vjp(cx, pool, dy, &mut out, !dx[0].is_nan());
    out
}

#[test]
fn means_of_sequences_match_the_definition() {
    let x = noise::<f32>(409 * WIDTH, 1);
    for (skip_first, skip_last) in [(false, false), (true, false), (false, true), (true, true)] {
        let pool = pool(skip_first, skip_last);
        let y = same_everywhere(|cx| means(cx, pool, &x));
        for (s, pair) in BOUNDS.windows(2).enumerate() {
            let start = pair[0] as usize + usize::from(skip_first);
            let end = (pair[1] as usize).saturating_sub(usize::from(skip_last));
            let mut want = vec![0.0; WIDTH];
            for row in start..end {
                for (want, &x) in want.iter_mut().zip(&x[row * WIDTH..]) {
                    *want += f64::from(x) / (end - start) as f64;
                }
            }
            assert_close(&y[s * WIDTH..][..WIDTH], &want, 1e-7, "means");
        }
    }
}

#[test]
fn derivatives_of_means_match_differences() {
    let small = MeanPool {
        cu_seqlens: &[0, 3, 3, 4, 8],
        width: 5,
        skip_first: true,
        skip_last: true,
    };
    let (x, dy) = (noise::<f64>(8 * 5, 1), noise::<f64>(4 * 5, 2));
    once(|cx| {
        let dx = spread(cx, small, &dy, &[f64::NAN; 40]);
        assert_gradient(|x| means(cx, small, x), &x, &dy, &dx);
    });
}

#[test]
fn derivatives_of_means_add_where_asked() {
    let dy = noise::<f32>(5 * WIDTH, 2);
    let there = noise::<f32>(409 * WIDTH, 4);
    let pool = pool(false, true);
    let fresh = same_everywhere(|cx| spread(cx, pool, &dy, &vec![f32::NAN; there.len()]));
    let added = same_everywhere(|cx| spread(cx, pool, &dy, &there));
    let both = wide(&fresh)
        .iter()
        .zip(&there)
        .map(|(a, &b)| a + f64::from(b))
        .collect::<Vec<_>>();
    assert_close(&added, &both, 1e-7, "added");
    assert_eq!(
        fresh[408 * WIDTH..],
        [0.0; WIDTH],
        "the last row does not count"
    );
}

#[test]
#[should_panic(expected = "rows and")]
fn means_of_missing_rows_are_refused() {
    once(|cx| means(cx, pool(false, false), &[0.0f32; WIDTH]));
}
