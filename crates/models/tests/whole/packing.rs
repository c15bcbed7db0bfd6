//! The same sequences give the same bits however they are laid out.

use tenon_base::files::RealDisk;
use tenon_engine::DType;
use tenon_models::folder::{self, Folder};
use tenon_models::predict::{IntTensor, Model, Options, Output, Prediction, predict};

use crate::common::{Inputs, committed, cpu};

const NAMES: [&str; 3] = ["custom_small", "gpt2_small", "llama_small"];

fn model(name: &str) -> Folder {
    folder::load(&RealDisk, &committed(name).join("model")).unwrap()
}

fn run(folder: &Folder, inputs: &Inputs, grads: bool) -> Prediction {
    let dtype = DType::F32;
    predict(Model::of(folder), inputs, Options { dtype, grads }, cpu()).unwrap()
}

/// Sequences of lengths 1 to 14 in the vocabulary of all small goldens.
fn sequences() -> Vec<Vec<i64>> {
    let token = |s: i64, i: i64| (s * 31 + i * i * 7 + i * 3 + 5) % 53;
    let lengths = [9, 14, 1, 5, 2];
    let sequence = |(s, &n): (usize, &i64)| (0..n).map(|i| token(s as i64, i)).collect();
    lengths.iter().enumerate().map(sequence).collect()
}

pub(crate) fn tensor(shape: &[usize], values: Vec<i64>) -> IntTensor {
    IntTensor {
        shape: shape.to_vec(),
        values,
    }
}

fn packed(sequences: &[Vec<i64>]) -> Inputs {
    let flat = sequences.concat();
    let mut bounds = vec![0];
    for sequence in sequences {
        bounds.push(bounds.last().unwrap() + sequence.len() as i64);
    }
    let row = |values: &Vec<i64>| tensor(&[1, flat.len()], values.clone());
    Inputs::from([
        ("input_ids".to_owned(), row(&flat)),
        ("labels".to_owned(), row(&flat)),
        ("cu_seqlens".to_owned(), tensor(&[bounds.len()], bounds)),
    ])
}

/// Rows of `width` with the sequence `left(i)` columns from the left.
fn padded(sequences: &[Vec<i64>], width: usize, left: impl Fn(&[i64]) -> usize) -> Inputs {
    let lay = |pad: i64, value: &dyn Fn(i64) -> i64| {
        let mut values = vec![pad; sequences.len() * width];
        for (row, sequence) in values.chunks_exact_mut(width).zip(sequences) {
            let at = left(sequence);
            for (cell, &token) in row[at..].iter_mut().zip(sequence) {
                *cell = value(token);
            }
        }
        tensor(&[sequences.len(), width], values)
    };
    Inputs::from([
        ("input_ids".to_owned(), lay(7, &|t| t)),
        ("labels".to_owned(), lay(-100, &|t| t)),
        ("attention_mask".to_owned(), lay(0, &|_| 1)),
    ])
}

/// An output's rows of each sequence, as bits.
fn rows(p: &Prediction, name: &str, starts: &[usize], sequences: &[Vec<i64>]) -> Vec<Vec<u8>> {
    let output = p.outputs.iter().find(|o| o.name == name).unwrap();
    let row_bytes = output.shape[2] * p.dtype.bytes();
    let bytes = |(&start, sequence): (&usize, &Vec<i64>)| {
        output.bytes[start * row_bytes..(start + sequence.len()) * row_bytes].to_vec()
    };
    starts.iter().zip(sequences).map(bytes).collect()
}

#[test]
fn packed_padded_left_padded_and_single_agree_to_the_bit() {
    let sequences = sequences();
    let width = 16;
    for name in NAMES {
        let folder = model(name);
        let packed_starts: Vec<usize> = (0..sequences.len())
            .map(|i| sequences[..i].iter().map(Vec::len).sum())
            .collect();
        let right: Vec<usize> = (0..sequences.len()).map(|i| i * width).collect();
        let left: Vec<usize> = (0..sequences.len())
            .map(|i| (i + 1) * width - sequences[i].len())
            .collect();
        let runs = [
            (run(&folder, &packed(&sequences), true), packed_starts),
            (run(&folder, &padded(&sequences, width, |_| 0), true), right),
            (
                run(
                    &folder,
                    &padded(&sequences, width, |s| width - s.len()),
                    true,
                ),
                left,
            ),
        ];
        let base = &runs[0];
        for output in base
            .0
            .outputs
            .iter()
            .filter(|o| o.shape.len() == 3 && !o.name.starts_with("grad"))
        {
            let of =
                |(p, starts): &(Prediction, Vec<usize>)| rows(p, &output.name, starts, &sequences);
            let singles: Vec<Vec<u8>> = sequences
                .iter()
                .map(|s| {
                    let mut inputs = packed(std::slice::from_ref(s));
                    inputs.remove("labels");
                    inputs.remove("cu_seqlens");
                    let p = run(&folder, &inputs, false);
                    rows(&p, &output.name, &[0], std::slice::from_ref(s)).remove(0)
                })
                .collect();
            assert!(of(base).iter().flatten().any(|&b| b != 0));
            assert!(of(base) == singles, "{name} {}", output.name);
            assert!(of(&runs[1]) == singles, "{name} {}", output.name);
            assert!(of(&runs[2]) == singles, "{name} {}", output.name);
        }
        let batch = |p: &Prediction| -> Vec<_> {
            let whole = |o: &&Output| o.name == "loss" || o.name.starts_with("grad.");
            p.outputs.iter().filter(whole).cloned().collect()
        };
        assert!(batch(&runs[0].0).len() > 10);
        assert!(batch(&runs[0].0) == batch(&runs[1].0), "{name}");
        assert!(batch(&runs[0].0) == batch(&runs[2].0), "{name}");
    }
}

#[test]
fn padding_is_zero_in_the_outputs_and_its_ids_are_never_read() {
    let folder = model("gpt2_small");
    let mut inputs = padded(&sequences()[..1], 16, |_| 3);
    inputs.get_mut("input_ids").unwrap().values[0] = -1;
    let p = run(&folder, &inputs, false);
    let logits = p.values("logits").unwrap();
    let v = logits.len() / 16;
    let shown: Vec<bool> = logits
        .chunks(v)
        .map(|row| row.iter().any(|&x| x != 0.0))
        .collect();
    let expected: Vec<bool> = (0..16).map(|c| (3..12).contains(&c)).collect();
    assert_eq!(shown, expected);
}

#[test]
fn rows_of_padding_alone_have_no_output() {
    let folder = model("llama_small");
    let inputs = Inputs::from([
        ("input_ids".to_owned(), tensor(&[2, 3], vec![1; 6])),
        (
            "attention_mask".to_owned(),
            tensor(&[2, 3], vec![0, 0, 0, 1, 1, 1]),
        ),
    ]);
    let p = run(&folder, &inputs, false);
    assert_eq!((p.tokens, p.sequences), (3, 1));
    let nothing = Inputs::from([
        ("input_ids".to_owned(), tensor(&[2, 3], vec![1; 6])),
        ("attention_mask".to_owned(), tensor(&[2, 3], vec![0; 6])),
    ]);
    let p = run(&folder, &nothing, false);
    assert_eq!((p.tokens, p.sequences), (0, 0));
    assert!(p.values("logits").unwrap().iter().all(|&x| x == 0.0));
}

/// A masked token inside a row is seen by nobody, and the tokens behind it keep their positions.
#[test]
fn a_hole_in_the_mask_hides_its_token() {
    for name in NAMES {
        let folder = model(name);
        let sequence = &sequences()[0];
        let mut inputs = padded(std::slice::from_ref(sequence), 9, |_| 0);
        inputs.remove("labels");
        inputs.get_mut("attention_mask").unwrap().values[4] = 0;
        let holed = run(&folder, &inputs, false);
        let without: Vec<i64> = (0..9).filter(|&c| c != 4).collect();
        let ids = without.iter().map(|&c| sequence[c as usize]).collect();
        let explicit = Inputs::from([
            ("input_ids".to_owned(), tensor(&[1, 8], ids)),
            ("position_ids".to_owned(), tensor(&[1, 8], without)),
        ]);
        let explicit = run(&folder, &explicit, false);
        let logits = |p: &Prediction| p.values("logits").unwrap();
        let v = logits(&holed).len() / 9;
        let mut expected = logits(&explicit);
        expected.splice(4 * v..4 * v, vec![0.0; v]);
        assert!(logits(&holed) == expected, "{name}");
    }
}

#[test]
fn no_counted_label_is_no_loss() {
    let folder = model("gpt2_small");
    let inputs = packed(&[vec![1], vec![2]]);
    let options = Options {
        dtype: DType::F32,
        grads: false,
    };
    let error = predict(Model::of(&folder), &inputs, options, cpu()).unwrap_err();
    assert!(error.message().contains("no label counts"), "{error}");
    let mut inputs = packed(&[vec![1, 2]]);
    inputs.remove("labels");
    let options = Options {
        grads: true,
        ..options
    };
    let error = predict(Model::of(&folder), &inputs, options, cpu()).unwrap_err();
    assert!(error.message().contains("needs `labels`"), "{error}");
}
