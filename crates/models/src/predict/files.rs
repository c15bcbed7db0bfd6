//! Prediction from file to file.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use tenon_base::files::Disk;
use tenon_base::{Error, Result};
use tenon_engine::{Kernels, LossSum};

use super::pack::IntTensor;
use super::run::{Model, Options, Prediction, predict};
use crate::checkpoint::{self, Checkpoint, Order, Slot};
use crate::folder;

/// What a prediction did, for a report.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// Names and shapes of the outputs.
    pub outputs: Vec<(String, Vec<usize>)>,
    /// The loss as a sum, when labels were given.
    pub loss: Option<LossSum>,
    /// Tokens that ran.
    pub tokens: usize,
    /// Sequences that ran.
    pub sequences: usize,
    /// Tensors of the checkpoint that were left out under the family's allowed drops.
    pub dropped: Vec<String>,
    /// How many tensors of the checkpoint were widened from each type.
    pub widened: BTreeMap<String, usize>,
}

/// Runs the model in a folder on the integer tensors of one safetensors file and writes its outputs
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
    let prediction = predict(Model::of(&folder), &tensors, options, device).map_err(at)?;
    write_outputs(disk, out, &prediction)?;
    let dropped = folder.left_out();
    let outputs = prediction.outputs.into_iter();
    Ok(Facts {
        outputs: outputs.map(|output| (output.name, output.shape)).collect(),
        loss: prediction.loss,
        tokens: prediction.tokens,
        sequences: prediction.sequences,
        dropped,
        widened: folder.widened,
    })
}

/// The integer tensors (I32 or I64) of a safetensors file.
pub fn read_inputs(disk: &dyn Disk, path: &Path) -> Result<BTreeMap<String, IntTensor>> {
    if !disk.exists(path)? {
        return Err(Error::data(format!(
            "there is no file `{}`",
            path.display()
        )));
    }
    let file = Checkpoint::open(disk, path)?;
    let read = |tensor: checkpoint::TensorView<'_>| {
        let values = tensor.to_i64()?;
        let shape = tensor.shape.to_vec();
        Ok((tensor.name.to_owned(), IntTensor { shape, values }))
    };
    let tensors: Result<_> = file.tensors().map(read).collect();
    tensors.map_err(|error: Error| error.at(path.display().to_string()))
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
