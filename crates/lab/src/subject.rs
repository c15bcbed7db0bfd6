//! The model that a command is about: a hub folder, a run, a checkpoint, a run by its name, or a
//! repository that was loaded from the model hub.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tenon_base::files::Disk;
use tenon_base::knobs::Environment;
use tenon_base::{Error, Result, suggest};
use tenon_data::hub::{self, Repo};
use tenon_data::{Tokenizer, vocab};
use tenon_engine::Kernels;
use tenon_engine::cpu::Cpu;
use tenon_models::folder::{self, Folder};
use tenon_models::hub::CONFIG_FILE;

use crate::config::{self, Config};
use crate::context::Context;

/// The configuration that a run keeps of itself.
pub const RESOLVED_FILE: &str = "config.resolved.yaml";
/// The folder of a run with its checkpoints.
pub const CHECKPOINTS_FOLDER: &str = "checkpoints";
/// From a model folder up to its run: `RUN/checkpoints/step-N/model`.
const RUN_DEPTH_MAX: usize = 3;

/// Where a model lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its hub folder.
    pub model: PathBuf,
    /// The run that it belongs to.
    pub run: Option<PathBuf>,
}

/// Finds the model that `name` means: a path, the name of a run under `runs`, or the `ORG/NAME` of
/// a repository that was loaded before. Of a run that has not ended, it is the newest checkpoint.
///
/// # Errors
/// `Data` when there is none, with the nearest run's name or the command that loads it; `Io`.
pub fn find(context: &Context, runs: &Path, name: &Path) -> Result<Place> {
    let disk = context.disk.as_ref();
    let under_runs = runs.join(name);
    let path = match disk.exists(name)? {
        true => name.to_owned(),
        false if disk.exists(&under_runs)? => under_runs,
        false => match fetched(disk, &context.environment, name)? {
            Some(snapshot) => snapshot,
            None => return Err(missing(disk, runs, name)),
        },
    };
    for folder in [path.clone(), path.join(folder::MODEL_FOLDER)] {
        if disk.exists(&folder.join(CONFIG_FILE))? {
            return place(disk, folder);
        }
    }
    match newest_checkpoint(disk, &path.join(CHECKPOINTS_FOLDER))? {
        Some(folder) => place(disk, folder),
        // Says what is missing in the folder.
        None => place(disk, folder::resolve(disk, &path)?),
    }
}

/// The folder that `model.from` names: a path, or the `ORG/NAME` of a repository that was loaded
/// before.
///
/// # Errors
/// `Usage` when there is neither, with the command that loads it; `Io`.
pub fn starting_folder(disk: &dyn Disk, environment: &Environment, name: &str) -> Result<PathBuf> {
    let path = Path::new(name);
    if disk.exists(path)? {
        return Ok(path.to_owned());
    }
    fetched(disk, environment, path)?.ok_or_else(|| {
        let message = format!("there is no model at `{name}`");
        let folder = "name a folder with `config.json` and `model.safetensors`, or a run's folder";
        Error::usage(message)
            .at("model.from")
            .hint(match hub_name(path) {
                Some(_) => format!("{folder}, or run `tenon fetch hub {name}`"),
                None => folder.to_owned(),
            })
    })
}

/// The snapshot in the model hub's cache that a name means; `None` when there is none.
fn fetched(disk: &dyn Disk, environment: &Environment, name: &Path) -> Result<Option<PathBuf>> {
    match (hub_name(name), &environment.hub_cache) {
        (Some((repo, revision)), Some(cache)) => hub::find_snapshot(disk, cache, &repo, &revision),
        _ => Ok(None),
    }
}

/// The repository and revision that a name may mean; `None` for a name of another form, and for one
/// that begins with a folder that is there: then it is a path.
fn hub_name(name: &Path) -> Option<(Repo, String)> {
    let is_path = name.parent().is_some_and(Path::is_dir);
    let text = name.to_str().filter(|_| !is_path)?;
    Repo::of_model_name(text)
}

fn place(disk: &dyn Disk, model: PathBuf) -> Result<Place> {
    // A relative path may begin within the run.
    let absolute = std::path::absolute(&model).unwrap_or_else(|_| model.clone());
    for ancestor in absolute.ancestors().skip(1).take(RUN_DEPTH_MAX) {
        if disk.exists(&ancestor.join(RESOLVED_FILE))? {
            let run = Some(ancestor.to_owned());
            return Ok(Place { model, run });
        }
    }
    Ok(Place { model, run: None })
}

/// Numbered folders are written whole, so the one with the largest number is complete.
fn newest_checkpoint(disk: &dyn Disk, folder: &Path) -> Result<Option<PathBuf>> {
    if !disk.exists(folder)? {
        return Ok(None);
    }
    let step = |path: &PathBuf| -> Option<u64> {
        let name = path.file_name()?.to_str()?;
        name.strip_prefix("step-")?.parse().ok()
    };
    let listed = disk.list(folder)?;
    let numbered = listed
        .into_iter()
        .filter_map(|path| Some((step(&path)?, path)));
    let newest = numbered
        .max()
        .map(|(_, path)| path.join(folder::MODEL_FOLDER));
    Ok(newest)
}

fn missing(disk: &dyn Disk, runs: &Path, name: &Path) -> Error {
    let shown = name.display();
    let message = format!("there is no model or run `{shown}`");
    // A folder of runs that cannot be listed has no name to suggest.
    let listed = disk.list(runs).unwrap_or_default();
    let names: Vec<String> = listed
        .iter()
        .filter(|path| path.is_dir())
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect();
    let near = suggest::nearest(&name.to_string_lossy(), names.iter().map(String::as_str));
    Error::data(message).hint(match (near, hub_name(name)) {
        (Some(near), _) => format!("did you mean the run `{near}`?"),
        (None, Some(_)) => format!("if it is a model of the hub, run `tenon fetch hub {shown}`"),
        (None, None) => format!(
            "name a folder with `{CONFIG_FILE}` and `model.safetensors`, or a run in `{}`",
            runs.display()
        ),
    })
}

impl Place {
    /// The configuration of the run; `None` for a model that belongs to none.
    ///
    /// # Errors
    /// `Usage` when the text is no configuration; `Io`.
    pub fn config(&self, disk: &dyn Disk) -> Result<Option<Config>> {
        let Some(run) = &self.run else {
            return Ok(None);
        };
        let reading = config::load(disk, &run.join(RESOLVED_FILE), &[])?;
        Ok(Some(reading.config))
    }

    /// Reads the model; what was left out or widened is said.
    ///
    /// # Errors
    /// As [`folder::load`].
    pub fn load(&self, context: &Context) -> Result<Folder> {
        let folder = folder::load(context.disk.as_ref(), &self.model)?;
        for note in notes(&folder.left_out(), &folder.widened) {
            context.say(&note);
        }
        Ok(folder)
    }

    /// The tokenizer beside the model.
    ///
    /// # Errors
    /// `Data` when there is none, or its files lie.
    pub fn tokenizer(&self) -> Result<Arc<dyn Tokenizer>> {
        let mut names = folder::TOKENIZER_FILES.iter();
        if !names.any(|name| self.model.join(name).exists()) {
            let shown = self.model.display();
            return Err(
                Error::data(format!("the model in `{shown}` has no tokenizer")).hint(
                    "put `tokenizer.json`, `vocab.txt`, or `vocab.json` with `merges.txt`, there",
                ),
            );
        }
        vocab::load(&self.model).map(Arc::from)
    }
}

/// What is worth knowing of a checkpoint that was read.
pub(crate) fn notes(
    dropped: &[String],
    widened: &std::collections::BTreeMap<String, usize>,
) -> Vec<String> {
    let dropped = dropped
        .iter()
        .map(|name| format!("note: `{name}` is no parameter of the family and was left out"));
    let widened = widened
        .iter()
        .map(|(dtype, n)| format!("note: {n} tensors were widened from {dtype}"));
    dropped.chain(widened).collect()
}

/// The processor with the context's threads and instruction set.
pub fn device(context: &Context) -> Box<dyn Kernels> {
    Box::new(Cpu::new(context.threads.get(), context.isa))
}
