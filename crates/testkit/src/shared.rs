//! Data that is too large for the repository.

use std::path::{Path, PathBuf};

use tenon_base::knobs::Environment;

/// A file or folder of the shared data sets, or `None` (with the reason on stderr) when absent.
///
/// Looks in `TENON_DATA`, then in `shared/data` beside the workspace. A test that gets `None`
/// returns; the line `skipped: …`, printed here, makes `.ci/run` count it as skipped.
pub fn shared_data(name: &str) -> Option<PathBuf> {
    let named = data_folder();
    let beside = beside_workspace("data");
    find(name, named.into_iter().chain([beside]).collect())
}

/// A file or folder of the reference outputs, or `None` (with the reason on stderr) when absent.
///
/// Looks in `goldens` beside the folder that `TENON_DATA` names, then in `shared/goldens` beside
/// the workspace.
pub fn shared_goldens(name: &str) -> Option<PathBuf> {
    let named = data_folder();
    let named = named.map(|data| data.with_file_name("goldens"));
    find(
        name,
        named
            .into_iter()
            .chain([beside_workspace("goldens")])
            .collect(),
    )
}

fn data_folder() -> Option<PathBuf> {
    Environment::of_process().expect("a valid environment").data
}

fn beside_workspace(kind: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    workspace.join("../shared").join(kind)
}

#[expect(
    clippy::print_stderr,
    reason = "a test that is passed over has to say why"
)]
fn find(name: &str, folders: Vec<PathBuf>) -> Option<PathBuf> {
    let found = folders
        .iter()
        .map(|folder| folder.join(name))
        .find(|path| path.exists());
    if found.is_none() {
        eprintln!("skipped: `{name}` is in none of {folders:?}; set TENON_DATA to run it");
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_folder_that_has_the_name_wins() {
        let first = tempfile::tempdir().unwrap();
        let second = tempfile::tempdir().unwrap();
        let folders = || vec![first.path().to_owned(), second.path().to_owned()];
        assert_eq!(find("x.csv", folders()), None);
        std::fs::write(second.path().join("x.csv"), "a").unwrap();
        assert_eq!(find("x.csv", folders()), Some(second.path().join("x.csv")));
        std::fs::write(first.path().join("x.csv"), "a").unwrap();
        assert_eq!(find("x.csv", folders()), Some(first.path().join("x.csv")));
    }
}
