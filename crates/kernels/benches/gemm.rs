//! Rates of the matrix product in GFLOP/s, one line per shape of a training step.
//! `cargo bench -p tenon-kernels -- [threads]`

use std::hint::black_box;
use std::io::Write;
use std::time::Instant;
use tenon_kernels::{Cx, Gemm, Isa, Mat, Pool, gemm, gemm_work_len};

/// Rows, inputs and outputs of a linear layer.
const LAYERS: [(usize, usize, usize); 4] = [
    (2048, 256, 50257),
    (2048, 512, 2048),
    (2048, 2048, 512),
    (1024, 512, 32000),
];

fn main() {
    let threads = std::env::args()
        .find_map(|arg| arg.parse().ok())
        .unwrap_or(1);
    let pool = Pool::new(threads);
    let cx = Cx::new(&pool, Isa::detect());
    let mut work = vec![0.0; gemm_work_len::<f32>(cx.isa(), threads)];
    for (rows, inputs, outputs) in LAYERS {
        let x = vec![0.5; rows * inputs];
        let w = vec![0.25; outputs * inputs];
        let dy = vec![0.125; rows * outputs];
        let mut out = vec![0.0; (rows * outputs).max(outputs * inputs).max(rows * inputs)];
        let mut rate =
            |name: &str, m: usize, n: usize, k: usize, a: Mat<'_, f32>, b: Mat<'_, f32>| {
                let mut best = f64::INFINITY;
                for _ in 0..4 {
                    let start = Instant::now();
                    let c = &mut out[..m * n];
                    let c_row_stride = n;
                    let g = Gemm {
                        m,
                        n,
                        k,
                        a,
                        b,
                        c,
                        c_row_stride,
                        accumulate: false,
                        bias: None,
                    };
                    gemm(cx, g, &mut work);
                    black_box(&mut out);
                    best = best.min(start.elapsed().as_secs_f64());
                }
                let gflops = 2.0 * (m * n) as f64 * k as f64 / best / 1e9;
                let line = format!("{rows}x{inputs}x{outputs} {name}: {gflops:.1} GFLOP/s\n");
                std::io::stdout()
                    .write_all(line.as_bytes())
                    .expect("stdout");
            };
        let x_rows = Mat::rows(&x, inputs);
        rate(
            "forward",
            rows,
            outputs,
            inputs,
            x_rows,
            Mat::transposed(&w, inputs),
        );
        rate(
            "dx",
            rows,
            inputs,
            outputs,
            Mat::rows(&dy, outputs),
            Mat::rows(&w, inputs),
        );
        rate(
            "dw",
            outputs,
            inputs,
            rows,
            Mat::transposed(&dy, outputs),
            x_rows,
        );
        rate(
            "decode",
            1,
            outputs,
            inputs,
            x_rows,
            Mat::transposed(&w, inputs),
        );
        rate(
            "decode [k,n]",
            1,
            inputs,
            outputs,
            Mat::rows(&dy, outputs),
            Mat::rows(&w, inputs),
        );
    }
}
