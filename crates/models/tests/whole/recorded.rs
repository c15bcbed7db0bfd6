//! The recorded answers of `transformers` are about the very bytes that are saved today.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tenon_base::files::RealDisk;
use tenon_base::hash::sha256;

use crate::fresh;

fn recorded() -> BTreeMap<String, Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded");
    let paths = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let records = paths.filter(|path| path.extension().is_some_and(|e| e == "json"));
    let record = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (
            name,
            serde_json::from_slice(&fs::read(path).unwrap()).unwrap(),
        )
    };
    records.map(record).collect()
}

#[test]
fn the_saved_bytes_are_those_that_were_compared() {
    let dir = tempfile::tempdir().unwrap();
    fresh::write(&RealDisk, dir.path()).unwrap();
    let mut saved = BTreeMap::new();
    for (name, ..) in fresh::models().unwrap() {
        let mut files = serde_json::Map::new();
        for entry in fs::read_dir(dir.path().join(name)).unwrap() {
            let path = entry.unwrap().path();
            let file = path.file_name().unwrap().to_str().unwrap().to_owned();
            files.insert(file, sha256(&fs::read(&path).unwrap()).into());
        }
        saved.insert(name.to_owned(), Value::Object(files));
    }
    let compared: BTreeMap<String, Value> = recorded()
        .into_iter()
        .map(|(name, record)| (name, record["files"].clone()))
        .collect();
    assert_eq!(
        saved, compared,
        "record again: see tests/recorded/README.md"
    );
}

#[test]
fn every_comparison_passed() {
    for (name, record) in recorded() {
        for (dtype, tolerance) in [("float32", 3e-6), ("float64", 1e-9)] {
            let found = &record[dtype];
            let error = found["relative_error"].as_f64().unwrap();
            assert!(
                (0.0..=tolerance).contains(&error),
                "{name} {dtype}: {error:.1e}"
            );
            assert!(found["transformers"].is_string() && found["torch"].is_string());
            assert_eq!(found["loading_complaints"], serde_json::json!({}), "{name}");
            assert_eq!(found["passed"], Value::Bool(true), "{name}");
        }
    }
}
