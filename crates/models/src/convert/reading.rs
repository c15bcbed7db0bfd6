//! A model that is about to be written under other names.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::ops::Range;
use std::path::Path;

use tenon_base::files::Disk;
use tenon_base::{Error, Result};

use super::HUB_ONLY_FILE;
use crate::checkpoint::mapping::{HubTensor, Pad, Plan, Target};
use crate::checkpoint::{self, Checkpoint, Dtype, Order, Slot, TensorView};
use crate::folder;
use crate::hub::{HubConfig, Naming};
use crate::publish::WrittenFile;
use crate::publish::shards;

/// Put before a tensor's name in the metadata of fused weights: the name that it had, where that is
/// not the one that we write.
const NAME_KEY: &str = "hub_name.";
/// The prefix of names in the checkpoint that fused weights come from.
const PREFIX_KEY: &str = "hub_prefix";

/// A model whose tensors have the types that they have in the file.
pub(super) struct Reading {
    pub(super) config: HubConfig,
    checkpoint: Checkpoint,
    /// What fused layers had no place for.
    hub_only: Option<Checkpoint>,
    targets: Vec<Target>,
    plan: Plan,
    /// The type of each parameter: in the file, and to be written.
    dtypes: Vec<(Dtype, Dtype)>,
}

/// What is to be written.
pub(super) struct Written {
    pub(super) tensors: Vec<(Slot, HubTensor)>,
    /// Slots, and whether their bytes are in the file of what only the hub has.
    pub(super) kept: Vec<(Slot, bool)>,
    /// Whether the kept ones go to a file of their own.
    apart: bool,
    pub(super) dropped: Vec<String>,
    metadata: BTreeMap<String, String>,
}

impl Reading {
    pub(super) fn open(disk: &dyn Disk, source: &Path, dtype: Option<Dtype>) -> Result<Reading> {
        let config = HubConfig::read(disk, source)?;
        let checkpoint = Checkpoint::open(disk, source)?;
        let at = |error: Error| error.at(source.display().to_string());
        let sources: Vec<TensorView<'_>> = checkpoint.tensors().collect();
        let naming = folder::detect(&config, &sources);
        let config = HubConfig { naming, ..config };
        let targets = folder::parameters(&config.spec);
        let mapping = config.spec.mapping_of(naming).map_err(at)?;
        let plan = mapping.plan(&sources, &targets).map_err(at)?;
        let mut dtypes = Vec::with_capacity(targets.len());
        for fill in &plan.fills {
            let mut found = BTreeSet::new();
            for (name, _) in &fill.pieces {
                found.insert(checkpoint.tensor(name)?.dtype);
            }
            let own = one_of(&found, &fill.target).map_err(at)?;
            dtypes.push((own, dtype.unwrap_or(own)));
        }
        let path = source.join(HUB_ONLY_FILE);
        let hub_only = match naming != Naming::Hub && disk.exists(&path)? {
            true => Some(Checkpoint::open(disk, &path)?),
            false => None,
        };
        Ok(Reading {
            config,
            checkpoint,
            hub_only,
            targets,
            plan,
            dtypes,
        })
    }

    /// The tensors of the model under other names.
    pub(super) fn tensors(&self, naming: Naming) -> Result<Written> {
        let mapping = self.config.spec.mapping_of(naming)?;
        let metadata = self.checkpoint.metadata();
        let same = std::mem::discriminant(&naming) == std::mem::discriminant(&self.config.naming);
        let known = |prefix: &str| mapping.table.prefixes.contains(&prefix);
        let prefix = match (same, metadata.get(PREFIX_KEY)) {
            (true, _) => self.plan.prefix,
            (false, Some(&prefix)) if naming == Naming::Hub && known(prefix) => prefix,
            (false, _) => mapping.table.prefixes[0],
        };
        let mut tensors = Vec::new();
        let names = &self.plan.own_names;
        for tensor in mapping.hub_tensors(&self.targets, prefix)? {
            let found = tensor
                .parts
                .iter()
                .map(|&(i, _)| self.dtypes[i].1)
                .collect();
            let own = match same {
                true => names.get(&tensor.name).cloned(),
                false => metadata
                    .get(&*format!("{NAME_KEY}{}", tensor.name))
                    .map(|&n| n.into()),
            };
            let slot = Slot {
                dtype: one_of(&found, &tensor.name)?,
                shape: tensor.shape.clone(),
                name: own.unwrap_or_else(|| tensor.name.clone()),
            };
            tensors.push((slot, tensor));
        }
        let mut written = Written {
            tensors,
            kept: Vec::new(),
            apart: !same && naming != Naming::Hub,
            dropped: self.checkpoint.skipped().map(str::to_owned).collect(),
            metadata: BTreeMap::new(),
        };
        if written.apart {
            let names = names.iter();
            written.metadata = names
                .map(|(key, name)| (format!("{NAME_KEY}{key}"), name.clone()))
                .collect();
            written
                .metadata
                .insert(PREFIX_KEY.to_owned(), self.plan.prefix.to_owned());
        }
        self.keep(same, naming, &mut written)?;
        Ok(written)
    }

    /// Decides about tensors that are no parameters.
    fn keep(&self, same: bool, naming: Naming, written: &mut Written) -> Result<()> {
        let slot = |tensor: &TensorView<'_>| Slot {
            name: tensor.name.to_owned(),
            dtype: tensor.dtype,
            shape: tensor.shape.to_vec(),
        };
        let from_hub = self.config.naming == Naming::Hub;
        for name in &self.plan.dropped {
            match same || from_hub {
                true => written
                    .kept
                    .push((slot(&self.checkpoint.tensor(name)?), false)),
                false => written.dropped.push(name.clone()),
            }
        }
        if let Some(hub_only) = &self.hub_only {
            written
                .kept
                .extend(hub_only.tensors().map(|tensor| (slot(&tensor), true)));
            written.apart |= naming != Naming::Hub;
        }
        Ok(())
    }

    /// How many numbers the parameters are.
    pub(super) fn n_parameters(&self) -> u64 {
        let sizes = self
            .targets
            .iter()
            .map(|t| t.shape.iter().product::<usize>());
        sizes.map(|n| n as u64).sum()
    }

    pub(super) fn write(
        &self,
        disk: &dyn Disk,
        target: &Path,
        written: &Written,
        max_shard_bytes: u64,
    ) -> Result<Vec<WrittenFile>> {
        let parameters: BTreeMap<&str, &HubTensor> = written
            .tensors
            .iter()
            .map(|(slot, tensor)| (slot.name.as_str(), tensor))
            .collect();
        let kept: BTreeMap<&str, bool> = written
            .kept
            .iter()
            .map(|(slot, hub_only)| (slot.name.as_str(), *hub_only))
            .collect();
        let fill_kept = &mut |slot: &Slot, file: &mut dyn Write| {
            let tensor = self.kept_tensor(&slot.name, kept[slot.name.as_str()]);
            file.write_all(tensor.map_err(io::Error::other)?.bytes)
        };
        let fill = &mut |slot: &Slot, file: &mut dyn Write| match parameters.get(&*slot.name) {
            Some(tensor) => self.write_tensor(tensor, slot.dtype, file),
            None => fill_kept(slot, file),
        };
        let own = || written.tensors.iter().map(|(slot, _)| slot.clone());
        let others = || written.kept.iter().map(|(slot, _)| slot.clone());
        let slots: Vec<Slot> = match written.apart {
            true => own().collect(),
            false => own().chain(others()).collect(),
        };
        let metadata = &written.metadata;
        let files = shards::write(disk, target, &slots, metadata, max_shard_bytes, fill)?;
        let beside = target.join(HUB_ONLY_FILE);
        if written.apart && !written.kept.is_empty() {
            let slots: Vec<Slot> = others().collect();
            // A parameter of the other file may have the same name.
            let none = BTreeMap::new();
            checkpoint::write(disk, &beside, &slots, Order::Sorted, &none, fill_kept)?;
        } else if disk.exists(&beside)? {
            // It belonged to other weights.
            disk.remove_file(&beside)?;
        }
        Ok(files)
    }

    fn kept_tensor(&self, name: &str, hub_only: bool) -> Result<TensorView<'_>> {
        match (&self.hub_only, hub_only) {
            (Some(file), true) => file.tensor(name),
            _ => self.checkpoint.tensor(name),
        }
    }

    fn write_tensor(
        &self,
        tensor: &HubTensor,
        dtype: Dtype,
        file: &mut dyn Write,
    ) -> io::Result<()> {
        let width = dtype.bitsize() / 8;
        let n: usize = tensor.shape.iter().product();
        let mut bytes = match tensor.pad {
            Some(Pad::Least) => folder::least(dtype).repeat(n),
            Some(Pad::Zero) | None => vec![0; n * width],
        };
        for &(i, piece) in &tensor.parts {
            let part = self.elements(i, piece.range()).map_err(io::Error::other)?;
            piece.alone().spread(&part, &mut bytes, width);
        }
        file.write_all(&bytes)
    }

    /// Elements of a parameter in the type to be written.
    fn elements(&self, i: usize, range: Range<usize>) -> Result<Vec<u8>> {
        let (fill, target) = (&self.plan.fills[i], &self.targets[i]);
        let (from, to) = self.dtypes[i];
        let width = from.bitsize() / 8;
        let mut bytes = vec![0; range.len() * width];
        for (name, piece) in &fill.pieces {
            let mut blocks = piece.within(range.clone()).peekable();
            if blocks.peek().is_none() {
                continue;
            }
            let tensor = self.checkpoint.tensor(name)?;
            for (hub, at, len) in blocks {
                bytes[at * width..][..len * width]
                    .copy_from_slice(&tensor.bytes[hub * width..][..len * width]);
            }
            self.checkpoint.release(name);
        }
        if from == to {
            return Ok(bytes);
        }
        let view = TensorView {
            name: &target.name,
            dtype: from,
            shape: &[range.len()],
            bytes: &bytes,
        };
        view.rounded_to(to)
    }
}

/// The type that all have.
fn one_of(found: &BTreeSet<Dtype>, name: &str) -> Result<Dtype> {
    let mut types = found.iter();
    match (types.next(), types.next()) {
        (Some(dtype), None) => Ok(*dtype),
        _ => {
            let message = format!("`{name}` would hold the types {found:?}");
            Err(Error::data(message).hint("name one with `--dtype`"))
        }
    }
}
