//! `tenon bench`: what the product costs on the machine at hand.

mod model;

use clap::{Args, Subcommand};
use tenon_base::Result;

use super::{Outcome, Output};
use crate::bench::step::Work;
use crate::context::Context;

/// Measure speed and memory on this machine, beside what the machine allows
#[derive(Clone, Debug, Args)]
#[command(
    after_long_help = "Times are medians; processor times mean something on a busy machine \
    too.\n\n\
    Examples:\n  \
    tenon bench train --spec gpt28m --threads 1\n  \
    tenon bench forward --config configs/quickstart.yaml --json"
)]
pub struct BenchArgs {
    /// What to measure
    #[command(subcommand)]
    pub command: BenchCommand,
}

/// What is measured.
#[derive(Clone, Debug, Subcommand)]
pub enum BenchCommand {
    /// Measure training steps: forward, backward and update
    Train(model::ModelArgs),
    /// Measure forward passes with their loss
    Forward(model::ModelArgs),
}

/// Version of the JSON documents.
const SCHEMA_VERSION: u32 = 1;

/// Does what the call asks for.
///
/// # Errors
/// `Usage` for a wrong configuration, `Data` for a model that cannot be read, `Io`.
pub fn run(args: &BenchArgs, context: &Context) -> Result<Outcome> {
    let output = match &args.command {
        BenchCommand::Train(args) => model::run(args, Work::Train, context)?,
        BenchCommand::Forward(args) => model::run(args, Work::Forward, context)?,
    };
    Ok(Outcome::of(output))
}
