//! What `transformers` said of published folders is about the very bytes that are written today.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tenon_base::files::RealDisk;
use tenon_base::hash::sha256;
use tenon_models::convert::{Options, convert};
use tenon_models::hub::Naming;
use tenon_testkit::shared_goldens;

use crate::common::committed;

const COMMITTED: [&str; 4] = [
    "codonfm_plain_small",
    "codonfm_small",
    "gpt2_small",
    "llama_small",
];
const LAYOUTS: [&str; 3] = ["hub", "fused", "fused_padded"];

/// What the script asks for under a name.
fn options(layout: &str) -> Options {
    let defaults = Options::to(match layout {
        "hub" => Naming::Hub,
        "fused" => Naming::Fused { padded_vocab: None },
        _ => Naming::Fused {
            padded_vocab: Some(128),
        },
    });
    Options {
        license: Some("MIT".to_owned()),
        max_shard_bytes: match layout {
            "fused_padded" => 30_000,
            _ => defaults.max_shard_bytes,
        },
        ..defaults
    }
}

/// The records by golden, and the goldens that are there.
fn recorded() -> Vec<(String, Option<PathBuf>, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded/publish");
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let record = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let golden = match COMMITTED.contains(&name.as_str()) {
            true => Some(committed(&name)),
            false => shared_goldens(&name),
        };
        let value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        (name, golden, value)
    };
    paths.into_iter().map(record).collect()
}

#[test]
fn the_written_bytes_are_those_that_were_compared() {
    let dir = tempfile::tempdir().unwrap();
    let mut n_compared = 0;
    for (name, golden, record) in recorded() {
        let Some(golden) = golden else { continue };
        for layout in LAYOUTS {
            let Some(expected) = record.get(layout) else {
                continue;
            };
            // The card has the name of its folder.
            let target = dir.path().join(&name).join(layout);
            convert(&RealDisk, &golden.join("model"), &target, &options(layout)).unwrap();
            let mut files = BTreeMap::new();
            for entry in fs::read_dir(&target).unwrap() {
                let path = entry.unwrap().path();
                let file = path.file_name().unwrap().to_str().unwrap().to_owned();
                files.insert(file, Value::from(sha256(&fs::read(&path).unwrap())));
            }
            let compared: BTreeMap<String, Value> =
                serde_json::from_value(expected["files"].clone()).unwrap();
            assert_eq!(
                files, compared,
                "{name} {layout}: record again, see tests/recorded/README.md"
            );
            n_compared += 1;
        }
    }
    assert!(n_compared >= 3, "{n_compared} folders were compared");
}

#[test]
fn every_comparison_passed() {
    let records = recorded();
    assert!(
        COMMITTED
            .iter()
            .all(|name| records.iter().any(|r| r.0 == *name))
    );
    for (name, _, record) in records {
        assert!(record["torch"].is_string() && record["transformers"].is_string());
        for layout in LAYOUTS {
            let Some(found) = record.get(layout) else {
                continue;
            };
            for (dtype, tolerance) in [("float32", 3e-6), ("float64", 1e-9)] {
                let errors = found[dtype]["relative_error"].as_object().unwrap();
                assert!(errors.contains_key("logits") && errors.contains_key("hidden_states"));
                for (what, error) in errors {
                    let error = error.as_f64().unwrap();
                    let place = format!("{name} {layout} {dtype} {what}");
                    assert!((0.0..=tolerance).contains(&error), "{place}: {error:.1e}");
                }
                assert_eq!(found[dtype]["loading_complaints"], serde_json::json!({}));
                assert_eq!(found[dtype]["passed"], Value::Bool(true));
            }
        }
    }
}
