//! From tensors to tensors.

use std::fs;
use std::path::Path;

use tenon_base::files::RealDisk;
use tenon_models::checkpoint::Checkpoint;

use crate::home::{fails, golden, json, shown, stdout, write};

#[test]
fn predict_writes_what_the_model_computes() {
    let folder = tempfile::tempdir().expect("a folder");
    for family in ["custom", "gpt2", "llama"] {
        let model = shown(&golden(family).join("model"));
        let inputs = shown(&golden(family).join("inputs.safetensors"));
        let out = shown(&folder.path().join(family));
        let args = [
            "predict", &model, "--inputs", &inputs, "--out", &out, "--grads",
        ];
        let args = [&args[..], &["--dtype", "f64"]].concat();
        let facts = json(&args);
        let file = Checkpoint::open(&RealDisk, Path::new(&out)).expect("a file");
        let expected = golden(family).join("expected.safetensors");
        let expected = Checkpoint::open(&RealDisk, &expected).expect("a golden");
        for wanted in expected.tensors() {
            let got = file.tensor(wanted.name).expect(wanted.name);
            assert_eq!(got.shape, wanted.shape, "{}", wanted.name);
        }
        for name in ["loss", "logits"] {
            let of = |file: &Checkpoint| file.tensor(name).and_then(|t| t.to_f64()).expect(name);
            let (got, wanted) = (of(&file), of(&expected));
            // Padding is 0 here, and the first row has none.
            let row = (got.len() / 4).max(1);
            let close = |(a, b): (&f64, &f64)| (a - b).abs() <= 1e-8 + 1e-5 * b.abs();
            assert!(
                got.iter().zip(&wanted).take(row).all(close),
                "{family} {name}"
            );
        }
        let listed = facts["outputs"].as_array().map(Vec::len);
        assert_eq!(listed, Some(file.names().len()));
        let table = stdout(&args);
        assert!(
            table.contains("logits") && table.contains(", loss "),
            "{table}"
        );
    }
}

#[test]
fn predict_refuses_what_it_cannot_read_or_write() {
    let model = shown(&golden("gpt2").join("model"));
    let inputs = shown(&golden("gpt2").join("inputs.safetensors"));
    let folder = tempfile::tempdir().expect("a folder");
    let out = shown(&folder.path().join("out"));
    let predict = |inputs: &str, out: &str, code: i32, words: &str| {
        fails(
            &["predict", &model, "--inputs", inputs, "--out", out],
            code,
            words,
        );
    };
    predict("no/such", &out, 3, "there is no file `no/such`");
    let file = write(&folder, "file", "text");
    predict(&file, &out, 3, &file);
    // Below a file there is no folder to write into, whoever asks.
    predict(&inputs, &format!("{file}/out"), 4, "file/out");
    let bytes = fs::read(&inputs).expect("inputs");
    let half = write(&folder, "half.safetensors", &bytes[..bytes.len() - 8]);
    predict(&half, &out, 3, "half.safetensors");
    let header = b"{\"input_ids\":{\"dtype\":\"I64\",\"shape\":[1,2],\"data_offsets\":[0,16]}}";
    let ids = [1u64, 1_000_000].map(u64::to_le_bytes).concat();
    let length = (header.len() as u64).to_le_bytes();
    let large = [&length[..], header, &ids].concat();
    let large = write(&folder, "large.safetensors", large);
    predict(&large, &out, 3, "outside the vocabulary");
    let grads = [
        "predict", &model, "--inputs", &large, "--out", &out, "--grads",
    ];
    fails(&grads, 3, "outside the vocabulary");
    assert!(!Path::new(&out).exists());
}

/// A head of numbers or of several labels is compared with floats.
#[test]
fn labels_that_are_floats_have_a_loss() {
    let folder = tempfile::tempdir().expect("a folder");
    let out = shown(&folder.path().join("out"));
    let heads = golden("custom").join("../../heads");
    for name in ["bert_numbers", "bert_labels"] {
        let model = shown(&heads.join(name).join("model"));
        let inputs = shown(&heads.join(name).join("inputs.safetensors"));
        let facts = json(&["predict", &model, "--inputs", &inputs, "--out", &out]);
        let expected = heads.join(name).join("expected.safetensors");
        let expected = Checkpoint::open(&RealDisk, &expected).expect("a golden");
        let expected = expected
            .tensor("loss")
            .and_then(|t| t.to_f64())
            .expect("a loss")[0];
        let loss = facts["loss"].as_f64().expect("a loss");
        assert!((loss - expected).abs() <= 1e-5 * expected, "{name}: {loss}");
    }
    let model = shown(&heads.join("bert_sequence/model"));
    let inputs = shown(&heads.join("bert_numbers/inputs.safetensors"));
    let line = ["predict", &model, "--inputs", &inputs, "--out", &out];
    fails(&line, 3, "give integers");
    // What a loss is over is what the head tells.
    for (name, counted) in [
        ("bert_numbers", " over 4 sequences"),
        ("bert_token", " tokens;"),
    ] {
        let model = shown(&heads.join(name).join("model"));
        let inputs = shown(&heads.join(name).join("inputs.safetensors"));
        let table = stdout(&["predict", &model, "--inputs", &inputs, "--out", &out]);
        assert!(
            table.contains(", loss ") && table.contains(counted),
            "{table}"
        );
    }
}
