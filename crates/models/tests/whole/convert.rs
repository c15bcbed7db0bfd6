//! Layouts: what is converted and converted back has every byte, and computes the same.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use tenon_base::Kind;
use tenon_base::files::RealDisk;
use tenon_engine::DType;
use tenon_models::checkpoint::{self, Checkpoint, Dtype, Order, Slot};
use tenon_models::convert::{Facts, Options, convert};
use tenon_models::folder;
use tenon_models::hub::{HubConfig, Naming};
use tenon_models::predict::{self, Model, predict};

use crate::common::{Golden, cpu, golden_folders};

fn hub() -> Options {
    Options::to(Naming::Hub)
}

fn fused(padded_vocab: Option<usize>) -> Options {
    Options::to(Naming::Fused { padded_vocab })
}

type Tensors = BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)>;

fn tensors(folder: &Path) -> Tensors {
    let checkpoint = Checkpoint::open(&RealDisk, folder).unwrap();
    let tensors = checkpoint.tensors().map(|tensor| {
        let value = (tensor.dtype, tensor.shape.to_vec(), tensor.bytes.to_vec());
        (tensor.name.to_owned(), value)
    });
    tensors.collect()
}

fn run(source: &Path, target: &Path, options: Options) -> Facts {
    convert(&RealDisk, source, target, &options).unwrap()
}

/// The folders whose family has fused layers.
fn fusable() -> Vec<std::path::PathBuf> {
    let has = |folder: &std::path::PathBuf| {
        let config = HubConfig::read(&RealDisk, &folder.join("model")).unwrap();
        let naming = Naming::Fused { padded_vocab: None };
        config.spec.mapping_of(naming).is_ok()
    };
    golden_folders().into_iter().filter(has).collect()
}

fn logits(folder: &Path, golden: &Golden) -> Vec<f64> {
    let read = folder::load(&RealDisk, folder).unwrap();
    let options = predict::Options {
        dtype: DType::F32,
        grads: false,
    };
    let done = predict(Model::of(&read), &golden.inputs, options, cpu()).unwrap();
    done.values("logits").unwrap()
}

#[test]
fn hub_to_fused_to_hub_keeps_every_byte_and_every_logit() {
    let dir = tempfile::tempdir().unwrap();
    for (i, golden) in fusable().into_iter().enumerate() {
        let source = golden.join("model");
        for padded in [None, Some(128)] {
            let (there, back) = (
                dir.path().join(format!("{i}f")),
                dir.path().join(format!("{i}h")),
            );
            run(&source, &there, fused(padded));
            assert_ne!(tensors(&there), tensors(&source), "{}", golden.display());
            run(&there, &back, hub());
            assert_eq!(tensors(&back), tensors(&source), "{}", golden.display());
            let read = HubConfig::read(&RealDisk, &back).unwrap();
            assert_eq!(read.spec, HubConfig::read(&RealDisk, &source).unwrap().spec);
            let golden = Golden::open(&golden);
            assert_eq!(logits(&there, &golden), logits(&source, &golden));
        }
    }
}

/// What the published layout says of one tensor, element by element.
#[test]
fn query_key_and_value_alternate_by_head() {
    let Some(golden) = tenon_testkit::shared_goldens("esm2") else {
        return;
    };
    let (source, dir) = (golden.join("model"), tempfile::tempdir().unwrap());
    run(&source, dir.path(), fused(Some(64)));
    let (hub, fused) = (tensors(&source), tensors(dir.path()));
    let layer = "model.encoder.layers.1.self_attention.layernorm_qkv.weight";
    let (_, shape, bytes) = &fused[layer];
    assert_eq!(shape, &[3 * 48, 48]);
    let (n_heads, head, row) = (4, 12, 48 * 4);
    for (part, name) in ["query", "key", "value"].into_iter().enumerate() {
        let own = &hub[&format!("esm.encoder.layer.1.attention.self.{name}.weight")].2;
        for h in 0..n_heads {
            let fused_rows = (h * 3 + part) * head * row..(h * 3 + part + 1) * head * row;
            assert_eq!(bytes[fused_rows], own[h * head * row..(h + 1) * head * row]);
        }
    }
    let table = &fused["model.embeddings.word_embeddings.weight"];
    assert_eq!(table.1, [64, 48]);
    assert!(table.2[33 * row..].iter().all(|&byte| byte == 0));
    let bias = &fused["lm_head.decoder.bias"].2;
    assert_eq!(bias[33 * 4..].as_chunks::<4>().0[0], f32::MIN.to_le_bytes());
    // The contact head waits in a file of its own.
    let beside = tensors(&dir.path().join("hub_only.safetensors"));
    assert!(beside.contains_key("esm.contact_head.regression.weight"));
}

fn values((_, _, bytes): &(Dtype, Vec<usize>, Vec<u8>)) -> Vec<f32> {
    let numbers = bytes.as_chunks::<4>().0.iter();
    numbers.map(|number| f32::from_le_bytes(*number)).collect()
}

/// Matrices `[in, out]` of the hub are `[out, in]` here, and rows alternate by head.
#[test]
fn gpt2_is_transposed_and_its_thirds_alternate_by_head() {
    let source = crate::common::committed("gpt2_small").join("model");
    let dir = tempfile::tempdir().unwrap();
    run(&source, dir.path(), fused(Some(64)));
    let (hub, fused) = (tensors(&source), tensors(dir.path()));
    let (d, n_heads, head) = (16, 2, 8);
    let theirs = values(&hub["transformer.h.1.attn.c_attn.weight"]);
    let theirs_bias = values(&hub["transformer.h.1.attn.c_attn.bias"]);
    let layer = "transformer.h.1.self_attention.layernorm_qkv";
    let ours = values(&fused[&format!("{layer}.weight")]);
    let ours_bias = values(&fused[&format!("{layer}.bias")]);
    assert_eq!(fused[&format!("{layer}.weight")].1, [3 * d, d]);
    for (part, h, j) in (0..3 * d).map(|i| (i / d, i % d / head, i % head)) {
        let (column, row) = (part * d + h * head + j, (h * 3 + part) * head + j);
        assert!(h < n_heads);
        assert_eq!(ours_bias[row], theirs_bias[column]);
        for i in 0..d {
            assert_eq!(ours[row * d + i], theirs[i * 3 * d + column]);
        }
    }
    let theirs = values(&hub["transformer.h.0.mlp.c_fc.weight"]);
    let ours = values(&fused["transformer.h.0.layernorm_mlp.fc1_weight"]);
    for (row, i) in (0..4 * d * d).map(|at| (at / d, at % d)) {
        assert_eq!(ours[row * d + i], theirs[i * 4 * d + row]);
    }
    let table = &fused["transformer.wte.weight"];
    assert_eq!(table.1, [64, d]);
    assert!(table.2[61 * d * 4..].iter().all(|&byte| byte == 0));
}

/// The names of NVIDIA's conversion: the head's norm and matrix are one layer, and only its rows
/// are padded.
#[test]
fn encodon_has_its_inner_norms_before_the_maps_that_end_a_branch() {
    let source = crate::common::committed("codonfm_small").join("model");
    let dir = tempfile::tempdir().unwrap();
    run(&source, dir.path(), fused(Some(64)));
    let (hub, fused) = (tensors(&source), tensors(dir.path()));
    let (d, row, head) = (12, 12 * 4, 6);
    for (theirs, ours) in [
        (
            "post_attn_layer_norm.weight",
            "self_attention.proj.layer_norm_weight",
        ),
        ("post_attn_dense.bias", "self_attention.proj.bias"),
        ("pre_ffn_layer_norm.bias", "mlp_fc1.layer_norm_bias"),
        ("intermediate_dense.weight", "mlp_fc1.weight"),
        ("post_ffn_layer_norm.weight", "mlp_fc2.layer_norm_weight"),
        ("output_dense.weight", "mlp_fc2.weight"),
    ] {
        let (theirs, ours) = (format!("layers.1.{theirs}"), format!("layers.1.{ours}"));
        assert_eq!(hub[&theirs], fused[&ours], "{ours}");
    }
    let (_, shape, qkv) = &fused["layers.0.self_attention.layernorm_qkv.weight"];
    assert_eq!(shape, &[3 * d, d]);
    for (part, name) in ["query", "key", "value"].into_iter().enumerate() {
        let own = &hub[&format!("layers.0.attention.{name}.weight")].2;
        for h in 0..2 {
            let rows = (h * 3 + part) * head * row..(h * 3 + part + 1) * head * row;
            assert_eq!(qkv[rows], own[h * head * row..(h + 1) * head * row]);
        }
    }
    assert_eq!(hub["cls.2.weight"], fused["cls.2.layer_norm_weight"]);
    let (_, shape, bytes) = &fused["cls.2.weight"];
    assert_eq!(shape, &[64, d]);
    assert_eq!(bytes[..20 * row], hub["cls.3.weight"].2);
    assert!(bytes[20 * row..].iter().all(|&byte| byte == 0));
    let bias = values(&fused["cls.2.bias"]);
    assert!(bias[20..].iter().all(|&least| least == f32::MIN));
    assert_eq!(fused["embeddings.word_embeddings.weight"].1, [20, d]);
}

#[test]
fn halves_stay_halves_and_types_can_be_chosen() {
    let dir = tempfile::tempdir().unwrap();
    let paths = ["a", "b", "c"].map(|name| dir.path().join(name));
    let source = crate::common::committed("llama_small").join("model");
    let halved = Options {
        dtype: Some(Dtype::BF16),
        ..hub()
    };
    run(&source, &paths[0], halved);
    let half = tensors(&paths[0]);
    assert!(half.values().all(|(dtype, ..)| *dtype == Dtype::BF16));
    run(&paths[0], &paths[1], fused(None));
    assert!(
        tensors(&paths[1])
            .values()
            .all(|(dtype, ..)| *dtype == Dtype::BF16)
    );
    run(&paths[1], &paths[2], hub());
    assert_eq!(tensors(&paths[2]), half);
    let config = HubConfig::read(&RealDisk, &paths[2]).unwrap();
    assert_eq!(config.dtype, Some(Dtype::BF16));
}

#[test]
fn a_family_without_fused_layers_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let source = crate::common::committed("codonfm_plain_small").join("model");
    let error = convert(&RealDisk, &source, dir.path(), &fused(None)).unwrap_err();
    assert!(error.message().contains("fused layers are the hub's"));
    let source = crate::common::committed("custom_small").join("model");
    let error = convert(&RealDisk, &source, dir.path(), &fused(None)).unwrap_err();
    assert!(
        error
            .message()
            .contains("`custom` has no layout of fused layers"),
        "{error}"
    );
    let error = convert(&RealDisk, &source, &source, &hub()).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    let source = crate::common::committed("esm2_small").join("model");
    let error = convert(&RealDisk, &source, dir.path(), &fused(Some(3))).unwrap_err();
    assert!(error.message().contains("3 padded rows"), "{error}");
    assert_eq!(error.kind(), Kind::Usage);
    assert!(fs::read_dir(dir.path()).unwrap().next().is_none());
}

/// Names and tensors as old checkpoints have them: `gamma` and `beta`, positions as integers, a
/// pooler of another task, and the tied head once more.
#[test]
fn what_is_found_in_the_wild_is_given_back() {
    let golden = crate::common::committed("bert_small").join("model");
    let dir = tempfile::tempdir().unwrap();
    let [old, there, back] = ["old", "there", "back"].map(|name| dir.path().join(name));
    fs::create_dir(&old).unwrap();
    fs::copy(golden.join("config.json"), old.join("config.json")).unwrap();
    let mut wild: Tensors = tensors(&golden)
        .into_iter()
        .map(|(name, value)| {
            let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
            (name.replace("LayerNorm.bias", "LayerNorm.beta"), value)
        })
        .collect();
    let table = wild["bert.embeddings.word_embeddings.weight"].clone();
    let bias = wild["cls.predictions.bias"].clone();
    wild.insert("cls.predictions.decoder.weight".to_owned(), table.clone());
    wild.insert("cls.predictions.decoder.bias".to_owned(), bias);
    let positions: Vec<u8> = (0..8i64).flat_map(i64::to_le_bytes).collect();
    let positions = (Dtype::I64, vec![1, 8], positions);
    wild.insert("bert.embeddings.position_ids".to_owned(), positions);
    let d = table.1[1];
    let pooler = (Dtype::F32, vec![d, d], vec![7; 4 * d * d]);
    wild.insert("bert.pooler.dense.weight".to_owned(), pooler);
    write(&old, &wild);
    let facts = run(&old, &there, fused(Some(64)));
    assert_eq!(facts.kept.len(), 4, "{:?}", facts.kept);
    run(&there, &back, hub());
    assert_eq!(tensors(&back), wild);
    let twice = dir.path().join("twice");
    run(&old, &twice, hub());
    assert_eq!(tensors(&twice), wild);
}

/// A folder with a golden's configuration and these tensors, fused, and back: every byte is there.
fn there_and_back(golden: &str, wild: &Tensors, kept: usize) {
    let dir = tempfile::tempdir().unwrap();
    let [old, there, back] = ["old", "there", "back"].map(|name| dir.path().join(name));
    let golden = crate::common::committed(golden).join("model");
    fs::create_dir(&old).unwrap();
    fs::copy(golden.join("config.json"), old.join("config.json")).unwrap();
    write(&old, wild);
    for padded in [None, Some(64)] {
        let facts = run(&old, &there, fused(padded));
        assert_eq!(facts.kept.len(), kept, "{:?}", facts.kept);
        run(&there, &back, hub());
        assert_eq!(&tensors(&back), wild);
    }
}

/// The first GPT-2 has no prefix, the causal mask of every layer, and some copies have the tied
/// head.
#[test]
fn an_old_gpt2_is_given_back() {
    let golden = tensors(&crate::common::committed("gpt2_small").join("model"));
    let bare = |(name, value): (&String, &_)| {
        let name = name.strip_prefix("transformer.").expect("a prefix");
        (name.to_owned(), Clone::clone(value))
    };
    let mut wild: Tensors = golden.iter().map(bare).collect();
    wild.insert("lm_head.weight".to_owned(), wild["wte.weight"].clone());
    for layer in 0..2 {
        let mask = (Dtype::F32, vec![1, 1, 2, 2], vec![1; 16]);
        wild.insert(format!("h.{layer}.attn.bias"), mask);
    }
    there_and_back("gpt2_small", &wild, 3);
}

/// What was trained has a prefix, and the frequencies of every layer.
#[test]
fn a_trained_encodon_is_given_back() {
    let golden = tensors(&crate::common::committed("codonfm_small").join("model"));
    let named = |(name, value): (&String, &_)| (format!("model.{name}"), Clone::clone(value));
    let mut wild: Tensors = golden.iter().map(named).collect();
    for layer in 0..2 {
        let name = format!("model.layers.{layer}.attention.rotary_emb.inv_freq");
        wild.insert(name, (Dtype::F32, vec![3], vec![63; 12]));
    }
    there_and_back("codonfm_small", &wild, 2);
}

fn write(folder: &Path, tensors: &Tensors) {
    let slots: Vec<Slot> = tensors
        .iter()
        .map(|(name, (dtype, shape, _))| Slot {
            name: name.clone(),
            dtype: *dtype,
            shape: shape.clone(),
        })
        .collect();
    let path = folder.join("model.safetensors");
    let fill = &mut |slot: &Slot, file: &mut dyn Write| file.write_all(&tensors[&slot.name].2);
    checkpoint::write(
        &RealDisk,
        &path,
        &slots,
        Order::Sorted,
        &BTreeMap::new(),
        fill,
    )
    .unwrap();
}
