//! Every kernel on every instruction set of this machine, against the bits of the scalar twin:
//! awkward lengths, awkward values, both element types, one thread.

mod kernels;

use crate::attention::Case;
use crate::common::{isas, noise};
use kernels::kernels;
use tenon_kernels::{Cx, Float, Gemm, Isa, Mat, Pool, gemm, gemm_work_len};

/// Whole registers of either width and their neighbours, blocks of kernels and theirs.
const LENGTHS: [usize; 23] = [
    1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 31, 32, 33, 47, 63, 64, 65, 127, 255, 256, 259,
];
const ROWS: usize = 3;

/// What a kernel reads.
struct Inputs<S> {
    /// Width of a row.
    n: usize,
    /// `[ROWS, n]` each.
    x: Vec<S>,
    y: Vec<S>,
    z: Vec<S>,
    /// `[n]` each.
    gain: Vec<S>,
    bias: Vec<S>,
}

/// The bits of everything a kernel wrote, NaN being one value.
#[derive(Default)]
struct Bits(Vec<u64>);

impl Bits {
    fn add<S: Float>(&mut self, values: &[S]) {
        let bits = |x: &S| {
            if x.is_nan() {
                u64::MAX
            } else {
                x.to_f64().to_bits()
            }
        };
        self.0.extend(values.iter().map(bits));
    }
}

/// Values at which a branch, a rounding or a shortcut could differ.
fn corners<S: Float>() -> Vec<S> {
    let is_single = size_of::<S>() == 4;
    let (tiny, subnormal) = if is_single {
        (1.2e-38, 3e-42)
    } else {
        (2.3e-308, 3e-320)
    };
    let positive = [
        0.0,
        subnormal,
        tiny,
        1e-20,
        0.625,
        0.62500006,
        0.92,
        0.9200001,
        1.0,
        4.0,
        9.0,
        87.5,
        88.72284,
        88.8,
        89.0,
        103.9,
        104.1,
        700.0,
        746.0,
        1e18,
        3e38,
        f64::INFINITY,
    ];
    let both = positive.iter().flat_map(|&x| [x, -x]);
    both.chain([f64::NAN]).map(S::from_f64).collect()
}

/// Noise of size `size` with a value of `strewn` at every third place.
fn strew<S: Float>(n: usize, seed: u64, size: f64, strewn: &[S]) -> Vec<S> {
    let mut values: Vec<S> = noise(n, seed);
    for (i, value) in values.iter_mut().enumerate() {
        *value *= S::from_f64(size);
        if i % 3 == 1 && !strewn.is_empty() {
            *value = strewn[(i / 3 + seed as usize * 7) % strewn.len()];
        }
    }
    values
}

impl<S: Float> Inputs<S> {
    fn new(n: usize, size: f64, strewn: &[S]) -> Self {
        let rows = |seed| strew(ROWS * n, seed, size, strewn);
        Inputs {
            n,
            x: rows(1),
            y: rows(2),
            z: rows(3),
            gain: strew(n, 4, 1.0, strewn),
            bias: noise(n, 5),
        }
    }
}

/// Asserts that `f` writes the same bits on every path of this machine.
#[track_caller]
fn assert_same_bits(pool: &Pool, what: &str, f: impl Fn(Cx<'_>, &mut Bits)) {
    let on = |isa: Isa| {
        let mut bits = Bits::default();
        f(Cx::new(pool, isa), &mut bits);
        bits.0
    };
    let scalar = on(Isa::Scalar);
    for isa in isas().into_iter().skip(1) {
        let got = on(isa);
        assert_eq!(got.len(), scalar.len(), "{what}, {isa:?}");
        if let Some(i) = (0..got.len()).find(|&i| got[i] != scalar[i]) {
            let (got, scalar) = (f64::from_bits(got[i]), f64::from_bits(scalar[i]));
            panic!("{what}, {isa:?}: element {i} is {got:e}, scalar {scalar:e}");
        }
    }
}

/// All kernels on all lengths, on noise and on noise with corners.
fn pointwise<S: Float>() {
    let pool = Pool::new(1);
    let all = corners::<S>();
    let finite: Vec<S> = all.iter().copied().filter(|x| x.is_finite()).collect();
    for n in LENGTHS {
        for (size, strewn) in [(4.0, &[][..]), (4.0, &finite), (30.0, &all)] {
            let inputs = Inputs::new(n, size, strewn);
            for (name, kernel) in kernels::<S>() {
                let what = format!("{name}, width {n}, {} corners", strewn.len());
                assert_same_bits(&pool, &what, |cx, bits| kernel(cx, &inputs, bits));
            }
        }
    }
}

#[test]
fn kernels_over_elements_and_rows_in_f32() {
    pointwise::<f32>();
}

#[test]
fn kernels_over_elements_and_rows_in_f64() {
    pointwise::<f64>();
}

/// Operand `which` of a product, `[rows, cols]`: by rows, transposed, or with gaps.
fn operand<S>(data: &[S], rows: usize, cols: usize, which: usize) -> Mat<'_, S> {
    let (row_stride, col_stride) = [(cols, 1), (1, rows), (2 * cols + 1, 2)][which];
    Mat {
        data,
        row_stride,
        col_stride,
    }
}

/// Every shape of the register tile, whole or cut, with every layout, one block of k and two.
fn products<S: Float>() {
    const DEPTHS: [usize; 4] = [1, 8, 11, 325];
    let pool = Pool::new(1);
    let (rows, cols) = (25, 67);
    let (a, b) = (
        strew::<S>(2 * (rows + 1) * 326, 1, 1.0, &[]),
        strew::<S>(2 * (cols + 1) * 326, 2, 1.0, &[]),
    );
    let (before, bias) = (noise::<S>(rows * (cols + 3), 3), noise::<S>(cols, 4));
    let work: Vec<_> = isas()
        .iter()
        .map(|_| std::cell::RefCell::new(vec![S::NAN; gemm_work_len::<S>(1)]))
        .collect();
    for m in 1..=rows {
        for n in 1..=cols {
            let k = DEPTHS[(m + 2 * n) % 4];
            let (layout_a, layout_b, finish) = (n % 3, (m + n / 3) % 3, (m / 3 + n / 9) % 3);
            let what = format!("{m}×{n}×{k}, layouts {layout_a} and {layout_b}");
            assert_same_bits(&pool, &what, |cx, bits| {
                let mut c = before[..m * (n + 3)].to_vec();
                let g = Gemm {
                    m,
                    n,
                    k,
                    a: operand(&a, m, k, layout_a),
                    b: operand(&b, k, n, layout_b),
                    c: &mut c,
                    c_row_stride: n + 3,
                    accumulate: finish == 1,
                    bias: (finish == 2).then_some(&bias[..n]),
                };
                let mine = isas().iter().position(|&isa| isa == cx.isa());
                gemm(cx, g, &mut work[mine.expect("a path")].borrow_mut());
                bits.add(&c);
            });
        }
    }
}

#[test]
fn products_in_f32() {
    products::<f32>();
}

#[test]
fn products_in_f64() {
    products::<f64>();
}

/// Head widths around whole registers, sequences around whole tiles, every rule.
fn attentions<S: Float>() {
    let pool = Pool::new(1);
    for (c, head_dim) in [
        1, 2, 3, 4, 7, 8, 12, 15, 16, 17, 24, 31, 32, 33, 48, 63, 64, 65,
    ]
    .into_iter()
    .enumerate()
    {
        let lens = [[1, 7, 66], [3, 64, 5], [15, 17, 33], [2, 0, 129]][c % 4];
        let mut case = Case::<S>::new(&lens, [(2, 1), (2, 2), (4, 2)][c % 3], head_dim, c % 2 == 0);
        case.window = [None, Some(1 + 5 * c)][c / 2 % 2];
        let n = case.n();
        case.key_mask = (c % 5 == 4).then(|| (0..n).map(|j| i32::from(j % 7 != 3)).collect());
        let dout = noise::<S>(n * case.widths()[0], 9);
        assert_same_bits(&pool, &format!("attention {c}"), |cx, bits| {
            let (out, lse) = case.forward(cx, &case.qkv);
            bits.add(&out);
            bits.add(&lse);
            bits.add(&case.vjp(cx, &dout, None));
            bits.add(&case.vjp(cx, &dout, Some(&case.qkv)));
        });
    }
}

#[test]
fn attention_in_f32() {
    attentions::<f32>();
}

#[test]
fn attention_in_f64() {
    attentions::<f64>();
}
