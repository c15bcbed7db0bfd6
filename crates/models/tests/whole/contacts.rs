//! Contact maps against `predict_contacts` of the reference, and models that have none.

use std::path::{Path, PathBuf};

use tenon_base::files::RealDisk;
use tenon_base::{Error, Kind};
use tenon_engine::DType;
use tenon_engine::cpu::{Cpu, Isa};
use tenon_models::checkpoint::Checkpoint;
use tenon_models::folder::{self, Folder};
use tenon_models::predict::{ContactMaps, is_contact_head};
use tenon_testkit::shared_goldens;

use crate::common::{committed, cpu};

/// ESM-2's tokens in the order of their ids, from the fourth id on.
const RESIDUES: &str = "LAGVSERTIDPKQNFYMHWCXBUZO.-";
/// What `scripts/make_contacts.py` asked the reference.
const SEQUENCES: [(&str, &str); 3] = [
    ("one", "M"),
    ("two", "KW"),
    ("seventeen", "MKTAYIAKQRXBSFVKS"),
];

/// The small ESM-2 and what the reference told.
fn reference() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/contacts")
}

fn small() -> Folder {
    folder::load(&RealDisk, &reference().join("model")).unwrap()
}

fn ids(sequence: &str) -> Vec<u32> {
    let id = |c: char| 4 + RESIDUES.find(c).unwrap() as u32;
    let inner = sequence.chars().map(id);
    [0].into_iter().chain(inner).chain([2]).collect()
}

fn maps(folder: &Folder, tokens_max: usize, dtype: DType) -> Result<ContactMaps, Error> {
    ContactMaps::new(folder, tokens_max, dtype, cpu(), Cpu::new(1, Isa::detect()))
}

/// The largest difference from the recorded probabilities.
fn error(folder: &Folder, recorded: &Path, dtype: DType) -> f64 {
    let recorded = Checkpoint::open(&RealDisk, recorded).unwrap();
    assert_eq!(recorded.names().len(), SEQUENCES.len());
    let mut maps = maps(folder, 19, dtype).unwrap();
    let mut worst = 0f64;
    for (name, sequence) in SEQUENCES {
        let theirs = recorded.tensor(name).unwrap();
        assert_eq!(theirs.shape, [sequence.len(), sequence.len()], "{name}");
        let ours = maps.map(&ids(sequence)).unwrap();
        let theirs = theirs.to_f64().unwrap();
        assert_eq!(ours.len(), theirs.len(), "{name}");
        for (ours, theirs) in ours.iter().zip(&theirs) {
            assert!(!ours.is_nan(), "{name}");
            worst = worst.max((ours - theirs).abs());
        }
    }
    worst
}

#[test]
fn contact_maps_are_those_of_the_reference() {
    let golden = reference();
    let mut models = vec![(small(), golden.join("contacts.safetensors"))];
    if let Some(shared) = shared_goldens("esm2") {
        let shared = folder::load(&RealDisk, &shared.join("model")).unwrap();
        models.push((shared, golden.join("shared_esm2.safetensors")));
    }
    for (model, recorded) in &models {
        for (dtype, limit) in [(DType::F64, 1e-9), (DType::F32, 3e-6)] {
            let error = error(model, recorded, dtype);
            let shown = recorded.display();
            assert!(error <= limit, "{shown}: {dtype:?} misses by {error:.2e}");
        }
    }
}

/// A correction, channel order or sigmoid that was left out would not show in a flat map.
#[test]
fn the_recorded_map_is_not_flat() {
    let recorded = reference().join("contacts.safetensors");
    let recorded = Checkpoint::open(&RealDisk, &recorded).unwrap();
    let values = recorded.tensor("seventeen").unwrap().to_f64().unwrap();
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    assert!(low < 0.2 && high > 0.8, "{low} to {high}");
}

/// Weights of two heads of different layers change places: the map of the reference is missed.
#[test]
fn heads_have_weights_of_their_own() {
    let recorded = reference().join("contacts.safetensors");
    let mut folder = small();
    let is_weight = |name: &str| is_contact_head(name) && name.ends_with("weight");
    let extra = folder
        .dropped
        .iter_mut()
        .find(|extra| is_weight(&extra.name));
    let bytes = extra.unwrap().bytes.to_mut();
    let (first, second) = bytes.split_at_mut(12);
    first[4..8].swap_with_slice(&mut second[..4]);
    let error = error(&folder, &recorded, DType::F64);
    assert!(error > 1e-3, "{error:.2e}");
}

#[test]
fn a_map_is_symmetric_and_forgets_the_sequence_before() {
    let folder = small();
    let sequence = ids("MKTAYIAKQRXBSFVKS");
    let mut fresh = maps(&folder, 19, DType::F32).unwrap();
    let first = fresh.map(&sequence).unwrap();
    for (i, j) in (0..17).flat_map(|i| (0..i).map(move |j| (i, j))) {
        let [a, b] = [first[i * 17 + j], first[j * 17 + i]];
        assert!(
            a.to_bits() == b.to_bits() && (0.0..=1.0).contains(&a),
            "{i}, {j}"
        );
    }
    let mut wide = maps(&folder, 24, DType::F32).unwrap();
    wide.map(&ids("WWCGMKTAYIAKQRXBSFVKSK")).unwrap();
    wide.map(&ids("M")).unwrap();
    assert_eq!(wide.map(&sequence).unwrap(), first);
}

#[track_caller]
fn refused<T>(result: Result<T, Error>, kind: Kind, words: &str) {
    let Err(error) = result else {
        panic!("not refused: {words}")
    };
    assert_eq!(error.kind(), kind, "{error}");
    let shown = error.to_string();
    assert!(shown.contains(words), "{shown}");
}

#[test]
fn models_without_a_head_for_contacts_are_refused() {
    let gpt2 = folder::load(&RealDisk, &committed("gpt2_small").join("model")).unwrap();
    refused(
        maps(&gpt2, 8, DType::F32),
        Kind::Data,
        "no head for contacts",
    );
    for name in ["regression.weight", "regression.bias"] {
        let mut folder = small();
        folder.dropped.retain(|extra| !extra.name.ends_with(name));
        let words = format!("has no `esm.contact_head.{name}`");
        refused(maps(&folder, 8, DType::F32), Kind::Data, &words);
    }
    let mut folder = small();
    for extra in &mut folder.dropped {
        if extra.name.ends_with("regression.weight") {
            extra.shape = vec![6, 1];
        }
    }
    refused(
        maps(&folder, 8, DType::F32),
        Kind::Data,
        "[6, 1] instead of [1, 6]",
    );
    refused(maps(&small(), 25, DType::F32), Kind::Data, "context of 24");
}

#[test]
fn tokens_that_are_no_sequence_are_refused() {
    let mut maps = maps(&small(), 19, DType::F32).unwrap();
    for (ids, words) in [
        (vec![0, 2], "no residue"),
        (vec![0, 33, 2], "token 33 is outside the vocabulary of 33"),
        (vec![0, 5, 2, 6, 2], "token 2 is eos"),
        (vec![0, 5, 6], "does not end"),
    ] {
        refused(maps.map(&ids), Kind::Data, words);
    }
}

#[test]
fn probabilities_that_are_no_numbers_are_no_result() {
    let mut folder = small();
    for extra in folder
        .dropped
        .iter_mut()
        .filter(|extra| is_contact_head(&extra.name))
    {
        extra.bytes.to_mut()[..4].copy_from_slice(&f32::NAN.to_le_bytes());
    }
    let mut maps = maps(&folder, 19, DType::F32).unwrap();
    refused(maps.map(&ids("MKT")), Kind::Judged, "no numbers");
}
