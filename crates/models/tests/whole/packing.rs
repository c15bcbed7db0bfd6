//! Packing: the same sequences give the same bits however they are laid out, and inputs that make
//! no sense are refused with their place.

use proptest::prelude::*;
use tenon_base::Kind;
use tenon_base::files::RealDisk;
use tenon_engine::DType;
use tenon_models::folder::{self, Folder};
use tenon_models::predict::{Bounds, IntTensor, Model, Options, Prediction, pack, predict};

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

fn tensor(shape: &[usize], values: Vec<i64>) -> IntTensor {
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
            let whole = |o: &&tenon_models::predict::Output| {
                o.name == "loss" || o.name.starts_with("grad.")
            };
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

const BOUNDS: Bounds = Bounds {
    vocab_size: 10,
    context_len: 6,
};

/// Name, shape and values.
type Given<'a> = (&'a str, &'a [usize], &'a [i64]);

#[track_caller]
fn rejects(inputs: &[Given<'_>], message: &str) {
    let owned =
        |&(name, shape, values): &Given<'_>| (name.to_owned(), tensor(shape, values.to_vec()));
    let inputs: Inputs = inputs.iter().map(owned).collect();
    let error = pack(&inputs, BOUNDS).expect_err("accepted");
    assert_eq!(error.kind(), Kind::Data);
    assert!(
        error.message().contains(message),
        "`{}` lacks `{message}`",
        error.message()
    );
}

#[test]
fn shapes_and_names() {
    let ids: Given<'_> = ("input_ids", &[1, 2], &[1, 2]);
    rejects(&[], "`input_ids` is missing");
    rejects(&[("input_ids", &[2], &[1, 2])], "`input_ids` has shape [2]");
    rejects(
        &[ids, ("labels", &[2, 1], &[1, 2])],
        "`labels` has shape [2, 1]",
    );
    rejects(
        &[ids, ("token_type_ids", &[1, 2], &[0, 0])],
        "takes no input `token_type_ids`",
    );
}

#[test]
fn values_out_of_range_are_placed() {
    let ids: Given<'_> = ("input_ids", &[2, 2], &[1, 2, 3, 4]);
    let shape: &[usize] = &[2, 2];
    rejects(
        &[("input_ids", shape, &[1, 2, 3, 10])],
        "row 1, column 1 holds 10",
    );
    rejects(
        &[("input_ids", shape, &[1, -2, 3, 1])],
        "row 0, column 1 holds -2",
    );
    rejects(
        &[("input_ids", shape, &[1, i64::MAX, 3, 1])],
        "row 0, column 1",
    );
    rejects(
        &[ids, ("labels", shape, &[1, 2, -1, 3])],
        "`labels` at row 1, column 0 holds -1",
    );
    rejects(
        &[ids, ("attention_mask", shape, &[1, 2, 1, 1])],
        "row 0, column 1 holds 2",
    );
    rejects(
        &[ids, ("position_ids", shape, &[0, 6, 0, 0])],
        "`position_ids` at row 0, column 1",
    );
    rejects(
        &[("input_ids", &[1, 7], &[1; 7])],
        "row 0, column 6 has position 6",
    );
}

#[test]
fn labels_that_padding_cannot_have() {
    let ids: Given<'_> = ("input_ids", &[1, 4], &[1, 2, 3, 4]);
    let mask: Given<'_> = ("attention_mask", &[1, 4], &[1, 0, 1, 1]);
    rejects(
        &[ids, mask, ("labels", &[1, 4], &[1, 5, -100, 4])],
        "row 0, column 1 counts, but its token is masked",
    );
    rejects(
        &[ids, mask, ("labels", &[1, 4], &[1, -100, 3, 4])],
        "row 0, column 2 counts, but the token that would predict it is masked",
    );
}

#[test]
fn bounds_that_lie() {
    let ids: Given<'_> = ("input_ids", &[1, 4], &[1, 2, 3, 4]);
    fn bounds<'a>(shape: &'a [usize], values: &'a [i64]) -> Given<'a> {
        ("cu_seqlens", shape, values)
    }
    rejects(&[ids, bounds(&[0], &[])], "must go from 0 to the 4 tokens");
    rejects(
        &[ids, bounds(&[2], &[0, 3])],
        "must go from 0 to the 4 tokens",
    );
    rejects(
        &[ids, bounds(&[2], &[1, 4])],
        "must go from 0 to the 4 tokens",
    );
    rejects(
        &[ids, bounds(&[4], &[0, 3, 2, 4])],
        "falls after its element 1",
    );
    rejects(
        &[ids, bounds(&[4], &[0, 9, 2, 4])],
        "falls after its element 1",
    );
    rejects(&[ids, bounds(&[1, 2], &[0, 4])], "has shape [1, 2]");
    rejects(
        &[("input_ids", &[2, 2], &[1; 4]), bounds(&[2], &[0, 4])],
        "one row",
    );
    let mask = ("attention_mask", &[1usize, 4][..], &[1i64; 4][..]);
    rejects(&[ids, mask, bounds(&[2], &[0, 4])], "exclude each other");
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

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    /// Whatever the tensors hold, packing refuses them or gives a batch that keeps every promise.
    #[test]
    fn a_packed_batch_is_sane(
        shape in prop::sample::select(vec![[1, 6], [2, 3], [3, 2], [0, 4], [4, 0]]),
        ids in prop::collection::vec(-1i64..11, 6),
        mask in prop::collection::vec(-1i64..3, 6),
        labels in prop::collection::vec(prop_oneof![Just(-100i64), -2i64..11], 6),
        bounds in prop::collection::vec(-1i64..8, 0..5),
        given in prop::array::uniform3(any::<bool>()),
    ) {
        let n = shape[0] * shape[1];
        let t = |values: &Vec<i64>| tensor(&shape, values[..n].to_vec());
        let mut inputs = Inputs::from([("input_ids".to_owned(), t(&ids))]);
        let small = |values: &Vec<i64>| values.iter().map(|&v| i64::from(v > 0)).collect();
        let mask: Vec<i64> = if given[1] { small(&mask) } else { mask };
        if given[0] { inputs.insert("attention_mask".to_owned(), t(&mask)); }
        if given[1] { inputs.insert("labels".to_owned(), t(&labels)); }
        if given[2] { inputs.insert("cu_seqlens".to_owned(), tensor(&[bounds.len()], bounds)); }
        if let Ok(p) = pack(&inputs, BOUNDS) {
            prop_assert_eq!(p.ids.len(), p.places.len());
            prop_assert_eq!(p.positions.len(), p.places.len());
            prop_assert!(p.places.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert!(p.places.iter().all(|&place| place < n));
            prop_assert!(p.ids.iter().all(|&id| (0..10).contains(&id)));
            prop_assert!(p.positions.iter().all(|&at| (0..6).contains(&at)));
            prop_assert!(p.cu_seqlens.windows(2).all(|pair| pair[0] < pair[1]));
            prop_assert_eq!(*p.cu_seqlens.last().unwrap() as usize, p.places.len());
            if let Some(targets) = &p.targets {
                prop_assert_eq!(targets.len(), p.places.len());
                for &end in &p.cu_seqlens[1..] {
                    prop_assert_eq!(targets[end as usize - 1], -100);
                }
            }
        }
    }
}
