//! Every number that the reference computed.

use tenon_base::files::RealDisk;
use tenon_engine::DType;
use tenon_engine::cpu::{Cpu, Isa};
use tenon_models::checkpoint::Checkpoint;
use tenon_models::gradcheck::{self, gradcheck};
use tenon_models::predict::Output;
use tenon_testkit::rel_err;

use crate::common::{NAMES, OF_NUMBERS, inputs, model, recorded, run_recorded};

/// The worst relative error over all that was recorded, at positions with mask 1.
fn compare(name: &str, dtype: DType) -> (f64, String) {
    let inputs = inputs(name);
    let prediction = run_recorded(name, dtype);
    let expected = recorded(name).join("expected.safetensors");
    let expected = Checkpoint::open(&RealDisk, &expected).unwrap();
    assert_eq!(prediction.outputs.len(), expected.names().len(), "{name}");
    let mask = &inputs["attention_mask"];
    let mut worst = (0.0, String::new());
    for tensor in expected.tensors() {
        // `transformers` 5 saves the norms of ESM-2 under old names, and gradients keep them.
        let of_tensor = |output: &&Output| output.name == tensor.name;
        let output = prediction.outputs.iter().find(of_tensor).unwrap();
        assert_eq!(output.shape, tensor.shape, "{name} {}", tensor.name);
        let shown = |values: Vec<f64>| -> Vec<f64> {
            if tensor.shape.len() != 3 {
                return values;
            }
            let rows = values.chunks_exact(tensor.shape[2]).zip(&mask.values);
            rows.filter(|(_, m)| **m == 1)
                .flat_map(|(row, _)| row.to_vec())
                .collect()
        };
        let ours = shown(prediction.values(tensor.name).unwrap());
        let theirs = shown(tensor.to_f64().unwrap());
        assert!(theirs.iter().any(|&x| x != 0.0) || tensor.name.ends_with("key.bias"));
        let error = rel_err(&ours, &theirs);
        assert!(!error.is_nan(), "{name} {}", tensor.name);
        if error >= worst.0 {
            worst = (error, tensor.name.to_owned());
        }
    }
    worst
}

#[test]
fn f64_agrees_to_rounding() {
    for name in NAMES.into_iter().chain(OF_NUMBERS) {
        let (error, tensor) = compare(name, DType::F64);
        assert!(error <= 1e-9, "{name}: `{tensor}` misses by {error:.2e}");
    }
}

#[test]
fn f32_agrees_to_its_precision() {
    for name in NAMES.into_iter().chain(OF_NUMBERS) {
        let (error, tensor) = compare(name, DType::F32);
        assert!(error <= 3e-6, "{name}: `{tensor}` misses by {error:.2e}");
    }
}

#[test]
fn derivatives_agree_with_differences() {
    for name in NAMES {
        let folder = model(name);
        let device = Box::new(Cpu::new(1, Isa::detect()));
        let options = gradcheck::Options::plain(1);
        let report = gradcheck(&folder.config.spec, None, options, device).unwrap();
        assert!(report.passed(), "{name}: {report:?}");
        let head = |t: &&gradcheck::TensorReport| t.name.starts_with("head.");
        let n_head = report.tensors.iter().filter(head).count();
        assert_eq!(n_head, if name.ends_with("sequence") { 4 } else { 2 });
    }
}
