//! Positions of ESM-1b, whose table begins with rows for padding.

use tenon_engine::DType;
use tenon_models::predict::{Model, Options, predict};

use crate::common::cpu;
use crate::packing::{model, packed, padded, run, sequences, tensor};

/// Positions are rows of the table, the first behind that of padding, as in the reference.
#[test]
fn positions_behind_padding_are_those_of_the_table() {
    let folder = model("esm1b_small");
    let sequence = &sequences(&folder)[0];
    let n = sequence.len();
    let mut inputs = packed(&folder, std::slice::from_ref(sequence));
    let usual = run(&folder, &inputs, true);
    let mut given = |from: i64| {
        let positions = tensor(&[1, n], (from..from + n as i64).collect());
        inputs.insert("position_ids".to_owned(), positions);
        let (dtype, grads) = (DType::F32, true);
        predict(Model::of(&folder), &inputs, Options { dtype, grads }, cpu())
    };
    let told = given(2).unwrap();
    assert_eq!(told.outputs, usual.outputs);
    for (from, place) in [(1, 0), (10 - n as i64 + 1, n - 1), (i64::MIN, 0)] {
        let error = given(from).unwrap_err();
        let place = format!("`position_ids` at row 0, column {place} is ");
        assert!(error.message().starts_with(&place), "{error}");
        assert!(
            error.message().ends_with("the model's are 2 to below 10"),
            "{error}"
        );
    }
}

/// Padding within a sequence is skipped by the reference of ESM-1b, which tells it by its id.
#[test]
fn padding_between_tokens_is_no_position() {
    let folder = model("esm1b_small");
    let sequence = &sequences(&folder)[0];
    let mut inputs = padded(
        &folder,
        std::slice::from_ref(sequence),
        sequence.len(),
        |_| 0,
    );
    inputs.remove("labels");
    inputs.get_mut("attention_mask").unwrap().values[1] = 0;
    run(&folder, &inputs, false);
    inputs.get_mut("input_ids").unwrap().values[1] = 1;
    let (dtype, grads) = (DType::F32, false);
    let error = predict(Model::of(&folder), &inputs, Options { dtype, grads }, cpu());
    let message = "`input_ids` at row 0, column 2 stands behind padding within its sequence";
    assert_eq!(error.unwrap_err().message(), message);
}
