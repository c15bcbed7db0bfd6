//! The files of a checkout.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tenon_base::{Error, Result};

use crate::rust::Source;

/// Folders that are no part of the tree, wherever they lie: build outputs and tools' own folders.
/// Of the folders whose name starts with a dot, only [`DOT_FOLDERS`] are read.
const SKIPPED_FOLDERS: &[&str] = &["target", "runs", "__pycache__"];
const DOT_FOLDERS: &[&str] = &[".cargo", ".ci"];

/// The text files of a checkout, by path from its root with `/` between the parts.
#[derive(Debug, Default)]
pub struct Tree {
    /// Files that are UTF-8 text, Rust files included.
    pub texts: BTreeMap<String, String>,
    /// Rust files, as tokens.
    pub rust: BTreeMap<String, Source>,
    /// All other files: their paths.
    pub binaries: Vec<String>,
}

impl Tree {
    /// Adds a text file. Fails when it is a Rust file that does not lex.
    pub fn add(&mut self, path: &str, text: String) -> Result<()> {
        if path.ends_with(".rs") {
            self.rust.insert(path.to_owned(), Source::new(path, &text)?);
        }
        self.texts.insert(path.to_owned(), text);
        Ok(())
    }

    /// Whether `path` is a file, or a folder with a file in it; an empty path is the root.
    pub fn has(&self, path: &str) -> bool {
        let folder = format!("{path}/");
        let mut all = self.texts.keys().chain(&self.binaries);
        path.is_empty() || all.any(|file| file == path || file.starts_with(&folder))
    }
}

/// Reads the checkout at `root`. Fails when a file cannot be read or a Rust file does not lex.
pub fn read(root: &Path) -> Result<Tree> {
    let mut tree = Tree::default();
    read_folder(root, "", &mut tree)?;
    Ok(tree)
}

fn read_folder(folder: &Path, prefix: &str, tree: &mut Tree) -> Result<()> {
    let entries = fs::read_dir(folder).map_err(|e| Error::io("cannot list", folder, &e))?;
    for entry in entries {
        let entry = entry.map_err(|e| Error::io("cannot list", folder, &e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let (at, path) = (entry.path(), format!("{prefix}{name}"));
        // A linked work tree has a file of this name instead of a folder.
        if name == ".git" {
            continue;
        }
        if at.is_dir() {
            let skipped = SKIPPED_FOLDERS.contains(&name.as_str());
            let hidden = name.starts_with('.') && !DOT_FOLDERS.contains(&name.as_str());
            if !skipped && !hidden {
                read_folder(&at, &format!("{path}/"), tree)?;
            }
            continue;
        }
        let bytes = fs::read(&at).map_err(|e| Error::io("cannot read", &at, &e))?;
        match String::from_utf8(bytes) {
            Ok(text) if !text.contains('\0') => tree.add(&path, text)?,
            _ => tree.binaries.push(path),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_there_when_a_file_is_in_it() {
        let mut tree = Tree::default();
        tree.add("docs/a.md", String::new()).unwrap();
        assert!(tree.has("docs") && tree.has("docs/a.md") && tree.has(""));
        assert!(!tree.has("doc") && !tree.has("docs/a"));
    }

    #[test]
    fn this_checkout_has_this_file_and_no_build_output() {
        let tree = read(&crate::workspace_root()).unwrap();
        assert!(tree.rust.contains_key("crates/xtask/src/tree.rs"));
        assert!(!tree.has("target") && !tree.has(".git"));
    }
}
