//! A model on disk: a hub folder (`config.json`, weights, tokenizer files), or a run that holds
//! one.

mod head;
mod held;

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use tenon_base::files::Disk;
use tenon_base::{Error, Result};
use tenon_engine::DType;

use crate::checkpoint::mapping::{Fill, HubTensor, Mapping, Pad, Plan, Target};
use crate::checkpoint::{self, Bytes, Checkpoint, Dtype, Order, SINGLE_FILE, Slot, TensorView};
use crate::hub::{CONFIG_FILE, HubConfig, Naming};
use crate::net::Outputs;
use crate::spec::Spec;
use crate::weights::{Source, Weight, Weights, encode};

/// The folder of a run that holds its model.
pub const MODEL_FOLDER: &str = "model";

/// Files that make up a tokenizer, in any of the forms that hubs have.
pub const TOKENIZER_FILES: &[&str] = &[
    "added_tokens.json",
    "gene_medians.json",
    "merges.txt",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer.model",
    "tokenizer_config.json",
    "vocab.json",
    "vocab.txt",
];

/// A tensor of a checkpoint that is no parameter; kept so that it can be given back.
#[derive(Clone, Debug, PartialEq)]
pub struct Extra {
    /// Its name.
    pub name: String,
    /// The type of its elements.
    pub dtype: Dtype,
    /// Outermost dimension first.
    pub shape: Vec<usize>,
    /// Little-endian, row by row.
    pub bytes: Bytes,
    /// Whether it repeats a parameter, and is stale when that changes.
    pub is_copy: bool,
}

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
    /// Names of its tensors that are not those that are written, by those.
    pub own_names: BTreeMap<String, String>,
    /// Tensors that were left out under the family's allowed drops; to be reported.
    pub dropped: Vec<Extra>,
    /// What a file of PyTorch holds beside tensors; to be reported.
    pub skipped: Vec<String>,
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
    let naming = detect(&config, &sources);
    let config = HubConfig { naming, ..config };
    let mapping = config.spec.mapping_of(naming).map_err(at)?;
    let plan = mapping.plan(&sources, &targets).map_err(at)?;
    let (weights, widened) = read_weights(&checkpoint, &plan, &targets).map_err(at)?;
    let mut tokenizer_files = Vec::new();
    for file in TOKENIZER_FILES.iter().map(|name| path.join(name)) {
        if disk.exists(&file)? {
            tokenizer_files.push(file);
        }
    }
    Ok(Folder {
        path: path.clone(),
        config,
        weights,
        prefix: plan.prefix,
        dropped: extras(&checkpoint, &plan, mapping)?,
        own_names: plan.own_names,
        skipped: checkpoint.skipped().map(str::to_owned).collect(),
        widened,
        tokenizer_files,
    })
}

/// Which names a checkpoint has: those that more of its tensors have, and what its configuration
/// says when both suit as well.
pub(crate) fn detect(config: &HubConfig, sources: &[TensorView<'_>]) -> Naming {
    let padded_vocab = match config.naming {
        Naming::Fused { padded_vocab } => padded_vocab,
        Naming::Hub => None,
    };
    let fused = Naming::Fused { padded_vocab };
    let n_named = |naming| {
        let mapping = config.spec.mapping_of(naming);
        mapping.map_or(0, |mapping| mapping.n_named(sources))
    };
    match n_named(Naming::Hub).cmp(&n_named(fused)) {
        Ordering::Greater => Naming::Hub,
        Ordering::Less => fused,
        Ordering::Equal => config.naming,
    }
}

/// The tensors that a plan leaves out.
fn extras(checkpoint: &Checkpoint, plan: &Plan, mapping: Mapping) -> Result<Vec<Extra>> {
    let extra = |name: &String| {
        let tensor = checkpoint.tensor(name)?;
        Ok(Extra {
            name: name.clone(),
            dtype: tensor.dtype,
            shape: tensor.shape.to_vec(),
            bytes: checkpoint.keep(&tensor),
            is_copy: mapping.is_copy(name, plan.prefix),
        })
    };
    plan.dropped.iter().map(extra).collect()
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
    let dtypes = plan.fills.iter().flat_map(|fill| &fill.pieces);
    let mut widened = BTreeMap::new();
    let mut wide = false;
    for (name, _) in dtypes {
        let dtype = checkpoint.tensor(name)?.dtype;
        wide |= dtype == Dtype::F64;
        widened.insert(name, dtype);
    }
    let (dtype, same) = match wide {
        true => (DType::F64, Dtype::F64),
        false => (DType::F32, Dtype::F32),
    };
    let mut counts = BTreeMap::new();
    for other in widened.into_values().filter(|dtype| *dtype != same) {
        *counts.entry(other.to_string()).or_insert(0) += 1;
    }
    let weight = |(fill, target): (&Fill, &Target)| {
        Ok(Weight {
            name: target.name.clone(),
            shape: target.shape.clone(),
            bytes: parameter_bytes(checkpoint, fill, target, (dtype, same))?,
        })
    };
    let tensors: Result<_> = plan.fills.iter().zip(targets).map(weight).collect();
    let tensors = tensors?;
    Ok((Weights { dtype, tensors }, counts))
}

/// A parameter's elements: those of the mapped file where they lie there in one piece.
fn parameter_bytes(
    checkpoint: &Checkpoint,
    fill: &Fill,
    target: &Target,
    (dtype, same): (DType, Dtype),
) -> Result<Bytes> {
    let n: usize = target.shape.iter().product();
    let width = dtype.bytes();
    if let [(name, piece)] = fill.pieces.as_slice()
        && piece.n() == 1
    {
        let tensor = checkpoint.tensor(name)?;
        if tensor.dtype == same {
            let bytes = &tensor.bytes[piece.hub * width..][..n * width];
            return Ok(checkpoint.keep(&TensorView { bytes, ..tensor }));
        }
    }
    let mut bytes = vec![0; n * width];
    for (name, piece) in &fill.pieces {
        let tensor = checkpoint.tensor(name)?;
        match tensor.dtype == same {
            true => piece.fill(tensor.bytes, &mut bytes, width),
            false => {
                let wide = encode(dtype, tensor.to_f64()?.into_iter());
                piece.fill(&wide, &mut bytes, width);
            }
        }
    }
    Ok(bytes.into())
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
    save_from(disk, folder, config, &mut &*weights, &[])
}

/// [`save`] of parameters that need not be on the host, with tensors that are no parameters.
///
/// # Panics
/// When the parameters are not those of the configuration's model.
pub fn save_from(
    disk: &dyn Disk,
    folder: &Path,
    config: &HubConfig,
    source: &mut dyn Source,
    extras: &[Extra],
) -> Result<()> {
    let prefix = config.spec.mapping_of(config.naming)?.table.prefixes[0];
    save_all(disk, folder, config, source, prefix, extras)
}

/// Writes a model that was read as it was: under its names, with the tensors that were left out.
pub fn save_back(disk: &dyn Disk, folder: &Path, read: &Folder) -> Result<()> {
    let (config, extras) = (&read.config, &read.dropped);
    let source = &mut &read.weights;
    save_all(disk, folder, config, source, read.prefix, extras)
}

fn save_all(
    disk: &dyn Disk,
    folder: &Path,
    config: &HubConfig,
    source: &mut dyn Source,
    prefix: &str,
    extras: &[Extra],
) -> Result<()> {
    let targets = source.targets();
    assert_eq!(targets, parameters(&config.spec), "parameters of the model");
    let dtype = hub_dtype(source.dtype());
    let tensors = config
        .spec
        .mapping_of(config.naming)?
        .hub_tensors(&targets, prefix)?;
    let slot = |tensor: &HubTensor| Slot {
        name: tensor.name.clone(),
        dtype,
        shape: tensor.shape.clone(),
    };
    let kept = extras.iter().map(|extra| Slot {
        name: extra.name.clone(),
        dtype: extra.dtype,
        shape: extra.shape.clone(),
    });
    let slots: Vec<Slot> = tensors.iter().map(slot).chain(kept).collect();
    let extras: BTreeMap<&str, &Extra> = extras.iter().map(|extra| (&*extra.name, extra)).collect();
    let by_name: BTreeMap<&str, &HubTensor> = tensors
        .iter()
        .map(|tensor| (tensor.name.as_str(), tensor))
        .collect();
    let fill = &mut |slot: &Slot, file: &mut dyn io::Write| {
        if let Some(extra) = extras.get(slot.name.as_str()) {
            return file.write_all(&extra.bytes);
        }
        let tensor = by_name[slot.name.as_str()];
        let len = |i: usize| targets[i].shape.iter().product();
        match tensor.is_sequence(len) {
            true => tensor
                .parts
                .iter()
                .try_for_each(|&(i, _)| source.write_to(i, file)),
            false => write_tensor(source, tensor, slot.dtype, file),
        }
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

/// Writes a hub tensor from parts of parameters.
fn write_tensor(
    source: &mut dyn Source,
    tensor: &HubTensor,
    dtype: Dtype,
    file: &mut dyn io::Write,
) -> io::Result<()> {
    let width = dtype.bitsize() / 8;
    let n: usize = tensor.shape.iter().product();
    let mut bytes = match tensor.pad {
        Some(Pad::Least) => least(dtype).repeat(n),
        Some(Pad::Zero) | None => vec![0; n * width],
    };
    let mut part = Vec::new();
    for &(i, piece) in &tensor.parts {
        part.clear();
        source.write_part(i, piece.bytes(width), &mut part)?;
        piece.alone().spread(&part, &mut bytes, width);
    }
    file.write_all(&bytes)
}

/// The least finite number of a type of parameters.
pub(crate) fn least(dtype: Dtype) -> Vec<u8> {
    match dtype {
        Dtype::F16 => 0xfbff_u16.to_le_bytes().to_vec(),
        Dtype::BF16 => 0xff7f_u16.to_le_bytes().to_vec(),
        Dtype::F64 => f64::MIN.to_le_bytes().to_vec(),
        _ => f32::MIN.to_le_bytes().to_vec(),
    }
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
