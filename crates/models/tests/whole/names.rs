//! Tensors under other names than those that are written: they mean the same, their gradients have
//! the names of the file, and conversion there and back gives every byte.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use tempfile::TempDir;
use tenon_base::files::RealDisk;
use tenon_engine::DType;
use tenon_models::checkpoint::{Checkpoint, Dtype, Order, SINGLE_FILE, Slot, write};
use tenon_models::convert::{self, convert};
use tenon_models::folder;
use tenon_models::hub::Naming;
use tenon_models::predict::{Model, Options, Prediction, predict};
use tenon_testkit::rel_err;

use crate::common::{Golden, committed, cpu};

/// Tensors of f32 by name.
type Tensors = BTreeMap<String, (Vec<usize>, Vec<u8>)>;

fn tensors(folder: &Path) -> Tensors {
    let checkpoint = Checkpoint::open(&RealDisk, folder).unwrap();
    let owned = checkpoint
        .tensors()
        .map(|t| (t.name.to_owned(), (t.shape.to_vec(), t.bytes.to_vec())));
    owned.collect()
}

/// `bert_small` with other tensors, and other keys in its configuration.
fn bert(change: impl FnOnce(&mut Tensors), replace: [&str; 2]) -> TempDir {
    let source = committed("bert_small").join("model");
    let dir = tempfile::tempdir().unwrap();
    let config = fs::read_to_string(source.join("config.json")).unwrap();
    let [from, to] = replace;
    assert!(config.contains(from));
    fs::write(dir.path().join("config.json"), config.replace(from, to)).unwrap();
    let mut tensors = tensors(&source);
    change(&mut tensors);
    let slot = |(name, (shape, _)): (&String, &(Vec<usize>, Vec<u8>))| Slot {
        name: name.clone(),
        dtype: Dtype::F32,
        shape: shape.clone(),
    };
    let slots: Vec<Slot> = tensors.iter().map(slot).collect();
    let fill = &mut |slot: &Slot, file: &mut dyn Write| file.write_all(&tensors[&slot.name].1);
    let path = dir.path().join(SINGLE_FILE);
    write(
        &RealDisk,
        &path,
        &slots,
        Order::Given,
        &BTreeMap::new(),
        fill,
    )
    .unwrap();
    dir
}

fn predicted(folder: &Path) -> (Golden, Prediction) {
    let golden = Golden::open(&committed("bert_small"));
    let read = folder::load(&RealDisk, folder).unwrap();
    let options = Options {
        dtype: DType::F64,
        grads: true,
    };
    let prediction = predict(Model::of(&read), &golden.inputs, options, cpu()).unwrap();
    (golden, prediction)
}

/// Compares an output with what the reference says of the golden under another name.
#[track_caller]
fn agrees(golden: &Golden, prediction: &Prediction, ours: &str, theirs: &str) {
    let values = prediction
        .values(ours)
        .unwrap_or_else(|| panic!("no output `{ours}`"));
    let (a, b) = golden.pair(golden.expected.tensor(theirs).unwrap(), values);
    assert!(rel_err(&a, &b) < 1e-9, "{ours}");
}

#[track_caller]
fn there_and_back_gives_every_byte(folder: &Path) {
    let dir = tempfile::tempdir().unwrap();
    let [fused, back] = ["fused", "back"].map(|name| dir.path().join(name));
    let there = Naming::Fused { padded_vocab: None };
    convert(&RealDisk, folder, &fused, &convert::Options::to(there)).unwrap();
    convert(&RealDisk, &fused, &back, &convert::Options::to(Naming::Hub)).unwrap();
    assert!(tensors(folder) == tensors(&back));
}

#[test]
fn gradients_have_the_names_of_an_old_file() {
    let old = |name: &str| {
        let name = name.replace("LayerNorm.weight", "LayerNorm.gamma");
        name.replace("LayerNorm.bias", "LayerNorm.beta")
    };
    let rename = |tensors: &mut Tensors| {
        let renamed = std::mem::take(tensors).into_iter();
        *tensors = renamed.map(|(name, tensor)| (old(&name), tensor)).collect();
    };
    let dir = bert(rename, ["bert", "bert"]);
    let (golden, prediction) = predicted(dir.path());
    for name in golden.expected.names() {
        agrees(&golden, &prediction, &old(name), name);
    }
    assert_eq!(prediction.outputs.len(), golden.expected.names().len());
    there_and_back_gives_every_byte(dir.path());
}

/// Version 5 of `transformers` gives an untied head two biases, of which it adds one.
#[test]
fn the_bias_of_an_untied_head_is_that_of_its_decoder() {
    let [dead, live] = ["cls.predictions.bias", "cls.predictions.decoder.bias"];
    let untie = |tensors: &mut Tensors| {
        let table = tensors["bert.embeddings.word_embeddings.weight"].clone();
        tensors.insert("cls.predictions.decoder.weight".to_owned(), table);
        let bias = tensors[dead].clone();
        let junk = (bias.0.clone(), 3f32.to_le_bytes().repeat(bias.0[0]));
        tensors.insert(live.to_owned(), bias);
        tensors.insert(dead.to_owned(), junk);
    };
    let untied = [
        "\"tie_word_embeddings\": true",
        "\"tie_word_embeddings\": false",
    ];
    let dir = bert(untie, untied);
    let (golden, prediction) = predicted(dir.path());
    agrees(&golden, &prediction, "logits", "logits");
    agrees(
        &golden,
        &prediction,
        &format!("grad.{live}"),
        &format!("grad.{dead}"),
    );
    assert!(prediction.values(&format!("grad.{dead}")).is_none());
    there_and_back_gives_every_byte(dir.path());
}
