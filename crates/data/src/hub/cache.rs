//! A repository's folder in the cache.

use std::path::{Path, PathBuf};

use tenon_base::files::{self, Disk, FileLock};
use tenon_base::{Error, Result};

use super::SnapshotFile;
use super::names::{self, DEFAULT_REVISION, Repo};

/// The folder of one repository.
pub(super) struct Cache<'d> {
    pub(super) disk: &'d dyn Disk,
    root: PathBuf,
    locks: PathBuf,
}

impl<'d> Cache<'d> {
    /// The folder of `repo` in the cache at `folder`; nothing is written yet.
    pub(super) fn new(disk: &'d dyn Disk, folder: &Path, repo: &Repo) -> Cache<'d> {
        Cache {
            disk,
            root: folder.join(repo.folder()),
            locks: folder.join(".locks").join(repo.folder()),
        }
    }

    /// The folder that holds a commit's files.
    pub(super) fn snapshot(&self, commit: &str) -> PathBuf {
        self.root.join("snapshots").join(commit)
    }

    fn blob(&self, etag: &str) -> PathBuf {
        self.root.join("blobs").join(etag)
    }

    /// Where a content grows.
    pub(super) fn partial(&self, etag: &str) -> PathBuf {
        self.blob(&format!("{etag}.incomplete"))
    }

    /// Whether a content of so many bytes is there; one of another size is broken.
    pub(super) fn has_blob(&self, etag: &str, bytes: u64) -> Result<bool> {
        let path = self.blob(etag);
        Ok(self.disk.exists(&path)? && self.disk.file_bytes(&path)? == bytes)
    }

    /// The file of a commit, when it is there with its content.
    pub(super) fn file(&self, commit: &str, name: &str) -> Result<Option<SnapshotFile>> {
        let path = self.snapshot(commit).join(name);
        if !self.disk.exists(&path)? {
            return Ok(None);
        }
        // Where there are no links, other tools put the file itself there.
        let target = self.disk.link_target(&path).ok();
        let etag = target.and_then(|target| Some(target.file_name()?.to_str()?.to_owned()));
        Ok(Some(SnapshotFile {
            name: name.to_owned(),
            bytes: self.disk.file_bytes(&path)?,
            etag,
            reused: true,
        }))
    }

    /// Every file of a commit that is there, by name.
    pub(super) fn files(&self, commit: &str) -> Result<Vec<SnapshotFile>> {
        let root = self.snapshot(commit);
        let mut names = Vec::new();
        let mut folders = vec![root.clone()];
        while let Some(folder) = folders.pop() {
            for path in self.disk.list(&folder)? {
                if path.is_dir() {
                    folders.push(path);
                } else if let Some(name) = path.strip_prefix(&root).ok().and_then(Path::to_str) {
                    names.push(name.replace(std::path::MAIN_SEPARATOR, "/"));
                }
            }
        }
        names.sort_unstable();
        let files = names.iter().map(|name| self.file(commit, name));
        files.filter_map(Result::transpose).collect()
    }

    /// The right to write a content; programs that use the hub's own library take part.
    pub(super) fn lock(&self, etag: &str, waiting: &mut dyn FnMut()) -> Result<FileLock> {
        self.disk.create_dir_all(&self.locks)?;
        self.disk.create_dir_all(&self.root.join("blobs"))?;
        files::lock(&self.locks.join(format!("{etag}.lock")), waiting)
    }

    /// Gives a content that is complete and right its name.
    pub(super) fn keep(&self, etag: &str) -> Result<()> {
        let partial = self.partial(etag);
        self.disk.sync(&partial)?;
        self.disk.rename(&partial, &self.blob(etag))
    }

    /// Makes `name` of a commit lead to a content.
    pub(super) fn link(&self, commit: &str, name: &str, etag: &str) -> Result<()> {
        let link = self.snapshot(commit).join(name);
        if let Some(folder) = link.parent() {
            self.disk.create_dir_all(folder)?;
        }
        let up = "../".repeat(2 + name.matches('/').count());
        self.disk
            .link(Path::new(&format!("{up}blobs/{etag}")), &link)
    }

    /// Notes which commit a revision means; a commit itself needs no note.
    pub(super) fn write_ref(&self, revision: &str, commit: &str) -> Result<()> {
        let path = self.root.join("refs").join(revision);
        if revision == commit || self.read_ref(revision)?.as_deref() == Some(commit) {
            return Ok(());
        }
        if let Some(folder) = path.parent() {
            self.disk.create_dir_all(folder)?;
        }
        self.disk.write_atomic(&path, commit.as_bytes())
    }

    fn read_ref(&self, revision: &str) -> Result<Option<String>> {
        let path = self.root.join("refs").join(revision);
        if !path.is_file() {
            return Ok(None);
        }
        let bytes = self.disk.read(&path)?;
        let commit = String::from_utf8_lossy(&bytes).trim().to_owned();
        match names::is_commit(&commit) {
            true => Ok(Some(commit)),
            false => {
                let error = Error::data("the reference holds no commit");
                Err(error.at(path.display().to_string()).hint("remove the file"))
            }
        }
    }
}

/// The folder of a repository's snapshot in the cache at `cache`, when a revision of it was loaded,
/// by this program or by another.
///
/// # Errors
/// `Usage` for what is no revision; `Data` for a cache that is broken; `Io`.
pub fn find_snapshot(
    disk: &dyn Disk,
    cache: &Path,
    repo: &Repo,
    revision: &str,
) -> Result<Option<PathBuf>> {
    names::check_revision(revision)?;
    let cache = Cache::new(disk, cache, repo);
    let commit = match names::is_commit(revision) {
        true => Some(revision.to_owned()),
        false => cache.read_ref(revision)?,
    };
    let Some(commit) = commit else {
        return Ok(None);
    };
    let path = cache.snapshot(&commit);
    Ok(disk.exists(&path)?.then_some(path))
}

/// As [`find_snapshot`], for those who cannot do without.
///
/// # Errors
/// Those too, and `Data` when it was not loaded, with the command that loads it.
pub fn cached_snapshot(
    disk: &dyn Disk,
    cache: &Path,
    repo: &Repo,
    revision: &str,
) -> Result<PathBuf> {
    let found = find_snapshot(disk, cache, repo, revision)?;
    found.ok_or_else(|| {
        let name = match revision {
            DEFAULT_REVISION => repo.to_string(),
            _ => format!("{repo}@{revision}"),
        };
        let error = Error::data(format!("`{name}` is not in the model hub's cache"));
        error.hint(format!("run `tenon fetch hub {name}`"))
    })
}
