//! Sums over rows.

use crate::common::{assert_close, noise, same_everywhere};
use tenon_kernels::{Cols, column_sums};

#[test]
fn column_sums_add_rows() {
    for (n, d) in [(0, 3), (1, 1), (5, 64), (300, 65), (7, 1000)] {
        // Rows lie apart: what is between them is not summed.
        let (row_stride, offset) = (d + 3, 1);
        let (x, before) = (noise::<f32>(n * row_stride, 1), noise::<f32>(d, 2));
        let cols = Cols {
            data: &x,
            row_stride,
            offset,
        };
        for accumulate in [false, true] {
            let got = same_everywhere(|cx| {
                let mut out = before.clone();
                column_sums(cx, cols, n, &mut out, accumulate);
                out
            });
            let want: Vec<f64> = (0..d)
                .map(|j| {
                    let start = if accumulate {
                        f64::from(before[j])
                    } else {
                        0.0
                    };
                    (0..n).fold(start, |s, i| s + f64::from(x[i * row_stride + offset + j]))
                })
                .collect();
            assert_close(&got, &want, 1e-6, "column sums");
        }
    }
}

/// A chain of 128 additions misses by 1.5e-7.
#[test]
fn sums_of_many_rows_keep_their_digits() {
    let (n, d) = (128, 64);
    let x: Vec<f32> = noise::<f32>(n * d, 3)
        .iter()
        .map(|x| 1.0 + 0.5 * x)
        .collect();
    let got = same_everywhere(|cx| {
        let mut out = vec![f32::NAN; d];
        column_sums(cx, Cols::whole(&x, d), n, &mut out, false);
        out
    });
    let want: Vec<f64> = (0..d)
        .map(|j| (0..n).map(|i| f64::from(x[i * d + j])).sum())
        .collect();
    assert_close(&got, &want, 1e-7, "sums of 128 rows");
}
