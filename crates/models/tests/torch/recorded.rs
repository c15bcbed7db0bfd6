//! What PyTorch wrote (`scripts/record_checkpoints.py`) is read with its exact values.

use std::fs;

use tenon_base::files::RealDisk;
use tenon_models::checkpoint::{Checkpoint, Dtype, PlainValue, read_plain};

use super::asm::{Asm, files, proto4};

fn open(name: &str) -> Checkpoint {
    Checkpoint::open(&RealDisk, &files().join(name)).unwrap()
}

/// `n` numbers from `start` on.
fn counted(start: usize, n: usize) -> Vec<f32> {
    (start..start + n).map(|i| i as f32).collect()
}

#[track_caller]
fn floats(checkpoint: &Checkpoint, name: &str, shape: &[usize], values: &[f32]) {
    let tensor = checkpoint.tensor(name).unwrap();
    assert_eq!(tensor.shape, shape, "{name}");
    assert_eq!(tensor.to_f32().unwrap(), values, "{name}");
}

#[test]
fn every_type_of_elements() {
    let checkpoint = open("kinds.bin");
    for (name, dtype) in [
        ("float32", Dtype::F32),
        ("float16", Dtype::F16),
        ("bfloat16", Dtype::BF16),
        ("float64", Dtype::F64),
    ] {
        assert_eq!(checkpoint.tensor(name).unwrap().dtype, dtype);
        floats(&checkpoint, name, &[2, 3], &counted(1, 6));
    }
    let bytes = |name: &str| {
        let tensor = checkpoint.tensor(name).unwrap();
        (tensor.dtype, tensor.bytes.to_vec())
    };
    let one_to_six = |n_bytes: usize| -> Vec<u8> {
        let wide = (1..7u64).map(|i| i.to_le_bytes());
        wide.flat_map(|wide| wide[..n_bytes].to_vec()).collect()
    };
    assert_eq!(bytes("int64"), (Dtype::I64, one_to_six(8)));
    assert_eq!(bytes("int32"), (Dtype::I32, one_to_six(4)));
    assert_eq!(bytes("int16"), (Dtype::I16, one_to_six(2)));
    assert_eq!(bytes("int8"), (Dtype::I8, one_to_six(1)));
    assert_eq!(bytes("uint8"), (Dtype::U8, one_to_six(1)));
    assert_eq!(bytes("uint16"), (Dtype::U16, one_to_six(2)));
    // Sign, 4 bits of exponent with bias 7, 3 of fraction.
    let small = vec![0x38, 0x40, 0x44, 0x48, 0x4a, 0x4c];
    assert_eq!(bytes("float8_e4m3fn"), (Dtype::F8_E4M3, small));
    assert_eq!(bytes("bool"), (Dtype::BOOL, vec![1, 0, 1]));
    floats(&checkpoint, "scalar", &[], &[7.0]);
    floats(&checkpoint, "empty", &[0, 3], &[]);
    assert_eq!(checkpoint.skipped().collect::<Vec<_>>(), ["version"]);
}

#[test]
fn views_parameters_and_metadata_in_each_format() {
    for name in ["views.bin", "legacy.bin", "legacy_4.bin"] {
        let checkpoint = open(name);
        let whole = counted(0, 24);
        floats(&checkpoint, "whole", &[4, 6], &whole);
        floats(&checkpoint, "tied", &[4, 6], &whole);
        floats(&checkpoint, "rows", &[2, 6], &whole[6..18]);
        let columns = [2.0, 3.0, 8.0, 9.0, 14.0, 15.0, 20.0, 21.0];
        floats(&checkpoint, "columns", &[4, 2], &columns);
        let transposed: Vec<f32> = (0..24).map(|i| whole[i % 4 * 6 + i / 4]).collect();
        floats(&checkpoint, "transposed", &[6, 4], &transposed);
        let at = |i: usize| 100 + i / 6 + i % 6 / 3 * 12 + i % 3 * 4;
        let permuted: Vec<f32> = (0..24).map(|i| at(i) as f32).collect();
        floats(&checkpoint, "permuted", &[4, 2, 3], &permuted);
        floats(&checkpoint, "parameter", &[3], &counted(50, 3));
        floats(&checkpoint, "marked", &[2], &counted(60, 2));
        assert_eq!(checkpoint.skipped().count(), 0);
        let tied = checkpoint.tensor("tied").unwrap();
        assert!(std::ptr::eq(
            tied.bytes,
            checkpoint.tensor("whole").unwrap().bytes
        ));
    }
}

#[test]
fn what_is_kept_outlives_the_checkpoint() {
    let checkpoint = open("views.bin");
    let kept: Vec<_> = checkpoint
        .tensors()
        .map(|t| (t.bytes.to_vec(), checkpoint.keep(&t)))
        .collect();
    for name in ["whole", "transposed"] {
        checkpoint.release(name);
    }
    drop(checkpoint);
    assert!(kept.iter().all(|(bytes, kept)| *bytes == **kept));
}

#[test]
fn a_training_script_s_checkpoint() {
    let checkpoint = open("training.pt");
    assert_eq!(
        checkpoint.names().collect::<Vec<_>>(),
        ["0.bias", "0.weight", "1.bias", "1.weight"]
    );
    floats(&checkpoint, "0.weight", &[2, 3], &counted(0, 6));
    floats(&checkpoint, "1.bias", &[2], &counted(30, 2));
    assert_eq!(
        checkpoint.skipped().collect::<Vec<_>>(),
        ["epoch", "optimizer_state_dict", "best", "config"]
    );
}

#[test]
fn an_archive_saved_without_checksums() {
    floats(&open("unchecked.bin"), "a", &[2], &[1.0, 2.0]);
}

/// Python starts a new frame every 64 kB, and leaves large texts outside of them.
#[test]
fn plain_data_in_several_frames() {
    let frame = |asm: Asm, n: u8| asm.raw(&[0x95, n, 0, 0, 0, 0, 0, 0, 0]);
    let first = frame(proto4(), 3).raw(b"](N");
    let pickle = frame(first.text("outside"), 2).raw(b"e.").0;
    let list = vec![PlainValue::None, PlainValue::Text("outside".to_owned())];
    assert_eq!(read_plain(&pickle).unwrap(), PlainValue::List(list));
}

#[test]
fn plain_data_of_every_protocol() {
    let text = |text: &str| PlainValue::Text(text.to_owned());
    let ints = |numbers: &[i64]| {
        numbers
            .iter()
            .map(|&n| PlainValue::Int(n))
            .collect::<Vec<_>>()
    };
    let truths = vec![PlainValue::Bool(true), PlainValue::Bool(false)];
    let integers = ints(&[0, 255, 65535, -1, 1 << 40, -(1 << 40)]);
    let tuple = vec![
        PlainValue::Int(1),
        PlainValue::Tuple(ints(&[2, 3])),
        PlainValue::Tuple(ints(&[4, 5, 6, 7])),
    ];
    let ordered = vec![
        (text("b"), PlainValue::Int(1)),
        (text("a"), PlainValue::Int(2)),
    ];
    let numpy = vec![
        PlainValue::Float(1.5),
        PlainValue::Float(0.5),
        PlainValue::Int(-3),
        PlainValue::Bool(true),
    ];
    let expected = PlainValue::Dict(vec![
        (text("none"), PlainValue::None),
        (text("truth"), PlainValue::List(truths)),
        (text("integers"), PlainValue::List(integers)),
        (text("float"), PlainValue::Float(0.1)),
        (text("text"), text("naïve")),
        (text("bytes"), PlainValue::Bytes(vec![0, 255])),
        (text("tuple"), PlainValue::Tuple(tuple)),
        (text("set"), PlainValue::Set(ints(&[9]))),
        (text("ordered"), PlainValue::Dict(ordered)),
        (text("numpy"), PlainValue::List(numpy)),
        (PlainValue::Int(7), text("a number as a key")),
    ]);
    for protocol in 0..6 {
        let bytes = fs::read(files().join(format!("plain_{protocol}.pkl"))).unwrap();
        assert_eq!(read_plain(&bytes).unwrap(), expected, "protocol {protocol}");
    }
}
