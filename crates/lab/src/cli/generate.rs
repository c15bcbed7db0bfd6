//! `tenon generate`: continuations of prompts.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use tenon_base::Result;
use tenon_eval::Sampling;
use tenon_eval::generate::text::read_prompts;

use super::subject::ModelArgs;
use super::{Outcome, Output};
use crate::context::Context;
use crate::generate::{Continuation, Manner, continue_prompts};

/// Continue prompts with a model
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    tenon generate runs/quickstart --prompt \"Q: What is 3 plus 4? A:\" --greedy\n  \
    tenon generate runs/quickstart --prompts prompts.txt --top-p 0.9 --seed 7 --json")]
pub struct GenerateArgs {
    /// Which model
    #[command(flatten)]
    pub model: ModelArgs,
    /// Text to continue; may be repeated
    #[arg(
        long = "prompt",
        value_name = "TEXT",
        required_unless_present = "prompts_file"
    )]
    pub prompts: Vec<String>,
    /// File with prompts: one a line, or the column `prompt` of JSONL, JSON, CSV or Parquet
    #[arg(
        id = "prompts_file",
        long = "prompts",
        value_name = "FILE",
        conflicts_with = "prompts"
    )]
    pub prompts_file: Option<PathBuf>,
    /// Most tokens of a continuation
    #[arg(long, value_name = "N", default_value = "100", value_parser = positive)]
    pub max_new_tokens: usize,
    /// Divide the logits before sampling; 0 takes the likeliest token
    #[arg(
        long,
        value_name = "T",
        default_value = "0.8",
        allow_negative_numbers = true,
        value_parser = at_least_zero
    )]
    pub temperature: f64,
    /// Sample among the K likeliest tokens; 0 for all
    #[arg(long, value_name = "K", default_value_t = 50)]
    pub top_k: usize,
    /// Sample among the likeliest tokens that together have this probability
    #[arg(
        long,
        value_name = "P",
        default_value = "1.0",
        allow_negative_numbers = true,
        value_parser = part
    )]
    pub top_p: f64,
    /// Divide the logits of tokens that occurred; 1 for no effect
    #[arg(
        long,
        value_name = "X",
        default_value = "1.0",
        allow_negative_numbers = true,
        value_parser = above_zero
    )]
    pub repetition_penalty: f64,
    /// Seed of the sampling
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Text before which a continuation ends; may be repeated
    #[arg(long = "stop", value_name = "TEXT")]
    pub stops: Vec<String>,
    /// Always take the likeliest token
    #[arg(long, conflicts_with_all = ["temperature", "top_k", "top_p"])]
    pub greedy: bool,
}

fn positive(text: &str) -> std::result::Result<usize, String> {
    let n = text.parse::<usize>().ok().filter(|&n| n > 0);
    n.ok_or_else(|| "expected an integer of at least 1".to_owned())
}

fn number(text: &str, holds: fn(f64) -> bool, expected: &str) -> std::result::Result<f64, String> {
    let x = text
        .parse::<f64>()
        .ok()
        .filter(|x| x.is_finite() && holds(*x));
    x.ok_or_else(|| format!("expected {expected}"))
}

fn at_least_zero(text: &str) -> std::result::Result<f64, String> {
    number(text, |x| x >= 0.0, "a number of at least 0")
}

fn above_zero(text: &str) -> std::result::Result<f64, String> {
    number(text, |x| x > 0.0, "a number above 0")
}

fn part(text: &str) -> std::result::Result<f64, String> {
    number(
        text,
        |x| x > 0.0 && x <= 1.0,
        "a number above 0 and at most 1",
    )
}

/// Version of the JSON document.
const SCHEMA_VERSION: u32 = 1;

/// Does what the call asks for. Text of a single prompt goes to stdout as it comes.
///
/// # Errors
/// `Usage` for prompts that are too long, `Data` for a model, tokenizer or file of prompts that
/// cannot be used, `Io`.
pub fn run(args: &GenerateArgs, context: &Context) -> Result<Outcome> {
    let place = args.model.find(context)?;
    let prompts = match &args.prompts_file {
        Some(path) => read_prompts(path)?,
        None => args.prompts.clone(),
    };
    let tokenizer = place.tokenizer()?;
    let folder = place.load(context)?;
    let sampling = Sampling {
        temperature: args.temperature,
        top_k: args.top_k,
        top_p: args.top_p,
        repetition_penalty: args.repetition_penalty,
        greedy: args.greedy,
        logprobs: context.json,
        ..Sampling::drawn(args.max_new_tokens, args.seed)
    };
    let manner = Manner {
        sampling,
        stops: args.stops.clone(),
    };
    let model = (&folder.config.spec, &folder.weights);
    let streams = !context.json && prompts.len() == 1;
    let tell = &mut |_: usize, text: &str| match streams {
        true => context.print(text),
        false => Ok(()),
    };
    let done = continue_prompts(model, tokenizer.as_ref(), &prompts, manner, context, tell)?;
    Ok(Outcome::of(match () {
        () if context.json => Output::Json(json!({
            "schema_version": SCHEMA_VERSION,
            "model": place.model.display().to_string(),
            "generations": done.iter().map(continuation_json).collect::<Vec<Value>>(),
        })),
        () if streams => Output::Text("\n".to_owned()),
        () => Output::Text(
            done.iter()
                .map(continuation_text)
                .collect::<Vec<_>>()
                .join("\n"),
        ),
    }))
}

/// A continuation for programs.
pub(super) fn continuation_json(done: &Continuation) -> Value {
    let mut document = json!({
        "prompt": done.prompt,
        "text": done.text,
        "tokens": done.tokens,
        "reason": done.reason.name(),
    });
    if let Some(logprobs) = &done.logprobs {
        document["logprobs"] = json!(logprobs);
    }
    document
}

/// A continuation for reading, under its prompt.
pub(super) fn continuation_text(done: &Continuation) -> String {
    format!("> {}\n{}\n", done.prompt, done.text.trim_end_matches('\n'))
}
