//! Good files with a few bytes changed, cut or put in give tensors or an error, never a panic.

use std::fs;

use proptest::prelude::*;
use tenon_base::Kind;
use tenon_models::checkpoint::read_plain;

use super::asm::{archive, files, open};

#[derive(Clone, Debug)]
enum Change {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Cut(prop::sample::Index),
}

fn change() -> impl Strategy<Value = Change> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        6 => (at(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        2 => (at(), any::<u8>()).prop_map(|(at, byte)| Change::Insert(at, byte)),
        1 => at().prop_map(Change::Remove),
        1 => at().prop_map(Change::Cut),
    ]
}

fn changed(mut bytes: Vec<u8>, changes: &[Change]) -> Vec<u8> {
    for change in changes {
        if bytes.is_empty() {
            break;
        }
        let n = bytes.len();
        match change {
            Change::Set(at, byte) => bytes[at.index(n)] = *byte,
            Change::Insert(at, byte) => bytes.insert(at.index(n), *byte),
            Change::Remove(at) => drop(bytes.remove(at.index(n))),
            Change::Cut(at) => bytes.truncate(at.index(n)),
        }
    }
    bytes
}

/// Opens a file and looks at every byte of its tensors.
fn read_all(file: &[u8]) {
    match open(file) {
        Ok(checkpoint) => {
            for tensor in checkpoint.tensors() {
                let n = tensor.n_elements() * (tensor.dtype.bitsize() / 8);
                assert_eq!(tensor.bytes.len(), n);
                assert_eq!(*checkpoint.keep(&tensor), *tensor.bytes);
            }
        }
        Err(error) => assert_eq!(error.kind(), Kind::Data, "{error}"),
    }
}

/// The pickle and the storages of an archive of PyTorch, for an archive whose checksum is right.
fn pickle_of(file: &[u8]) -> Vec<u8> {
    let start = file
        .windows(2)
        .position(|pair| pair == b"\x80\x02")
        .unwrap();
    let n = file[start..]
        .windows(4)
        .position(|part| part == b"PK\x07\x08");
    file[start..start + n.unwrap()].to_vec()
}

/// Storages of the lengths that the recorded views have.
fn storages_of(floats: &[u8; 96]) -> [(&str, &[u8]); 4] {
    [
        ("0", floats),
        ("1", floats),
        ("2", &floats[..12]),
        ("3", &floats[..8]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn whole_files(
        name in prop::sample::select(vec!["kinds.bin", "views.bin", "legacy.bin", "training.pt"]),
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let file = fs::read(super::asm::files().join(name)).unwrap();
        read_all(&changed(file, &changes));
    }

    #[test]
    fn pickles_in_files(changes in prop::collection::vec(change(), 1..4)) {
        let views = fs::read(files().join("views.bin")).unwrap();
        let pickle = changed(pickle_of(&views), &changes);
        let floats = [0u8; 96];
        read_all(&archive(&pickle, &storages_of(&floats)));
    }

    #[test]
    fn plain_pickles(
        protocol in 0..6,
        changes in prop::collection::vec(change(), 1..4),
    ) {
        let file = fs::read(files().join(format!("plain_{protocol}.pkl"))).unwrap();
        let _ = read_plain(&changed(file, &changes));
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = read_plain(&bytes);
        read_all(&bytes);
        read_all(&archive(&bytes, &[("0", &bytes)]));
    }
}

#[test]
fn the_pickle_of_an_archive_is_found() {
    let views = fs::read(files().join("views.bin")).unwrap();
    let file = archive(&pickle_of(&views), &storages_of(&[0; 96]));
    assert!(open(&file).is_ok());
}
