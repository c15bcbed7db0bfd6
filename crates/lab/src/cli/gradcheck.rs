//! Arguments of `tenon gradcheck`.

use std::path::PathBuf;

use clap::Args;

/// Prove a model's derivatives in 64 bits on the model itself
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "Exit code 1 when a derivative is wrong.\n\n\
    Example:\n  \
    tenon gradcheck configs/quickstart.yaml")]
pub struct GradcheckArgs {
    /// Run, model folder, hub folder, or a configuration
    #[arg(value_name = "MODEL|CONFIG")]
    pub subject: PathBuf,
}
