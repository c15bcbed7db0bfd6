//! Arguments that name a model to measure, and the report of its steps.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use tenon_base::limits::THREADS_MAX;
use tenon_base::{Result, units};

use super::{Output, SCHEMA_VERSION};
use crate::bench::case::{Case, Named};
use crate::bench::step::{OpTime, StepReport, Work, measure};
use crate::bench::{Times, least, median};
use crate::context::Context;
use crate::describe::describe;
use crate::table;

/// Which model, with how many threads, how often
#[derive(Clone, Debug, Args)]
pub struct ModelArgs {
    #[command(flatten)]
    pub(super) subject: SubjectArgs,
    #[command(flatten)]
    pub(super) threads: ThreadsArgs,
    /// Steps that are measured, after two that are not
    #[arg(long, value_name = "K", default_value = "10")]
    pub(super) steps: NonZeroUsize,
}

/// Which model
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct SubjectArgs {
    /// Model whose shape the reference script has too
    #[arg(long, value_name = "NAME")]
    spec: Option<Named>,
    /// Configuration whose model and batch are measured, with fresh weights and random tokens
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// How many threads
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct ThreadsArgs {
    /// Threads for computation instead of `TENON_THREADS`
    #[arg(long, value_name = "N", value_parser = parse_threads)]
    threads: Option<NonZeroUsize>,
}

fn parse_threads(text: &str) -> std::result::Result<NonZeroUsize, String> {
    let n: Option<NonZeroUsize> = text.parse().ok();
    n.filter(|n| n.get() as u64 <= THREADS_MAX)
        .ok_or_else(|| format!("expected a number from 1 to {THREADS_MAX}"))
}

impl ThreadsArgs {
    pub(super) fn or_default(self, context: &Context) -> NonZeroUsize {
        self.threads.unwrap_or(context.threads)
    }
}

impl SubjectArgs {
    pub(super) fn case(&self, context: &Context) -> Result<Case> {
        match (self.spec, &self.config) {
            (Some(named), _) => Ok(named.case()),
            (None, Some(path)) => {
                let described = describe(context, Path::new("runs"), path)?;
                Ok(Case::of(path.display().to_string(), &described))
            }
            (None, None) => unreachable!("clap asks for one of the two"),
        }
    }
}

pub(super) fn run(args: &ModelArgs, work: Work, context: &Context) -> Result<Output> {
    let case = args.subject.case(context)?;
    let threads = args.threads.or_default(context);
    let report = measure(&case, work, args.steps, threads, context);
    let facts = facts(&case, work, threads, context, &report);
    Ok(match context.json {
        true => Output::Json(facts),
        false => Output::Text(as_text(&facts, &report)),
    })
}

/// Who was measured, and how.
pub(super) fn head(case: &Case, mode: &str, threads: NonZeroUsize, context: &Context) -> Value {
    json!({
        "schema_version": SCHEMA_VERSION,
        "who": concat!("tenon ", env!("CARGO_PKG_VERSION")),
        "spec": case.name,
        "mode": mode,
        "threads": threads.get(),
        "isa": context.isa.name(),
    })
}

/// Adds the members of one object to another.
pub(super) fn extend(document: &mut Value, more: Value) {
    if let (Value::Object(all), Value::Object(more)) = (document, more) {
        all.extend(more);
    }
}

/// Bytes in MiB.
pub(super) fn mib(bytes: f64) -> f64 {
    bytes / f64::from(1 << 20)
}

fn facts(
    case: &Case,
    work: Work,
    threads: NonZeroUsize,
    context: &Context,
    report: &StepReport,
) -> Value {
    let mut document = head(case, work.name(), threads, context);
    let cpu_ms = |times: &Times| median(&times.cpu_ms);
    extend(
        &mut document,
        json!({
            "step_ms": median(&report.step.wall_ms),
            "step_cpu_ms": cpu_ms(&report.step),
            "step_ms_min": least(&report.step.wall_ms),
            "step_cpu_ms_min": least(&report.step.cpu_ms),
            "forward_ms": median(&report.forward.wall_ms),
            "forward_cpu_ms": cpu_ms(&report.forward),
            "peak_rss_mib": report.peak_rss_bytes.map(|bytes| mib(bytes as f64)),
            "planned_peak_mib": mib(report.planned_peak_bytes as f64),
            "tokens_per_step": case.batch.tokens,
            "sequences_per_step": case.batch.seqs,
            "n_params": report.n_params,
            "gflops": report.gflops(),
            "sgemm_gflops": report.sgemm_gflops,
            "bandwidth_gb_per_s": report.bandwidth,
            "roofline_ms": report.roofline_ms,
            "ops": report.ops.iter().map(op_json).collect::<Vec<_>>(),
        }),
    );
    document
}

fn op_json(op: &OpTime) -> Value {
    json!({
        "op": op.op,
        "forward_ms": op.forward_ms,
        "backward_ms": op.backward_ms,
        "share": op.share,
    })
}

fn as_text(facts: &Value, report: &StepReport) -> String {
    let number = |key: &str| facts[key].as_f64().map_or("-".to_owned(), three_digits);
    let text = |key: &str| facts[key].as_str().unwrap_or_default().to_owned();
    let head = format!(
        "{} {} of {}: {} parameters, {} tokens a step, {} threads, {}\n\n",
        text("who"),
        text("mode"),
        text("spec"),
        units::count(report.n_params as u64),
        facts["tokens_per_step"],
        facts["threads"],
        text("isa"),
    );
    let ratio = |ms: Option<f64>| match ms {
        Some(ms) => format!("{:.0} %", 100.0 * report.roofline_ms / ms),
        None => "-".to_owned(),
    };
    let rows = [
        [
            "step, elapsed".to_owned(),
            format!("{} ms", number("step_ms")),
        ],
        [
            "step, processor".to_owned(),
            format!("{} ms", number("step_cpu_ms")),
        ],
        [
            "step, best elapsed".to_owned(),
            format!("{} ms", number("step_ms_min")),
        ],
        [
            "forward with loss, elapsed".to_owned(),
            format!("{} ms", number("forward_ms")),
        ],
        [
            "forward with loss, processor".to_owned(),
            format!("{} ms", number("forward_cpu_ms")),
        ],
        [
            "machine's floor of a step".to_owned(),
            format!("{} ms", number("roofline_ms")),
        ],
        [
            "floor / best step".to_owned(),
            ratio(least(&report.step.wall_ms)),
        ],
        [
            "rate of the step".to_owned(),
            format!("{} GFLOP/s", number("gflops")),
        ],
        [
            "best rate of its products".to_owned(),
            format!("{} GFLOP/s", number("sgemm_gflops")),
        ],
        [
            "main memory".to_owned(),
            format!("{} GB/s", number("bandwidth_gb_per_s")),
        ],
        [
            "planned peak".to_owned(),
            format!("{} MiB", number("planned_peak_mib")),
        ],
        [
            "measured peak".to_owned(),
            format!("{} MiB", number("peak_rss_mib")),
        ],
    ];
    let ops = report.ops.iter().map(|op| {
        [
            op.op.clone(),
            three_digits(op.forward_ms),
            three_digits(op.backward_ms),
            format!("{:.1} %", 100.0 * op.share),
        ]
    });
    let ops = table::render(["operator", "forward ms", "backward ms", "share"], ops);
    format!("{head}{}\n{ops}", table::render(["measure", "value"], rows))
}

/// A number with at least three significant digits below a thousand.
pub(super) fn three_digits(x: f64) -> String {
    match x.abs() {
        a if a < 1.0 => format!("{x:.4}"),
        a if a < 10.0 => format!("{x:.2}"),
        a if a < 100.0 => format!("{x:.1}"),
        _ => format!("{x:.0}"),
    }
}
