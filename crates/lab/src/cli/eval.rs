//! Arguments of `tenon eval`.

use std::num::NonZeroU64;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

/// Measure a model's loss, perplexity and accuracy on a data set
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    tenon eval runs/quickstart\n  \
    tenon eval runs/quickstart --data held_out.jsonl --text-column body --json")]
pub struct EvalArgs {
    /// Run, model folder or hub folder
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// File, folder or name of a data set instead of the run's own
    #[arg(long, value_name = "SPEC")]
    pub data: Option<String>,
    /// Column of records that holds the text
    #[arg(long, value_name = "NAME")]
    pub text_column: Option<String>,
    /// Part of the data set
    #[arg(long, value_enum, default_value_t = SplitName::Validation)]
    pub split: SplitName,
    /// Most batches that are read
    #[arg(long, value_name = "N")]
    pub max_batches: Option<NonZeroU64>,
    /// Also continue the configuration's prompts
    #[arg(long)]
    pub generate: bool,
}

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SplitName {
    /// Learned from
    Train,
    /// Looked at while training
    Validation,
    /// Looked at once
    Test,
}
