//! `tenon bench`: what the product costs on the machine at hand.

mod generate;
mod kernels;
mod model;

use clap::{Args, Subcommand};
use serde_json::Value;
use tenon_base::Result;

use super::{Outcome, Output};
use crate::bench::step::Work;
use crate::context::Context;
use crate::table;

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
    /// Measure how fast a prompt is read and tokens are written
    Generate(generate::GenerateArgs),
    /// Measure each kernel alone
    Kernels(kernels::KernelsArgs),
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
        BenchCommand::Generate(args) => generate::run(args, context)?,
        BenchCommand::Kernels(args) => kernels::run(args, context)?,
    };
    Ok(Outcome::of(output))
}

/// Measured values of a document, one a row.
struct Rows<'a> {
    facts: &'a Value,
    rows: Vec<[String; 2]>,
}

impl<'a> Rows<'a> {
    fn new(facts: &'a Value) -> Rows<'a> {
        let rows = Vec::new();
        Rows { facts, rows }
    }

    /// A row with the number under `key`; without a number where the system tells none.
    fn number(&mut self, name: &str, key: &str, unit: &str) {
        let value = match self.facts[key].as_f64() {
            Some(value) => format!("{} {unit}", model::three_digits(value)),
            None => "-".to_owned(),
        };
        self.rows.push([name.to_owned(), value]);
    }

    fn text(&self, key: &str) -> &'a str {
        self.facts[key].as_str().unwrap_or_default()
    }

    fn render(self) -> String {
        table::render(["measure", "value"], self.rows)
    }
}
