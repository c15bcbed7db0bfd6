//! `tenon bench generate`: reading a prompt and writing tokens one by one.

use std::num::NonZeroUsize;

use clap::Args;
use serde_json::{Value, json};
use tenon_base::Result;

use super::model::{SubjectArgs, ThreadsArgs, extend, head, mib, op_json, ops_table, three_digits};
use super::{Output, Rows};
use crate::bench::case::Case;
use crate::bench::decode::{DecodeReport, Lengths, measure};
use crate::bench::{least, median};
use crate::context::Context;

/// Which model, with how many threads, and how long a text
#[derive(Clone, Debug, Args)]
pub struct GenerateArgs {
    #[command(flatten)]
    subject: SubjectArgs,
    #[command(flatten)]
    threads: ThreadsArgs,
    /// Tokens of the prompt
    #[arg(long, value_name = "N", default_value = "128")]
    prompt_tokens: NonZeroUsize,
    /// New tokens that are measured, after two that are not
    #[arg(long, value_name = "K", default_value = "32")]
    steps: NonZeroUsize,
}

pub(super) fn run(args: &GenerateArgs, context: &Context) -> Result<Output> {
    let case = args.subject.case(context)?;
    let threads = args.threads.or_default(context);
    let lengths = Lengths {
        prompt: args.prompt_tokens,
        new: args.steps,
    };
    let report = measure(&case, lengths, threads, context)?;
    let mut document = head(&case.name, "generate", threads, context);
    extend(&mut document, facts(&case, lengths, &report));
    Ok(match context.json {
        true => Output::Json(document),
        false => Output::Text(as_text(&document, &report)),
    })
}

/// A step is a token; the forward pass is the prompt.
fn facts(case: &Case, lengths: Lengths, report: &DecodeReport) -> Value {
    let step_ms = median(&report.token.wall_ms);
    let prefill_ms = median(&report.prefill.wall_ms);
    let per_second = |n: usize, ms: Option<f64>| ms.map(|ms| 1e3 * n as f64 / ms);
    // 10⁻⁶ operations a millisecond are 10⁻⁹ a second.
    let gflops = step_ms.map(|ms| report.flops / (ms * 1e6));
    json!({
        "step_ms": step_ms,
        "step_cpu_ms": median(&report.token.cpu_ms),
        "step_ms_min": least(&report.token.wall_ms),
        "step_cpu_ms_min": least(&report.token.cpu_ms),
        "forward_ms": prefill_ms,
        "forward_cpu_ms": median(&report.prefill.cpu_ms),
        "first_token_ms": least(&report.prefill.wall_ms),
        "peak_rss_mib": report.peak_rss_bytes.map(|bytes| mib(bytes as f64)),
        "planned_peak_mib": mib(report.planned_peak_bytes as f64),
        "tokens_per_step": 1,
        "prompt_tokens": lengths.prompt,
        "new_tokens": lengths.new,
        "tokens_per_second": per_second(1, step_ms),
        "prompt_tokens_per_second": per_second(lengths.prompt.get(), prefill_ms),
        "context": case.spec.context_len(),
        "n_params": report.n_params,
        "gflops": gflops,
        "mib_per_token": mib(report.bytes_per_token),
        "bandwidth_gb_per_s": report.bandwidth,
        "sgemm_gflops": report.sgemm_gflops,
        "roofline_ms": report.decode_floor_ms(),
        "decode_floor_ms": report.decode_floor_ms(),
        "decode_ratio": report.decode_ratio(),
        "prefill_floor_ms": report.prefill_floor_ms,
        "prefill_ratio": report.prefill_ratio(),
        "ops": report.ops.iter().map(op_json).collect::<Vec<_>>(),
    })
}

fn as_text(facts: &Value, report: &DecodeReport) -> String {
    let mut rows = Rows::new(facts);
    rows.number("prompt, elapsed", "forward_ms", "ms");
    rows.number("prompt, best elapsed", "first_token_ms", "ms");
    rows.number("prompt", "prompt_tokens_per_second", "tokens/s");
    rows.number("floor of the prompt", "prefill_floor_ms", "ms");
    rows.number("prompt against its floor", "prefill_ratio", "×");
    rows.number("token, elapsed", "step_ms", "ms");
    rows.number("token, processor", "step_cpu_ms", "ms");
    rows.number("token, best elapsed", "step_ms_min", "ms");
    rows.number("written", "tokens_per_second", "tokens/s");
    rows.number("read for a token", "mib_per_token", "MiB");
    rows.number("main memory", "bandwidth_gb_per_s", "GB/s");
    rows.number("best rate of its products", "sgemm_gflops", "GFLOP/s");
    rows.number("floor of a token", "decode_floor_ms", "ms");
    rows.number("token against its floor", "decode_ratio", "×");
    rows.number("planned peak", "planned_peak_mib", "MiB");
    rows.number("measured peak", "peak_rss_mib", "MiB");
    let title = format!(
        "{} generates with {}: {} tokens behind a prompt of {}, {} threads, {}",
        rows.text("who"),
        rows.text("spec"),
        facts["new_tokens"],
        facts["prompt_tokens"],
        facts["threads"],
        rows.text("isa"),
    );
    let ops = ops_table(&report.ops, |op| [three_digits(op.forward_ms)], ["ms"]);
    format!("{title}\n\n{}\n{ops}", rows.render())
}
