//! The command line: one file per command with its arguments, and the way from arguments to an exit
//! code.

pub mod bench;
pub mod contacts;
pub mod convert;
pub mod data;
pub mod edge;
pub mod eval;
pub mod explain;
pub mod fetch;
pub mod generate;
pub mod gradcheck;
pub mod inspect;
pub mod models;
pub mod predict;
pub mod runs;
mod sequences;
pub mod subject;
pub mod train;

use clap::{Parser, Subcommand};
use serde_json::Value;

use crate::context::Context;
use tenon_base::Result;

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
    #[arg(long, global = true, display_order = 900)]
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
    /// Measure a model's loss and metrics on a data set
    Eval(eval::EvalArgs),
    /// Continue prompts with a model
    Generate(generate::GenerateArgs),
    /// Run a model on named tensors or sequences and write what it computes
    Predict(predict::PredictArgs),
    /// Tell which residues of proteins touch, from the attention of an ESM-2 model
    Contacts(contacts::ContactsArgs),
    /// Show a model's parameters, shapes, cost and memory plan
    Inspect(inspect::InspectArgs),
    /// Convert a checkpoint between the hub's layout and that of fused layers
    Convert(convert::ConvertArgs),
    /// Prepare data: ranked genes of single cells
    Data(data::DataArgs),
    /// Prove a model's derivatives in 64 bits on the model itself
    Gradcheck(gradcheck::GradcheckArgs),
    /// Measure speed and memory on this machine, beside what the machine allows
    Bench(bench::BenchArgs),
    /// Load a model from a hub, once
    Fetch(fetch::FetchArgs),
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
            Command::Train(args) => crate::train::run(args, context),
            Command::Eval(args) => eval::run(args, context),
            Command::Generate(args) => generate::run(args, context),
            Command::Predict(args) => predict::run(args, context),
            Command::Contacts(args) => contacts::run(args, context),
            Command::Inspect(args) => inspect::run(args, context),
            Command::Bench(args) => bench::run(args, context),
            Command::Convert(args) => convert::run(args, context),
            Command::Data(args) => data::run(args, context),
            Command::Gradcheck(args) => gradcheck::run(args, context),
            Command::Fetch(args) => fetch::run(args, context),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use clap::CommandFactory;

    use super::train::ResumeFrom;
    use super::*;

    fn parse(line: &str) -> Command {
        let cli = Cli::try_parse_from(line.split(' '));
        cli.unwrap_or_else(|e| panic!("{line}: {e}")).command
    }

    #[test]
    fn the_tree_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn training_takes_its_overrides_in_order() {
        let line = "tenon train c.yaml --set a.b=1 --set a.b=2 --resume latest --dry-run";
        let Command::Train(args) = parse(line) else {
            panic!("{line}")
        };
        let pair = |value: &str| ("a.b".to_owned(), value.to_owned());
        assert_eq!(args.overrides().unwrap(), [pair("1"), pair("2")]);
        assert_eq!(args.resume, Some(ResumeFrom::Latest));
        assert_eq!(args.runs, PathBuf::from("runs"));
        assert!(args.dry_run);
        let Command::Train(args) = parse("tenon train c.yaml --resume runs/a/checkpoints/3") else {
            panic!("no training")
        };
        let folder = PathBuf::from("runs/a/checkpoints/3");
        assert_eq!(args.resume, Some(ResumeFrom::Folder(folder)));
    }

    #[test]
    fn generating_needs_prompts_from_one_place() {
        let Command::Generate(args) = parse("tenon generate m --prompt a --prompt b --top-p 0.5")
        else {
            panic!("nothing generated")
        };
        assert_eq!(args.prompts, ["a", "b"]);
        assert_eq!((args.top_p, args.top_k, args.seed), (0.5, 50, 0));
        for bad in [
            "tenon generate m",
            "tenon generate m --prompt a --prompts f",
            "tenon generate m --prompt a --top-p 0",
            "tenon generate m --prompt a --temperature nan",
            "tenon generate m --prompt a --repetition-penalty 0",
            "tenon generate m --prompt a --max-new-tokens 0",
        ] {
            assert!(Cli::try_parse_from(bad.split(' ')).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_download_takes_patterns_or_everything() {
        use super::fetch::FetchCommand;
        use tenon_data::hub::Selection;

        let request = |line: &str| {
            let Command::Fetch(args) = parse(line) else {
                panic!("{line}")
            };
            let FetchCommand::Hub(args) = args.command;
            args.request().unwrap()
        };
        let plain = request("tenon fetch hub a/b");
        assert_eq!(
            (plain.repo.name(), plain.revision.as_str()),
            ("a/b", "main")
        );
        assert_eq!(plain.selection, Selection::Model);
        let some = request("tenon fetch hub a/b@v1 --include *.json --include x/");
        let patterns = vec!["*.json".to_owned(), "x/".to_owned()];
        assert_eq!(
            (some.revision.as_str(), some.selection),
            ("v1", Selection::Include(patterns))
        );
        assert_eq!(
            request("tenon fetch hub a/b --all").selection,
            Selection::All
        );
        let both = "tenon fetch hub a/b --all --include x";
        assert!(Cli::try_parse_from(both.split(' ')).is_err());
    }

    #[test]
    fn the_document_may_be_asked_for_anywhere() {
        for line in [
            "tenon --json runs ls",
            "tenon runs --json ls",
            "tenon runs ls --json",
        ] {
            assert!(
                Cli::try_parse_from(line.split(' ')).is_ok_and(|cli| cli.json),
                "{line}"
            );
        }
    }
}
