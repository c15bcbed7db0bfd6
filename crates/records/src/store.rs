//! The database file: opening, checking whose it is, bringing it to the newest version.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use tenon_base::{Error, Kind, Result};

use crate::schema;

/// How long a write waits for another program's write before it gives up.
const BUSY_TIMEOUT: Duration = Duration::from_secs(30);

/// Between two tries of what SQLite does not wait for by itself.
const BUSY_PAUSE: Duration = Duration::from_millis(5);

/// The store of all runs under one folder. Many programs may hold the same file open: readers never
/// wait, writers queue.
#[derive(Debug)]
pub struct Store {
    pub(crate) conn: Connection,
    path: PathBuf,
}

impl Store {
    /// Opens the store at `path`, creating it when absent (its folder must exist) and migrating it
    /// from any older version.
    ///
    /// # Errors
    /// `Data` when the file is not a database, belongs to another program or to a newer version of
    /// this one, or is damaged; `Io` when it cannot be opened, written, or stays locked.
    pub fn open(path: &Path) -> Result<Store> {
        Store::with_flags(path, OpenFlags::SQLITE_OPEN_CREATE)
    }

    /// [`Store::open`] for readers: an absent file is an error of kind `Io` instead of a new store.
    pub fn open_existing(path: &Path) -> Result<Store> {
        if !path.exists() {
            let message = format!("there is no store of runs at `{}`", path.display());
            let hint = "train a model first, or name the folder of the runs with `--runs DIR`";
            return Err(Error::new(Kind::Io, message).hint(hint));
        }
        Store::with_flags(path, OpenFlags::empty())
    }

    fn with_flags(path: &Path, flags: OpenFlags) -> Result<Store> {
        let flags = flags | OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(path, flags);
        let conn = opened.map_err(|e| failure(path, "cannot open the store", &e))?;
        let mut store = Store {
            conn,
            path: path.to_path_buf(),
        };
        let ready = store.prepare();
        ready.map_err(|e| store.failed("cannot open the store", &e))?;
        store.check_owner()?;
        store.use_write_ahead_log()?;
        store.migrate()?;
        Ok(store)
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn prepare(&mut self) -> rusqlite::Result<()> {
        self.conn.busy_timeout(BUSY_TIMEOUT)?;
        // A write that begins as a read can be refused at once when another program writes between;
        // asking for the write lock at the start makes every writer queue instead.
        self.conn
            .set_transaction_behavior(TransactionBehavior::Immediate);
        self.conn.pragma_update(None, "foreign_keys", true)?;
        self.conn.pragma_update(None, "synchronous", "NORMAL")
    }

    /// Refuses a file that another program made, before anything is written to it.
    fn check_owner(&self) -> Result<()> {
        // One statement, so that all three are of one moment: another program may be creating the
        // tables.
        let sql = "SELECT (SELECT application_id FROM pragma_application_id),
            (SELECT user_version FROM pragma_user_version), (SELECT count(*) FROM sqlite_schema)";
        let read = self
            .conn
            .query_row(sql, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
        let (id, version, tables): (i64, i64, i64) =
            read.map_err(|e| self.failed("cannot read the store", &e))?;
        let path = self.path.display();
        if id != schema::APPLICATION_ID && (tables > 0 || version > 0 || id != 0) {
            let message = format!("`{path}` is the database of another program");
            let hint = "name another folder with `--runs DIR`, or move that file away";
            return Err(Error::data(message).hint(hint));
        }
        let newest = schema::STEPS.len() as i64;
        if version > newest {
            let message =
                format!("`{path}` has schema version {version}, this program knows up to {newest}");
            return Err(Error::data(message).hint("update the program; the file is unchanged"));
        }
        Ok(())
    }

    /// Readers then never wait for a writer. The mode is a property of the file and stays, so only
    /// the first program has to set it.
    fn use_write_ahead_log(&self) -> Result<()> {
        let mode = |sql| self.conn.query_row(sql, [], |row| row.get::<_, String>(0));
        // SQLite refuses the change at once, without its busy timeout, when two programs ask for
        // it.
        for _ in 0..BUSY_TIMEOUT.as_millis() / BUSY_PAUSE.as_millis() {
            let set = match mode("PRAGMA journal_mode") {
                Ok(mode) if mode == "wal" => return Ok(()),
                Ok(_) => mode("PRAGMA journal_mode = WAL"),
                Err(e) => Err(e),
            };
            match set {
                Err(e) if e.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                    thread::sleep(BUSY_PAUSE);
                }
                set => {
                    let set = set.map_err(|e| self.failed("cannot open the store", &e))?;
                    return self.check_mode(&set);
                }
            }
        }
        let message = format!("the store `{}` stays locked", self.path.display());
        Err(Error::new(Kind::Io, message).hint("end the program that holds it"))
    }

    /// SQLite answers with the mode it kept when the file system cannot share memory between
    /// programs.
    fn check_mode(&self, mode: &str) -> Result<()> {
        if mode == "wal" {
            return Ok(());
        }
        let path = self.path.display();
        let message = format!("the file system of the store `{path}` lacks shared memory");
        Err(Error::new(Kind::Io, message).hint("keep the runs on a local disk, with `--runs DIR`"))
    }

    fn migrate(&mut self) -> Result<()> {
        let migrations = schema::migrations();
        let done = migrations.to_latest(&mut self.conn);
        // Another program may have been faster; then ours failed and nothing is left to do.
        let Err(e) = done else { return Ok(()) };
        if migrations.pending_migrations(&self.conn) == Ok(0) {
            return Ok(());
        }
        let message = format!("cannot migrate the store `{}`: {e}", self.path.display());
        let hint = "its content is unchanged; check the disk space and the file's permissions";
        Err(Error::new(Kind::Io, message).hint(hint))
    }

    /// An error of the database in words, with the kind that decides the exit code.
    pub(crate) fn failed(&self, what: &str, error: &rusqlite::Error) -> Error {
        failure(&self.path, what, error)
    }
}

fn failure(path: &Path, what: &str, error: &rusqlite::Error) -> Error {
    let (kind, hint) = match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => (
            Kind::Data,
            "the file is damaged or no database; move it away and a new one is begun",
        ),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => (
            Kind::Io,
            "another program has been writing for a long time; try again when it has ended",
        ),
        Some(ErrorCode::CannotOpen) => (Kind::Io, "check that the folder exists"),
        Some(ErrorCode::DiskFull) => (Kind::Io, "free some disk space"),
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            (Kind::Io, "check the permissions of the file and its folder")
        }
        Some(ErrorCode::SystemIoFailure) => (Kind::Io, "check the disk"),
        _ => (
            Kind::Data,
            "the content of the file is not what this program wrote",
        ),
    };
    Error::new(kind, format!("{what} `{}`: {error}", path.display())).hint(hint)
}
