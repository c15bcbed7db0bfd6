//! `tenon runs`: reading the store of runs.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::Value;
use tenon_records::{RunFilter, RunId, RunSort, SortKey, Split, Status, Store};

use super::{Outcome, Output};
use crate::context::Context;
use crate::runs::{best, compare, ls, show};
use tenon_base::{Error, Result};

/// List, show and compare runs
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    tenon runs ls --status done --best loss\n  \
    tenon runs show quickstart\n  \
    tenon runs compare quickstart short\n  \
    tenon runs best perplexity")]
pub struct RunsArgs {
    /// Folder that holds the runs
    #[arg(long, value_name = "DIR", default_value = "runs", global = true)]
    pub runs: PathBuf,
    /// What to do
    #[command(subcommand)]
    pub command: RunsCommand,
}

/// What to do with the runs.
#[derive(Clone, Debug, Subcommand)]
pub enum RunsCommand {
    /// List runs, newest first
    Ls {
        /// Only runs with this status: running, done, failed, interrupted or aborted
        #[arg(long, value_name = "STATUS", value_parser = status)]
        status: Option<Status>,
        /// Only runs with this text in their name
        #[arg(long, value_name = "TEXT")]
        name: Option<String>,
        /// Sort by the best validation value of this metric
        #[arg(long, value_name = "METRIC")]
        best: Option<String>,
        /// Most runs that are listed
        #[arg(long, value_name = "N")]
        limit: Option<u32>,
    },
    /// Show a run: facts, last and best values, curve of the loss
    Show {
        /// Name or number of the run
        #[arg(value_name = "RUN")]
        run: String,
    },
    /// Put runs side by side: what differs in their configurations, and their values
    Compare {
        /// Names or numbers of at least two runs
        #[arg(value_name = "RUN", num_args = 2.., required = true)]
        names: Vec<String>,
    },
    /// Name the run with the best value of a metric
    Best {
        /// Name of the metric
        #[arg(value_name = "METRIC", default_value = "loss")]
        metric: String,
        /// Split that it is measured on: train, validation or test
        #[arg(long, value_name = "SPLIT", default_value = "validation", value_parser = split)]
        split: Split,
    },
}

fn status(text: &str) -> std::result::Result<Status, String> {
    Status::parse(text).map_err(|error| one_line(&error))
}

fn split(text: &str) -> std::result::Result<Split, String> {
    Split::parse(text).map_err(|error| one_line(&error))
}

/// The parser of arguments has no place for hints.
fn one_line(error: &Error) -> String {
    let hint = error.hint_text().map(|hint| format!(" ({hint})"));
    format!("{}{}", error.message(), hint.unwrap_or_default())
}

/// Name of the store in the folder of the runs.
pub const STORE_FILE: &str = "tenon.db";

/// Does what the call asks for. Runs whose program died are marked as interrupted first.
///
/// # Errors
/// `Io` when there is no store, `Data` when it is damaged, `Usage` for a run or metric that it does
/// not know.
pub fn run(args: &RunsArgs, context: &Context) -> Result<Outcome> {
    let mut store = Store::open_existing(&args.runs.join(STORE_FILE))?;
    for name in store.mark_stale()? {
        context.say(&format!(
            "note: run `{name}` ended without a word; now `interrupted`"
        ));
    }
    let output = match &args.command {
        RunsCommand::Ls { .. } => list(&store, &args.command, context.json)?,
        RunsCommand::Show { run } => {
            let run = store.run(run)?;
            match context.json {
                true => Output::Json(show::as_json(&store, &run)?),
                false => Output::Text(show::as_text(&store, &run)?),
            }
        }
        RunsCommand::Compare { names } => {
            let ids: Result<Vec<RunId>> =
                names.iter().map(|name| Ok(store.run(name)?.id)).collect();
            let comparison = store.compare(&ids?)?;
            either(
                context.json,
                || compare::as_json(&comparison),
                || compare::as_text(&comparison),
            )
        }
        RunsCommand::Best { metric, split } => {
            let found = store.best(*split, metric)?;
            let found = found.as_ref();
            either(
                context.json,
                || best::as_json(*split, metric, found),
                || best::as_text(*split, metric, found),
            )
        }
    };
    Ok(Outcome::of(output))
}

fn either(json: bool, document: impl Fn() -> Value, text: impl Fn() -> String) -> Output {
    match json {
        true => Output::Json(document()),
        false => Output::Text(text()),
    }
}

fn list(store: &Store, command: &RunsCommand, json: bool) -> Result<Output> {
    let RunsCommand::Ls {
        status,
        name,
        best,
        limit,
    } = command
    else {
        return Ok(Output::Nothing);
    };
    let filter = RunFilter {
        status: *status,
        name_part: name.as_deref(),
        ..RunFilter::ALL
    };
    let sort = match best {
        Some(metric) => RunSort {
            key: SortKey::Best(Split::Validation, metric),
            descending: false,
        },
        None => RunSort::NEWEST,
    };
    let runs = store.runs(&filter, &sort, *limit)?;
    Ok(match json {
        true => Output::Json(ls::as_json(store, &runs)?),
        false => Output::Text(ls::as_text(store, &runs)?),
    })
}
