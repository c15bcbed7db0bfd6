//! Arguments of `tenon train`.

use std::path::PathBuf;

use clap::Args;

/// Train a model as a configuration says
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    tenon train configs/quickstart.yaml\n  \
    tenon train configs/quickstart.yaml --set training.max_steps=200 --name short\n  \
    tenon train configs/quickstart.yaml --resume latest\n\n\
    `tenon explain config` lists every key of a configuration.")]
pub struct TrainArgs {
    /// Configuration in YAML or JSON
    #[arg(value_name = "CONFIG")]
    pub config: PathBuf,
    /// Override a key of the configuration; may be repeated
    #[arg(long = "set", value_name = "KEY=VALUE")]
    pub sets: Vec<String>,
    /// Continue from the newest checkpoint of the run (`latest`) or from a checkpoint's folder
    #[arg(long, value_name = "latest|DIR")]
    pub resume: Option<ResumeFrom>,
    /// Name of the run instead of the configuration's
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Folder that holds the runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,
    /// Show the resolved configuration, the plan and its memory without training
    #[arg(long)]
    pub dry_run: bool,
}

/// Where a run is continued.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResumeFrom {
    /// The newest checkpoint of the run.
    Latest,
    /// A checkpoint's folder.
    Folder(PathBuf),
}

impl From<std::ffi::OsString> for ResumeFrom {
    fn from(text: std::ffi::OsString) -> ResumeFrom {
        match text == "latest" {
            true => ResumeFrom::Latest,
            false => ResumeFrom::Folder(text.into()),
        }
    }
}
