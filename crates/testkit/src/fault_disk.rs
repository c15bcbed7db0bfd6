//! A disk that fails, or on which the program dies, at a chosen write.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tenon_base::files::{Disk, Fill, RealDisk, temp_path};
use tenon_base::{Error, Result};

/// What happens at the chosen write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The write has no effect and reports an error; later writes work (a full disk, then space).
    Fail,
    /// The program dies before the write: it and everything after it fails without effect.
    KillBefore,
    /// The program dies within the write: an atomic write leaves a torn temporary file, an append
    /// half of its bytes, anything else nothing.
    KillWithin,
    /// The program dies after the write took effect, before it could learn so.
    KillAfter,
}

/// [`RealDisk`] with one fault. Only operations that change the disk count; the first is number 0.
#[derive(Debug)]
pub struct FaultDisk {
    fault: Option<(u64, Fault)>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    writes: u64,
    dead: bool,
    fault_reached: bool,
}

enum Turn {
    Work,
    Refuse,
    Tear,
    WorkThenDie,
}

impl FaultDisk {
    /// A disk that works and counts.
    pub fn calm() -> FaultDisk {
        FaultDisk {
            fault: None,
            state: Mutex::default(),
        }
    }

    /// A disk with a fault at write number `n`.
    ///
    /// A crash test runs the program for n = 0, 1, … until [`FaultDisk::fault_reached`] is false.
    pub fn at_write(n: u64, fault: Fault) -> FaultDisk {
        FaultDisk {
            fault: Some((n, fault)),
            state: Mutex::default(),
        }
    }

    /// The number of writes that were asked for.
    pub fn writes(&self) -> u64 {
        self.state().writes
    }

    /// Whether the program wrote often enough to meet the fault.
    pub fn fault_reached(&self) -> bool {
        self.state().fault_reached
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state
            .lock()
            .expect("no operation panics while it holds the lock")
    }

    fn turn(&self) -> Turn {
        let mut state = self.state();
        let n = state.writes;
        state.writes += 1;
        if state.dead {
            return Turn::Refuse;
        }
        match self.fault {
            Some((at, fault)) if at == n => {
                state.fault_reached = true;
                state.dead = fault != Fault::Fail;
                match fault {
                    Fault::Fail | Fault::KillBefore => Turn::Refuse,
                    Fault::KillWithin => Turn::Tear,
                    Fault::KillAfter => Turn::WorkThenDie,
                }
            }
            _ => Turn::Work,
        }
    }

    /// Runs a write, or what the fault leaves of it.
    fn write(
        &self,
        path: &Path,
        work: impl FnOnce() -> Result<()>,
        tear: impl FnOnce() -> io::Result<()>,
    ) -> Result<()> {
        match self.turn() {
            Turn::Work => work(),
            Turn::Refuse => Err(injected(path)),
            Turn::Tear => {
                tear().map_err(|e| Error::io("cannot tear", path, &e))?;
                Err(injected(path))
            }
            Turn::WorkThenDie => {
                work()?;
                Err(injected(path))
            }
        }
    }

    /// A dead program reads nothing either.
    fn look<T>(&self, path: &Path, work: impl FnOnce() -> Result<T>) -> Result<T> {
        if self.state().dead {
            Err(injected(path))
        } else {
            work()
        }
    }
}

fn injected(path: &Path) -> Error {
    Error::io("cannot use", path, &io::Error::other("injected fault"))
}

fn nothing() -> io::Result<()> {
    Ok(())
}

impl Disk for FaultDisk {
    fn create_dir_all(&self, path: &Path) -> Result<()> {
        self.write(path, || RealDisk.create_dir_all(path), nothing)
    }

    fn write_atomic_with(&self, path: &Path, fill: Fill<'_>) -> Result<()> {
        // The content is made before the fault is decided, so that a fill of several calls is one
        // write, and half of it can be left behind.
        let mut content = Vec::new();
        fill(&mut content).map_err(|e| Error::io("cannot write", path, &e))?;
        let torn = &content[..content.len() / 2];
        self.write(
            path,
            || RealDisk.write_atomic(path, &content),
            || std::fs::write(temp_path(path), torn),
        )
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let torn = &bytes[..bytes.len() / 2];
        let tear = || {
            let mut file = std::fs::OpenOptions::new()
                .append(true)
                .create(true)
                .open(path)?;
            file.write_all(torn)
        };
        self.write(path, || RealDisk.append(path, bytes), tear)
    }

    fn sync(&self, path: &Path) -> Result<()> {
        self.write(path, || RealDisk.sync(path), nothing)
    }

    fn truncate_to(&self, path: &Path, len: u64) -> Result<()> {
        self.write(path, || RealDisk.truncate_to(path, len), nothing)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.write(to, || RealDisk.rename(from, to), nothing)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.write(path, || RealDisk.remove_file(path), nothing)
    }

    fn remove_dir_all(&self, path: &Path) -> Result<()> {
        self.write(path, || RealDisk.remove_dir_all(path), nothing)
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        self.look(path, || RealDisk.read(path))
    }

    fn exists(&self, path: &Path) -> Result<bool> {
        self.look(path, || RealDisk.exists(path))
    }

    fn list(&self, path: &Path) -> Result<Vec<PathBuf>> {
        self.look(path, || RealDisk.list(path))
    }

    fn file_bytes(&self, path: &Path) -> Result<u64> {
        self.look(path, || RealDisk.file_bytes(path))
    }

    fn open(&self, path: &Path) -> Result<Box<dyn Read>> {
        self.look(path, || RealDisk.open(path))
    }

    fn link(&self, target: &Path, link: &Path) -> Result<()> {
        self.write(link, || RealDisk.link(target, link), nothing)
    }

    fn link_target(&self, link: &Path) -> Result<PathBuf> {
        self.look(link, || RealDisk.link_target(link))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tenon_base::files::remove_temps;

    /// Three writes: a folder, a file, and the same file again.
    fn program(disk: &dyn Disk, root: &Path) -> Result<()> {
        disk.create_dir_all(&root.join("run"))?;
        disk.write_atomic(&root.join("run/state"), b"first")?;
        disk.write_atomic(&root.join("run/state"), b"second")
    }

    #[test]
    fn a_calm_disk_counts_writes() {
        let root = tempfile::tempdir().unwrap();
        let disk = FaultDisk::calm();
        program(&disk, root.path()).unwrap();
        assert_eq!(disk.writes(), 3);
        assert!(!disk.fault_reached());
        assert_eq!(
            disk.read(&root.path().join("run/state")).unwrap(),
            b"second"
        );
    }

    #[test]
    fn whatever_the_fault_the_file_is_old_or_new() {
        for fault in [
            Fault::Fail,
            Fault::KillBefore,
            Fault::KillWithin,
            Fault::KillAfter,
        ] {
            let mut n = 0;
            loop {
                let root = tempfile::tempdir().unwrap();
                let disk = FaultDisk::at_write(n, fault);
                let result = program(&disk, root.path());
                if !disk.fault_reached() {
                    assert_eq!(n, 3, "{fault:?}");
                    break;
                }
                assert!(result.is_err(), "{fault:?} at {n}");
                let state = root.path().join("run/state");
                let content = RealDisk
                    .exists(&state)
                    .unwrap()
                    .then(|| RealDisk.read(&state));
                let expected: Option<&[u8]> = match (n, fault) {
                    (2, Fault::KillAfter) => Some(b"second"),
                    (2, _) | (1, Fault::KillAfter) => Some(b"first"),
                    _ => None,
                };
                let content = content.transpose().unwrap();
                assert_eq!(content.as_deref(), expected, "{fault:?} at {n}");
                n += 1;
            }
        }
    }

    #[test]
    fn a_kill_within_leaves_a_recognisable_torn_file_and_a_dead_program() {
        let root = tempfile::tempdir().unwrap();
        let disk = FaultDisk::at_write(2, Fault::KillWithin);
        program(&disk, root.path()).unwrap_err();
        let run = root.path().join("run");
        assert!(disk.read(&run.join("state")).is_err());
        assert!(disk.exists(&run).is_err());
        assert!(disk.append(&run.join("log"), b"x").is_err());
        assert_eq!(RealDisk.list(&run).unwrap(), [run.join("state")]);
        assert_eq!(remove_temps(&run).unwrap(), 1);
    }

    #[test]
    fn a_torn_append_leaves_half() {
        let root = tempfile::tempdir().unwrap();
        let log = root.path().join("log");
        let disk = FaultDisk::at_write(1, Fault::KillWithin);
        disk.append(&log, b"line\n").unwrap();
        disk.append(&log, b"next\n").unwrap_err();
        assert_eq!(RealDisk.read(&log).unwrap(), b"line\nne");
    }

    #[test]
    fn after_a_plain_failure_the_disk_works_again() {
        let root = tempfile::tempdir().unwrap();
        let disk = FaultDisk::at_write(0, Fault::Fail);
        program(&disk, root.path()).unwrap_err();
        program(&disk, root.path()).unwrap();
    }
}
