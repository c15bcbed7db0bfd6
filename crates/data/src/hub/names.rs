//! Names: repositories, revisions, and the files that a server claims to have.

use std::fmt;
use std::path::Path;

use tenon_base::{Error, Result};

/// The revision that is meant where none is named.
pub const DEFAULT_REVISION: &str = "main";
/// Characters of a repository's name, the hub's own limit.
const REPO_CHARS_MAX: usize = 96;
const REVISION_BYTES_MAX: usize = 255;
const FILE_BYTES_MAX: usize = 1024;

/// The name of a repository: `NAME`, or `ORG/NAME`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repo(String);

impl Repo {
    /// Reads a name.
    ///
    /// # Errors
    /// `Usage` when the hub allows no such name.
    pub fn parse(name: &str) -> Result<Repo> {
        let parts: Vec<&str> = name.split('/').collect();
        if parts.len() <= 2 && name.len() <= REPO_CHARS_MAX && parts.iter().all(|p| is_part(p)) {
            return Ok(Repo(name.to_owned()));
        }
        let error = Error::usage(format!("`{}` is no name of a repository", shown(name)));
        Err(error.hint("name it `ORG/NAME`, for example `HuggingFaceTB/SmolLM2-135M`"))
    }

    /// Reads `NAME[@REVISION]`.
    ///
    /// # Errors
    /// `Usage` when the hub allows no such name.
    pub fn parse_with_revision(text: &str) -> Result<(Repo, String)> {
        let (name, revision) = text.split_once('@').unwrap_or((text, DEFAULT_REVISION));
        check_revision(revision)?;
        Ok((Repo::parse(name)?, revision.to_owned()))
    }

    /// Reads what can only be meant as `ORG/NAME[@REVISION]`; `None` for what looks like a path or
    /// a name of something else.
    pub fn of_model_name(text: &str) -> Option<(Repo, String)> {
        let (repo, revision) = Repo::parse_with_revision(text).ok()?;
        repo.0.contains('/').then_some((repo, revision))
    }

    /// `ORG/NAME`.
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Its folder in the cache, `models--ORG--NAME`.
    pub(super) fn folder(&self) -> String {
        format!("models--{}", self.0.replace('/', "--"))
    }
}

impl fmt::Display for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Letters, digits, `-`, `_` and `.`, of which the last two stand at no end and no two follow one
/// another.
fn is_part(part: &str) -> bool {
    let is_known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let is_edge = |c: char| "-.".contains(c);
    !part.is_empty()
        && part.chars().all(is_known)
        && !part.starts_with(is_edge)
        && !part.ends_with(is_edge)
        && !part.contains("--")
        && !part.contains("..")
}

/// Checks that a revision can be a name in the cache.
///
/// # Errors
/// `Usage`.
pub(super) fn check_revision(revision: &str) -> Result<()> {
    if revision.len() <= REVISION_BYTES_MAX && is_inside(revision) {
        return Ok(());
    }
    let error = Error::usage(format!("`{}` is no revision", shown(revision)));
    Err(error.hint("name a branch, a tag or a commit"))
}

/// Checks a file name that a server has sent: it stays below the folder that it is written into.
///
/// # Errors
/// `Data`.
pub(super) fn check_file(name: &str) -> Result<()> {
    if name.len() <= FILE_BYTES_MAX && is_inside(name) {
        return Ok(());
    }
    let error = Error::data(format!("the hub names a file `{}`", shown(name)));
    Err(error.hint("nothing was loaded: such a name may lead out of the cache"))
}

/// Whether a path with slashes is relative and goes only down, on every system.
fn is_inside(path: &str) -> bool {
    let is_plain = |part: &str| {
        !part.is_empty()
            && part != "."
            && part != ".."
            && !part.contains(['\\', ':'])
            && !part.contains(char::is_control)
    };
    path.split('/').all(is_plain) && Path::new(path).is_relative()
}

/// Whether a commit is a Git hash, SHA-1 or SHA-256.
pub(super) fn is_commit(text: &str) -> bool {
    [40, 64].contains(&text.len()) && is_hex(text)
}

/// Whether a text holds lower-case hexadecimal digits only.
pub(super) fn is_hex(text: &str) -> bool {
    text.bytes()
        .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A text of others in a message: on one line, and not too long.
pub(super) fn shown(text: &str) -> String {
    const CHARS_MAX: usize = 200;
    let chars = text.chars().take(CHARS_MAX);
    let mut shown: String = chars
        .map(|c| if c.is_control() { '�' } else { c })
        .collect();
    if text.chars().count() > CHARS_MAX {
        shown.push('…');
    }
    shown
}

/// A path as a part of a URL; slashes stay where `keep_slashes` is set.
pub(super) fn encoded(path: &str, keep_slashes: bool) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            b'/' if keep_slashes => out.push('/'),
            _ => out += &format!("%{byte:02X}"),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_named_as_the_hub_allows() {
        for name in ["gpt2", "a/b", "HuggingFaceTB/SmolLM2-135M", "o/n.1_x"] {
            assert_eq!(Repo::parse(name).unwrap().name(), name);
        }
        let long = "a".repeat(97);
        for name in [
            "",
            "/",
            "a/",
            "/b",
            "a/b/c",
            "../b",
            "a/..",
            "./b",
            "a b/c",
            "a--b/c",
            "a/b.",
            "-a/b",
            "a\\b",
            "a/b\0",
            "é/b",
            long.as_str(),
        ] {
            assert!(Repo::parse(name).is_err(), "{name:?}");
        }
        assert_eq!(Repo::parse("a/b").unwrap().folder(), "models--a--b");
    }

    #[test]
    fn a_revision_follows_the_name() {
        let parse = |text| Repo::parse_with_revision(text);
        let (repo, revision) = parse("a/b@refs/pr/1").unwrap();
        assert_eq!((repo.name(), revision.as_str()), ("a/b", "refs/pr/1"));
        assert_eq!(parse("a/b").unwrap().1, DEFAULT_REVISION);
        for bad in ["a/b@", "a/b@../x", "a/b@/x", "a/b@x//y", "a/b@x\\y"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_model_name_is_no_path() {
        for text in ["gpt2", "runs/a/model", "./a/b", "../a/b", "/a/b", "a/b/"] {
            assert!(Repo::of_model_name(text).is_none(), "{text}");
        }
        assert!(Repo::of_model_name("org/name@v1").is_some());
    }

    #[test]
    fn file_names_that_lead_elsewhere_are_refused() {
        for name in [
            "config.json",
            "a/b c/d.json",
            "..a",
            "a..",
            ".gitattributes",
        ] {
            check_file(name).unwrap();
        }
        let long = "a".repeat(2000);
        for name in [
            "",
            "..",
            "../x",
            "a/../x",
            "a/..",
            "/etc/x",
            "a//b",
            "a/",
            "./a",
            "a\\..\\x",
            "\\x",
            "C:x",
            "a\0b",
            "a\nb",
            long.as_str(),
        ] {
            let error = check_file(name).unwrap_err();
            assert_eq!(error.kind(), tenon_base::Kind::Data, "{name:?}");
            assert!(!error.message().contains(char::is_control), "{name:?}");
        }
    }

    #[test]
    fn urls_are_encoded_byte_by_byte() {
        assert_eq!(encoded("a b/ü#?.json", true), "a%20b/%C3%BC%23%3F.json");
        assert_eq!(encoded("refs/pr/1", false), "refs%2Fpr%2F1");
    }
}
