//! Arguments of `tenon inspect`.

use std::path::PathBuf;

use clap::Args;

/// Show a model's parameters, shapes, cost and memory plan
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    tenon inspect configs/quickstart.yaml --plan\n  \
    tenon inspect runs/quickstart --json")]
pub struct InspectArgs {
    /// Run, model folder, hub folder, or a configuration
    #[arg(value_name = "MODEL|CONFIG")]
    pub subject: PathBuf,
    /// Also print the memory plan of a training step, node by node
    #[arg(long)]
    pub plan: bool,
}
