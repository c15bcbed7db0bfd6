//! A model on disk: a hub folder (`config.json`, safetensors, tokenizer files), or a run that holds
//! one.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use tenon_base::files::Disk;
use tenon_base::{Error, Result};
use tenon_engine::DType;

use crate::checkpoint::mapping::{Fill, Plan, Target};
use crate::checkpoint::{self, Checkpoint, Dtype, Order, SINGLE_FILE, Slot, TensorView};
use crate::hub::{CONFIG_FILE, HubConfig};
use crate::net::Outputs;
use crate::spec::Spec;
use crate::weights::{Source, Weight, Weights, encode};

/// The folder of a run that holds its model.
pub const MODEL_FOLDER: &str = "model";

/// Files that make up a tokenizer, in any of the forms that hubs have.
pub const TOKENIZER_FILES: &[&str] = &[
    "added_tokens.json",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
];

/// A model that was read.
#[derive(Clone, Debug)]
pub struct Folder {
    /// The hub folder itself, also where a run was named.
    pub path: PathBuf,
    /// Its configuration.
    pub config: HubConfig,
    /// All parameters: f64 when the checkpoint has an f64 tensor, f32 otherwise.
    pub weights: Weights,
    /// What `{prefix}` stood for in the checkpoint's names.
    pub prefix: &'static str,
    /// Tensors that were left out under the family's allowed drops; to be reported.
    pub dropped: Vec<String>,
    /// How many tensors were widened from each type; to be reported.
    pub widened: BTreeMap<String, usize>,
    /// The tokenizer files that are there.
    pub tokenizer_files: Vec<PathBuf>,
}

/// Finds the hub folder that `path` names: itself, or the `model` folder of a run or checkpoint.
pub fn resolve(disk: &dyn Disk, path: &Path) -> Result<PathBuf> {
    for folder in [path.to_owned(), path.join(MODEL_FOLDER)] {
        if disk.exists(&folder.join(CONFIG_FILE))? {
            return Ok(folder);
        }
    }
    let shown = path.display();
    if !disk.exists(path)? {
        return Err(Error::data(format!("there is no model folder `{shown}`")));
    }
    Err(Error::data(format!(
        "`{shown}` is no model folder: it has no `{CONFIG_FILE}`"
    ))
    .hint("name a folder with `config.json` and `model.safetensors`, or a run that has saved one"))
}

/// Reads a model, every tensor of its checkpoint accounted for. Tensors of the model's own type
/// stay in the mapped file until they are used.
///
/// Errors are of kind data when a file lies, when configuration and checkpoint do not fit, or when
/// a tensor is no float; each names what to look at.
pub fn load(disk: &dyn Disk, path: &Path) -> Result<Folder> {
    let path = resolve(disk, path)?;
    let config = HubConfig::read(disk, &path)?;
    let checkpoint = Checkpoint::open(disk, &path)?;
    let at = |error: Error| error.at(path.display().to_string());
    let sources: Vec<TensorView<'_>> = checkpoint.tensors().collect();
    let targets = parameters(&config.spec);
    let plan = config.spec.table().plan(&sources, &targets).map_err(at)?;
    let (weights, widened) = read_weights(&checkpoint, &plan, &targets).map_err(at)?;
    let files = TOKENIZER_FILES.iter().map(|name| path.join(name));
    let mut tokenizer_files = Vec::new();
    for file in files {
        if disk.exists(&file)? {
            tokenizer_files.push(file);
        }
    }
    Ok(Folder {
        path: path.clone(),
        config,
        weights,
        prefix: plan.prefix,
        dropped: plan.dropped,
        widened,
        tokenizer_files,
    })
}

/// The parameters of a model, in the order of its graph, without the cost of its constant tables.
pub fn parameters(spec: &Spec) -> Vec<Target> {
    let graph = spec.with_rotary_positions(1).graph(&Outputs::judging());
    let target = |p: &tenon_engine::graph::Param| Target {
        name: p.name.clone(),
        shape: p.shape.clone(),
    };
    graph.params.iter().map(target).collect()
}

fn read_weights(
    checkpoint: &Checkpoint,
    plan: &Plan,
    targets: &[Target],
) -> Result<(Weights, BTreeMap<String, usize>)> {
    let source = |fill: &Fill| Ok(fill.view(checkpoint.tensor(&fill.source)?));
    let sources: Vec<TensorView<'_>> = plan.fills.iter().map(source).collect::<Result<_>>()?;
    let wide = sources.iter().any(|tensor| tensor.dtype == Dtype::F64);
    let (dtype, same) = match wide {
        true => (DType::F64, Dtype::F64),
        false => (DType::F32, Dtype::F32),
    };
    let mut widened = BTreeMap::new();
    for name in sources.iter().filter(|t| t.dtype != same).map(|t| t.name) {
        widened.insert(name, checkpoint.tensor(name)?.dtype.to_string());
    }
    let mut counts = BTreeMap::new();
    for name in widened.into_values() {
        *counts.entry(name).or_insert(0) += 1;
    }
    let weight = |(tensor, target): (&TensorView<'_>, &Target)| {
        Ok(Weight {
            name: target.name.clone(),
            shape: target.shape.clone(),
            bytes: match tensor.dtype == same {
                true => checkpoint.keep(tensor),
                false => encode(dtype, tensor.to_f64()?.into_iter()).into(),
            },
        })
    };
    let tensors: Result<_> = sources.iter().zip(targets).map(weight).collect();
    let tensors = tensors?;
    Ok((Weights { dtype, tensors }, counts))
}

/// Writes a model as a hub folder that `transformers` reads, under the names that it writes.
///
/// Each file is replaced as a whole, the weights first: a new folder has a configuration only when
/// it is complete, and when a crash falls between the two of an old one, loading says if they
/// differ.
///
/// # Panics
/// When the weights are not those of the configuration's model.
pub fn save(disk: &dyn Disk, folder: &Path, config: &HubConfig, weights: &Weights) -> Result<()> {
    save_from(disk, folder, config, &mut &*weights)
}

/// [`save`] of parameters that need not be on the host.
///
/// # Panics
/// When the parameters are not those of the configuration's model.
pub fn save_from(
    disk: &dyn Disk,
    folder: &Path,
    config: &HubConfig,
    source: &mut dyn Source,
) -> Result<()> {
    let prefix = config.spec.table().prefixes[0];
    save_all(disk, folder, config, source, prefix)
}

/// [`save`] with another of the family's prefixes in the tensors' names, such as
/// [`Folder::prefix`].
///
/// # Panics
/// When the weights are not those of the configuration's model.
pub fn save_as(
    disk: &dyn Disk,
    folder: &Path,
    config: &HubConfig,
    weights: &Weights,
    prefix: &str,
) -> Result<()> {
    save_all(disk, folder, config, &mut &*weights, prefix)
}

fn save_all(
    disk: &dyn Disk,
    folder: &Path,
    config: &HubConfig,
    source: &mut dyn Source,
    prefix: &str,
) -> Result<()> {
    let targets = source.targets();
    assert_eq!(targets, parameters(&config.spec), "parameters of the model");
    let dtype = hub_dtype(source.dtype());
    let tensors = config.spec.table().hub_tensors(&targets, prefix)?;
    let slot = |tensor: &checkpoint::mapping::HubTensor| Slot {
        name: tensor.name.clone(),
        dtype,
        shape: tensor.shape.clone(),
    };
    let slots: Vec<Slot> = tensors.iter().map(slot).collect();
    let parts: BTreeMap<&str, &Vec<String>> = tensors
        .iter()
        .map(|tensor| (tensor.name.as_str(), &tensor.parts))
        .collect();
    let numbers: BTreeMap<&str, usize> = targets
        .iter()
        .enumerate()
        .map(|(i, target)| (target.name.as_str(), i))
        .collect();
    let fill = &mut |slot: &Slot, file: &mut dyn io::Write| {
        let mut parts = parts[slot.name.as_str()].iter();
        parts.try_for_each(|part| source.write_to(numbers[part.as_str()], file))
    };
    disk.create_dir_all(folder)?;
    let path = folder.join(SINGLE_FILE);
    checkpoint::write(disk, &path, &slots, Order::Sorted, &BTreeMap::new(), fill)?;
    let mut config = config.clone();
    // A configuration without a type means f32.
    if config.dtype.is_some() || dtype != Dtype::F32 {
        config.dtype = Some(dtype);
    }
    disk.write_atomic(&folder.join(CONFIG_FILE), config.to_json().as_bytes())
}

/// The type in a file of floats that the engine holds.
///
/// # Panics
/// When the type is an integer.
pub(crate) fn hub_dtype(dtype: DType) -> Dtype {
    match dtype {
        DType::F32 => Dtype::F32,
        DType::F64 => Dtype::F64,
        DType::I32 => panic!("parameters are floats"),
    }
}
