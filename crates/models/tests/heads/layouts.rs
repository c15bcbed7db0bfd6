//! The same sequences give the same bits however they are laid out.

use tenon_engine::DType;
use tenon_models::folder::Folder;
use tenon_models::predict::{Output, Prediction};
use tenon_models::spec::Objective;

use crate::common::{Inputs, NAMES, model, run, run_with, tensor};

/// Sequences below the mask id, one of a single token.
fn sequences() -> Vec<Vec<i64>> {
    let token = |s: i64, i: i64| 4 + (s * 31 + i * i * 7 + i * 3) % 14;
    let lengths = [6, 9, 1, 3];
    let sequence = |(s, &n): (usize, &i64)| (0..n).map(|i| token(s as i64, i)).collect();
    lengths.iter().enumerate().map(sequence).collect()
}

const CLASSES: [i64; 4] = [1, -100, 0, 1];

fn of_sequences(folder: &Folder) -> bool {
    matches!(folder.config.spec.objective(), Objective::Sequence { .. })
}

fn packed(folder: &Folder, sequences: &[Vec<i64>], classes: &[i64]) -> Inputs {
    let flat = sequences.concat();
    let mut bounds = vec![0];
    for sequence in sequences {
        bounds.push(bounds.last().unwrap() + sequence.len() as i64);
    }
    let labels = match of_sequences(folder) {
        true => tensor(&[classes.len()], classes.to_vec()),
        false => tensor(&[1, flat.len()], flat.iter().map(|id| id % 2).collect()),
    };
    Inputs::from([
        ("labels".to_owned(), labels),
        ("input_ids".to_owned(), tensor(&[1, flat.len()], flat)),
        ("cu_seqlens".to_owned(), tensor(&[bounds.len()], bounds)),
    ])
}

fn padded(folder: &Folder, sequences: &[Vec<i64>], left: impl Fn(&[i64]) -> usize) -> Inputs {
    let width = 10;
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
    let labels = match of_sequences(folder) {
        true => tensor(&[CLASSES.len()], CLASSES.to_vec()),
        false => lay(-100, &|id| id % 2),
    };
    Inputs::from([
        ("input_ids".to_owned(), lay(7, &|id| id)),
        ("labels".to_owned(), labels),
        ("attention_mask".to_owned(), lay(0, &|_| 1)),
    ])
}

/// The bits of each sequence's logits; `starts` are the places of their first tokens.
fn logits(p: &Prediction, starts: &[usize], sequences: &[Vec<i64>]) -> Vec<Vec<u8>> {
    let output = p.outputs.iter().find(|o| o.name == "logits").unwrap();
    let row_bytes = output.shape.last().unwrap() * p.dtype.bytes();
    let rows = |i: usize| match output.shape.len() {
        2 => i..i + 1,
        _ => starts[i]..starts[i] + sequences[i].len(),
    };
    let bytes = |i: usize| {
        let rows = rows(i);
        output.bytes[rows.start * row_bytes..rows.end * row_bytes].to_vec()
    };
    (0..sequences.len()).map(bytes).collect()
}

fn whole(p: &Prediction) -> Vec<Output> {
    let whole = |o: &&Output| o.name == "loss" || o.name.starts_with("grad.");
    p.outputs.iter().filter(whole).cloned().collect()
}

#[test]
fn packed_padded_left_padded_and_single_agree_to_the_bit() {
    let sequences = sequences();
    for name in NAMES {
        let folder = model(name);
        let ends: Vec<usize> = (0..sequences.len())
            .map(|i| sequences[..i].iter().map(Vec::len).sum())
            .collect();
        let right: Vec<usize> = (0..sequences.len()).map(|i| i * 10).collect();
        let left: Vec<usize> = (0..sequences.len())
            .map(|i| (i + 1) * 10 - sequences[i].len())
            .collect();
        let run = |inputs: &Inputs| run(&folder, inputs, DType::F32, true);
        let base = run(&packed(&folder, &sequences, &CLASSES));
        let on_right = run(&padded(&folder, &sequences, |_| 0));
        let on_left = run(&padded(&folder, &sequences, |s| 10 - s.len()));
        let expected = logits(&base, &ends, &sequences);
        assert!(expected == logits(&on_right, &right, &sequences), "{name}");
        assert!(expected == logits(&on_left, &left, &sequences), "{name}");
        for (i, sequence) in sequences.iter().enumerate() {
            let alone = std::slice::from_ref(sequence);
            let single = run(&packed(&folder, alone, &[0]));
            let single = logits(&single, &[0], alone).remove(0);
            assert!(single.iter().any(|&byte| byte != 0));
            assert!(expected[i] == single, "{name} {i}");
        }
        assert!(whole(&base).len() > 10);
        assert!(whole(&base) == whole(&on_right), "{name}");
        assert!(whole(&base) == whole(&on_left), "{name}");
        let inputs = packed(&folder, &sequences, &CLASSES);
        let threads = run_with(&folder, &inputs, (DType::F32, true, 3)).unwrap();
        assert!(base.outputs == threads.outputs, "{name}");
    }
}

/// A row of padding has no class, no loss, and no part in the others'.
#[test]
fn an_empty_sequence_has_zeros_for_logits() {
    let folder = model("bert_sequence");
    let ids = vec![5, 6, 7, 5, 6, 7];
    let inputs = Inputs::from([
        ("input_ids".to_owned(), tensor(&[2, 3], ids)),
        (
            "attention_mask".to_owned(),
            tensor(&[2, 3], vec![0, 0, 0, 1, 1, 1]),
        ),
        ("labels".to_owned(), tensor(&[2], vec![-100, 2])),
    ]);
    let p = run(&folder, &inputs, DType::F64, false);
    let logits = p.values("logits").unwrap();
    assert_eq!(logits.len(), 6);
    assert!(logits[..3].iter().all(|&x| x == 0.0));
    let total: f64 = logits[3..].iter().map(|x| x.exp()).sum();
    let loss = p.values("loss").unwrap()[0];
    assert!((loss - (total.ln() - logits[5])).abs() < 1e-12);
    assert_eq!(p.loss.unwrap().tokens, 1);
}
