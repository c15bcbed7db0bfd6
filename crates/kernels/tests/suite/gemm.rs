//! The matrix product: right, and with the same bits on every path.

use crate::common::{assert_close, assert_same_bits, isas, noise, same_everywhere};
use tenon_kernels::{Cx, Float, Gemm, Isa, Mat, Pool, gemm, gemm_work_len};

const SIZES: [usize; 18] = [
    0, 1, 2, 5, 6, 7, 12, 15, 16, 17, 31, 33, 63, 64, 65, 100, 257, 321,
];

/// How an operand lies in its slice.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Layout {
    Rows,
    Transposed,
    Strided,
}

const LAYOUTS: [Layout; 3] = [Layout::Rows, Layout::Transposed, Layout::Strided];

struct Case<S> {
    m: usize,
    n: usize,
    k: usize,
    a: (Vec<S>, usize, usize),
    b: (Vec<S>, usize, usize),
    c: Vec<S>,
    c_row_stride: usize,
    accumulate: bool,
    bias: Option<Vec<S>>,
}

fn operand<S: Float>(
    rows: usize,
    cols: usize,
    layout: Layout,
    seed: u64,
) -> (Vec<S>, usize, usize) {
    let (row, col) = match layout {
        Layout::Rows => (cols, 1),
        Layout::Transposed => (1, rows),
        Layout::Strided => (3 * cols + 2, 3),
    };
    let len = if rows * cols == 0 {
        0
    } else {
        (rows - 1) * row + (cols - 1) * col + 1
    };
    (noise(len, seed), row, col)
}

impl<S: Float> Case<S> {
    fn new(m: usize, n: usize, k: usize, a: Layout, b: Layout) -> Self {
        Case {
            m,
            n,
            k,
            a: operand(m, k, a, 1),
            b: operand(k, n, b, 2),
            c: noise(m * (n + 3), 3),
            c_row_stride: n + 3,
            accumulate: false,
            bias: None,
        }
    }

    fn run(&self, cx: Cx<'_>) -> Vec<S> {
        let mut work = vec![S::NAN; gemm_work_len::<S>(cx.pool().threads())];
        let mut c = self.c.clone();

        let (ar, ac) = (self.a.1, self.a.2);
        let (br, bc) = (self.b.1, self.b.2);
        let g = Gemm {
            m: self.m,
            n: self.n,
            k: self.k,
            a: Mat {
                data: &self.a.0,
                row_stride: ar,
                col_stride: ac,
            },
            b: Mat {
                data: &self.b.0,
                row_stride: br,
                col_stride: bc,
            },
            c: &mut c,
            c_row_stride: self.c_row_stride,
            accumulate: self.accumulate,
            bias: self.bias.as_deref(),
        };
        gemm(cx, g, &mut work);
        c
    }

    fn reference(&self) -> Vec<f64> {
        let mut c: Vec<f64> = self.c.iter().map(|x| x.to_f64()).collect();
        for i in 0..self.m {
            for j in 0..self.n {
                let mut sum = 0.0;
                for p in 0..self.k {
                    let a = self.a.0[i * self.a.1 + p * self.a.2].to_f64();
                    sum += a * self.b.0[p * self.b.1 + j * self.b.2].to_f64();
                }
                let c = &mut c[i * self.c_row_stride + j];
                *c = sum + if self.accumulate { *c } else { 0.0 };
                *c += self.bias.as_ref().map_or(0.0, |bias| bias[j].to_f64());
            }
        }
        c
    }

    #[track_caller]
    fn check(&self, cx: Cx<'_>, tolerance: f64) -> Vec<S> {
        let got = self.run(cx);
        let what = format!("{}×{}×{}", self.m, self.n, self.k);
        assert_close(&got, &self.reference(), tolerance, &what);
        got
    }
}

#[test]
fn right_for_awkward_sizes() {
    let pool = Pool::new(2);
    let cx = Cx::new(&pool, Isa::detect());
    for (i, &m) in SIZES.iter().enumerate() {
        for (j, &n) in SIZES.iter().enumerate() {
            let k = SIZES[(3 * i + 5 * j) % SIZES.len()];
            let (a, b) = (LAYOUTS[(i + j) % 3], LAYOUTS[(i + 2 * j) % 3]);
            Case::<f32>::new(m, n, k, a, b).check(cx, 2e-6);
        }
    }
    Case::<f32>::new(7, 33, 513, Layout::Rows, Layout::Transposed).check(cx, 2e-6);
    Case::<f32>::new(300, 70, 513, Layout::Transposed, Layout::Rows).check(cx, 2e-6);
}

#[test]
fn right_in_f64() {
    let pool = Pool::new(2);
    for isa in isas() {
        let cx = Cx::new(&pool, isa);
        for (m, n, k) in [
            (1, 1, 1),
            (5, 9, 300),
            (9, 5, 321),
            (13, 17, 7),
            (65, 31, 641),
            (6, 8, 512),
        ] {
            for layout in LAYOUTS {
                Case::<f64>::new(m, n, k, layout, layout).check(cx, 1e-14);
            }
        }
    }
}

#[test]
fn same_bits_on_every_path() {
    for (m, n, k) in [
        (1, 40, 600),
        (5, 7, 3),
        (70, 130, 320),
        (129, 65, 643),
        (3, 300, 256),
    ] {
        for layout in LAYOUTS {
            for (accumulate, bias) in [(false, false), (true, false), (false, true)] {
                let mut case = Case::<f32>::new(m, n, k, layout, LAYOUTS[(m + k) % 3]);
                case.accumulate = accumulate;
                case.bias = bias.then(|| noise(n, 9));
                let got = same_everywhere(|cx| case.run(cx));
                assert_close(&got, &case.reference(), 2e-6, "against f64");
            }
        }
    }
    let case = Case::<f64>::new(70, 33, 300, Layout::Rows, Layout::Transposed);
    same_everywhere(|cx| case.run(cx));
}

#[test]
fn a_row_alone_has_the_bits_it_has_in_a_batch() {
    let pool = Pool::new(2);
    for isa in isas() {
        let cx = Cx::new(&pool, isa);
        for b in LAYOUTS {
            let mut batch = Case::<f32>::new(67, 150, 700, Layout::Rows, b);
            batch.bias = Some(noise(150, 4));
            let all = batch.run(cx);
            for rows in [1, 2, 4, 5, 33] {
                let mut few = Case::<f32>::new(rows, 150, 700, Layout::Rows, b);
                few.bias = batch.bias.clone();
                few.a
                    .0
                    .copy_from_slice(&batch.a.0[20 * 700..(20 + rows) * 700]);
                let got = few.run(cx);
                for i in 0..rows {
                    let want = &all[(20 + i) * 153..][..150];
                    assert_same_bits(&got[i * 153..][..150], want, &format!("{rows} rows, {b:?}"));
                }
            }
        }
    }
}

#[test]
fn what_lies_between_rows_is_untouched() {
    let pool = Pool::new(3);
    for m in [1, 4, 40] {
        let case = Case::<f32>::new(m, 50, 20, Layout::Rows, Layout::Rows);
        let got = case.run(Cx::new(&pool, Isa::detect()));
        for i in 0..m {
            assert_same_bits(&got[i * 53 + 50..][..3], &case.c[i * 53 + 50..][..3], "gap");
        }
    }
}

#[test]
fn no_terms_leave_zero_bias_or_what_was_there() {
    let pool = Pool::new(1);
    let cx = Cx::new(&pool, Isa::detect());
    let mut case = Case::<f32>::new(2, 3, 0, Layout::Rows, Layout::Rows);
    assert_eq!(case.run(cx)[..3], [0.0; 3]);
    case.bias = Some(vec![1.0, 2.0, 3.0]);
    assert_eq!(case.run(cx)[6..9], [1.0, 2.0, 3.0]);
    case.bias = None;
    case.accumulate = true;
    assert_same_bits(&case.run(cx), &case.c, "accumulate");
}

#[test]
#[should_panic(expected = "leaves")]
fn an_operand_that_leaves_its_slice_is_refused() {
    let pool = Pool::new(1);
    let mut case = Case::<f32>::new(4, 4, 4, Layout::Rows, Layout::Rows);
    case.b.0.pop();
    case.run(Cx::new(&pool, Isa::Scalar));
}

#[test]
#[should_panic(expected = "overlap")]
fn overlapping_rows_of_the_result_are_refused() {
    let pool = Pool::new(1);
    let mut case = Case::<f32>::new(4, 4, 4, Layout::Rows, Layout::Rows);
    case.c_row_stride = 3;
    case.run(Cx::new(&pool, Isa::Scalar));
}
