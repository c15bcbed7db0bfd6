//! `tenon gradcheck`: a proof of derivatives on the user's own model.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use tenon_base::Result;
use tenon_models::gradcheck::{GradReport, Options, RELATIVE_ERROR_MAX, TensorReport, gradcheck};

use super::{Outcome, Output};
use crate::context::Context;
use crate::describe::describe;
use crate::subject::device;
use crate::table;

/// Prove a model's derivatives in 64 bits on the model itself
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "Exit code 1 when a derivative is wrong.\n\n\
    Example:\n  \
    tenon gradcheck configs/quickstart.yaml")]
pub struct GradcheckArgs {
    /// Run, checkpoint or hub folder, name of a run, fetched `ORG/NAME`, or a configuration
    #[arg(value_name = "MODEL|CONFIG")]
    pub subject: PathBuf,
    /// Folder that holds the runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,
    /// Seed of tokens, directions and fresh weights
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
}

/// Version of the JSON document.
const SCHEMA_VERSION: u32 = 1;

/// Does what the call asks for.
///
/// # Errors
/// `Usage` for a wrong configuration, `Data` for a model that cannot be read or has a loss that is
/// not finite, `Io`.
pub fn run(args: &GradcheckArgs, context: &Context) -> Result<Outcome> {
    let described = describe(context, &args.runs, &args.subject)?;
    let options = Options {
        dropout: described.dropout(),
        ..Options::plain(args.seed)
    };
    let weights = described.weights.as_ref();
    let report = gradcheck(&described.spec, weights, options, device(context))?;
    Ok(Outcome {
        judged_bad: !report.passed(),
        output: match context.json {
            true => Output::Json(as_json(&report)),
            false => Output::Text(as_text(&report)),
        },
    })
}

fn as_json(report: &GradReport) -> Value {
    let tensor = |tensor: &TensorReport| {
        json!({
            "name": tensor.name,
            "analytic": tensor.analytic,
            "numeric": tensor.numeric,
            "relative_error": tensor.relative_error,
            "numeric_error": tensor.numeric_error,
            "verdict": tensor.verdict.name(),
        })
    };
    json!({
        "schema_version": SCHEMA_VERSION,
        "passed": report.passed(),
        "relative_error_max": RELATIVE_ERROR_MAX,
        "loss": report.loss,
        "worst": report.worst().map(|worst| &worst.name),
        "untried": report.n_untried,
        "tensors": report.tensors.iter().map(tensor).collect::<Vec<_>>(),
    })
}

fn as_text(report: &GradReport) -> String {
    let rows = report.tensors.iter().map(|tensor| {
        [
            tensor.name.clone(),
            format!("{:.6e}", tensor.analytic),
            format!("{:.6e}", tensor.numeric),
            format!("{:.1e}", tensor.relative_error),
            tensor.verdict.name().to_owned(),
        ]
    });
    let head = ["tensor", "derivative", "by differences", "error", "verdict"];
    let verdict = match report.passed() {
        true => "pass",
        false => "fail",
    };
    let worst = report.worst().map(|worst| {
        format!(
            ", the largest error is {:.1e} in `{}`",
            worst.relative_error, worst.name
        )
    });
    format!(
        "{}\n{verdict}  {} tensors, limit {RELATIVE_ERROR_MAX:.0e}{}\n",
        table::render(head, rows),
        report.tensors.len(),
        worst.unwrap_or_default()
    )
}
