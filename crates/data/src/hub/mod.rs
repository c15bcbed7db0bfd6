//! Repositories of the model hub: what is there, what is wanted, and the cache that is shared with
//! the hub's own tools.
//!
//! The cache of a repository is a folder `models--ORG--NAME` with `blobs/ETAG` (contents),
//! `snapshots/COMMIT/FILE` (links to them) and `refs/REVISION` (the commit that a name meant last).
//! A content is loaded into `blobs/ETAG.incomplete`, continued there after an interruption, and
//! gets its name only when its hash is right.

mod access;
mod address;
mod api;
mod blob;
mod cache;
mod checksum;
mod http;
mod names;
mod select;

use std::path::PathBuf;

use tenon_base::files::Disk;
use tenon_base::{Error, Kind, Result};

pub use self::access::{Access, DEFAULT_ENDPOINT, Proxy};
pub use self::cache::{cached_snapshot, find_snapshot};
pub use self::names::{DEFAULT_REVISION, Repo};
pub use self::select::Selection;

use self::api::{Api, Listed};
use self::cache::Cache;
use self::checksum::Checksum;

/// What to load.
#[derive(Clone, Debug)]
pub struct Request {
    /// The repository.
    pub repo: Repo,
    /// Branch, tag or commit.
    pub revision: String,
    /// Which of its files.
    pub selection: Selection,
}

/// A repository in the cache, as far as it was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The commit that the revision means; 40 hexadecimal digits.
    pub commit: String,
    /// The folder that holds the files under their names.
    pub path: PathBuf,
    /// The files that were asked for, by name.
    pub files: Vec<SnapshotFile>,
}

/// A file of a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SnapshotFile {
    /// Its path within the repository.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// The name of its content: its SHA-256, or Git's hash of it, where the hub tells one of them.
    /// `None` where another tool has put the file itself into the cache.
    pub etag: Option<String>,
    /// Whether its content was in the cache already.
    pub reused: bool,
}

impl SnapshotFile {
    /// Its SHA-256, where the hub names contents by it.
    pub fn sha256(&self) -> Option<&str> {
        let etag = self.etag.as_deref()?;
        matches!(Checksum::of(etag), Checksum::Sha256(_)).then_some(etag)
    }

    /// Whether the hub told a hash that the content was compared with; otherwise only its size was.
    pub fn is_verified(&self) -> bool {
        let etag = self.etag.as_deref().unwrap_or_default();
        !matches!(Checksum::of(etag), Checksum::Unknown)
    }
}

/// How far a download is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// The hub has told what there is.
    Listed {
        /// The commit.
        commit: &'a str,
        /// Number of files that will be there in the end.
        n_files: usize,
        /// Their bytes, where the hub tells them.
        bytes: Option<u64>,
    },
    /// Another program loads the same content; waiting for it.
    Waiting {
        /// The file.
        name: &'a str,
    },
    /// So much of a file is there.
    Progress {
        /// The file.
        name: &'a str,
        /// Bytes that are there.
        done: u64,
        /// Bytes in all.
        bytes: u64,
    },
    /// A file is complete.
    Done(&'a SnapshotFile),
}

/// Loads what is missing of a repository into the cache. In offline mode nothing is loaded, and
/// what the cache has is listed.
///
/// # Errors
/// `Usage` when the hub has no such repository or revision, or a pattern matches nothing; `Data`
/// when a hash or a name is wrong; `Io` for the network, for what may not be read, and the disk.
pub fn fetch(
    disk: &dyn Disk,
    access: &Access,
    request: &Request,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<Snapshot> {
    let cache = Cache::new(disk, &access.cache, &request.repo);
    names::check_revision(&request.revision)?;
    if access.offline {
        return offline(&cache, access, request, on_event);
    }
    let api = Api::new(disk, access, &request.repo)?;
    let listing = api.listing(&request.revision)?;
    let names: Vec<&str> = listing
        .files
        .iter()
        .map(|file| file.name.as_str())
        .collect();
    let selected = request.selection.choose(&request.repo, &names)?;
    let chosen = |file: &&Listed| selected.binary_search(&file.name.as_str()).is_ok();
    let wanted: Vec<&Listed> = listing.files.iter().filter(chosen).collect();
    on_event(Event::Listed {
        commit: &listing.commit,
        n_files: wanted.len(),
        bytes: wanted.iter().map(|file| file.bytes).sum(),
    });
    let mut files = Vec::with_capacity(wanted.len());
    for file in wanted {
        let done = one_file(&cache, &api, &listing.commit, file, on_event)?;
        on_event(Event::Done(&done));
        files.push(done);
    }
    // Last, so that a name never means a snapshot that was only begun.
    cache.write_ref(&request.revision, &listing.commit)?;
    Ok(Snapshot {
        path: cache.snapshot(&listing.commit),
        commit: listing.commit,
        files,
    })
}

fn one_file(
    cache: &Cache<'_>,
    api: &Api<'_>,
    commit: &str,
    listed: &Listed,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<SnapshotFile> {
    let name = listed.name.as_str();
    if let Some(file) = cache.file(commit, name)?
        && listed.bytes.is_none_or(|bytes| bytes == file.bytes)
    {
        return Ok(file);
    }
    let facts = api.facts(commit, name)?;
    let reused = match cache.has_blob(&facts.etag, facts.bytes)? {
        true => true,
        false => {
            let _lock = cache.lock(&facts.etag, &mut || on_event(Event::Waiting { name }))?;
            // Another program may have loaded it meanwhile.
            let there = cache.has_blob(&facts.etag, facts.bytes)?;
            if !there {
                let partial = cache.partial(&facts.etag);
                blob::download(cache.disk, api, &facts, &partial, &mut |done| {
                    let bytes = facts.bytes;
                    on_event(Event::Progress { name, done, bytes });
                })?;
                cache.keep(&facts.etag)?;
            }
            there
        }
    };
    cache.link(commit, name, &facts.etag)?;
    Ok(SnapshotFile {
        name: name.to_owned(),
        bytes: facts.bytes,
        etag: Some(facts.etag),
        reused,
    })
}

fn offline(
    cache: &Cache<'_>,
    access: &Access,
    request: &Request,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Result<Snapshot> {
    let (repo, revision) = (&request.repo, &request.revision);
    let path = find_snapshot(cache.disk, &access.cache, repo, revision)?;
    let path = path.ok_or_else(|| {
        let message = format!("`{repo}@{revision}` is not in the model hub's cache");
        Error::new(Kind::Io, message)
            .hint("unset `HF_HUB_OFFLINE` to load it: nothing is loaded while that is set")
    })?;
    let commit = path
        .file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned();
    let all = cache.files(&commit)?;
    let names: Vec<&str> = all.iter().map(|file| file.name.as_str()).collect();
    let selected = request.selection.choose(&request.repo, &names)?;
    let chosen = |file: &SnapshotFile| selected.binary_search(&file.name.as_str()).is_ok();
    let files: Vec<SnapshotFile> = all.iter().filter(|file| chosen(file)).cloned().collect();
    for file in &files {
        on_event(Event::Done(file));
    }
    Ok(Snapshot {
        commit,
        path,
        files,
    })
}
