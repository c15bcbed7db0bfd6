//! Where a run starts: at its beginning, or at one of its checkpoints.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tenon_base::diag::Source;
use tenon_base::yaml::{self, Node, Value};
use tenon_base::{Error, Result};

use crate::cli::train::{ResumeFrom, TrainArgs};
use crate::config::Config;
use crate::context::Context;

use super::RunFolder;

/// Where a run starts.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Start {
    /// A new run.
    Fresh,
    /// A run that ended before its first checkpoint begins again.
    Again,
    /// A run continues from this checkpoint.
    At(PathBuf),
}

impl Start {
    pub(super) fn checkpoint(&self) -> Option<&Path> {
        match self {
            Start::Fresh | Start::Again => None,
            Start::At(folder) => Some(folder),
        }
    }
}

/// Keys that may change when a run continues: they move no weight before the present step.
const MAY_CHANGE: &[&str] = &[
    "evaluation",
    "training.max_steps",
    "training.num_epochs",
    "training.eval_every",
    "training.eval_batches",
    "training.save_every",
    "training.checkpoint_every",
    "training.keep_checkpoints",
    "training.log_every",
    "training.early_stopping",
    "training.recompute",
    "training.memory_budget",
    "training.max_nan_count",
];

/// Finds the start, and checks that a run that continues is the same run.
pub(super) fn find(
    args: &TrainArgs,
    folder: &RunFolder,
    config: &Config,
    context: &Context,
) -> Result<Start> {
    let disk = context.disk.as_ref();
    let is_taken = disk.exists(&folder.path)?;
    let Some(from) = &args.resume else {
        if is_taken {
            let message = format!("the name `{}` is taken", config.experiment_name);
            return Err(Error::usage(message)
                .at(folder.path.display().to_string())
                .hint("continue the run with `--resume latest`, or choose another `--name`"));
        }
        return Ok(Start::Fresh);
    };
    if !disk.exists(&folder.config())? {
        let message = format!("there is no run `{}` to resume", config.experiment_name);
        let hint = "leave out `--resume`, or name the run with `--name`";
        return Err(Error::usage(message)
            .at(folder.path.display().to_string())
            .hint(hint));
    }
    check_same_run(folder, config, context)?;
    match from {
        ResumeFrom::Folder(checkpoint) => {
            let inside = checkpoint
                .parent()
                .is_some_and(|p| p.ends_with("checkpoints"));
            if !inside || !disk.exists(&checkpoint.join("state.json"))? {
                let message = format!("`{}` is no checkpoint", checkpoint.display());
                let hint = "name a folder `runs/NAME/checkpoints/step-…`, or `latest`";
                return Err(Error::usage(message).hint(hint));
            }
            Ok(Start::At(checkpoint.clone()))
        }
        ResumeFrom::Latest => Ok(match latest(&folder.checkpoints(), context)? {
            Some(checkpoint) => Start::At(checkpoint),
            None => {
                context.say("note: the run has no checkpoint yet and starts at its beginning");
                Start::Again
            }
        }),
    }
}

/// The newest complete checkpoint.
fn latest(checkpoints: &Path, context: &Context) -> Result<Option<PathBuf>> {
    let disk = context.disk.as_ref();
    if !disk.exists(checkpoints)? {
        return Ok(None);
    }
    let step = |path: &PathBuf| -> Option<u64> {
        path.file_name()?
            .to_str()?
            .strip_prefix("step-")?
            .parse()
            .ok()
    };
    let folders = disk.list(checkpoints)?;
    Ok(folders
        .into_iter()
        .filter(|p| step(p).is_some())
        .max_by_key(|p| step(p)))
}

/// Refuses to continue a run under a configuration that would have made other weights.
fn check_same_run(folder: &RunFolder, config: &Config, context: &Context) -> Result<()> {
    let source = Source::load(context.disk.as_ref(), &folder.config())?;
    let before = leaves(&yaml::read(&source)?);
    let text = config.to_yaml();
    let now = leaves(&yaml::read(&Source::new("config", text))?);
    let may_change = |key: &str| {
        let under = |k: &str| key == k || key.starts_with(&format!("{k}."));
        MAY_CHANGE.iter().any(|k| under(k))
    };
    // What the first start settled (vocabulary, length) is not in a configuration that has not
    // been.
    let differs = |key: &&String| now.get(*key).is_some_and(|v| Some(v) != before.get(*key));
    let changed: Vec<&String> = now.keys().filter(differs).collect();
    if let Some(key) = changed.iter().find(|key| !may_change(key)) {
        let was = before.get(*key).map_or("absent", String::as_str);
        let message = format!(
            "`{key}` is {}, but the run was started with {was}",
            now[*key]
        );
        return Err(Error::usage(message)
            .at(folder.config().display().to_string())
            .hint("restore the value, or start a new run with another `--name`"));
    }
    for key in changed {
        context.say(&format!("note: `{key}` is now {}", now[key]));
    }
    Ok(())
}

/// Dotted keys of all scalars and sequences.
fn leaves(node: &Node) -> BTreeMap<String, String> {
    fn walk(prefix: &str, node: &Node, out: &mut BTreeMap<String, String>) {
        match &node.value {
            Value::Map(entries) => {
                for (key, node) in entries {
                    let dot = if prefix.is_empty() { "" } else { "." };
                    walk(&format!("{prefix}{dot}{}", key.name), node, out);
                }
            }
            Value::Null => {}
            other => {
                out.insert(prefix.to_owned(), yaml::emit(other).trim().to_owned());
            }
        }
    }
    let mut out = BTreeMap::new();
    walk("", node, &mut out);
    out
}
