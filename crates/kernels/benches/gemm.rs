//! Rates of the matrix products of training steps beside those of other libraries, in GFLOP/s:
//! the crate `gemm` (its part for f32) on one thread, and OpenBLAS where the system has it.
//!
//! `cargo bench -p tenon-kernels --bench gemm -- [THREADS] [WORD…]`: rows whose names have all
//! words.
//!
//! The libraries take turns, and each keeps its best. Operands are *warm* when every call has the
//! same ones, and *cold* when calls go around copies that no cache holds together, as in a step.
//! Layers whose weight is also kept as inputs × outputs, as GPT-2 does, are measured that way too.

mod meter;
mod openblas;

use gemm_common::Parallelism;
use meter::{Meter, say};
use openblas::OpenBlas;
use tenon_kernels::{Cx, Gemm, Isa, Mat, Pool, gemm, gemm_work_len};

/// Rows, inputs and outputs of linear layers, and whether a model keeps the weight as inputs ×
/// outputs: those of gpt28m, gpt26m_smallvocab, llama52m and ESM-2 of 8 M parameters.
const LAYERS: [([usize; 3], bool); 16] = [
    ([2048, 256, 768], true),
    ([2048, 256, 256], true),
    ([2048, 256, 512], true),
    ([2048, 512, 256], true),
    ([2048, 256, 50257], false),
    ([2048, 512, 1536], true),
    ([2048, 512, 512], true),
    ([2048, 512, 2048], true),
    ([2048, 2048, 512], true),
    ([1024, 512, 512], false),
    ([1024, 512, 1376], false),
    ([1024, 1376, 512], false),
    ([1024, 512, 32000], false),
    ([2048, 320, 320], false),
    ([2048, 320, 1280], false),
    ([2048, 1280, 320], false),
];
/// Turns of each library: at least so many, and until this many seconds have passed together.
const ROUNDS_MIN: usize = 5;
const ROW_SECONDS: f64 = 0.5;
/// Bytes that no cache holds.
const COLD_BYTES: usize = 64 << 20;
/// Elements of a result that are compared.
const SAMPLES: usize = 1000;

fn main() {
    let meter = Meter::from_line();
    let pool = Pool::new(meter.threads);
    let libraries = Libraries {
        cx: Cx::new(&pool, Isa::detect()),
        openblas: OpenBlas::load(meter.threads),
        threads: meter.threads,
    };
    let openblas = libraries.openblas.as_ref();
    let config = openblas.map_or("is not there", |library| library.config.as_str());
    let (isa, threads) = (libraries.cx.isa().name(), meter.threads);
    say(&format!("{threads} threads, tenon {isa}, {config}"));
    let head = ["tenon", "gemm", "openblas"];
    let head = head.map(|name| format!("{name:>9}")).concat();
    say(&format!(
        "{:<36}{head}{:>12}",
        "product [GFLOP/s]", "tenon/best"
    ));
    for (layer, is_also_in_out) in LAYERS {
        let in_out = is_also_in_out.then(|| passes(layer, true));
        let all = [passes(layer, false)].into_iter().chain(in_out);
        for (pass, product) in all.flatten() {
            let [rows, inputs, outputs] = layer;
            let name = format!("{rows}x{inputs}x{outputs} {pass}");
            for copies in product.copies() {
                let operands = if copies == 1 { "warm" } else { "cold" };
                let name = format!("{name} {operands}");
                if meter.wants(&name) {
                    libraries.compare(&meter, &name, &product, copies);
                }
            }
        }
    }
}

/// `C [m, n] = A [m, k] · B [k, n]`, with factors that lie in memory as they are or transposed.
#[derive(Clone, Copy)]
struct Product {
    size: [usize; 3],
    a_transposed: bool,
    b_transposed: bool,
}

/// The products of a layer: outputs, inputs' gradient, weight's gradient, and outputs of one row.
fn passes([rows, inputs, outputs]: [usize; 3], in_out: bool) -> [(&'static str, Product); 4] {
    let product = |size, a_transposed, b_transposed| Product {
        size,
        a_transposed,
        b_transposed,
    };
    let forward = product([rows, outputs, inputs], false, !in_out);
    let dx = product([rows, inputs, outputs], false, in_out);
    let one_row = product([1, outputs, inputs], false, !in_out);
    if in_out {
        let dw = product([inputs, outputs, rows], true, false);
        let names = ["forward-io", "dx-io", "dw-io", "row-io"];
        return zip(names, [forward, dx, dw, one_row]);
    }
    let dw = product([outputs, inputs, rows], true, false);
    zip(["forward", "dx", "dw", "row"], [forward, dx, dw, one_row])
}

fn zip<const N: usize>(
    names: [&'static str; N],
    all: [Product; N],
) -> [(&'static str, Product); N] {
    std::array::from_fn(|i| (names[i], all[i]))
}

impl Product {
    fn flops(&self) -> f64 {
        self.size.iter().fold(2.0, |flops, &n| flops * n as f64)
    }

    /// Elements of A, B and C.
    fn lens(&self) -> [usize; 3] {
        let [m, n, k] = self.size;
        [m * k, k * n, m * n]
    }

    /// How many copies of the operands to go around: one, and as many as no cache holds. A product
    /// that no cache holds is always cold.
    fn copies(&self) -> Vec<usize> {
        let bytes = self.lens().iter().sum::<usize>() * size_of::<f32>();
        match COLD_BYTES.div_ceil(bytes) {
            1 => vec![2],
            n => vec![1, n + 1],
        }
    }
}

/// A, B and C.
type Operands = [Vec<f32>; 3];

fn operands(product: &Product) -> Operands {
    let mut state = 1u32;
    product.lens().map(|len| {
        let value = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 24) as f32 - 0.5
        };
        (0..len).map(value).collect()
    })
}

/// Who computes the same product.
struct Libraries<'a> {
    cx: Cx<'a>,
    openblas: Option<OpenBlas>,
    threads: usize,
}

/// One of them: computes the product of the operands.
type Compute<'a> = Box<dyn FnMut(&Product, &mut Operands) + 'a>;

impl Libraries<'_> {
    /// Tenon, the crate, OpenBLAS; `None` for who is not there.
    fn all(&self) -> [Option<Compute<'_>>; 3] {
        let mut work = vec![0.0; gemm_work_len::<f32>(self.threads)];
        let tenon: Compute = Box::new(move |product, operands| {
            compute_here(self.cx, product, operands, &mut work);
        });
        let alone = self.threads == 1;
        let foreign = alone.then(|| -> Compute { Box::new(compute_with_gemm) });
        let openblas = self.openblas.as_ref().map(|library| -> Compute {
            Box::new(|product, operands| compute_with_openblas(library, product, operands))
        });
        [Some(tenon), foreign, openblas]
    }

    /// Measures a product in turns and writes its row.
    fn compare(&self, meter: &Meter, name: &str, product: &Product, copies: usize) {
        let mut sets = vec![operands(product); copies];
        let mut all = self.all();
        let mut samples: Option<Vec<f32>> = None;
        for library in all.iter_mut().flatten() {
            library(product, &mut sets[0]);
            let found = sample(&sets[0][2]);
            assert_close(
                samples.get_or_insert_with(|| found.clone()),
                &found,
                product,
            );
        }
        let mut best = [f64::INFINITY; 3];
        let (mut next, mut n_rounds) = (0, 0);
        let begin = meter.seconds();
        while n_rounds < ROUNDS_MIN || meter.seconds() - begin < ROW_SECONDS {
            n_rounds += 1;
            for (library, best) in all.iter_mut().zip(&mut best) {
                let Some(library) = library else { continue };
                let seconds = meter.turn(|| {
                    next = (next + 1) % copies;
                    library(product, &mut sets[next]);
                });
                *best = best.min(seconds);
            }
        }
        let rates = best.map(|seconds| product.flops() / seconds / 1e9);
        let cells = rates.map(|rate| match rate {
            0.0 => format!("{:>9}", "-"),
            rate => format!("{rate:>9.1}"),
        });
        let ratio = rates[0] / rates.iter().fold(0.0, |a: f64, &b| a.max(b));
        say(&format!("{name:<36}{}{ratio:>12.3}", cells.concat()));
    }
}

fn compute_here(cx: Cx<'_>, product: &Product, operands: &mut Operands, work: &mut [f32]) {
    let ([m, n, k], [a, b, c]) = (product.size, operands);
    let mat = |transposed, data, rows, cols| match transposed {
        true => Mat::transposed(data, rows),
        false => Mat::rows(data, cols),
    };
    let g = Gemm {
        m,
        n,
        k,
        a: mat(product.a_transposed, a.as_slice(), m, k),
        b: mat(product.b_transposed, b.as_slice(), k, n),
        c,
        c_row_stride: n,
        accumulate: false,
        bias: None,
    };
    gemm(cx, g, work);
}

/// Columns of C are what its kernel prefers adjacent, so it is asked for Cᵀ = Bᵀ · Aᵀ, as the
/// crate's own entry does.
fn compute_with_gemm(product: &Product, [a, b, c]: &mut Operands) {
    let [m, n, k] = product.size;
    let strides = |transposed, rows: usize, cols: usize| match transposed {
        true => (1, rows as isize),
        false => (cols as isize, 1),
    };
    let (a_row, a_col) = strides(product.a_transposed, m, k);
    let (b_row, b_col) = strides(product.b_transposed, k, n);
    let (a, b, c) = (a.as_ptr(), b.as_ptr(), c.as_mut_ptr());
    let compute = gemm_f32::gemm::f32::get_gemm_fn();
    let alone = Parallelism::None;
    // SAFETY: the operands have the sizes and strides that are told.
    unsafe {
        compute(
            n, m, k, c, n as isize, 1, false, b, b_row, b_col, a, a_row, a_col, 0.0, 1.0, false,
            false, false, alone,
        );
    }
}

fn compute_with_openblas(library: &OpenBlas, product: &Product, [a, b, c]: &mut Operands) {
    let [m, n, k] = product.size;
    let row = |transposed, rows, cols| if transposed { rows } else { cols };
    let (a_transposed, b_transposed) = (product.a_transposed, product.b_transposed);
    let a = (a_transposed, a.as_slice(), row(a_transposed, m, k));
    let b = (b_transposed, b.as_slice(), row(b_transposed, k, n));
    library.product(product.size, a, b, c);
}

fn sample(c: &[f32]) -> Vec<f32> {
    c.iter().step_by(c.len() / SAMPLES + 1).copied().collect()
}

/// Who computes something else is not compared.
fn assert_close(expected: &[f32], found: &[f32], product: &Product) {
    let tolerance = 1e-4 * (product.size[2] as f32).sqrt();
    for (a, b) in expected.iter().zip(found) {
        assert!((a - b).abs() <= tolerance, "{a} and {b}");
    }
}
