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
    let folders: Vec<PathBuf> = named.into_iter().chain([beside]).collect();
    found_or_told(name, &folders)
}

/// A file or folder of the reference outputs, or `None` (with the reason on stderr) when absent.
///
/// Looks in `goldens` beside the folder that `TENON_DATA` names, then in `shared/goldens` beside
/// the workspace.
pub fn shared_goldens(name: &str) -> Option<PathBuf> {
    let named = data_folder();
    let named = named.map(|data| data.with_file_name("goldens"));
    let beside = beside_workspace("goldens");
    let folders: Vec<PathBuf> = named.into_iter().chain([beside]).collect();
    found_or_told(name, &folders)
}

fn data_folder() -> Option<PathBuf> {
    Environment::of_process().expect("a valid environment").data
}

fn beside_workspace(kind: &str) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    workspace.join("../shared").join(kind)
}

fn found_or_told(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let found = find(name, folders);
    if found.is_none() {
        tell(name, folders);
    }
    found
}

#[expect(clippy::print_stderr, reason = "a test that is skipped has to say why")]
fn tell(name: &str, folders: &[PathBuf]) {
    eprintln!("skipped: `{name}` is in none of {folders:?}; set TENON_DATA to run it");
}

fn find(name: &str, folders: &[PathBuf]) -> Option<PathBuf> {
    let mut paths = folders.iter().map(|folder| folder.join(name));
    paths.find(|path| path.exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_folder_that_has_the_name_wins() {
        let first = tempfile::tempdir().unwrap();
        let second = tempfile::tempdir().unwrap();
        let folders = [first.path().to_owned(), second.path().to_owned()];
        assert_eq!(find("x.csv", &folders), None);
        std::fs::write(second.path().join("x.csv"), "a").unwrap();
        assert_eq!(find("x.csv", &folders), Some(second.path().join("x.csv")));
        std::fs::write(first.path().join("x.csv"), "a").unwrap();
        assert_eq!(find("x.csv", &folders), Some(first.path().join("x.csv")));
    }
}
