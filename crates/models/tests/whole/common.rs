//! Goldens and devices for the tests of whole models.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tenon_base::files::RealDisk;
use tenon_engine::DType;
use tenon_engine::cpu::{Cpu, Isa};
use tenon_models::checkpoint::{Checkpoint, TensorView};
use tenon_models::folder::{self, Folder};
use tenon_models::predict::{IntTensor, Model, Options, Prediction, predict, read_inputs};
use tenon_testkit::shared_goldens;

pub(crate) type Inputs = BTreeMap<String, IntTensor>;

pub(crate) fn cpu() -> Box<Cpu> {
    Box::new(Cpu::new(1, Isa::detect()))
}

pub(crate) fn committed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/goldens")
        .join(name)
}

/// The folders of `tests/goldens`, by family.
pub(crate) const COMMITTED: [&str; 20] = [
    "custom_small",
    "gpt2_small",
    "gpt2_scores_small",
    "llama_small",
    "llama3_rope_small",
    "linear_rope_small",
    "yarn_rope_small",
    "mistral_small",
    "qwen2_small",
    "qwen3_small",
    "mixtral_small",
    "unbalanced_small",
    "bert_small",
    "geneformer_small",
    "esm2_small",
    "esm2_norm_small",
    "esm1b_small",
    "amplify_small",
    "codonfm_small",
    "codonfm_plain_small",
];

const SHARED: [&str; 12] = [
    "amplify",
    "bert",
    "encodon",
    "esm2",
    "geneformer",
    "gpt2",
    "llama_gqa",
    "llama3_rope",
    "mistral",
    "mixtral",
    "qwen2",
    "qwen3",
];

/// The folders of the goldens whose families are supported; the shared ones may be absent.
pub(crate) fn golden_folders() -> Vec<PathBuf> {
    let small = COMMITTED.map(committed);
    let shared = SHARED.into_iter().filter_map(shared_goldens);
    small.into_iter().chain(shared).collect()
}

/// A golden: model, inputs and what the reference computed.
pub(crate) struct Golden {
    pub(crate) folder: Folder,
    pub(crate) inputs: Inputs,
    pub(crate) expected: Checkpoint,
}

impl Golden {
    pub(crate) fn open(path: &Path) -> Golden {
        Golden {
            folder: folder::load(&RealDisk, &path.join("model")).unwrap(),
            inputs: read_inputs(&RealDisk, &path.join("inputs.safetensors"))
                .unwrap()
                .tensors,
            expected: Checkpoint::open(&RealDisk, &path.join("expected.safetensors")).unwrap(),
        }
    }

    pub(crate) fn predict(&self, dtype: DType) -> Prediction {
        let options = Options { dtype, grads: true };
        predict(Model::of(&self.folder), &self.inputs, options, cpu()).unwrap()
    }

    /// The values of an expected tensor and ours, at positions with mask 1 where there are
    /// positions.
    pub(crate) fn pair(&self, tensor: TensorView<'_>, ours: Vec<f64>) -> (Vec<f64>, Vec<f64>) {
        let theirs = tensor.to_f64().unwrap();
        assert_eq!(ours.len(), theirs.len(), "{}", tensor.name);
        let mask = &self.inputs["attention_mask"];
        if tensor.shape.len() != 3 || tensor.shape[..2] != mask.shape {
            return (ours, theirs);
        }
        let width = tensor.shape[2];
        let shown = |values: Vec<f64>| -> Vec<f64> {
            let rows = values.chunks_exact(width).zip(&mask.values);
            rows.filter(|(_, m)| **m == 1)
                .flat_map(|(row, _)| row.to_vec())
                .collect()
        };
        (shown(ours), shown(theirs))
    }
}
