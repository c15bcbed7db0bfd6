//! The recorded models.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tenon_base::Result;
use tenon_base::files::RealDisk;
use tenon_engine::DType;
use tenon_engine::cpu::{Cpu, Isa};
use tenon_models::folder::{self, Folder};
use tenon_models::predict::{IntTensor, Model, Options, Prediction, predict, read_inputs};

pub(crate) type Inputs = BTreeMap<String, IntTensor>;

pub(crate) const NAMES: [&str; 4] = ["bert_sequence", "bert_token", "esm2_sequence", "esm2_token"];

pub(crate) fn recorded(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/heads")
        .join(name)
}

pub(crate) fn model(name: &str) -> Folder {
    folder::load(&RealDisk, &recorded(name).join("model")).unwrap()
}

pub(crate) fn inputs(name: &str) -> Inputs {
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

pub(crate) fn run(folder: &Folder, inputs: &Inputs, dtype: DType, grads: bool) -> Prediction {
    run_with(folder, inputs, (dtype, grads, 1)).unwrap()
}

pub(crate) fn tensor(shape: &[usize], values: Vec<i64>) -> IntTensor {
    IntTensor {
        shape: shape.to_vec(),
        values,
    }
}
