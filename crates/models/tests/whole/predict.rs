//! Whole models against the references: every output and every gradient.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use tenon_base::Kind;
use tenon_base::files::RealDisk;
use tenon_engine::DType;
use tenon_models::checkpoint::{Checkpoint, Dtype, Order, Slot, TensorView, write};
use tenon_models::folder;
use tenon_models::predict::{Options, predict_files};
use tenon_testkit::rel_err;

use crate::common::{Golden, committed, cpu, golden_folders};

/// Compares everything that the reference computed; returns the worst relative error and its
/// tensor.
fn compare(golden: &Golden, dtype: DType, each: impl Fn(&str, &[f64], &[f64])) -> (f64, String) {
    let prediction = golden.predict(dtype);
    let mut worst = (0.0, String::new());
    for tensor in golden.expected.tensors() {
        let ours = prediction
            .outputs
            .iter()
            .find(|output| output.name == tensor.name)
            .unwrap_or_else(|| panic!("no output `{}`", tensor.name));
        let shape = if tensor.name == "loss" {
            &[1]
        } else {
            tensor.shape
        };
        assert_eq!(ours.shape, shape, "{}", tensor.name);
        let ours = prediction.values(tensor.name).unwrap();
        let (ours, theirs) = golden.pair(tensor, ours);
        each(tensor.name, &ours, &theirs);
        let error = rel_err(&ours, &theirs);
        assert!(!error.is_nan(), "{}", tensor.name);
        if error >= worst.0 {
            worst = (error, tensor.name.to_owned());
        }
    }
    assert_eq!(prediction.outputs.len(), golden.expected.names().len());
    worst
}

#[test]
fn f64_agrees_to_rounding() {
    for path in golden_folders() {
        let (error, name) = compare(&Golden::open(&path), DType::F64, |name, ours, theirs| {
            for (a, b) in ours.iter().zip(theirs) {
                assert!(
                    (a - b).abs() <= 1e-8 + 1e-5 * b.abs(),
                    "{name}: {a} instead of {b}"
                );
            }
        });
        let shown = path.display();
        assert!(error <= 1e-9, "{shown}: `{name}` misses by {error:.2e}");
    }
}

#[test]
fn f32_agrees_to_its_precision() {
    for path in golden_folders() {
        let (error, name) = compare(&Golden::open(&path), DType::F32, |_, _, _| {});
        let shown = path.display();
        assert!(error <= 3e-6, "{shown}: `{name}` misses by {error:.2e}");
    }
}

/// From a name that we write to another.
type Rename = fn(&str) -> String;

/// A checkpoint may have names that we read and do not write.
#[test]
fn gradients_have_the_names_of_the_file() {
    let gamma = |name: &str| {
        let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
        name.replace("LayerNorm.bias", "LayerNorm.beta")
    };
    let bare = |name: &str| name.replace("transformer.", "");
    let of_recipe = |name: &str| {
        let name = name.replace("encoder.layers", "layers");
        let name = name.replace("lm_head.dense", "cls.0");
        format!(
            "model.{}",
            name.replace("lm_head.layer_norm_linear", "cls.2")
        )
    };
    let renamed: [(&str, Rename); 3] = [
        ("bert_small", gamma),
        ("gpt2_small", bare),
        ("codonfm_plain_small", of_recipe),
    ];
    for (name, rename) in renamed {
        let mut golden = Golden::open(&committed(name));
        let expected = golden.predict(DType::F64);
        let dir = renamed_copy(&committed(name).join("model"), rename);
        golden.folder = folder::load(&RealDisk, dir.path()).unwrap();
        let found = golden.predict(DType::F64);
        let file = Checkpoint::open(&RealDisk, dir.path()).unwrap();
        let mut n_grads = 0;
        for (ours, theirs) in found.outputs.iter().zip(&expected.outputs) {
            assert_eq!(ours.bytes, theirs.bytes, "{name} {}", ours.name);
            let Some(tensor) = ours.name.strip_prefix("grad.") else {
                continue;
            };
            assert_eq!(file.tensor(tensor).unwrap().shape, ours.shape, "{tensor}");
            n_grads += 1;
        }
        assert_eq!(n_grads, file.names().len(), "{name}");
        let names = [&found, &expected].map(|done| done.outputs.iter().map(|o| o.name.clone()));
        let [ours, theirs] = names.map(Iterator::collect::<Vec<String>>);
        assert_ne!(ours, theirs);
    }
}

/// The same model, its tensors under other names.
fn renamed_copy(model: &Path, rename: Rename) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::copy(model.join("config.json"), dir.path().join("config.json")).unwrap();
    let file = Checkpoint::open(&RealDisk, model).unwrap();
    let tensors: BTreeMap<String, _> = file.tensors().map(|t| (rename(t.name), t)).collect();
    let slot = |(name, tensor): (&String, &TensorView<'_>)| Slot {
        name: name.clone(),
        dtype: tensor.dtype,
        shape: tensor.shape.to_vec(),
    };
    let slots: Vec<Slot> = tensors.iter().map(slot).collect();
    let fill = &mut |slot: &Slot, file: &mut dyn Write| file.write_all(tensors[&slot.name].bytes);
    let path = dir.path().join("model.safetensors");
    write(
        &RealDisk,
        &path,
        &slots,
        Order::Given,
        &BTreeMap::new(),
        fill,
    )
    .unwrap();
    dir
}

/// From file to file: the tensors that [`predict`] returns, in the type that was asked for.
///
/// [`predict`]: tenon_models::predict::predict
#[test]
fn files_hold_what_was_predicted() {
    let golden = committed("custom_small");
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.safetensors");
    for (dtype, on_disk) in [(DType::F32, Dtype::F32), (DType::F64, Dtype::F64)] {
        let (model, inputs) = (golden.join("model"), golden.join("inputs.safetensors"));
        let options = Options { dtype, grads: true };
        let facts = predict_files(&RealDisk, &model, &inputs, &out, options, cpu()).unwrap();
        let expected = Golden::open(&golden).predict(dtype);
        let file = Checkpoint::open(&RealDisk, &out).unwrap();
        assert_eq!(file.names().len(), expected.outputs.len());
        for output in &expected.outputs {
            let tensor = file.tensor(&output.name).unwrap();
            assert_eq!(
                (tensor.dtype, tensor.shape),
                (on_disk, output.shape.as_slice())
            );
            assert!(tensor.bytes == output.bytes, "{}", output.name);
            assert!(
                facts
                    .outputs
                    .contains(&(output.name.clone(), output.shape.clone()))
            );
        }
        assert_eq!((facts.tokens, facts.sequences), (34, 4));
        assert_eq!(facts.loss, expected.loss);
    }
}

#[test]
fn files_that_are_no_inputs_are_named() {
    let golden = committed("gpt2_small");
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.safetensors");
    let refused = |inputs: &Path| {
        let options = Options {
            dtype: DType::F32,
            grads: false,
        };
        let model = golden.join("model");
        let error = predict_files(&RealDisk, &model, inputs, &out, options, cpu()).unwrap_err();
        assert_eq!(error.kind(), Kind::Data, "{error}");
        assert!(!out.exists());
        error.to_string()
    };
    assert!(refused(&dir.path().join("absent")).contains("there is no file"));
    let weights = golden.join("model/model.safetensors");
    assert!(refused(&weights).contains("expected an integer tensor"));
    let shifted = dir.path().join("shifted.safetensors");
    let slot = Slot {
        name: "input_ids".to_owned(),
        dtype: Dtype::I32,
        shape: vec![1, 1],
    };
    let fill = &mut |_: &Slot, file: &mut dyn Write| file.write_all(&61i32.to_le_bytes());
    let none = BTreeMap::new();
    write(&RealDisk, &shifted, &[slot], Order::Given, &none, fill).unwrap();
    let message = refused(&shifted);
    assert!(
        message.contains("outside the vocabulary of 61"),
        "{message}"
    );
    assert!(message.contains("shifted.safetensors"), "{message}");
}
