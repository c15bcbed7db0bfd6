//! Model folders with PyTorch's files: which file is taken, and the same model out of either.

use std::fs;
use std::path::{Path, PathBuf};

use tenon_base::files::RealDisk;
use tenon_models::checkpoint::{
    Checkpoint, Dtype, SINGLE_FILE, TORCH_FILE, TORCH_INDEX_FILE, TensorView,
};
use tenon_models::folder;
use tenon_testkit::shared_goldens;

use super::asm::{Asm, FOUR, View, archive, dict_of, files, four, proto2};

fn committed(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/goldens")
        .join(name)
}

fn class(dtype: Dtype) -> &'static str {
    match dtype {
        Dtype::F32 => "FloatStorage",
        Dtype::F64 => "DoubleStorage",
        Dtype::F16 => "HalfStorage",
        Dtype::BF16 => "BFloat16Storage",
        other => panic!("no golden has {other}"),
    }
}

/// The elements of a matrix column by column, as a transposed one lies in its storage.
fn turned(tensor: &TensorView<'_>) -> Vec<u8> {
    let [rows, columns] = *tensor.shape else {
        return tensor.bytes.to_vec();
    };
    let item = tensor.bytes.len() / (rows * columns);
    let element = |i: usize| &tensor.bytes[i * item..(i + 1) * item];
    let column = |c: usize| (0..rows).flat_map(move |r| element(r * columns + c));
    (0..columns).flat_map(column).copied().collect()
}

/// A file as PyTorch writes it, with every matrix transposed in its storage.
fn torch_file<'a>(tensors: impl Iterator<Item = TensorView<'a>>) -> Vec<u8> {
    let mut pickle = proto2().raw(b"}");
    let mut storages = Vec::new();
    for (i, tensor) in tensors.enumerate() {
        let signed: Vec<i64> = tensor.shape.iter().map(|&n| n as i64).collect();
        let strides = match *signed {
            [rows, _] => vec![1, rows],
            _ => (0..signed.len())
                .map(|axis| signed[axis + 1..].iter().product())
                .collect(),
        };
        let key = i.to_string();
        let view = View {
            class: class(tensor.dtype),
            key: &key,
            n: signed.iter().product(),
            offset: 0,
            shape: &signed,
            strides: &strides,
        };
        pickle = pickle.text(tensor.name).tensor(&view).raw(b"s");
        storages.push((key.clone(), turned(&tensor)));
    }
    let storages: Vec<(&str, &[u8])> = storages
        .iter()
        .map(|(key, data)| (key.as_str(), data.as_slice()))
        .collect();
    archive(&pickle.stop(), &storages)
}

#[test]
fn the_same_model_out_of_either_file() {
    let small = ["gpt2_small", "llama_small", "custom_small"].map(committed);
    for golden in small.into_iter().chain(shared_goldens("gpt2")) {
        let source = golden.join("model");
        let dir = tempfile::tempdir().unwrap();
        fs::copy(source.join("config.json"), dir.path().join("config.json")).unwrap();
        let theirs = Checkpoint::open(&RealDisk, &source).unwrap();
        fs::write(dir.path().join(TORCH_FILE), torch_file(theirs.tensors())).unwrap();
        let expected = folder::load(&RealDisk, &source).unwrap();
        let read = folder::load(&RealDisk, dir.path()).unwrap();
        assert!(read.weights == expected.weights, "{}", source.display());
        assert_eq!(
            (read.prefix, read.dropped),
            (expected.prefix, expected.dropped)
        );
    }
}

/// The state of a tied model has its head twice, and both are the same view.
#[test]
fn the_same_model_from_pytorch_and_transformers() {
    let source = files().join("gpt2");
    let expected = folder::load(&RealDisk, &source).unwrap();
    assert!(expected.dropped.is_empty());
    let dir = tempfile::tempdir().unwrap();
    for name in ["config.json", TORCH_FILE] {
        fs::copy(source.join(name), dir.path().join(name)).unwrap();
    }
    let read = folder::load(&RealDisk, dir.path()).unwrap();
    assert!(read.weights == expected.weights);
    assert_eq!(read.left_out(), ["lm_head.weight"]);
}

#[test]
fn safetensors_go_first() {
    let dir = tempfile::tempdir().unwrap();
    let source = committed("gpt2_small").join("model").join(SINGLE_FILE);
    fs::copy(&source, dir.path().join(SINGLE_FILE)).unwrap();
    fs::write(dir.path().join(TORCH_FILE), b"not even a pickle").unwrap();
    assert!(Checkpoint::open(&RealDisk, dir.path()).is_ok());
    fs::remove_file(dir.path().join(SINGLE_FILE)).unwrap();
    let error = Checkpoint::open(&RealDisk, dir.path()).unwrap_err();
    assert!(error.message().contains("no archive of PyTorch"), "{error}");
}

/// Two shards with a tensor each, and an index that says where they are.
fn sharded(places: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let shard = |name: &str| {
        let tensor = |asm: Asm| asm.text(name).tensor(&FOUR).raw(b"s");
        let pickle = proto2().raw(b"}").then(tensor).stop();
        archive(&pickle, &[("0", &four())])
    };
    fs::write(dir.path().join("pytorch_model-1.bin"), shard("a")).unwrap();
    fs::write(dir.path().join("pytorch_model-2.bin"), shard("b")).unwrap();
    let map: std::collections::BTreeMap<_, _> = places.iter().copied().collect();
    let text = serde_json::json!({"metadata": {"total_size": 32}, "weight_map": map});
    fs::write(dir.path().join(TORCH_INDEX_FILE), text.to_string()).unwrap();
    dir
}

#[test]
fn shards_are_one_checkpoint() {
    let places = [("a", "pytorch_model-1.bin"), ("b", "pytorch_model-2.bin")];
    let dir = sharded(&places);
    let checkpoint = Checkpoint::open(&RealDisk, dir.path()).unwrap();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["a", "b"]);
    // One file for all goes before an index.
    let whole = archive(&dict_of(|asm| asm.tensor(&FOUR)), &[("0", &four())]);
    fs::write(dir.path().join(TORCH_FILE), whole).unwrap();
    let checkpoint = Checkpoint::open(&RealDisk, dir.path()).unwrap();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["w"]);
}

#[test]
fn an_index_that_names_another_shard() {
    let places = [("a", "pytorch_model-2.bin"), ("b", "pytorch_model-1.bin")];
    let dir = sharded(&places);
    let error = Checkpoint::open(&RealDisk, dir.path()).unwrap_err();
    assert!(
        error
            .message()
            .contains("tensor `a` is not in `pytorch_model-2.bin`"),
        "{error}"
    );
}

#[test]
fn an_index_that_names_safetensors() {
    let dir = sharded(&[("a", "model-1.safetensors")]);
    let error = Checkpoint::open(&RealDisk, dir.path()).unwrap_err();
    assert!(
        error.message().contains("not a plain `*.bin` file name"),
        "{error}"
    );
}
