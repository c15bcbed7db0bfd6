//! Single cells: ranks by hand and by numpy, and every way a matrix or a dictionary can lie.

mod counts;
mod ranks;
mod vocabulary;

use std::path::PathBuf;

use tempfile::TempDir;
use tenon_base::{Error, Kind};
use tenon_data::cells::{Counts, GeneVocabulary, GenesAre, read_table};

pub(crate) fn vocabulary(
    medians: &[(&str, f64)],
    tokens: &[(&str, u32)],
) -> Result<GeneVocabulary, Error> {
    let medians = medians.iter().map(|&(name, m)| (name.into(), m)).collect();
    let tokens = tokens.iter().map(|&(name, id)| (name.into(), id)).collect();
    GeneVocabulary::from_maps(&medians, &tokens)
}

/// Version 1: no `<cls>`, no `<eos>`.
pub(crate) fn first() -> GeneVocabulary {
    let medians = [("A", 1.0), ("B", 2.0), ("C", 0.5), ("D", 1.0)];
    let tokens = [
        ("<pad>", 0),
        ("<mask>", 1),
        ("A", 2),
        ("B", 3),
        ("C", 4),
        ("D", 5),
    ];
    vocabulary(&medians, &tokens).unwrap()
}

/// Version 2.
pub(crate) fn second() -> GeneVocabulary {
    let medians = [("A", 1.0), ("B", 2.0), ("C", 0.5), ("D", 1.0)];
    let tokens = [
        ("<pad>", 0),
        ("<mask>", 1),
        ("<cls>", 2),
        ("<eos>", 3),
        ("A", 4),
        ("B", 5),
        ("C", 6),
        ("D", 9),
    ];
    vocabulary(&medians, &tokens).unwrap()
}

pub(crate) struct Files(TempDir);

impl Files {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            std::fs::write(folder.path().join(name), content).unwrap();
        }
        Files(folder)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }
}

pub(crate) fn table(name: &str, content: &str, side: Option<GenesAre>) -> Result<Counts, Error> {
    read_table(&Files::new(&[(name, content)]).path(name), side, &first())
}

pub(crate) const TABLE: &str = "cell,A,B,C,D,X\nc1,1,4,1,2,2\nc2,0,0,3,0,7\nc3,0,0,0,0,5\n";

#[track_caller]
pub(crate) fn is_data(error: Error, message: &str, place: &str) {
    assert_eq!(error.kind(), Kind::Data, "{error}");
    assert!(
        error.message().contains(message),
        "{message:?} not in {error}"
    );
    let found = error.place().unwrap_or_default();
    assert!(
        found.ends_with(place),
        "{place:?} is not the end of {found:?}"
    );
}
