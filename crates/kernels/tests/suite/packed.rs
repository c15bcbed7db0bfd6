//! Weights in panels: the product has the bits of the plain one, and the matrix comes back whole.

use crate::common::{assert_same_bits, isas, noise, same_everywhere};
use tenon_kernels::{
    Cx, Float, Gemm, Isa, Mat, PackedGemm, Pool, bytes_of, gather_panel_columns, gemm, gemm_packed,
    gemm_work_len, pack_panels, unpack_panels,
};

/// Columns and depth: whole and broken panels, groups of panels and blocks of k.
const MATRICES: [(usize, usize); 12] = [
    (1, 1),
    (15, 7),
    (16, 256),
    (17, 257),
    (31, 64),
    (32, 1),
    (33, 300),
    (64, 512),
    (65, 513),
    (100, 255),
    (257, 33),
    (530, 70),
];
const ROWS: [usize; 11] = [1, 2, 3, 4, 5, 6, 7, 13, 17, 64, 200];

/// B `[k, n]` as its bytes lie, and as the plain product reads it.
fn plain<S: Float>(b: &[S], transposed: bool, [k, n]: [usize; 2]) -> Mat<'_, S> {
    match transposed {
        true => Mat::transposed(b, k),
        false => Mat::rows(b, n),
    }
}

fn packed<S: Float>(cx: Cx<'_>, b: &[S], transposed: bool, shape: [usize; 2]) -> Vec<S> {
    let mut panels = vec![S::NAN; b.len()];
    pack_panels(cx, bytes_of(b), transposed, shape, &mut panels);
    panels
}

/// A row of C lies two elements apart from the next, and a row of A three.
struct Case<S> {
    m: usize,
    n: usize,
    k: usize,
    a: Vec<S>,
    b: Vec<S>,
    transposed: bool,
    bias: Option<Vec<S>>,
}

impl<S: Float> Case<S> {
    fn new([m, n, k]: [usize; 3], transposed: bool, bias: bool) -> Self {
        Case {
            m,
            n,
            k,
            a: noise(m * (k + 3), 1),
            b: noise(k * n, 2),
            transposed,
            bias: bias.then(|| noise(n, 3)),
        }
    }

    fn a(&self) -> Mat<'_, S> {
        Mat {
            data: &self.a,
            row_stride: self.k + 3,
            col_stride: 1,
        }
    }

    fn plain(&self, cx: Cx<'_>) -> Vec<S> {
        let (mut c, mut work) = self.room(cx);
        let g = Gemm {
            m: self.m,
            n: self.n,
            k: self.k,
            a: self.a(),
            b: plain(&self.b, self.transposed, [self.k, self.n]),
            c: &mut c,
            c_row_stride: self.n + 2,
            accumulate: false,
            bias: self.bias.as_deref(),
        };
        gemm(cx, g, &mut work);
        c
    }

    fn packed(&self, cx: Cx<'_>) -> Vec<S> {
        let (mut c, mut work) = self.room(cx);
        let panels = packed(cx, &self.b, self.transposed, [self.k, self.n]);
        let g = PackedGemm {
            m: self.m,
            n: self.n,
            k: self.k,
            a: self.a(),
            b: &panels,
            c: &mut c,
            c_row_stride: self.n + 2,
            bias: self.bias.as_deref(),
        };
        gemm_packed(cx, g, &mut work);
        c
    }

    fn room(&self, cx: Cx<'_>) -> (Vec<S>, Vec<S>) {
        let work = vec![S::NAN; gemm_work_len::<S>(cx.pool().threads())];
        (vec![S::from_f64(0.5); self.m * (self.n + 2)], work)
    }
}

fn same_as_plain<S: Float>() {
    let pool = Pool::new(2);
    for isa in isas() {
        let cx = Cx::new(&pool, isa);
        for (i, (n, k)) in MATRICES.into_iter().enumerate() {
            for (j, m) in ROWS.into_iter().enumerate() {
                let case = Case::<S>::new([m, n, k], (i + j) % 2 == 0, j % 3 == 0);
                let what = format!("{m}×{n}×{k} {isa:?}");
                assert_same_bits(&case.packed(cx), &case.plain(cx), &what);
            }
        }
    }
}

#[test]
fn bits_of_the_plain_product() {
    same_as_plain::<f32>();
    same_as_plain::<f64>();
}

#[test]
fn bits_do_not_depend_on_path_or_threads() {
    for (m, n, k) in [(1, 300, 513), (3, 97, 600), (5, 33, 321), (17, 129, 320)] {
        let case = Case::<f32>::new([m, n, k], true, true);
        same_everywhere(|cx| case.packed(cx));
    }
}

#[test]
fn a_row_does_not_know_its_neighbours() {
    let pool = Pool::new(3);
    let cx = Cx::new(&pool, Isa::detect());
    let (n, k) = (83, 540);
    let all = Case::<f32>::new([17, n, k], true, true);
    let whole = all.packed(cx);
    for m in 1..17 {
        let mut few = Case::<f32>::new([m, n, k], true, true);
        few.a = all.a[..m * (k + 3)].to_vec();
        assert_same_bits(&few.packed(cx), &whole[..m * (n + 2)], &format!("{m} rows"));
    }
}

#[test]
fn nothing_to_sum_gives_the_bias() {
    let pool = Pool::new(1);
    let cx = Cx::new(&pool, Isa::detect());
    let case = Case::<f32>::new([3, 5, 0], false, true);
    assert_same_bits(&case.packed(cx), &case.plain(cx), "k of 0");
}

#[test]
fn panels_unpack_to_what_was_packed() {
    let pool = Pool::new(3);
    for isa in isas() {
        let cx = Cx::new(&pool, isa);
        for (n, k) in MATRICES {
            for transposed in [false, true] {
                let b: Vec<f32> = noise(n * k, 5);
                let panels = packed(cx, &b, transposed, [k, n]);
                let mut back = vec![f32::NAN; n * k];
                unpack_panels(isa, &panels, transposed, [k, n], &mut back);
                assert_same_bits(&back, &b, &format!("{n}×{k} {isa:?} {transposed}"));
            }
        }
    }
}

#[test]
fn bytes_may_begin_anywhere() {
    let pool = Pool::new(1);
    let cx = Cx::new(&pool, Isa::detect());
    let (n, k) = (37, 21);
    let b: Vec<f32> = noise(n * k, 5);
    for transposed in [false, true] {
        let want = packed(cx, &b, transposed, [k, n]);
        for skip in 1..4 {
            let shifted = [&vec![0; skip], bytes_of(&b)].concat();
            let mut panels = vec![f32::NAN; b.len()];
            pack_panels(cx, &shifted[skip..], transposed, [k, n], &mut panels);
            assert_same_bits(&panels, &want, &format!("{skip} bytes on"));
        }
    }
}

#[test]
fn columns_are_gathered() {
    let (n, k) = (53, 31);
    let b: Vec<f32> = noise(n * k, 5);
    let index = [0, 52, 7, 7, 51, 16];
    let rows = same_everywhere(|cx| {
        let panels = packed(cx, &b, true, [k, n]);
        let mut out = vec![f32::NAN; index.len() * k];
        gather_panel_columns(cx, &panels, [k, n], &index, &mut out);
        out
    });
    let want: Vec<f32> = index
        .iter()
        .flat_map(|&j| b[j as usize * k..][..k].to_vec())
        .collect();
    assert_same_bits(&rows, &want, "columns");
}

#[test]
#[should_panic(expected = "column 53 of 53")]
fn a_column_outside_is_refused() {
    let pool = Pool::new(1);
    let cx = Cx::new(&pool, Isa::detect());
    let panels: Vec<f32> = noise(53 * 2, 5);
    gather_panel_columns(cx, &panels, [2, 53], &[53], &mut [0.0; 2]);
}
