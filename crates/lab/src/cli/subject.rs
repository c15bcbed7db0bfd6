//! Arguments of commands about one model.

use std::path::PathBuf;

use clap::Args;

use crate::context::Context;
use crate::subject::{self, Place};
use tenon_base::Result;

/// Which model.
#[derive(Clone, Debug, Args)]
pub struct ModelArgs {
    /// Run, checkpoint or hub folder, or the name of a run
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
        subject::find(context.disk.as_ref(), &self.runs, &self.model)
    }
}
