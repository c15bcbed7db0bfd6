//! Converted folders: whole, loadable by others, without leftovers.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tenon_base::files::RealDisk;
use tenon_base::hash::sha256;
use tenon_base::{Error, Kind};
use tenon_models::checkpoint::{Checkpoint, INDEX_FILE};
use tenon_models::convert::{Facts, HUB_ONLY_FILE, Options, convert};
use tenon_models::hub::Naming;
use tenon_testkit::{Fault, FaultDisk, shared_goldens};

use crate::common::committed;

const FUSED: Naming = Naming::Fused { padded_vocab: None };

fn run(source: &Path, target: &Path, options: &Options) -> Result<Facts, Error> {
    convert(&RealDisk, source, target, options)
}

fn licensed(naming: Naming, license: &str) -> Options {
    Options {
        license: Some(license.to_owned()),
        ..Options::to(naming)
    }
}

fn sharded(max_shard_bytes: u64) -> Options {
    Options {
        max_shard_bytes,
        ..Options::to(Naming::Hub)
    }
}

fn llama() -> PathBuf {
    committed("llama_small").join("model")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn weights(folder: &Path) -> Vec<String> {
    let all = names(folder).into_iter();
    all.filter(|name| name.contains("safetensors")).collect()
}

type Tensors = BTreeMap<String, Vec<u8>>;

fn tensors(folder: &Path) -> Tensors {
    let checkpoint = Checkpoint::open(&RealDisk, folder).unwrap();
    let tensors = checkpoint.tensors();
    tensors
        .map(|tensor| (tensor.name.to_owned(), tensor.bytes.to_vec()))
        .collect()
}

/// A copy of the small Llama with files beside it.
fn source_with(folder: &Path, files: &[(&str, &str)]) -> PathBuf {
    let source = folder.join("source");
    fs::create_dir_all(&source).unwrap();
    for name in ["config.json", "model.safetensors"] {
        fs::copy(llama().join(name), source.join(name)).unwrap();
    }
    for (name, text) in files {
        fs::write(source.join(name), text).unwrap();
    }
    source
}

#[test]
fn shards_are_bounded_listed_and_read_back() {
    let dir = tempfile::tempdir().unwrap();
    let (max, target) = (6_000, dir.path());
    let facts = run(&llama(), target, &sharded(max)).unwrap();
    assert!(facts.files.len() > 2);
    assert_eq!(tensors(target), tensors(&llama()));
    let index: Value = serde_json::from_slice(&fs::read(target.join(INDEX_FILE)).unwrap()).unwrap();
    let total: usize = tensors(target).values().map(Vec::len).sum();
    assert_eq!(index["metadata"]["total_size"], json!(total));
    for file in &facts.files {
        let bytes = fs::read(target.join(&file.name)).unwrap();
        assert_eq!(file.sha256, sha256(&bytes), "{}", file.name);
        let checkpoint = Checkpoint::open(&RealDisk, &target.join(&file.name)).unwrap();
        let sizes: Vec<usize> = checkpoint.tensors().map(|t| t.bytes.len()).collect();
        let size = sizes.iter().sum::<usize>() as u64;
        assert!(size <= max || sizes.len() == 1, "{} has {size}", file.name);
        for tensor in checkpoint.names() {
            assert_eq!(index["weight_map"][tensor], json!(file.name));
        }
    }
}

#[test]
fn a_tensor_above_the_bound_has_a_shard_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let facts = run(&llama(), dir.path(), &sharded(1)).unwrap();
    assert_eq!(facts.files.len(), facts.n_tensors);
    assert_eq!(tensors(dir.path()), tensors(&llama()));
}

#[test]
fn no_file_of_another_sharding_stays_behind() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path();
    fs::write(target.join("model-notes.txt"), "mine").unwrap();
    let sizes = [1 << 20, 6_000, 9_000, 1, 1 << 20];
    for max in sizes {
        let facts = run(&llama(), target, &sharded(max)).unwrap();
        let mut expected: Vec<String> = facts.files.iter().map(|f| f.name.clone()).collect();
        if expected.len() > 1 {
            expected.push(INDEX_FILE.to_owned());
        }
        expected.sort();
        assert_eq!(weights(target), expected, "{max}");
        assert_eq!(tensors(target), tensors(&llama()), "{max}");
    }
    assert!(target.join("model-notes.txt").is_file());
}

/// The small Llama with all signs turned.
fn turned(folder: &Path) -> PathBuf {
    let source = source_with(folder, &[]);
    let path = source.join("model.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let head = 8 + usize::try_from(u64::from_le_bytes(*bytes.first_chunk().unwrap())).unwrap();
    bytes[head..]
        .iter_mut()
        .skip(3)
        .step_by(4)
        .for_each(|byte| *byte ^= 0x80);
    fs::write(path, bytes).unwrap();
    source
}

/// Wherever the program dies, the weights that are read are the old ones or the new ones.
#[test]
fn a_crash_never_mixes_old_weights_and_new_ones() {
    let dir = tempfile::tempdir().unwrap();
    let source = turned(dir.path());
    let (old, new) = (tensors(&llama()), tensors(&source));
    assert_ne!(old, new);
    for (before, after) in [
        (1 << 20, 6_000),
        (6_000, 1 << 20),
        (6_000, 9_000),
        (6_000, 6_000),
    ] {
        let mut n_refused = 0;
        for n in 0.. {
            let dir = tempfile::tempdir().unwrap();
            run(&llama(), dir.path(), &sharded(before)).unwrap();
            let disk = FaultDisk::at_write(n, Fault::KillBefore);
            let done = convert(&disk, &source, dir.path(), &sharded(after));
            match Checkpoint::open(&RealDisk, dir.path()) {
                Ok(_) => {
                    let read = tensors(dir.path());
                    assert!(
                        read == old || read == new,
                        "{before} {after} {n}: a mixture"
                    );
                }
                Err(_) => n_refused += 1,
            }
            if !disk.fault_reached() {
                done.unwrap();
                assert_eq!(tensors(dir.path()), new);
                break;
            }
        }
        // One file and shards take each other's place without a gap.
        assert_eq!(
            n_refused > 0,
            before < 1 << 20 && after < 1 << 20,
            "{before} {after}"
        );
    }
}

#[test]
fn what_only_other_weights_had_is_removed() {
    let Some(golden) = shared_goldens("esm2") else {
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    run(&golden.join("model"), dir.path(), &Options::to(FUSED)).unwrap();
    assert!(dir.path().join(HUB_ONLY_FILE).is_file());
    run(&llama(), dir.path(), &Options::to(FUSED)).unwrap();
    assert!(!dir.path().join(HUB_ONLY_FILE).exists());
}

#[test]
fn classes_that_transformers_lacks_are_written_and_named() {
    let dir = tempfile::tempdir().unwrap();
    run(&llama(), dir.path(), &Options::to(FUSED)).unwrap();
    let read = |name: &str| fs::read_to_string(dir.path().join(name)).unwrap();
    let config: Value = serde_json::from_str(&read("config.json")).unwrap();
    assert_eq!(config["architectures"], json!(["TenonLlamaForCausalLM"]));
    assert_eq!(
        config["auto_map"],
        json!({
            "AutoConfig": "modeling_tenon_llama.TenonLlamaConfig",
            "AutoModel": "modeling_tenon_llama.TenonLlamaModel",
            "AutoModelForCausalLM": "modeling_tenon_llama.TenonLlamaForCausalLM",
        })
    );
    let keys: Vec<&String> = config.as_object().unwrap().keys().collect();
    assert!(keys.is_sorted());
    let code = read("modeling_tenon_llama.py");
    for class in ["Config", "Model", "ForCausalLM"] {
        assert!(
            code.contains(&format!("\nclass TenonLlama{class}(")),
            "{class}"
        );
    }
    assert!(!code.to_lowercase().contains("decoderconfig"));
    // Back in the hub's layout, the classes are those of transformers.
    let back = tempfile::tempdir().unwrap();
    run(dir.path(), back.path(), &Options::to(Naming::Hub)).unwrap();
    let config = fs::read_to_string(back.path().join("config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    assert_eq!(config["architectures"], json!(["LlamaForCausalLM"]));
    assert_eq!(config["auto_map"], Value::Null);
    assert_eq!(names(back.path()), ["config.json", "model.safetensors"]);
}

#[test]
fn without_a_licence_there_is_no_card_unless_one_is_demanded() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    let facts = run(&llama(), &target, &Options::to(Naming::Hub)).unwrap();
    assert_eq!(facts.license, Err("the source names no licence".to_owned()));
    assert_eq!(names(&target), ["config.json", "model.safetensors"]);
    let demanded = Options {
        card: true,
        ..Options::to(Naming::Hub)
    };
    let other = dir.path().join("other");
    let error = run(&llama(), &other, &demanded).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.hint_text().unwrap().contains("--license"), "{error}");
    assert!(!other.exists());
}

#[test]
fn a_card_has_what_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("tiny-llama");
    let facts = run(&llama(), &target, &licensed(FUSED, "apache-2.0")).unwrap();
    assert_eq!(facts.license, Ok("apache-2.0".to_owned()));
    let files = ["LICENSE", "README.md", "requirements.txt"];
    assert!(files.iter().all(|name| target.join(name).is_file()));
    let card = fs::read_to_string(target.join("README.md")).unwrap();
    for part in [
        "license: \"apache-2.0\"\n",
        "# tiny-llama\n",
        "| vocabulary | 61 tokens |",
        "trust_remote_code=True",
        "https://arxiv.org/abs/2302.13971",
        &facts.files[0].sha256,
    ] {
        assert!(card.contains(part), "{part} is not in\n{card}");
    }
    assert!(!card.contains(dir.path().to_str().unwrap()));
    // The card's licence is understood again.
    let again = run(
        &target,
        &dir.path().join("again"),
        &Options::to(Naming::Hub),
    )
    .unwrap();
    assert_eq!(again.license, Ok("apache-2.0".to_owned()));
}

#[test]
fn what_an_earlier_conversion_wrote_does_not_speak_of_the_new_weights() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    let mit = "Permission is hereby granted, free of charge, to any person obtaining a copy";
    let source = source_with(dir.path(), &[("LICENSE", mit)]);
    run(&source, &target, &licensed(FUSED, "Apache-2.0")).unwrap();
    assert!(target.join("modeling_tenon_llama.py").is_file());
    assert!(target.join("LICENSE-SOURCE").is_file());
    run(&llama(), &target, &licensed(Naming::Hub, "MIT")).unwrap();
    assert!(!target.join("modeling_tenon_llama.py").exists());
    assert!(!target.join("LICENSE-SOURCE").exists());
    let facts = run(&llama(), &target, &Options::to(Naming::Hub)).unwrap();
    let reason = facts.license.unwrap_err();
    assert!(reason.contains("is about other weights"), "{reason}");
}

#[test]
fn the_licence_of_the_source_decides() {
    let dir = tempfile::tempdir().unwrap();
    let target = dir.path().join("out");
    let source = source_with(dir.path(), &[("README.md", "---\nlicense: llama3\n---\n")]);
    let facts = run(&source, &target, &Options::to(Naming::Hub)).unwrap();
    assert!(facts.license.unwrap_err().contains("`llama3`"));
    let error = run(&source, &target, &licensed(Naming::Hub, "MIT")).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(
        error.message().contains("`llama3` (its README.md)"),
        "{error}"
    );
    let facts = run(&source, &target, &licensed(Naming::Hub, "llama3")).unwrap();
    assert_eq!(facts.license, Ok("llama3".to_owned()));
    let unknown = run(&llama(), &target, &licensed(Naming::Hub, "openrail")).unwrap_err();
    assert_eq!(unknown.kind(), Kind::Usage);
}

#[test]
fn the_text_of_the_source_is_kept_beside_another_licence() {
    let dir = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mit = fs::read_to_string(root.join("LICENSE-MIT")).unwrap();
    let source = source_with(dir.path(), &[("LICENSE", &mit)]);
    let read = |folder: &str, name: &str| fs::read_to_string(dir.path().join(folder).join(name));
    run(&source, &dir.path().join("same"), &Options::to(Naming::Hub)).unwrap();
    assert_eq!(read("same", "LICENSE").unwrap(), mit);
    assert!(read("same", "LICENSE-SOURCE").is_err());
    let apache = licensed(Naming::Hub, "Apache-2.0");
    run(&source, &dir.path().join("other"), &apache).unwrap();
    assert!(read("other", "LICENSE").unwrap().contains("Apache License"));
    assert_eq!(read("other", "LICENSE-SOURCE").unwrap(), mit);
}
