//! Files: the only door to the disk for whatever must survive a crash.
//!
//! [`Disk`] is a trait so that tests can fail or kill a program at every write.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Error, Result};

/// Fills a file; called once with a buffered writer.
pub type Fill<'a> = &'a mut dyn FnMut(&mut dyn Write) -> io::Result<()>;

/// What a program does with a disk. All errors are of kind `Io` and name the path.
pub trait Disk: Send + Sync + fmt::Debug {
    /// Creates a folder and its parents; an existing folder is no error.
    fn create_dir_all(&self, path: &Path) -> Result<()>;

    /// Replaces a file as a whole: a reader, or the next start after a crash, sees the old content
    /// or the new one. Writes a temporary file beside it, syncs it, renames it and syncs the
    /// folder. When `fill` or the disk fails, the temporary file is removed and the old file stays.
    fn write_atomic_with(&self, path: &Path, fill: Fill<'_>) -> Result<()>;

    /// [`Disk::write_atomic_with`] for content that is in memory.
    fn write_atomic(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        self.write_atomic_with(path, &mut |file| file.write_all(bytes))
    }

    /// Adds bytes at the end of a file, which is created if absent. Durable only after
    /// [`Disk::sync`].
    fn append(&self, path: &Path, bytes: &[u8]) -> Result<()>;

    /// Makes the content of a file durable.
    fn sync(&self, path: &Path) -> Result<()>;

    /// Cuts a file to its first `len` bytes, durably; a shorter file is an error.
    fn truncate_to(&self, path: &Path, len: u64) -> Result<()>;

    /// Renames a file or folder and syncs both folders. A file in the way is replaced.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> Result<()>;

    /// Removes a folder with all that is in it; an absent folder is no error.
    fn remove_dir_all(&self, path: &Path) -> Result<()>;

    /// The whole content of a file.
    fn read(&self, path: &Path) -> Result<Vec<u8>>;

    /// Whether something has this name; an unreadable parent is an error, not "no".
    fn exists(&self, path: &Path) -> Result<bool>;

    /// The names in a folder, sorted. Temporary files of [`Disk::write_atomic`] are left out.
    fn list(&self, path: &Path) -> Result<Vec<PathBuf>>;

    /// Bytes of a file, or of the file that a link leads to.
    fn file_bytes(&self, path: &Path) -> Result<u64>;

    /// Opens a file to be read from its start in pieces.
    fn open(&self, path: &Path) -> Result<Box<dyn Read>>;

    /// Makes `link` a symbolic link to `target`, which is a path from the folder of `link`. A file
    /// or link in the way is replaced as a whole.
    fn link(&self, target: &Path, link: &Path) -> Result<()>;

    /// Where a symbolic link leads to, as it was written.
    fn link_target(&self, link: &Path) -> Result<PathBuf>;
}

/// A right to a file that one program has at a time, until this is dropped or the program ends.
#[derive(Debug)]
pub struct FileLock {
    _file: File,
}

/// Waits until nobody else holds the lock file `path`, and takes it; `waiting` is called once when
/// that takes time. The file is created if absent and stays. Programs that use `flock` take part.
///
/// # Errors
/// `Io`, also where the file system has no locks.
pub fn lock(path: &Path, waiting: &mut dyn FnMut()) -> Result<FileLock> {
    let failed = |e: io::Error| Error::io("cannot lock", path, &e);
    let mut options = OpenOptions::new();
    let options = options.read(true).write(true).create(true).truncate(false);
    let file = options.open(path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            waiting();
            file.lock().map_err(failed)?;
        }
        Err(TryLockError::Error(e)) => return Err(failed(e)),
    }
    Ok(FileLock { _file: file })
}

const TEMP_PREFIX: &str = ".tenon-tmp-";

/// A new temporary name beside `path`, recognised by [`is_temp`] and different for each call.
pub fn temp_path(path: &Path) -> PathBuf {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let n = COUNTER.fetch_add(1, Ordering::Relaxed);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{TEMP_PREFIX}{}-{n}-{name}", std::process::id()))
}

/// Whether a path is a temporary file of an atomic write.
pub fn is_temp(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().starts_with(TEMP_PREFIX))
}

/// Removes the temporary files that a killed program left in a folder (not below it). Returns their
/// number. The caller owns the folder: a live writer's temporary file would be removed too.
pub fn remove_temps(folder: &Path) -> Result<usize> {
    let mut removed = 0;
    for path in read_dir(folder)? {
        if is_temp(&path) {
            fs::remove_file(&path).map_err(|e| Error::io("cannot remove", &path, &e))?;
            removed += 1;
        }
    }
    Ok(removed)
}

/// The file system of the machine.
#[derive(Clone, Copy, Debug)]
pub struct RealDisk;

impl Disk for RealDisk {
    fn create_dir_all(&self, path: &Path) -> Result<()> {
        fs::create_dir_all(path).map_err(|e| Error::io("cannot create the folder", path, &e))
    }

    fn write_atomic_with(&self, path: &Path, fill: Fill<'_>) -> Result<()> {
        let temp = temp_path(path);
        let written = write_and_rename(&temp, path, fill);
        if written.is_err() {
            // The first failure is the one to report; the name stays recognisable if this fails
            // too.
            let _ = fs::remove_file(&temp);
        }
        written.map_err(|e| Error::io("cannot write", path, &e))
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let appended = OpenOptions::new()
            .append(true)
            .create(true)
            .open(path)
            .and_then(|mut file| file.write_all(bytes));
        appended.map_err(|e| Error::io("cannot append to", path, &e))
    }

    fn sync(&self, path: &Path) -> Result<()> {
        let synced = File::open(path).and_then(|file| file.sync_all());
        synced.map_err(|e| Error::io("cannot sync", path, &e))
    }

    fn truncate_to(&self, path: &Path, len: u64) -> Result<()> {
        truncate(path, len).map_err(|e| Error::io("cannot truncate", path, &e))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let renamed = fs::rename(from, to)
            .and_then(|()| sync_folder_of(to))
            .and_then(|()| sync_folder_of(from));
        renamed.map_err(|e| Error::io(&format!("cannot rename `{}` to", from.display()), to, &e))
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        fs::remove_file(path).map_err(|e| Error::io("cannot remove", path, &e))
    }

    fn remove_dir_all(&self, path: &Path) -> Result<()> {
        match fs::remove_dir_all(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => {
                Err(Error::io("cannot remove the folder", path, &e))
            }
            _ => Ok(()),
        }
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        fs::read(path).map_err(|e| Error::io("cannot read", path, &e))
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        path.try_exists()
            .map_err(|e| Error::io("cannot look at", path, &e))
    }

    fn list(&self, path: &Path) -> Result<Vec<PathBuf>> {
        let mut paths = read_dir(path)?;
        paths.retain(|path| !is_temp(path));
        paths.sort();
        Ok(paths)
    }

    fn file_bytes(&self, path: &Path) -> Result<u64> {
        let facts = fs::metadata(path).map_err(|e| Error::io("cannot look at", path, &e))?;
        Ok(facts.len())
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Read>> {
        let file = File::open(path).map_err(|e| Error::io("cannot read", path, &e))?;
        Ok(Box::new(file))
    }

    fn link(&self, target: &Path, link: &Path) -> Result<()> {
        let temp = temp_path(link);
        let made = symlink(target, &temp)
            .and_then(|()| fs::rename(&temp, link))
            .and_then(|()| sync_folder_of(link));
        if made.is_err() {
            // As in an atomic write, the first failure is the one to report.
            let _ = fs::remove_file(&temp);
        }
        made.map_err(|e| Error::io("cannot make the link", link, &e))
    }

    fn link_target(&self, link: &Path) -> Result<PathBuf> {
        fs::read_link(link).map_err(|e| Error::io("cannot read the link", link, &e))
    }
}

#[cfg(unix)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, link)
}

#[cfg(windows)]
fn symlink(target: &Path, link: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, link)
}

const WRITE_BUFFER_BYTES: usize = 1 << 20;

fn write_and_rename(temp: &Path, path: &Path, fill: Fill<'_>) -> io::Result<()> {
    let file = OpenOptions::new().write(true).create_new(true).open(temp)?;
    let mut writer = BufWriter::with_capacity(WRITE_BUFFER_BYTES, file);
    fill(&mut writer)?;
    let file = writer
        .into_inner()
        .map_err(io::IntoInnerError::into_error)?;
    file.sync_all()?;
    drop(file);
    fs::rename(temp, path)?;
    sync_folder_of(path)
}

/// A rename is durable only when the folder that holds the name is.
fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}

fn truncate(path: &Path, len: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    let actual = file.metadata()?.len();
    if actual < len {
        let reason = format!("the file has {actual} bytes, fewer than {len}");
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, reason));
    }
    file.set_len(len)?;
    file.sync_all()
}

fn read_dir(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries: io::Result<Vec<PathBuf>> =
        fs::read_dir(folder).and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect());
    entries.map_err(|e| Error::io("cannot list", folder, &e))
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
