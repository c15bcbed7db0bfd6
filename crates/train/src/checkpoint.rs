//! Checkpoints of a run: complete or absent, never half.
//!
//! A checkpoint is the folder `step-<n>` with `model/` (a hub folder), `optimizer.safetensors` and
//! `state.json`. It is written beside its place under a temporary name and renamed when it is
//! complete, so every folder of that name can be resumed.

use crate::state::State;
use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use tenon_base::files::Disk;
use tenon_base::{Error, Result};
use tenon_engine::{DType, Executor, ParamId};
use tenon_models::checkpoint::{self, Checkpoint, Dtype, Order, Slot};
use tenon_models::weights::{Source, Weights};

const OPTIMIZER_FILE: &str = "optimizer.safetensors";
const STATE_FILE: &str = "state.json";
/// The hub folder within a checkpoint.
pub const MODEL_FOLDER: &str = "model";
const UNFINISHED: &str = "unfinished-";

/// How the model folder of a checkpoint is written and read; the caller knows configuration and
/// tokenizer.
pub trait ModelStore {
    /// Writes a complete hub folder.
    fn save(&self, disk: &dyn Disk, folder: &Path, weights: &mut dyn Source) -> Result<()>;
    /// Reads the weights of a hub folder.
    fn load(&self, disk: &dyn Disk, folder: &Path) -> Result<Weights>;
}

/// The checkpoints of one run.
pub struct Checkpoints<'a> {
    disk: &'a dyn Disk,
    folder: PathBuf,
    store: &'a dyn ModelStore,
}

impl<'a> Checkpoints<'a> {
    /// Checkpoints under `folder`.
    pub fn new(disk: &'a dyn Disk, folder: PathBuf, store: &'a dyn ModelStore) -> Self {
        Checkpoints {
            disk,
            folder,
            store,
        }
    }

    /// The folder of the checkpoint after a step.
    pub fn path(&self, step: u64) -> PathBuf {
        self.folder.join(format!("step-{step:06}"))
    }

    /// Steps that have a complete checkpoint, rising.
    pub fn steps(&self) -> Result<Vec<u64>> {
        if !self.disk.exists(&self.folder)? {
            return Ok(Vec::new());
        }
        let step = |path: &PathBuf| {
            path.file_name()?
                .to_str()?
                .strip_prefix("step-")?
                .parse()
                .ok()
        };
        let mut steps: Vec<u64> = self
            .disk
            .list(&self.folder)?
            .iter()
            .filter_map(step)
            .collect();
        steps.sort_unstable();
        Ok(steps)
    }

    /// Writes the checkpoint of the executor's present weights.
    pub fn save(&self, exec: &mut Executor, state: &State) -> Result<PathBuf> {
        let place = self.path(state.step);
        if self.disk.exists(&place)? {
            return Ok(place);
        }
        let temporary = self.folder.join(format!("{UNFINISHED}{:06}", state.step));
        self.disk.remove_dir_all(&temporary)?;
        self.disk.create_dir_all(&temporary)?;
        self.store
            .save(self.disk, &temporary.join(MODEL_FOLDER), exec)?;
        self.save_moments(exec, &temporary.join(OPTIMIZER_FILE))?;
        let text = format!("{:#}\n", state.to_json());
        self.disk
            .write_atomic(&temporary.join(STATE_FILE), text.as_bytes())?;
        self.disk.rename(&temporary, &place)?;
        Ok(place)
    }

    fn save_moments(&self, exec: &mut Executor, path: &Path) -> Result<()> {
        let dtype = match exec.plan().options.float {
            DType::F64 => Dtype::F64,
            _ => Dtype::F32,
        };
        let list = moments(exec);
        let graph = exec.graph().clone();
        let slot = |&(p, i): &(ParamId, usize)| Slot {
            name: format!("{}.moment.{i}", graph.param(p).name),
            dtype,
            shape: graph.param(p).shape.clone(),
        };
        let slots: Vec<Slot> = list.iter().map(slot).collect();
        let mut order = list.iter();
        let mut fill = |_: &Slot, sink: &mut dyn Write| {
            let &(p, i) = order.next().expect("one call a buffer, in the order given");
            exec.moment_pieces(p, i, |bytes| sink.write_all(bytes))
        };
        checkpoint::write(
            self.disk,
            path,
            &slots,
            Order::Given,
            &BTreeMap::new(),
            &mut fill,
        )
    }

    /// Gives the executor the weights and optimiser buffers of a checkpoint, and returns its state.
    pub fn load(&self, exec: &mut Executor, folder: &Path) -> Result<State> {
        let path = folder.join(STATE_FILE);
        let place = path.display().to_string();
        let bytes = self.disk.read(&path)?;
        let value = serde_json::from_slice(&bytes)
            .map_err(|e| Error::data(format!("no JSON: {e}")).at(place.clone()))?;
        let state = State::from_json(&value, &place)?;
        self.store
            .load(self.disk, &folder.join(MODEL_FOLDER))?
            .write(exec);
        let file = Checkpoint::open(self.disk, &folder.join(OPTIMIZER_FILE))?;
        let graph = exec.graph().clone();
        let list = moments(exec);
        if file.names().len() != list.len() {
            let (have, want) = (file.names().len(), list.len());
            let message = format!("{have} optimiser buffers for an optimiser that has {want}");
            return Err(Error::data(message)
                .at(folder.display().to_string())
                .hint("resume with the optimiser that the run was started with"));
        }
        for (p, i) in list {
            let tensor = file.tensor(&format!("{}.moment.{i}", graph.param(p).name))?;
            let want = graph.param(p).len() * exec.plan().options.float.bytes();
            if tensor.bytes.len() != want {
                let message = format!(
                    "`{}` has {} bytes, not {want}",
                    tensor.name,
                    tensor.bytes.len()
                );
                return Err(Error::data(message).at(folder.display().to_string()));
            }
            exec.set_moment_bytes(p, i, tensor.bytes);
            file.release(tensor.name);
        }
        Ok(state)
    }

    /// Removes checkpoints but the `keep` latest and the best, and whatever was left unfinished.
    pub fn prune(&self, keep: Option<usize>, best: Option<u64>) -> Result<()> {
        let Some(keep) = keep else { return Ok(()) };
        let steps = self.steps()?;
        let old = &steps[..steps.len().saturating_sub(keep.max(1))];
        for &step in old.iter().filter(|&&s| Some(s) != best) {
            // Renamed first: a removal that is cut short must not leave a folder that looks
            // complete.
            let doomed = self.folder.join(format!("{UNFINISHED}{step:06}"));
            self.disk.remove_dir_all(&doomed)?;
            self.disk.rename(&self.path(step), &doomed)?;
            self.disk.remove_dir_all(&doomed)?;
        }
        Ok(())
    }

    /// Removes checkpoints after a step, and whatever was left unfinished: called before a run
    /// continues.
    pub fn forget_after(&self, step: u64) -> Result<()> {
        if !self.disk.exists(&self.folder)? {
            return Ok(());
        }
        for path in self.disk.list(&self.folder)? {
            let name = path
                .file_name()
                .and_then(|n| n.to_str())
                .unwrap_or_default();
            let later = name
                .strip_prefix("step-")
                .and_then(|s| s.parse::<u64>().ok());
            if name.starts_with(UNFINISHED) || later.is_some_and(|s| s > step) {
                self.disk.remove_dir_all(&path)?;
            }
        }
        Ok(())
    }
}

fn moments(exec: &Executor) -> Vec<(ParamId, usize)> {
    let n = exec.n_moments();
    exec.trainable()
        .flat_map(|p| (0..n).map(move |i| (p, i)))
        .collect()
}
