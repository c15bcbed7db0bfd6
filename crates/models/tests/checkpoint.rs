//! Checkpoints on a real disk: reading what others wrote, writing what others read, and every way
//! in which an index and its shards can disagree.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use tenon_base::Kind;
use tenon_base::files::RealDisk;
use tenon_models::checkpoint::{
    Checkpoint, Dtype, INDEX_FILE, Order, SINGLE_FILE, Slot, TensorView, write, write_to,
};

fn goldens() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/goldens")
}

fn slot(name: &str, dtype: Dtype, shape: &[usize]) -> Slot {
    Slot {
        name: name.to_owned(),
        dtype,
        shape: shape.to_vec(),
    }
}

/// A file with one-byte tensors of the given names.
fn write_names(path: &Path, names: &[&str]) {
    let slots: Vec<Slot> = names
        .iter()
        .map(|name| slot(name, Dtype::U8, &[1]))
        .collect();
    let fill = &mut |_: &Slot, file: &mut dyn Write| file.write_all(&[7]);
    write(
        &RealDisk,
        path,
        &slots,
        Order::Given,
        &BTreeMap::new(),
        fill,
    )
    .unwrap();
}

fn write_index(folder: &Path, places: &[(&str, &str)]) {
    let map: BTreeMap<_, _> = places.iter().copied().collect();
    let text = serde_json::json!({"metadata": {"total_size": 1}, "weight_map": map}).to_string();
    fs::write(folder.join(INDEX_FILE), text).unwrap();
}

#[track_caller]
fn rejects(path: &Path, message: &str) {
    let error = Checkpoint::open(&RealDisk, path).expect_err("accepted");
    assert_eq!(error.kind(), Kind::Data, "{error}");
    assert!(
        error.to_string().contains(message),
        "`{error}` lacks `{message}`"
    );
}

fn sharded() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    write_names(&dir.path().join("m-1.safetensors"), &["a", "c"]);
    write_names(&dir.path().join("m-2.safetensors"), &["b"]);
    let (one, two) = ("m-1.safetensors", "m-2.safetensors");
    write_index(dir.path(), &[("a", one), ("b", two), ("c", one)]);
    dir
}

#[test]
fn shards_are_one_checkpoint() {
    let dir = sharded();
    for path in [dir.path().to_owned(), dir.path().join(INDEX_FILE)] {
        let checkpoint = Checkpoint::open(&RealDisk, &path).unwrap();
        assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["a", "b", "c"]);
        let on_disk: Vec<&str> = checkpoint
            .tensors_on_disk()
            .map(|tensor| tensor.name)
            .collect();
        assert_eq!(on_disk, ["a", "c", "b"]);
        assert_eq!(checkpoint.tensor("b").unwrap().bytes, [7]);
    }
}

#[test]
fn single_file_goes_before_an_index() {
    let dir = sharded();
    write_names(&dir.path().join(SINGLE_FILE), &["whole"]);
    let checkpoint = Checkpoint::open(&RealDisk, dir.path()).unwrap();
    assert_eq!(checkpoint.names().collect::<Vec<_>>(), ["whole"]);
}

#[test]
fn shard_missing() {
    let dir = sharded();
    fs::remove_file(dir.path().join("m-2.safetensors")).unwrap();
    rejects(dir.path(), "the shard `m-2.safetensors` is missing");
}

#[test]
fn tensor_in_two_shards() {
    let dir = sharded();
    write_names(&dir.path().join("m-2.safetensors"), &["b", "a"]);
    rejects(dir.path(), "tensor `a` is in two shards");
}

#[test]
fn tensor_in_another_shard_than_the_index_says() {
    let dir = sharded();
    write_names(&dir.path().join("m-1.safetensors"), &["a", "b"]);
    write_names(&dir.path().join("m-2.safetensors"), &["c"]);
    rejects(dir.path(), "tensor `b` is not in `m-2.safetensors`");
}

#[test]
fn tensor_that_no_shard_has() {
    let dir = sharded();
    let (one, two) = ("m-1.safetensors", "m-2.safetensors");
    write_index(
        dir.path(),
        &[("a", one), ("b", two), ("c", one), ("d", two)],
    );
    rejects(dir.path(), "tensor `d` is not in `m-2.safetensors`");
}

#[test]
fn tensor_that_the_index_does_not_list() {
    let dir = sharded();
    write_names(&dir.path().join("m-2.safetensors"), &["b", "d"]);
    rejects(dir.path(), "tensor `d` is in a shard, but not in the index");
}

#[test]
fn index_that_points_outside_the_folder() {
    let dir = sharded();
    let inner = dir.path().join("inner");
    fs::create_dir(&inner).unwrap();
    write_index(&inner, &[("a", "../m-1.safetensors")]);
    rejects(&inner, "`../m-1.safetensors`, which is not a plain");
}

#[test]
fn folder_without_weights_and_path_without_file() {
    let dir = tempfile::tempdir().unwrap();
    rejects(
        dir.path(),
        "has neither `model.safetensors` nor `model.safetensors.index.json`",
    );
    let error = Checkpoint::open(&RealDisk, &dir.path().join("x.safetensors")).unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
}

#[test]
fn truncated_and_empty_files() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(SINGLE_FILE);
    let whole = fs::read(goldens().join("llama_small/model/model.safetensors")).unwrap();
    fs::write(&path, &whole[..whole.len() - 1]).unwrap();
    rejects(&path, "1 bytes after the end of the file");
    fs::write(&path, []).unwrap();
    rejects(&path, "the file has 0 bytes");
}

#[test]
fn absent_tensor_suggests_the_nearest() {
    let folder = goldens().join("llama_small/model");
    let checkpoint = Checkpoint::open(&RealDisk, &folder).unwrap();
    let error = checkpoint.tensor("model.norm.wieght").unwrap_err();
    assert_eq!(error.hint_text(), Some("did you mean `model.norm.weight`?"));
}

#[test]
fn file_of_the_reference_is_rewritten_to_the_byte() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["gpt2_small", "llama_small", "custom_small"] {
        let source = goldens().join(name).join("model/model.safetensors");
        let checkpoint = Checkpoint::open(&RealDisk, &source).unwrap();
        let slots: Vec<Slot> = checkpoint
            .tensors_on_disk()
            .map(|t| slot(t.name, t.dtype, t.shape))
            .collect();
        let copy = dir.path().join("copy.safetensors");
        let fill = &mut |slot: &Slot, file: &mut dyn Write| {
            file.write_all(checkpoint.get(&slot.name).map_or(&[][..], |t| t.bytes))
        };
        write(
            &RealDisk,
            &copy,
            &slots,
            Order::Given,
            &BTreeMap::new(),
            fill,
        )
        .unwrap();
        assert_eq!(
            fs::read(&source).unwrap(),
            fs::read(&copy).unwrap(),
            "{name}"
        );
        // The reference sorts as `Order::Sorted` does.
        write(
            &RealDisk,
            &copy,
            &slots,
            Order::Sorted,
            &BTreeMap::new(),
            fill,
        )
        .unwrap();
        assert_eq!(
            fs::read(&source).unwrap(),
            fs::read(&copy).unwrap(),
            "{name}"
        );
    }
}

#[test]
fn written_file_is_read_by_the_reference() {
    let slots = [
        slot("b", Dtype::F32, &[2]),
        slot("a", Dtype::I64, &[]),
        slot("e", Dtype::F32, &[0]),
    ];
    let metadata = BTreeMap::from([("step".to_owned(), "3".to_owned())]);
    let fill = &mut |slot: &Slot, file: &mut dyn Write| match slot.name.as_str() {
        "b" => file.write_all(&[1.5f32.to_le_bytes(), 2.5f32.to_le_bytes()].concat()),
        "a" => file.write_all(&(-4i64).to_le_bytes()),
        _ => Ok(()),
    };
    let mut bytes = Vec::new();
    write_to(&mut bytes, &slots, Order::Sorted, &metadata, fill).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let strings = header.metadata().clone().unwrap();
    assert_eq!(
        (strings["format"].as_str(), strings["step"].as_str()),
        ("pt", "3")
    );
    let read = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(read.tensor("a").unwrap().data(), (-4i64).to_le_bytes());
    assert_eq!(read.tensor("b").unwrap().shape(), [2]);
    assert_eq!(header.offset_keys()[0], "a");
}

#[test]
fn wrong_number_of_bytes_leaves_the_old_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(SINGLE_FILE);
    write_names(&path, &["old"]);
    for bytes in [&[0u8; 3][..], &[0u8; 5][..]] {
        let fill = &mut |_: &Slot, file: &mut dyn Write| file.write_all(bytes);
        let slots = [slot("w", Dtype::F32, &[1])];
        let error = write(
            &RealDisk,
            &path,
            &slots,
            Order::Given,
            &BTreeMap::new(),
            fill,
        );
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains(&format!("`w` was given {} bytes", bytes.len())),
            "{error}"
        );
        Checkpoint::open(&RealDisk, &path)
            .unwrap()
            .tensor("old")
            .unwrap();
    }
}

#[test]
fn slots_that_cannot_be_written() {
    let fill = &mut |_: &Slot, _: &mut dyn Write| Ok(());
    for (slots, message) in [
        (
            vec![slot("w", Dtype::U8, &[0]), slot("w", Dtype::U8, &[0])],
            "`w` would be written twice",
        ),
        (
            vec![slot("__metadata__", Dtype::U8, &[0])],
            "`__metadata__` would be written twice",
        ),
        (vec![slot("w", Dtype::F64, &[usize::MAX])], "is too large"),
        (vec![slot("w", Dtype::F4, &[3])], "is too large"),
    ] {
        let mut sink = Vec::new();
        let result = write_to(&mut sink, &slots, Order::Given, &BTreeMap::new(), fill);
        let error = result.unwrap_err();
        assert!(error.message().contains(message), "{error}");
        assert!(sink.is_empty());
    }
}

#[test]
fn values_are_read_in_the_type_asked_for() {
    let view = |dtype, bytes: &'static [u8], shape: &'static [usize]| TensorView {
        name: "w",
        dtype,
        shape,
        bytes,
    };
    assert_eq!(
        view(Dtype::F16, &[0, 0x3c, 0, 0xc0], &[2])
            .to_f32()
            .unwrap(),
        [1.0, -2.0]
    );
    assert_eq!(
        view(Dtype::BF16, &[0x80, 0x3f], &[1]).to_f64().unwrap(),
        [1.0]
    );
    let third = (1.0f64 / 3.0).to_le_bytes();
    let wide = TensorView {
        name: "w",
        dtype: Dtype::F64,
        shape: &[1],
        bytes: &third,
    };
    assert_eq!(wide.to_f64().unwrap(), [1.0 / 3.0]);
    assert_eq!(wide.to_f32().unwrap(), [1.0f32 / 3.0]);
    assert_eq!(
        view(Dtype::I32, &[0xff, 0xff, 0xff, 0xff], &[1])
            .to_i64()
            .unwrap(),
        [-1]
    );
    let big = view(Dtype::I64, &[0, 0, 0, 0, 1, 0, 0, 0], &[1]);
    assert_eq!(big.to_i64().unwrap(), [1 << 32]);
    assert!(
        big.to_i32()
            .unwrap_err()
            .message()
            .contains("`w` holds 4294967296, beyond 32 bits")
    );
    let error = big.to_f32().unwrap_err();
    assert!(
        error
            .message()
            .contains("tensor `w` is I64, expected a floating-point tensor")
    );
    assert!(view(Dtype::F32, &[0; 4], &[1]).to_i64().is_err());
}

#[test]
fn a_tensor_whose_memory_was_released_reads_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(SINGLE_FILE);
    let names = ["a", "b", "c"];
    let slots = names.map(|name| slot(name, Dtype::U8, &[5000]));
    let fill = &mut |slot: &Slot, file: &mut dyn Write| {
        let bytes: Vec<u8> = (0..5000).map(|i| (i * slot.name.len()) as u8).collect();
        file.write_all(&bytes)
    };
    write(
        &RealDisk,
        &path,
        &slots,
        Order::Given,
        &BTreeMap::new(),
        fill,
    )
    .unwrap();
    let file = Checkpoint::open(&RealDisk, &path).unwrap();
    let all = || names.map(|name| file.tensor(name).unwrap().bytes.to_vec());
    let before = all();
    for name in ["b", "a", "c", "absent"] {
        file.release(name);
        assert!(all() == before, "after the release of {name}");
    }
}
