//! Model folders: what is read is written again to the byte, and folders that lie are refused.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use tenon_base::Kind;
use tenon_base::files::RealDisk;
use tenon_engine::DType;
use tenon_models::checkpoint::{Checkpoint, Dtype, Order, SINGLE_FILE, Slot, TensorView, write};
use tenon_models::folder::{self, Folder};
use tenon_models::hub::HubConfig;
use tenon_testkit::{Fault, FaultDisk};

use crate::common::{committed, golden_folders};

type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn tensors(folder: &Path) -> Tensors {
    let owned = |t: TensorView<'_>| {
        let value = (t.dtype, t.shape.to_vec(), t.bytes.to_vec());
        (t.name.to_owned(), value)
    };
    let checkpoint = Checkpoint::open(&RealDisk, folder).unwrap();
    checkpoint.tensors().map(owned).collect()
}

fn write_tensors(folder: &Path, tensors: &Tensors) {
    let slot = |(name, (dtype, shape, _)): (&String, &(Dtype, Vec<usize>, Vec<u8>))| Slot {
        name: name.clone(),
        dtype: *dtype,
        shape: shape.clone(),
    };
    let slots: Vec<Slot> = tensors.iter().map(slot).collect();
    let fill = &mut |slot: &Slot, file: &mut dyn Write| file.write_all(&tensors[&slot.name].2);
    let path = folder.join(SINGLE_FILE);
    write(
        &RealDisk,
        &path,
        &slots,
        Order::Given,
        &BTreeMap::new(),
        fill,
    )
    .unwrap();
}

/// A copy of a golden's model folder whose tensors were changed.
fn changed(name: &str, change: impl FnOnce(&mut Tensors)) -> tempfile::TempDir {
    let source = committed(name).join("model");
    let dir = tempfile::tempdir().unwrap();
    fs::copy(source.join("config.json"), dir.path().join("config.json")).unwrap();
    let mut tensors = tensors(&source);
    change(&mut tensors);
    write_tensors(dir.path(), &tensors);
    dir
}

fn load(path: &Path) -> Folder {
    folder::load(&RealDisk, path).unwrap()
}

#[track_caller]
fn rejects(path: &Path, message: &str) {
    let error = folder::load(&RealDisk, path).expect_err("accepted");
    assert_eq!(error.kind(), Kind::Data, "{error}");
    assert!(
        error.to_string().contains(message),
        "`{error}` lacks `{message}`"
    );
}

#[test]
fn hub_to_ours_to_hub_keeps_every_byte() {
    for golden in golden_folders() {
        let source = golden.join("model");
        let read = load(&source);
        assert!(read.widened.is_empty());
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("deep/model");
        folder::save_back(&RealDisk, &folder, &read).unwrap();
        assert_eq!(tensors(&folder), tensors(&source), "{}", golden.display());
        let metadata = Checkpoint::open(&RealDisk, &folder).unwrap();
        assert_eq!(metadata.metadata().get("format"), Some(&"pt"));
        assert_eq!(HubConfig::read(&RealDisk, &folder).unwrap(), read.config);
        let again = load(&folder);
        assert_eq!(again.weights, read.weights);
    }
}

#[test]
fn names_without_the_prefix_are_read_and_given_back() {
    let strip = |tensors: &mut Tensors| {
        let bare = |(name, value): (String, _)| {
            let bare = name.strip_prefix("transformer.").map(str::to_owned);
            (bare.unwrap_or(name), value)
        };
        *tensors = std::mem::take(tensors).into_iter().map(bare).collect();
    };
    let dir = changed("gpt2_small", strip);
    let read = load(dir.path());
    assert_eq!(read.prefix, "");
    let out = tempfile::tempdir().unwrap();
    folder::save_back(&RealDisk, out.path(), &read).unwrap();
    assert_eq!(tensors(out.path()), tensors(dir.path()));
    folder::save(&RealDisk, out.path(), &read.config, &read.weights).unwrap();
    assert_eq!(tensors(out.path()), tensors(&committed("gpt2_small/model")));
}

#[test]
fn a_run_is_its_model_folder() {
    let dir = tempfile::tempdir().unwrap();
    rejects(dir.path(), "it has no `config.json`");
    rejects(&dir.path().join("absent"), "there is no model folder");
    let golden = load(&committed("custom_small/model"));
    let model = dir.path().join("model");
    folder::save(&RealDisk, &model, &golden.config, &golden.weights).unwrap();
    fs::write(model.join("tokenizer.json"), "{}").unwrap();
    let read = load(dir.path());
    assert_eq!((&read.path, &read.weights), (&model, &golden.weights));
    assert_eq!(read.tokenizer_files, [model.join("tokenizer.json")]);
}

/// bf16 values are exact in f32; the file that is written says f32.
#[test]
fn half_precision_is_widened_and_reported() {
    let source = committed("llama_small/model");
    let dir = changed("llama_small", |tensors| {
        for (dtype, _, bytes) in tensors.values_mut() {
            *dtype = Dtype::BF16;
            *bytes = bytes.chunks_exact(4).flat_map(|b| [b[2], b[3]]).collect();
        }
    });
    let n = tensors(&source).len();
    let read = load(dir.path());
    assert_eq!(read.weights.dtype, DType::F32);
    assert_eq!(read.widened, BTreeMap::from([("BF16".to_owned(), n)]));
    for (weight, exact) in read
        .weights
        .tensors
        .iter()
        .zip(&load(&source).weights.tensors)
    {
        let cut = |b: &[u8]| [0, 0, b[2], b[3]];
        let expected: Vec<u8> = exact.bytes.chunks_exact(4).flat_map(cut).collect();
        assert_eq!(*weight.bytes, expected, "{}", weight.name);
    }
    let out = tempfile::tempdir().unwrap();
    folder::save(&RealDisk, out.path(), &read.config, &read.weights).unwrap();
    assert_eq!(load(out.path()).config.dtype, Some(Dtype::F32));
}

#[test]
fn one_f64_tensor_makes_all_f64() {
    let dir = changed("gpt2_small", |tensors| {
        let (dtype, _, bytes) = tensors.get_mut("transformer.ln_f.bias").unwrap();
        let widen = |b: &[u8]| f64::from(f32::from_le_bytes(b.try_into().unwrap())).to_le_bytes();
        (*dtype, *bytes) = (Dtype::F64, bytes.chunks_exact(4).flat_map(widen).collect());
    });
    let read = load(dir.path());
    assert_eq!(read.weights.dtype, DType::F64);
    assert_eq!(read.widened.keys().collect::<Vec<_>>(), ["F32"]);
    let out = tempfile::tempdir().unwrap();
    folder::save(&RealDisk, out.path(), &read.config, &read.weights).unwrap();
    let again = load(out.path());
    assert_eq!(
        (again.config.dtype, again.weights),
        (Some(Dtype::F64), read.weights)
    );
}

#[test]
fn every_key_is_accounted_for() {
    let missing = changed("llama_small", |tensors| {
        tensors.remove("model.norm.weight");
    });
    rejects(missing.path(), "model.norm.weight");
    let extra = changed("llama_small", |tensors| {
        let norm = tensors["model.norm.weight"].clone();
        tensors.insert("model.extra.weight".to_owned(), norm);
    });
    rejects(extra.path(), "model.extra.weight");
    let integers = changed("llama_small", |tensors| {
        tensors.get_mut("model.norm.weight").unwrap().0 = Dtype::I32;
    });
    rejects(integers.path(), "expected a floating-point tensor");
}

#[test]
fn allowed_drops_are_named() {
    let dir = changed("gpt2_small", |tensors| {
        let mask = (Dtype::U8, vec![1, 1, 14, 14], vec![1; 196]);
        tensors.insert("transformer.h.0.attn.bias".to_owned(), mask);
    });
    let read = load(dir.path());
    assert_eq!(read.dropped[0].name, "transformer.h.0.attn.bias");
    let out = tempfile::tempdir().unwrap();
    folder::save_back(&RealDisk, out.path(), &read).unwrap();
    assert_eq!(tensors(out.path()), tensors(dir.path()));
}

/// The largest numbers that a configuration may hold must not make reading allocate what no file
/// holds.
#[test]
fn a_configuration_of_absurd_size_is_a_misfit() {
    let dir = changed("llama_small", |_| {});
    let config = dir.path().join("config.json");
    let text = fs::read_to_string(&config).unwrap();
    let mut map: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    map.insert("max_position_embeddings".to_owned(), (1u64 << 24).into());
    map.insert("head_dim".to_owned(), (1u64 << 20).into());
    fs::write(&config, serde_json::Value::Object(map).to_string()).unwrap();
    rejects(dir.path(), "mis-shaped");
}

/// Wherever the program dies, a folder is the old model, the new one, or no model.
#[test]
fn a_crash_leaves_no_half_model() {
    let [old, new] = ["a", "b"].map(|_| load(&committed("gpt2_small/model")));
    let mut new = new;
    for weight in &mut new.weights.tensors {
        weight.bytes.fill(0);
    }
    for fault in [
        Fault::Fail,
        Fault::KillBefore,
        Fault::KillWithin,
        Fault::KillAfter,
    ] {
        for fresh in [true, false] {
            let mut n = 0;
            loop {
                let dir = tempfile::tempdir().unwrap();
                let path: PathBuf = dir.path().join("model");
                if !fresh {
                    folder::save(&RealDisk, &path, &old.config, &old.weights).unwrap();
                }
                let disk = FaultDisk::at_write(n, fault);
                let saved = folder::save(&disk, &path, &new.config, &new.weights);
                if !disk.fault_reached() {
                    saved.unwrap();
                    assert_eq!(load(&path).weights, new.weights);
                    break;
                }
                saved.unwrap_err();
                match folder::load(&RealDisk, &path) {
                    Ok(read) => assert!(
                        read.weights == new.weights || !fresh && read.weights == old.weights
                    ),
                    Err(error) => assert!(fresh, "{error}"),
                }
                n += 1;
            }
        }
    }
}
