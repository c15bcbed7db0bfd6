//! Whole models against the references: every output and every gradient.

use crate::common::{Golden, golden_folders};
use tenon_engine::DType;
use tenon_testkit::rel_err;

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
