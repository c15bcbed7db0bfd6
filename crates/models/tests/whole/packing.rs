//! The same sequences give the same bits however they are laid out.

use tenon_base::files::RealDisk;
use tenon_engine::DType;
use tenon_engine::cpu::{Cpu, Isa};
use tenon_models::folder::{self, Folder};
use tenon_models::predict::{Bounds, IntTensor, Model, Options, Output, Prediction, predict};
use tenon_models::spec::Spec;

use crate::common::{COMMITTED, Inputs, committed, cpu};

pub(crate) fn model(name: &str) -> Folder {
    folder::load(&RealDisk, &committed(name).join("model")).unwrap()
}

pub(crate) fn run(folder: &Folder, inputs: &Inputs, grads: bool) -> Prediction {
    run_on(folder, inputs, grads, cpu())
}

fn run_on(folder: &Folder, inputs: &Inputs, grads: bool, device: Box<Cpu>) -> Prediction {
    let dtype = DType::F32;
    predict(Model::of(folder), inputs, Options { dtype, grads }, device).unwrap()
}

/// Sequences of lengths 1 up to the context in the model's vocabulary; of a masked model some
/// tokens are hidden, not equally many in each.
pub(crate) fn sequences(folder: &Folder) -> Vec<Vec<i64>> {
    let spec = &folder.config.spec;
    let (vocab, context) = (spec.vocab_size() as i64, spec.context_len() as i64);
    let mask_id = match spec {
        Spec::Encoder(spec) => spec.mask_id,
        _ => None,
    };
    let token = |s: i64, i: i64| match mask_id {
        Some(id) if i > 0 && (i * i + s) % 4 == 1 => i64::from(id),
        _ => (s * 31 + i * i * 7 + i * 3 + 5) % (vocab - 1),
    };
    // Positions of ESM-1b leave padding out.
    let is_padding = |id| Bounds::of(spec).is_padding(id);
    let token = |s, i| match token(s, i) {
        id if is_padding(id) => 0,
        id => id,
    };
    let lengths = [9, 14, 1, 5, 2].map(|n| context.min(n));
    let sequence = |(s, &n): (usize, &i64)| (0..n).map(|i| token(s as i64, i)).collect();
    lengths.iter().enumerate().map(sequence).collect()
}

/// The type of a token, for models that have types.
fn type_of(folder: &Folder, token: i64) -> Option<i64> {
    let types = folder.config.spec.token_types() as i64;
    (types > 0).then(|| token % types)
}

pub(crate) fn tensor(shape: &[usize], values: Vec<i64>) -> IntTensor {
    IntTensor {
        shape: shape.to_vec(),
        values,
    }
}

pub(crate) fn packed(folder: &Folder, sequences: &[Vec<i64>]) -> Inputs {
    let flat = sequences.concat();
    let mut bounds = vec![0];
    for sequence in sequences {
        bounds.push(bounds.last().unwrap() + sequence.len() as i64);
    }
    let row = |values: &Vec<i64>| tensor(&[1, flat.len()], values.clone());
    let mut inputs = Inputs::from([
        ("input_ids".to_owned(), row(&flat)),
        ("labels".to_owned(), row(&flat)),
        ("cu_seqlens".to_owned(), tensor(&[bounds.len()], bounds)),
    ]);
    let types: Option<Vec<i64>> = flat.iter().map(|&token| type_of(folder, token)).collect();
    if let Some(types) = types {
        inputs.insert("token_type_ids".to_owned(), row(&types));
    }
    inputs
}

/// Rows of `width` with the sequence `left(i)` columns from the left.
pub(crate) fn padded(
    folder: &Folder,
    sequences: &[Vec<i64>],
    width: usize,
    left: impl Fn(&[i64]) -> usize,
) -> Inputs {
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
    let mut inputs = Inputs::from([
        ("input_ids".to_owned(), lay(7, &|t| t)),
        ("labels".to_owned(), lay(-100, &|t| t)),
        ("attention_mask".to_owned(), lay(0, &|_| 1)),
    ]);
    if type_of(folder, 0).is_some() {
        let types = lay(0, &|t| type_of(folder, t).expect("of this model"));
        inputs.insert("token_type_ids".to_owned(), types);
    }
    inputs
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

/// The batch laid out in three ways, and where each sequence starts in it.
fn layouts(folder: &Folder, sequences: &[Vec<i64>]) -> [(Inputs, Vec<usize>); 3] {
    let width = 16;
    let n = sequences.len();
    let starts = (0..n).map(|i| sequences[..i].iter().map(Vec::len).sum());
    let right = (0..n).map(|i| i * width);
    let left = (0..n).map(|i| (i + 1) * width - sequences[i].len());
    [
        (packed(folder, sequences), starts.collect()),
        (padded(folder, sequences, width, |_| 0), right.collect()),
        (
            padded(folder, sequences, width, |s| width - s.len()),
            left.collect(),
        ),
    ]
}

/// Loss and gradients.
fn of_the_batch(p: &Prediction) -> Vec<&Output> {
    let whole = |o: &&Output| o.name == "loss" || o.name.starts_with("grad.");
    let outputs: Vec<&Output> = p.outputs.iter().filter(whole).collect();
    assert!(outputs.len() > 10);
    outputs
}

#[test]
fn packed_padded_left_padded_and_single_agree_to_the_bit() {
    for name in COMMITTED {
        let folder = model(name);
        let sequences = sequences(&folder);
        let runs = layouts(&folder, &sequences);
        let runs = runs.map(|(inputs, starts)| (run(&folder, &inputs, true), starts));
        let singles: Vec<Prediction> = sequences
            .iter()
            .map(|s| {
                let mut inputs = packed(&folder, std::slice::from_ref(s));
                inputs.remove("labels");
                inputs.remove("cu_seqlens");
                run(&folder, &inputs, false)
            })
            .collect();
        let is_row = |o: &&Output| o.shape.len() == 3 && !o.name.starts_with("grad");
        for output in runs[0].0.outputs.iter().filter(is_row) {
            let alone = singles.iter().zip(&sequences);
            let alone: Vec<Vec<u8>> = alone
                .map(|(p, s)| rows(p, &output.name, &[0], std::slice::from_ref(s)).remove(0))
                .collect();
            assert!(alone.iter().flatten().any(|&b| b != 0));
            for (p, starts) in &runs {
                let together = rows(p, &output.name, starts, &sequences);
                assert!(together == alone, "{name} {}", output.name);
            }
        }
        let [flat, right, left] = &runs;
        assert!(of_the_batch(&flat.0) == of_the_batch(&right.0), "{name}");
        assert!(of_the_batch(&flat.0) == of_the_batch(&left.0), "{name}");
    }
}

/// Losses and gradients included.
#[test]
fn threads_and_instruction_sets_agree_to_the_bit() {
    for name in COMMITTED {
        let folder = model(name);
        let [(inputs, _), ..] = layouts(&folder, &sequences(&folder));
        let on = |threads, isa| run_on(&folder, &inputs, true, Box::new(Cpu::new(threads, isa)));
        let base = on(1, Isa::Scalar).outputs;
        for isa in [Isa::Scalar, Isa::Avx2, Isa::Avx512] {
            for threads in [1, 2, 3].into_iter().filter(|_| isa.is_available()) {
                assert!(
                    on(threads, isa).outputs == base,
                    "{name}, {threads} threads, {isa:?}"
                );
            }
        }
    }
}

/// A sequence sees nothing of its neighbours: neither their hidden tokens nor their positions.
#[test]
fn neighbours_change_no_bit_of_a_sequence() {
    for name in COMMITTED {
        let folder = model(name);
        let sequences = sequences(&folder);
        let mut others = sequences.clone();
        others[0].fill(3);
        others.swap(1, 3);
        let of = |sequences: &[Vec<i64>]| {
            let p = run(&folder, &packed(&folder, sequences), false);
            let start = sequences[..4].iter().map(Vec::len).sum();
            rows(&p, "logits", &[start], &sequences[4..])
        };
        assert!(of(&sequences) == of(&others), "{name}");
    }
}

#[test]
fn padding_is_zero_in_the_outputs_and_its_ids_are_never_read() {
    let folder = model("gpt2_small");
    let mut inputs = padded(&folder, &sequences(&folder)[..1], 16, |_| 3);
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

const IN_WINDOW: &str = "stands behind a masked token, which counts in the model's window of 3";

/// A masked token inside a row is seen by nobody, and the tokens behind it keep their positions. A
/// window counts it, so that a batch without it would not be the same.
#[test]
fn a_hole_in_the_mask_hides_its_token() {
    for name in COMMITTED {
        let folder = model(name);
        let sequence = &sequences(&folder)[0];
        let n = sequence.len();
        let mut inputs = padded(&folder, std::slice::from_ref(sequence), n, |_| 0);
        inputs.remove("labels");
        inputs.get_mut("attention_mask").unwrap().values[4] = 0;
        if folder.config.spec.window().is_some() {
            let message = format!("`input_ids` at row 0, column 5 {IN_WINDOW}");
            let dtype = DType::F32;
            let options = Options {
                dtype,
                grads: false,
            };
            let error = predict(Model::of(&folder), &inputs, options, cpu()).unwrap_err();
            assert!(error.message().starts_with(&message), "{name}: {error}");
            // Where no window is exceeded nothing is wrong.
            inputs.get_mut("attention_mask").unwrap().values[3..].fill(0);
            inputs.get_mut("attention_mask").unwrap().values[1] = 0;
            run(&folder, &inputs, false);
            continue;
        }
        let holed = run(&folder, &inputs, false);
        let without: Vec<i64> = (0..n as i64).filter(|&c| c != 4).collect();
        let ids: Vec<i64> = without.iter().map(|&c| sequence[c as usize]).collect();
        let mut explicit = packed(&folder, &[ids]);
        explicit.remove("labels");
        // ESM-1b counts from the row behind that of padding.
        let first = Bounds::of(&folder.config.spec).first_position as i64;
        let places = without.iter().map(|column| column + first).collect();
        explicit.insert("position_ids".to_owned(), tensor(&[1, n - 1], places));
        let explicit = run(&folder, &explicit, false);
        let logits = |p: &Prediction| p.values("logits").unwrap();
        let v = logits(&holed).len() / n;
        let mut expected = logits(&explicit);
        expected.splice(4 * v..4 * v, vec![0.0; v]);
        assert!(logits(&holed) == expected, "{name}");
    }
}

#[test]
fn no_counted_label_is_no_loss() {
    let folder = model("gpt2_small");
    let inputs = packed(&folder, &[vec![1], vec![2]]);
    let options = Options {
        dtype: DType::F32,
        grads: false,
    };
    let error = predict(Model::of(&folder), &inputs, options, cpu()).unwrap_err();
    assert!(error.message().contains("no label counts"), "{error}");
    let mut inputs = packed(&folder, &[vec![1, 2]]);
    inputs.remove("labels");
    let options = Options {
        grads: true,
        ..options
    };
    let error = predict(Model::of(&folder), &inputs, options, cpu()).unwrap_err();
    assert!(error.message().contains("needs `labels`"), "{error}");
}
