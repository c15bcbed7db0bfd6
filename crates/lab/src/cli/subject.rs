//! Arguments of commands about one model.

use std::path::PathBuf;

use clap::Args;

use crate::context::Context;
use crate::subject::{self, Place};
use tenon_base::Result;

/// Which model.
#[derive(Clone, Debug, Args)]
pub struct ModelArgs {
    /// Run, checkpoint or hub folder, name of a run, or fetched `ORG/NAME`
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
    /// Folder that holds the runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,
}

impl ModelArgs {
    /// Where it lies.
    ///
    /// # Errors
    /// As [`subject::find`].
    pub fn find(&self, context: &Context) -> Result<Place> {
        subject::find(context, &self.runs, &self.model)
    }
}
