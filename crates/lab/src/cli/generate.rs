//! Arguments of `tenon generate`.

use std::path::PathBuf;

use clap::Args;

/// Continue prompts with a model
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    tenon generate runs/quickstart --prompt \"Q: What is 3 plus 4? A:\" --greedy\n  \
    tenon generate runs/quickstart --prompts prompts.txt --top-p 0.9 --seed 7 --json")]
pub struct GenerateArgs {
    /// Run, model folder or hub folder
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Text to continue; may be repeated
    #[arg(
        long = "prompt",
        value_name = "TEXT",
        required_unless_present = "prompts_file"
    )]
    pub prompts: Vec<String>,
    /// File with one prompt a line
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
    #[arg(long, value_name = "T", allow_negative_numbers = true, default_value = "0.8", value_parser = at_least_zero)]
    pub temperature: f64,
    /// Sample among the K likeliest tokens; 0 for all
    #[arg(long, value_name = "K", default_value_t = 50)]
    pub top_k: usize,
    /// Sample among the likeliest tokens that together have this probability
    #[arg(long, value_name = "P", allow_negative_numbers = true, default_value = "1.0", value_parser = part)]
    pub top_p: f64,
    /// Divide the logits of tokens that occurred; 1 for no effect
    #[arg(long, value_name = "X", allow_negative_numbers = true, default_value = "1.0", value_parser = above_zero)]
    pub repetition_penalty: f64,
    /// Seed of the sampling
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// Always take the likeliest token
    #[arg(long, conflicts_with_all = ["temperature", "top_k", "top_p"])]
    pub greedy: bool,
}

fn positive(text: &str) -> Result<usize, String> {
    let n = text.parse::<usize>().ok().filter(|&n| n > 0);
    n.ok_or_else(|| "expected an integer of at least 1".to_owned())
}

fn number(text: &str, holds: fn(f64) -> bool, expected: &str) -> Result<f64, String> {
    let x = text
        .parse::<f64>()
        .ok()
        .filter(|x| x.is_finite() && holds(*x));
    x.ok_or_else(|| format!("expected {expected}"))
}

fn at_least_zero(text: &str) -> Result<f64, String> {
    number(text, |x| x >= 0.0, "a number of at least 0")
}

fn above_zero(text: &str) -> Result<f64, String> {
    number(text, |x| x > 0.0, "a number above 0")
}

fn part(text: &str) -> Result<f64, String> {
    number(
        text,
        |x| x > 0.0 && x <= 1.0,
        "a number above 0 and at most 1",
    )
}
