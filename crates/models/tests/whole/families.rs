//! Every family that is read has all that a family is to have, and `ARCHITECTURE.md` says so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use tenon_models::hub::{HubConfig, Naming};
use tenon_models::spec::{Decoder, Encoder, Spec};

use crate::common::{COMMITTED, Golden, committed};
use crate::mutants::mutants_of;

const BEGIN: &str = "<!-- families: begin -->\n";
const END: &str = "<!-- families: end -->";

/// Why a family has no fused layout.
const NOT_FUSED: &[(&str, &str)] = &[("custom", "published in its own layout alone")];

/// Goldens of a variant that is published in fused layers alone.
const FUSED_ON_THE_HUB: &[&str] = &["codonfm_plain_small"];

/// Goldens of a variant without fused layers in a family that has some, and which it is.
const UNFUSED: &[(&str, &str)] = &[("esm1b_small", "not with learned positions")];

/// Where a family's graph, its names and the reader of its configuration are, below
/// `crates/models/src`. The compiler asks for a line when there is a new one.
fn files_of(spec: &Spec) -> [&'static str; 3] {
    let encoder = |graph, names| [graph, names, "hub/encoder.rs"];
    match spec {
        Spec::Custom(_) => ["family/custom.rs", "family/custom.rs", "hub/custom.rs"],
        Spec::Gpt2(_) => ["family/gpt2.rs", "family/gpt2.rs", "hub/gpt2.rs"],
        Spec::Decoder(spec) => match spec.family {
            Decoder::Llama
            | Decoder::Mistral
            | Decoder::Qwen2
            | Decoder::Qwen3
            | Decoder::Mixtral => [
                "family/decoder.rs",
                "family/names/decoder.rs",
                "hub/decoder.rs",
            ],
        },
        Spec::Encoder(spec) => match spec.family {
            Encoder::Bert { .. } => encoder("family/bert.rs", "family/names/encoder/bert.rs"),
            Encoder::Esm { .. } => encoder("family/esm.rs", "family/names/encoder/esm.rs"),
            Encoder::Amplify { .. } => {
                encoder("family/amplify.rs", "family/names/encoder/amplify.rs")
            }
            Encoder::Encodon { .. } => {
                encoder("family/encodon.rs", "family/names/encoder/encodon.rs")
            }
            Encoder::PlainEncodon => {
                encoder("family/encodon.rs", "family/names/encoder/plain_encodon.rs")
            }
        },
    }
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The names of folders or files in one.
fn entries(folder: &Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

/// What a configuration may call its family: the readers that there are.
fn model_types() -> BTreeSet<String> {
    let error = HubConfig::parse(r#"{"model_type": "none"}"#, "asked").unwrap_err();
    let (_, supported) = error.message().split_once("supported: ").expect("a list");
    let names = supported
        .split(", ")
        .map(|name| name.trim_matches('`').to_owned());
    names.collect()
}

fn model_type(golden: &Golden) -> String {
    let config = std::fs::read(golden.folder.path.join("config.json")).unwrap();
    let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
    config["model_type"].as_str().expect("a name").to_owned()
}

/// Families by name, with their goldens.
fn families() -> BTreeMap<&'static str, Vec<(&'static str, Golden)>> {
    let mut families: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for name in COMMITTED {
        let golden = Golden::open(&committed(name));
        let family = golden.folder.config.spec.family();
        families.entry(family).or_default().push((name, golden));
    }
    families
}

fn is_fused(spec: &Spec) -> bool {
    spec.mapping_of(Naming::Fused { padded_vocab: None })
        .is_ok()
}

#[test]
fn every_golden_is_tried() {
    let folders = entries(&committed(""));
    assert_eq!(folders, COMMITTED.map(str::to_owned).into_iter().collect());
}

#[test]
fn every_reader_has_a_golden_named_after_the_family() {
    let families = families();
    for (family, goldens) in &families {
        let own = format!("{family}_small");
        assert!(goldens.iter().any(|(name, _)| *name == own), "no `{own}`");
    }
    let read: BTreeSet<String> = families
        .values()
        .flatten()
        .map(|(_, g)| model_type(g))
        .collect();
    assert_eq!(read, model_types());
}

/// And nothing in `family` belongs to no family.
#[test]
fn every_family_has_its_files() {
    let families = families();
    let specs = families
        .values()
        .flatten()
        .map(|(_, g)| &g.folder.config.spec);
    let files: BTreeSet<&str> = specs.flat_map(files_of).collect();
    for file in &files {
        assert!(source().join(file).is_file(), "{file}");
    }
    let shared = ["encoder.rs", "names", "names.rs"];
    let graphs = entries(&source().join("family"));
    let unknown: Vec<_> = graphs
        .iter()
        .filter(|name| !shared.contains(&name.as_str()))
        .filter(|name| !files.contains(format!("family/{name}").as_str()))
        .collect();
    assert!(
        unknown.is_empty(),
        "of no family with a golden: {unknown:?}"
    );
}

/// A golden that loads proves the hub's names.
#[test]
fn every_family_has_a_fused_layout_or_says_why_not() {
    for (family, goldens) in families() {
        let reason = NOT_FUSED.iter().find(|(name, _)| *name == family);
        for (name, golden) in goldens {
            let config = &golden.folder.config;
            assert_eq!(config.naming, Naming::Hub, "{name}");
            let is_unfused = UNFUSED.iter().any(|(unfused, _)| *unfused == name);
            let has_other = reason.is_none() && !is_unfused && !FUSED_ON_THE_HUB.contains(&name);
            assert_eq!(is_fused(&config.spec), has_other, "{name}");
        }
    }
}

#[test]
fn every_family_has_mutants_of_its_own_parts() {
    let custom = Golden::open(&committed("custom_small"));
    let shared: BTreeSet<&str> = mutants_of(&custom).map(|mutant| mutant.name).collect();
    for (family, goldens) in families()
        .into_iter()
        .filter(|(family, _)| *family != "custom")
    {
        let mutants = goldens.iter().flat_map(|(_, golden)| mutants_of(golden));
        let own: BTreeSet<&str> = mutants.map(|mutant| mutant.name).collect();
        assert!(own.difference(&shared).count() > 0, "{family}");
    }
}

fn table() -> String {
    let mut table = String::from(
        "| family | `model_type` | graph | names | reader | fused layers | goldens |\n\
         |---|---|---|---|---|---|---|\n",
    );
    for (family, goldens) in families() {
        let mut variants: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for golden in &goldens {
            let variant = variants.entry(model_type(&golden.1)).or_default();
            variant.push(golden);
        }
        for (model_type, goldens) in variants {
            let spec = &goldens[0].1.folder.config.spec;
            let files = files_of(spec).map(|file| format!("`{file}`")).join(" | ");
            let fused = match NOT_FUSED.iter().find(|(name, _)| *name == family) {
                Some((_, reason)) => format!("no: {reason}"),
                None if FUSED_ON_THE_HUB.contains(&goldens[0].0) => "its only ones".to_owned(),
                None => {
                    let named = |name| goldens.iter().any(|golden| golden.0 == name);
                    let variant = UNFUSED.iter().find(|(name, _)| named(*name));
                    let (none, reason) = variant.map_or(("", ""), |(_, reason)| (", ", *reason));
                    format!("yes{none}{reason}")
                }
            };
            let names = goldens.iter().map(|(name, _)| name.strip_suffix("_small"));
            let names = names.map(Option::unwrap).collect::<Vec<_>>().join(", ");
            table += &format!("| {family} | `{model_type}` | {files} | {fused} | {names} |\n");
        }
    }
    table
}

#[test]
fn the_architecture_has_the_table_of_families() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../ARCHITECTURE.md");
    let page = std::fs::read_to_string(path).unwrap();
    let (_, rest) = page.split_once(BEGIN).expect("a mark before the table");
    let (shown, _) = rest.split_once(END).expect("a mark behind the table");
    let table = table();
    assert!(
        shown == table,
        "ARCHITECTURE.md is to have this table:\n{table}"
    );
}
