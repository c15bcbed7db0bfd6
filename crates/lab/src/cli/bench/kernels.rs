//! `tenon bench kernels`: each kernel alone, beside its floor.

use clap::Args;
use serde_json::{Value, json};
use tenon_base::Result;

use super::Output;
use super::model::{ThreadsArgs, extend, head, three_digits};
use crate::bench::WorkClock;
use crate::bench::kernels::{Bound, KernelTime, KernelsReport, measure};
use crate::context::Context;
use crate::table;

/// How many threads
#[derive(Clone, Debug, Args)]
pub struct KernelsArgs {
    #[command(flatten)]
    threads: ThreadsArgs,
}

pub(super) fn run(args: &KernelsArgs, context: &Context) -> Result<Output> {
    let threads = args.threads.or_default(context);
    let clock = WorkClock::new(context.clock.as_ref(), threads);
    let report = measure(threads, context.isa, &clock);
    if !context.json {
        return Ok(Output::Text(as_text(&report)));
    }
    let mut document = head("kernels", "kernels", threads, context);
    let kernels = report.kernels.iter().map(|kernel| as_json(&report, kernel));
    extend(
        &mut document,
        json!({
            "sgemm_gflops": report.rates.sgemm_gflops,
            "bandwidth_gb_per_s": report.rates.bandwidth,
            "cache_gb_per_s": report.rates.cache_bandwidth,
            "exps_g_per_s": report.rates.exps,
            "random_words_g_per_s": report.rates.random_words,
            "kernels": kernels.collect::<Vec<_>>(),
        }),
    );
    Ok(Output::Json(document))
}

/// A time in the unit of the kernel: the operations a second of what computes, the time an element
/// of others.
fn in_unit(kernel: &KernelTime, ms: f64) -> (&'static str, f64) {
    match kernel.work.elements {
        0 => ("gflops", kernel.work.flops / (ms * 1e6)),
        elements => ("ns_per_element", ms * 1e6 / elements as f64),
    }
}

fn as_json(report: &KernelsReport, kernel: &KernelTime) -> Value {
    let (floor_ms, bound) = report.floor_ms(kernel);
    let (unit, value) = in_unit(kernel, kernel.best_ms);
    let mut document = json!({
        "kernel": kernel.kernel,
        "shape": kernel.shape,
        "best_ms": kernel.best_ms,
        "floor_ms": floor_ms,
        "bound": bound.name(),
        "unit": unit,
        "value": value,
        "floor": in_unit(kernel, floor_ms).1,
    });
    if bound != Bound::Product {
        document["bytes"] = kernel.work.bytes.into();
        document["exps"] = kernel.work.exps.into();
        document["random_words"] = kernel.work.random_words.into();
    }
    document
}

fn as_text(report: &KernelsReport) -> String {
    let rows = report.kernels.iter().map(|kernel| {
        let (floor_ms, bound) = report.floor_ms(kernel);
        let (unit, value) = in_unit(kernel, kernel.best_ms);
        let unit = match unit {
            "gflops" => "GFLOP/s",
            _ => "ns/element",
        };
        [
            kernel.kernel.to_owned(),
            kernel.shape.clone(),
            format!("{} {unit}", three_digits(value)),
            three_digits(in_unit(kernel, floor_ms).1),
            bound.name().to_owned(),
            format!("{:.0} %", 100.0 * floor_ms / kernel.best_ms),
        ]
    });
    format!(
        "{}\nbest product {} GFLOP/s, main memory {} GB/s, caches {} GB/s, \
         {} exponentials and {} random words a nanosecond\n",
        table::render(
            ["kernel", "shape", "best", "floor", "bound", "floor / best"],
            rows
        ),
        three_digits(report.rates.sgemm_gflops),
        three_digits(report.rates.bandwidth),
        three_digits(report.rates.cache_bandwidth),
        three_digits(report.rates.exps),
        three_digits(report.rates.random_words),
    )
}
