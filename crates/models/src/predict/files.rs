//! Prediction from file to file.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use tenon_base::files::Disk;
use tenon_base::{Error, Result};
use tenon_engine::{Kernels, LossSum};

use super::pack::classes::FloatTensor;
use super::pack::{Bounds, IntTensor, LABELS, Packed, pack};
use super::run::{Model, Options, Prediction, predict_packed};
use crate::checkpoint::{self, Checkpoint, Dtype, Order, Slot, TensorView};
use crate::folder;
use crate::spec::{Objective, Spec};

/// What a prediction did, for a report.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Names and shapes of the outputs.
    pub outputs: Vec<(String, Vec<usize>)>,
    /// The loss as a sum, when labels were given.
    pub loss: Option<LossSum>,
    /// What the loss counts: tokens, or sequences.
    pub objective: Objective,
    /// Tokens that ran.
    pub tokens: usize,
    /// Sequences that ran.
    pub sequences: usize,
    /// Tensors of the checkpoint that were left out under the family's allowed drops.
    pub dropped: Vec<String>,
    /// How many tensors of the checkpoint were widened from each type.
    pub widened: BTreeMap<String, usize>,
}

/// The tensors that a model runs on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    /// The integers, by name.
    pub tensors: BTreeMap<String, IntTensor>,
    /// Labels that are floats.
    pub numbers: Option<FloatTensor>,
}

impl Inputs {
    /// One batch of a model: what [`pack`] makes of the integers, with what [`Packed::give`] makes
    /// of the floats.
    pub fn pack(&self, spec: &Spec) -> Result<Packed> {
        let mut packed = pack(&self.tensors, Bounds::of(spec))?;
        if let Some(labels) = &self.numbers {
            packed.give(labels, spec.objective())?;
        }
        Ok(packed)
    }
}

/// Runs the model in a folder on the tensors of one safetensors file and writes its outputs
/// to another, in the type of the options. Gradients have the names of the folder's own tensors.
pub fn predict_files(
    disk: &dyn Disk,
    model: &Path,
    inputs: &Path,
    out: &Path,
    options: Options,
    device: Box<dyn Kernels>,
) -> Result<Facts> {
    let folder = folder::load(disk, model)?;
    let tensors = read_inputs(disk, inputs)?;
    let at = |error: Error| error.at(inputs.display().to_string());
    let packed = tensors.pack(&folder.config.spec).map_err(at)?;
    let prediction = predict_packed(Model::of(&folder), &packed, options, device).map_err(at)?;
    write_outputs(disk, out, &prediction)?;
    let dropped = folder.left_out();
    let outputs = prediction.outputs.into_iter();
    Ok(Facts {
        outputs: outputs.map(|output| (output.name, output.shape)).collect(),
        loss: prediction.loss,
        objective: folder.config.spec.objective(),
        tokens: prediction.tokens,
        sequences: prediction.sequences,
        dropped,
        widened: folder.widened,
    })
}

/// The tensors of a safetensors file: integers (I32 or I64), and `labels` that may be floats.
pub fn read_inputs(disk: &dyn Disk, path: &Path) -> Result<Inputs> {
    if !disk.exists(path)? {
        return Err(Error::data(format!(
            "there is no file `{}`",
            path.display()
        )));
    }
    let file = Checkpoint::open(disk, path)?;
    let mut inputs = Inputs::default();
    for tensor in file.tensors() {
        let read = read_input(tensor, &mut inputs);
        read.map_err(|error| error.at(path.display().to_string()))?;
    }
    Ok(inputs)
}

fn read_input(tensor: TensorView<'_>, inputs: &mut Inputs) -> Result<()> {
    let shape = tensor.shape.to_vec();
    let floats = [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::BF16];
    if tensor.name == LABELS && floats.contains(&tensor.dtype) {
        let values = tensor.to_f64()?;
        inputs.numbers = Some(FloatTensor { shape, values });
    } else {
        let values = tensor.to_i64()?;
        let tensor_of = IntTensor { shape, values };
        inputs.tensors.insert(tensor.name.to_owned(), tensor_of);
    }
    Ok(())
}

fn write_outputs(disk: &dyn Disk, path: &Path, prediction: &Prediction) -> Result<()> {
    let dtype = folder::hub_dtype(prediction.dtype);
    let slots: Vec<Slot> = prediction
        .outputs
        .iter()
        .map(|output| Slot {
            name: output.name.clone(),
            dtype,
            shape: output.shape.clone(),
        })
        .collect();
    let bytes: BTreeMap<&str, &[u8]> = prediction
        .outputs
        .iter()
        .map(|output| (output.name.as_str(), output.bytes.as_slice()))
        .collect();
    let fill = &mut |slot: &Slot, file: &mut dyn Write| file.write_all(bytes[slot.name.as_str()]);
    checkpoint::write(disk, path, &slots, Order::Sorted, &BTreeMap::new(), fill)
}
