//! Arguments that name a model to measure, and the report of its steps.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use tenon_base::limits::THREADS_MAX;
use tenon_base::{Result, units};

use super::{Output, Rows, SCHEMA_VERSION};
use crate::bench::case::{Case, Named};
use crate::bench::ops::OpTime;
use crate::bench::step::{StepReport, Work, measure};
use crate::bench::{Times, least, median};
use crate::context::Context;
use crate::describe::describe;

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
    /// Model of a known shape, with fresh weights
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
                Case::of(path.display().to_string(), &described, context)
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
pub(super) fn head(spec: &str, mode: &str, threads: NonZeroUsize, context: &Context) -> Value {
    json!({
        "schema_version": SCHEMA_VERSION,
        "who": concat!("tenon ", env!("CARGO_PKG_VERSION")),
        "spec": spec,
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
    let mut document = head(&case.name, work.name(), threads, context);
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
            "step_over_roofline": report.step_over_roofline(),
            "peak_rss_over_plan": report.peak_rss_over_plan(),
            "sgemm_scaling": report.scaling.map(|scaling| scaling.sgemm),
            "step_scaling": report.scaling.map(|scaling| scaling.step),
            "ops": report.ops.iter().map(op_json).collect::<Vec<_>>(),
        }),
    );
    document
}

/// Times and share of an operator.
pub(super) fn op_json(op: &OpTime) -> Value {
    json!({
        "op": op.op,
        "forward_ms": op.forward_ms,
        "backward_ms": op.backward_ms,
        "share": op.share,
    })
}

fn as_text(facts: &Value, report: &StepReport) -> String {
    let mut rows = Rows::new(facts);
    rows.number("step, elapsed", "step_ms", "ms");
    rows.number("step, processor", "step_cpu_ms", "ms");
    rows.number("step, best elapsed", "step_ms_min", "ms");
    rows.number("forward with loss, elapsed", "forward_ms", "ms");
    rows.number("forward with loss, processor", "forward_cpu_ms", "ms");
    rows.number("floor of a step", "roofline_ms", "ms");
    rows.number("best step over its floor", "step_over_roofline", "×");
    rows.number("rate of the step", "gflops", "GFLOP/s");
    rows.number("best rate of its products", "sgemm_gflops", "GFLOP/s");
    rows.number("main memory", "bandwidth_gb_per_s", "GB/s");
    rows.number("planned peak", "planned_peak_mib", "MiB");
    rows.number("measured peak", "peak_rss_mib", "MiB");
    rows.number("measured peak over planned", "peak_rss_over_plan", "×");
    if report.scaling.is_some() {
        rows.number("best product, threads over one", "sgemm_scaling", "×");
        rows.number("best step, threads over one", "step_scaling", "×");
    }
    let title = format!(
        "{} {} of {}: {} parameters, {} tokens a step, {} threads, {}",
        rows.text("who"),
        rows.text("mode"),
        rows.text("spec"),
        units::count(report.n_params as u64),
        facts["tokens_per_step"],
        facts["threads"],
        rows.text("isa"),
    );
    let times = |op: &OpTime| [op.forward_ms, op.backward_ms].map(three_digits);
    let ops = ops_table(&report.ops, times, ["forward ms", "backward ms"]);
    format!("{title}\n\n{}\n{ops}", rows.render())
}

/// Operators with their times and shares.
pub(super) fn ops_table<const N: usize>(
    ops: &[OpTime],
    times: impl Fn(&OpTime) -> [String; N],
    heads: [&str; N],
) -> String {
    let mut text = String::new();
    let widest = ops.iter().map(|op| op.op.len()).max().unwrap_or_default();
    let width = widest.max("operator".len());
    let mut line = |op: &str, times: [&str; N], share: &str| {
        text += &format!(" {op:width$}");
        times.iter().for_each(|time| text += &format!("{time:>13}"));
        text += &format!("{share:>9}\n");
    };
    line("operator", heads, "share");
    for op in ops {
        let times = times(op);
        let share = format!("{:.1} %", 100.0 * op.share);
        line(&op.op, times.each_ref().map(String::as_str), &share);
    }
    text
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
