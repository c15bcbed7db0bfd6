//! The recorded models.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tenon_base::Result;
use tenon_base::files::RealDisk;
use tenon_engine::DType;
use tenon_engine::cpu::{Cpu, Isa};
use tenon_models::folder::{self, Folder};
use tenon_models::predict::{
    self, IntTensor, Model, Options, Prediction, predict, predict_packed, read_inputs,
};

pub(crate) type Inputs = BTreeMap<String, IntTensor>;

/// Those that tell classes.
pub(crate) const NAMES: [&str; 4] = ["bert_sequence", "bert_token", "esm2_sequence", "esm2_token"];

/// Those that tell numbers and labels.
pub(crate) const OF_NUMBERS: [&str; 3] = ["bert_numbers", "bert_labels", "esm2_number"];

pub(crate) fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/heads")
        .join(name)
}

pub(crate) fn model(name: &str) -> Folder {
    folder::load(&RealDisk, &recorded(name).join("model")).unwrap()
}

pub(crate) fn inputs(name: &str) -> Inputs {
    all_inputs(name).tensors
}

/// With labels that are floats.
pub(crate) fn all_inputs(name: &str) -> predict::Inputs {
    read_inputs(&RealDisk, &recorded(name).join("inputs.safetensors")).unwrap()
}

pub(crate) fn run_with(
    folder: &Folder,
    inputs: &Inputs,
    (dtype, grads, n_threads): (DType, bool, usize),
) -> Result<Prediction> {
    let device = Box::new(Cpu::new(n_threads, Isa::detect()));
    predict(Model::of(folder), inputs, Options { dtype, grads }, device)
}

/// What a recorded model computes of its recorded inputs, with gradients.
pub(crate) fn run_recorded(name: &str, dtype: DType) -> Prediction {
    let folder = model(name);
    let packed = all_inputs(name).pack(&folder.config.spec).unwrap();
    let device = Box::new(Cpu::new(1, Isa::detect()));
    let grads = true;
    predict_packed(
        Model::of(&folder),
        &packed,
        Options { dtype, grads },
        device,
    )
    .unwrap()
}

pub(crate) fn run(folder: &Folder, inputs: &Inputs, dtype: DType, grads: bool) -> Prediction {
    run_with(folder, inputs, (dtype, grads, 1)).unwrap()
}

pub(crate) fn tensor(shape: &[usize], values: Vec<i64>) -> IntTensor {
    IntTensor {
        shape: shape.to_vec(),
        values,
    }
}
