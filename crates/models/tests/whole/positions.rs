//! Positions of ESM-1b, whose table begins with rows for padding.

use tenon_engine::DType;
use tenon_models::predict::{Model, Options, predict};

use crate::common::{Inputs, cpu};
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
    // Positions that are given leave nothing to count.
    let mut positions: Vec<i64> = (1..=sequence.len() as i64).collect();
    positions[0] = 2;
    let positions = tensor(&[1, sequence.len()], positions);
    inputs.insert("position_ids".to_owned(), positions);
    run(&folder, &inputs, false);
}

/// The reference gives `[0, 5, 1, 6, 2]` the rows 2, 3, 1, 4 and 5, whatever the mask says.
#[test]
fn padding_that_is_not_masked_is_refused() {
    let folder = model("esm1b_small");
    let ids = |ids: [i64; 5]| Inputs::from([("input_ids".to_owned(), tensor(&[1, 5], ids.into()))]);
    let (dtype, grads) = (DType::F32, false);
    for (row, column) in [([0, 5, 1, 6, 2], 2), ([0, 5, 6, 1, 1], 3), ([1; 5], 0)] {
        let mut inputs = ids(row);
        let error = predict(Model::of(&folder), &inputs, Options { dtype, grads }, cpu());
        let place = format!("`input_ids` at row 0, column {column} is padding, but not masked");
        assert_eq!(error.unwrap_err().message(), place);
        let given = tensor(&[1, 5], vec![2, 3, 9, 4, 5]);
        inputs.insert("position_ids".to_owned(), given);
        run(&folder, &inputs, false);
    }
    // The padding of other models is a token as any other, as in their references.
    run(&model("esm2_small"), &ids([0, 5, 1, 6, 2]), false);
}
