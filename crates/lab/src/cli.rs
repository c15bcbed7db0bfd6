//! The command line: one file per command with its arguments, and the way from arguments to an exit
//! code.

pub mod edge;
pub mod eval;
pub mod explain;
pub mod generate;
pub mod gradcheck;
pub mod inspect;
pub mod models;
pub mod predict;
pub mod runs;
pub mod train;

use clap::{Parser, Subcommand};
use serde_json::Value;

use crate::context::Context;
use tenon_base::{Error, Result};

/// The arguments of a call.
#[derive(Debug, Parser)]
#[command(
    name = "tenon",
    version,
    about = "One binary for the whole life of a model",
    long_about = "One binary for the whole life of a model: train, evaluate, generate, check",
    after_long_help = "Examples:\n  \
        tenon train configs/quickstart.yaml\n  \
        tenon generate runs/quickstart --prompt \"Q: What is 3 plus 4? A:\"\n  \
        tenon runs ls\n\n\
        `tenon explain` lists the topics of the built-in reference.",
    subcommand_required = true,
    arg_required_else_help = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// Print one JSON document on stdout
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// What a call asks for.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Train a model as a configuration says
    Train(train::TrainArgs),
    /// Measure a model's loss, perplexity and accuracy on a data set
    Eval(eval::EvalArgs),
    /// Continue prompts with a model
    Generate(generate::GenerateArgs),
    /// Run a model on named tensors and write logits, hidden states and gradients
    Predict(predict::PredictArgs),
    /// Show a model's parameters, shapes, cost and memory plan
    Inspect(inspect::InspectArgs),
    /// Prove a model's derivatives in 64 bits on the model itself
    Gradcheck(gradcheck::GradcheckArgs),
    /// List, show and compare runs
    Runs(runs::RunsArgs),
    /// Explain configuration, environment, limits, exit codes, metrics or formats
    Explain(explain::ExplainArgs),
    /// List the model families
    Models(models::ModelsArgs),
}

/// What a command leaves for stdout, and whether its subject passed.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// What goes to stdout.
    pub output: Output,
    /// Whether something was judged bad: exit code 1 although nothing failed.
    pub judged_bad: bool,
}

/// What goes to stdout.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Nothing, or what the command has printed itself.
    Nothing,
    /// Text with its line ends.
    Text(String),
    /// One document, with `schema_version`.
    Json(Value),
}

impl Outcome {
    /// Done, and nothing judged bad.
    pub fn of(output: Output) -> Outcome {
        Outcome {
            output,
            judged_bad: false,
        }
    }
}

impl Command {
    /// Does what the call asks for.
    ///
    /// # Errors
    /// Whatever the command fails with.
    pub fn run(&self, context: &Context) -> Result<Outcome> {
        match self {
            Command::Runs(args) => runs::run(args, context),
            Command::Explain(args) => explain::run(args, context),
            Command::Models(args) => models::run(args, context),
            Command::Train(_)
            | Command::Eval(_)
            | Command::Generate(_)
            | Command::Predict(_)
            | Command::Inspect(_)
            | Command::Gradcheck(_) => Err(Error::usage("this build cannot compute with models")),
        }
    }
}
