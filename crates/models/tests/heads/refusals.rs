//! Labels that make no sense are refused with their place.

use tenon_base::Kind;
use tenon_engine::DType;
use tenon_models::predict::{Model, Pool, Sequences};

use crate::common::{Inputs, inputs, model, run_with, tensor};
use tenon_engine::cpu::{Cpu, Isa};

#[track_caller]
fn refused(name: &str, change: impl FnOnce(&mut Inputs), message: &str) {
    let mut inputs = inputs(name);
    change(&mut inputs);
    let error = run_with(&model(name), &inputs, (DType::F32, false, 1)).expect_err("accepted");
    assert_eq!(error.kind(), Kind::Data);
    assert!(error.to_string().contains(message), "`{error}`");
}

fn label(inputs: &mut Inputs, i: usize, value: i64) {
    inputs.get_mut("labels").unwrap().values[i] = value;
}

#[test]
fn classes_of_sequences() {
    let name = "bert_sequence";
    let outside = "`labels` of sequence 1 is 3, the model has 3 classes";
    refused(name, |inputs| label(inputs, 1, 3), outside);
    refused(name, |inputs| label(inputs, 1, -1), "is -1");
    // A label a token is what other heads take.
    let ids = |inputs: &mut Inputs| {
        let ids = inputs["input_ids"].clone();
        inputs.insert("labels".to_owned(), ids);
    };
    refused(name, ids, "has shape [4, 10], there are 4 sequences");
    let hide = |inputs: &mut Inputs| {
        inputs.get_mut("attention_mask").unwrap().values[10..20].fill(0);
    };
    refused(
        name,
        hide,
        "`labels` of sequence 1 counts, but it has no token",
    );
    let none = |inputs: &mut Inputs| {
        inputs.insert("labels".to_owned(), tensor(&[4], vec![-100; 4]));
    };
    refused(name, none, "no label counts");
    let packed = |inputs: &mut Inputs| {
        inputs.remove("attention_mask");
        inputs.remove("token_type_ids");
        inputs.insert("input_ids".to_owned(), tensor(&[1, 5], vec![5; 5]));
        inputs.insert("cu_seqlens".to_owned(), tensor(&[4], vec![0, 2, 2, 5]));
        inputs.insert("labels".to_owned(), tensor(&[3], vec![0, 1, 2]));
    };
    refused(
        name,
        packed,
        "`labels` of sequence 1 counts, but it has no token",
    );
}

#[test]
fn classes_of_tokens() {
    let name = "esm2_token";
    let outside = "`labels` at row 0, column 4 holds 2, the model has 2 classes";
    refused(name, |inputs| label(inputs, 4, 2), outside);
    let padding = "`labels` at row 1, column 9 counts, but its token is masked";
    refused(name, |inputs| label(inputs, 19, 0), padding);
    let one = |inputs: &mut Inputs| {
        inputs.insert("labels".to_owned(), tensor(&[4], vec![0; 4]));
    };
    refused(name, one, "`labels` has shape [4]");
}

/// Vectors come from the encoder alone; probabilities of tokens there are none.
#[test]
fn sequences_have_vectors_but_no_mutations() {
    let folder = model("esm2_sequence");
    let device = || -> Box<dyn tenon_engine::Kernels> { Box::new(Cpu::new(1, Isa::detect())) };
    let sequences = Sequences {
        model: Model::of(&folder),
        dtype: DType::F64,
        device: &device,
    };
    let ids = vec![vec![4, 5, 6], vec![7]];
    let vectors = sequences
        .embed(&ids, &[], Pool::First, &mut |_| ())
        .unwrap();
    assert_eq!((vectors.len(), vectors[0].len()), (2, 8));
    let error = sequences.masked_log_probs(&ids[0], &[1], 18, &mut |_| ());
    let error = error.unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert!(error.message().contains("tells classes"), "{error}");
}
