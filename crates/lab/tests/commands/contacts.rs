//! From sequences to contact maps.

use std::fs;
use std::path::{Path, PathBuf};

use tenon_base::files::RealDisk;
use tenon_models::checkpoint::{Checkpoint, Dtype};

use crate::home::{changed, fails, golden, json, shown, stdout, write};

/// The small ESM-2 and what the reference told of its sequences.
fn reference() -> PathBuf {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    crates.expect("a workspace").join("models/tests/contacts")
}

fn open(path: &Path) -> Checkpoint {
    Checkpoint::open(&RealDisk, path).expect("a file of tensors")
}

#[test]
fn contacts_writes_the_maps_of_the_reference_and_pictures() {
    let model = shown(&reference().join("model"));
    let data = shown(&reference().join("proteins.fasta"));
    let expected = open(&reference().join("contacts.safetensors"));
    let folder = tempfile::tempdir().expect("a folder");
    let types = [("f32", Dtype::F32, 3e-6), ("f64", Dtype::F64, 1e-9)];
    for (name, dtype, limit) in types {
        let out = folder.path().join(name);
        let shown = shown(&out);
        let args = ["contacts", &model, "--data", &data, "--out", &shown];
        let told = json(&[&args[..], &["--dtype", name]].concat());
        assert_eq!(told["dtype"], name);
        let maps = open(&out.join("contacts.safetensors"));
        assert_eq!(maps.names().len(), 3);
        for (i, (id, n)) in [("one", 1), ("two", 2), ("seventeen", 17)]
            .iter()
            .enumerate()
        {
            let [ours, theirs] = [&maps, &expected].map(|file| file.tensor(id).expect("a map"));
            assert_eq!((ours.dtype, ours.shape), (dtype, &[*n, *n][..]), "{id}");
            let [ours, theirs] = [ours, theirs].map(|map| map.to_f64().expect("floats"));
            let close = |(a, b): (&f64, &f64)| (a - b).abs() <= limit;
            assert!(ours.iter().zip(&theirs).all(close), "{id}");
            assert_eq!(told["maps"][i]["id"], *id);
            assert_eq!(told["maps"][i]["residues"], *n);
            let picture = told["maps"][i]["picture"].as_str().expect("a path");
            let png = fs::read(picture).expect("a picture");
            assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"), "{picture}");
        }
        let table = stdout(&args);
        assert!(
            table.contains("seventeen") && table.contains("3 maps"),
            "{table}"
        );
    }
}

#[test]
fn ids_that_are_no_names_of_files_stay_in_the_folder() {
    let model = shown(&reference().join("model"));
    let folder = tempfile::tempdir().expect("a folder");
    let data = write(&folder, "in.fasta", ">../up a b\nMKT\n>sp|P1|X\nMK\n");
    let out = folder.path().join("deep/out");
    stdout(&["contacts", &model, "--data", &data, "--out", &shown(&out)]);
    let maps = open(&out.join("contacts.safetensors"));
    assert_eq!(maps.names().collect::<Vec<_>>(), ["../up", "sp|P1|X"]);
    let files = fs::read_dir(&out).expect("a folder");
    let name = |file: std::io::Result<fs::DirEntry>| file.expect("a file").file_name();
    let mut names: Vec<_> = files.map(name).collect();
    names.sort();
    assert_eq!(
        names,
        ["%2E.%2Fup.png", "contacts.safetensors", "sp%7CP1%7CX.png"]
    );
}

#[test]
fn contacts_refuses_models_and_sequences_that_it_cannot_read() {
    let model = reference().join("model");
    let folder = tempfile::tempdir().expect("a folder");
    let out = folder.path().join("out");
    let contacts = |model: &Path, data: &str, code: i32, words: &str| {
        let (model, out) = (shown(model), shown(&out));
        fails(
            &["contacts", &model, "--data", data, "--out", &out],
            code,
            words,
        );
        assert!(!Path::new(&out).exists(), "{words}");
    };
    let good = write(&folder, "good.fasta", ">a\nMKT\n");
    // The bias goes by a name that the family leaves out; the header keeps its length.
    let headless = changed(&model, "model.safetensors", |bytes| {
        let (old, new) = (
            "esm.contact_head.regression.bias\"",
            "esm.pooler.dense.bias\"",
        );
        let new = format!("{new:<width$}", width = old.len());
        let at = bytes
            .windows(old.len())
            .position(|part| part == old.as_bytes());
        let at = at.expect("the tensor's name");
        [&bytes[..at], new.as_bytes(), &bytes[at + old.len()..]].concat()
    });
    let missing = "has no `esm.contact_head.regression.bias`";
    contacts(headless.path(), &good, 3, missing);
    contacts(&golden("gpt2").join("model"), &good, 3, "has no tokenizer");
    contacts(&model, "no/such.fasta", 4, "no/such.fasta");
    let letter = write(&folder, "j.fasta", ">a\nMKT\n>b\nMJK\n");
    contacts(&model, &letter, 3, "sequence `b` has letters");
    let long = write(&folder, "long.fasta", format!(">a\n{}\n", "M".repeat(23)));
    contacts(
        &model,
        &long,
        3,
        "has 23 residues; the model reads 22 at most",
    );
}

#[test]
fn maps_that_are_no_numbers_are_judged() {
    let model = reference().join("model");
    let broken = crate::home::not_a_number(&model);
    let folder = tempfile::tempdir().expect("a folder");
    let data = write(&folder, "in.fasta", ">a\nMKT\n");
    let out = folder.path().join("out");
    let args = [
        "contacts",
        &shown(broken.path()),
        "--data",
        &data,
        "--out",
        &shown(&out),
    ];
    fails(&args, 1, "sequence `a`");
    assert!(!out.join("contacts.safetensors").exists());
}
