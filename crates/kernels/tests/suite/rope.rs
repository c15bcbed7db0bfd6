//! Rotary embedding: values, inverse, views, refused positions.

use crate::common::{
    assert_close, assert_gradient, assert_same_bits, noise, once, same_everywhere,
};
use tenon_kernels::{Cols, ColsMut, Cx, Float, Rope, RopeStyle, rope, rope_in_place, split_cols};

const STYLES: [RopeStyle; 2] = [RopeStyle::RotateHalf, RopeStyle::Interleaved];
const HEADS: usize = 3;

/// Cosines and sines `[positions, half]`.
fn tables<S: Float>(positions: usize, half: usize) -> (Vec<S>, Vec<S>) {
    let angle = |i: usize| (i / half) as f64 * 0.5f64.powi((i % half) as i32);
    let table = |f: fn(f64) -> f64| {
        (0..positions * half)
            .map(|i| S::from_f64(f(angle(i))))
            .collect()
    };
    (table(f64::cos), table(f64::sin))
}

fn run<S: Float>(
    cx: Cx<'_>,
    x: &[S],
    head_dim: usize,
    positions: &[i32],
    style: RopeStyle,
    inverse: bool,
) -> Vec<S> {
    let (cos, sin) = tables(40, head_dim / 2);
    let width = HEADS * head_dim;
    let mut y = vec![S::NAN; x.len()];
    let how = Rope {
        n_heads: HEADS,
        head_dim,
        cos: &cos,
        sin: &sin,
        positions,
        style,
        inverse,
    };
    rope(
        cx,
        how,
        Cols::whole(x, width),
        ColsMut::whole(&mut y, width),
    );
    y
}

#[test]
fn pairs_turn_by_their_angle() {
    for style in STYLES {
        for head_dim in [2, 6, 64] {
            let positions: Vec<i32> = (0..150).map(|i| i * 7 % 40).collect();
            let half = head_dim / 2;
            let x = noise::<f32>(positions.len() * HEADS * head_dim, 1);
            let y = same_everywhere(|cx| run(cx, &x, head_dim, &positions, style, false));
            let mut want = vec![0.0; x.len()];
            for (row, &p) in positions.iter().enumerate() {
                for head in 0..HEADS {
                    let start = (row * HEADS + head) * head_dim;
                    for i in 0..half {
                        let (a, b) = match style {
                            RopeStyle::RotateHalf => (start + i, start + i + half),
                            RopeStyle::Interleaved => (start + 2 * i, start + 2 * i + 1),
                        };
                        let (sin, cos) = (f64::from(p) * 0.5f64.powi(i as i32)).sin_cos();
                        let (xa, xb) = (f64::from(x[a]), f64::from(x[b]));
                        want[a] = xa * cos - xb * sin;
                        want[b] = xb * cos + xa * sin;
                    }
                }
            }
            assert_close(&y, &want, 1e-6, &format!("{style:?}, {head_dim}"));
        }
    }
}

#[test]
fn the_inverse_is_the_derivative_and_turns_back() {
    for style in STYLES {
        let positions = [0, 39, 5];
        let (x, dy) = (
            noise::<f64>(3 * HEADS * 6, 1),
            noise::<f64>(3 * HEADS * 6, 2),
        );
        once(|cx| {
            let y = run(cx, &x, 6, &positions, style, false);
            assert_close(
                &run(cx, &y, 6, &positions, style, true),
                &x,
                1e-14,
                "turned back",
            );
            let dx = run(cx, &dy, 6, &positions, style, true);
            assert_gradient(|x| run(cx, x, 6, &positions, style, false), &x, &dy, &dx);
        });
    }
}

#[test]
fn in_place_on_some_columns() {
    let (cos, sin) = tables::<f32>(10, 2);
    let x = noise::<f32>(5 * 30, 1);
    let positions = [3, 1, 4, 1, 5];
    for style in STYLES {
        let how = Rope {
            n_heads: 2,
            head_dim: 4,
            cos: &cos,
            sin: &sin,
            positions: &positions,
            style,
            inverse: false,
        };
        once(|cx| {
            let mut place = x.clone();
            let [_, middle] = split_cols(&mut place, 30, [10, 8]);
            rope_in_place(cx, how, middle);
            let mut y = vec![f32::NAN; 5 * 8];
            let cols = Cols {
                data: &x,
                row_stride: 30,
                offset: 10,
            };
            rope(cx, how, cols, ColsMut::whole(&mut y, 8));
            for i in 0..5 {
                let (row, before) = (&place[i * 30..][..30], &x[i * 30..][..30]);
                assert_same_bits(&row[10..18], &y[i * 8..][..8], "turned columns");
                assert_same_bits(&row[..10], &before[..10], "columns before");
                assert_same_bits(&row[18..], &before[18..], "columns behind");
            }
        });
    }
}

#[test]
fn positions_outside_the_tables_are_refused() {
    for bad in [-1, 40] {
        let result = std::panic::catch_unwind(|| {
            once(|cx| run(cx, &[0.0f32; 12], 4, &[bad], RopeStyle::RotateHalf, false))
        });
        assert!(result.is_err(), "position {bad}");
    }
}
