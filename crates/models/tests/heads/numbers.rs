//! Heads that tell numbers or labels: the recorded models under another `problem_type`.

use tenon_base::Kind;
use tenon_engine::cpu::{Cpu, Isa};
use tenon_engine::{DType, Kernels};
use tenon_models::folder::Folder;
use tenon_models::gradcheck::{self, gradcheck};
use tenon_models::net::Outputs;
use tenon_models::predict::{
    Bounds, FloatTensor, Model, Options, Prediction, Sequences, pack, predict_packed, run,
};
use tenon_models::spec::{Head, Problem, Spec};

use crate::common::{all_inputs, inputs, model, run_with};

const PROBLEMS: [Problem; 2] = [Problem::Regression, Problem::MultiLabel];

fn cpu() -> Box<dyn Kernels> {
    Box::new(Cpu::new(1, Isa::detect()))
}

/// The recorded model of BERT with three outputs, which are something else.
fn told(problem: Problem) -> Folder {
    let mut folder = model("bert_sequence");
    let Spec::Encoder(encoder) = &mut folder.config.spec else {
        panic!("an encoder");
    };
    let n_classes = 3;
    encoder.head = Head::Sequence { n_classes, problem };
    folder
}

/// Losses and logits of the recorded sequences against given numbers; the third does not count.
fn compared(folder: &Folder, given: &[f64]) -> Prediction {
    let mut inputs = inputs("bert_sequence");
    inputs.remove("labels");
    let spec = &folder.config.spec;
    let mut packed = pack(&inputs, Bounds::of(spec)).unwrap();
    packed.targets = Some(vec![0, 0, -100, 0]);
    packed.given = given.to_vec();
    let graph = spec.graph(&Outputs::inspecting(true));
    let (dtype, grads) = (DType::F64, true);
    run(
        Model::of(folder),
        graph,
        &packed,
        Options { dtype, grads },
        cpu(),
    )
    .unwrap()
}

/// By their definitions, and one step against the gradient lowers them.
#[test]
fn losses_are_means_over_sequences_that_count_and_outputs() {
    let given: Vec<f64> = (0..12).map(|i| f64::from(i % 2)).collect();
    for problem in PROBLEMS {
        let prediction = compared(&told(problem), &given);
        let logits = prediction.values("logits").unwrap();
        assert_eq!(logits.len(), 12);
        let each = logits.iter().zip(&given).map(|(&y, &t)| match problem {
            Problem::Regression => (y - t).powi(2),
            _ => -(t * (1.0 / (1.0 + (-y).exp())).ln() + (1.0 - t) * (1.0 / (1.0 + y.exp())).ln()),
        });
        let counted = each.enumerate().filter(|(i, _)| i / 3 != 2);
        let expected: f64 = counted.map(|(_, loss)| loss).sum::<f64>() / 9.0;
        let loss = prediction.values("loss").unwrap()[0];
        assert!(
            (loss - expected).abs() < 1e-12,
            "{problem:?}: {loss}, not {expected}"
        );
        // d loss / d bias of an output is the mean slope of its column.
        let bias = prediction.values("grad.classifier.bias").unwrap();
        let slope = |i: usize| match problem {
            Problem::Regression => 2.0 * (logits[i] - given[i]),
            _ => 1.0 / (1.0 + (-logits[i]).exp()) - given[i],
        };
        for (c, bias) in bias.iter().enumerate() {
            let expected = [c, c + 3, c + 9].map(slope).iter().sum::<f64>() / 9.0;
            assert!((bias - expected).abs() < 1e-12, "{problem:?} {c}");
        }
    }
}

#[test]
fn derivatives_are_those_of_differences() {
    for problem in PROBLEMS {
        let spec = told(problem).config.spec;
        let report = gradcheck(&spec, None, gradcheck::Options::plain(3), cpu()).unwrap();
        assert!(report.passed(), "{problem:?} {:?}", report.worst());
    }
}

/// Integers are classes, floats are numbers and labels.
#[test]
fn labels_of_another_type_are_refused() {
    let folder = told(Problem::Regression);
    let error = run_with(&folder, &inputs("bert_sequence"), (DType::F32, false, 1)).unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert!(error.message().contains("`regression`"), "{error}");
    assert!(error.to_string().contains("give floats"), "{error}");
    let inputs = all_inputs("bert_numbers");
    for name in ["bert_sequence", "bert_token"] {
        let error = inputs.pack(&model(name).config.spec).unwrap_err();
        assert!(error.to_string().contains("give integers"), "{error}");
    }
}

/// Of the recorded inputs, with other labels.
#[track_caller]
fn refused(name: &str, shape: &[usize], values: &[f64], message: &str) {
    let mut inputs = all_inputs(name);
    let (shape, values) = (shape.to_vec(), values.to_vec());
    inputs.numbers = Some(FloatTensor { shape, values });
    let error = inputs.pack(&model(name).config.spec).unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert!(error.to_string().contains(message), "{error}");
}

#[test]
fn floats_that_are_no_answers_are_refused() {
    let mut values = [0.5; 12];
    let shape = "has shape [3, 4] instead of [4, 3]";
    refused("bert_numbers", &[3, 4], &values, shape);
    refused("bert_numbers", &[12], &values, "has shape [12]");
    refused("bert_numbers", &[4, 3], &values[..11], "has 11 values");
    refused("bert_numbers", &[4, 3], &[0.5; 13], "has 13 values");
    values[7] = f64::NAN;
    let place = "of sequence 2, output 1 is NaN, no finite number";
    refused("bert_numbers", &[4, 3], &values, place);
    refused("bert_labels", &[4, 3], &values, "no probability");
    values[7] = -100.0;
    let place = "of sequence 2, output 1 is -100, no probability";
    refused("bert_labels", &[4, 3], &values, place);
    // A number a sequence may be a column or a row.
    let of_column = |shape: &[usize]| {
        let mut inputs = all_inputs("esm2_number");
        inputs.numbers.as_mut().unwrap().shape = shape.to_vec();
        inputs.pack(&model("esm2_number").config.spec).unwrap()
    };
    assert_eq!(of_column(&[4]), of_column(&[4, 1]));
    let mut hidden = all_inputs("esm2_number");
    let mask = hidden.tensors.get_mut("attention_mask").unwrap();
    mask.values[10..20].fill(0);
    let error = hidden.pack(&model("esm2_number").config.spec).unwrap_err();
    let message = "of sequence 1 counts, but it has no token";
    assert!(error.message().contains(message), "{error}");
}

/// Finite in 64 bits, it would be an infinite loss in 32.
#[test]
fn a_number_beyond_f32_is_refused_there_alone() {
    let folder = model("bert_numbers");
    let mut inputs = all_inputs("bert_numbers");
    inputs.numbers.as_mut().unwrap().values[5] = -1e39;
    let packed = inputs.pack(&folder.config.spec).unwrap();
    let loss = |dtype| {
        let (model, grads) = (Model::of(&folder), false);
        predict_packed(model, &packed, Options { dtype, grads }, cpu())
    };
    let error = loss(DType::F32).unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert!(
        error.message().contains("no finite number in f32"),
        "{error}"
    );
    let loss = loss(DType::F64).unwrap().loss.unwrap();
    assert!(loss.mean().unwrap().is_finite());
}

/// A row a sequence, or a row a token, whatever stands beside it in a batch.
#[test]
fn outputs_of_heads_are_those_of_each_sequence_alone() {
    let ids = [vec![4, 5, 6], vec![7], vec![8, 9]];
    for (name, width, of_tokens) in [("esm2_sequence", 4, false), ("esm2_token", 2, true)] {
        let folder = model(name);
        let sequences = Sequences {
            model: Model::of(&folder),
            dtype: DType::F64,
            device: &cpu,
        };
        let all = sequences.head_outputs(&ids, &mut |_| ()).unwrap();
        for (outputs, ids) in all.iter().zip(&ids) {
            let rows = if of_tokens { ids.len() } else { 1 };
            assert_eq!(outputs.len(), rows * width, "{name}");
            let alone = sequences
                .head_outputs(std::slice::from_ref(ids), &mut |_| ())
                .unwrap();
            assert_eq!(*outputs, alone[0], "{name}");
        }
    }
}
