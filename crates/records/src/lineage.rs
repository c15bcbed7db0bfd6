//! What a run was made from and what it made.

use rusqlite::{Row, params};
use tenon_base::{Error, Result};

use crate::run::{RunId, not_ours};
use crate::store::Store;

/// A file or folder that a run wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Artifact {
    /// What it is: `checkpoint`, `model`, `plot`, `report`, `export`, …
    pub kind: String,
    /// Where it is.
    pub path: String,
    /// SHA-256 of its content, 64 hexadecimal digits.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// When it was written, RFC 3339 in UTC.
    pub created_utc: String,
}

/// What kind of thing a run was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum InputKind {
    /// A data set or file.
    Data,
    /// A configuration file.
    Config,
    /// Another run of this store.
    Run,
    /// A model from a hub.
    HubModel,
    /// A file that a run wrote.
    Artifact,
}

impl InputKind {
    /// All, in the order of lists.
    pub const ALL: [InputKind; 5] = [
        InputKind::Data,
        InputKind::Config,
        InputKind::Run,
        InputKind::HubModel,
        InputKind::Artifact,
    ];

    /// The name in the store and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            InputKind::Data => "data",
            InputKind::Config => "config",
            InputKind::Run => "run",
            InputKind::HubModel => "hub_model",
            InputKind::Artifact => "artifact",
        }
    }
}

/// A thing that a run was made from.
#[derive(Clone, Debug, PartialEq)]
pub struct Input {
    /// What it is.
    pub kind: InputKind,
    /// Path, data set name, run name, or `organisation/model@revision`.
    pub source: String,
    /// SHA-256 of its content, where it was hashed.
    pub sha256: Option<String>,
    /// The run that made it, for a run or one of its artifacts.
    pub parent: Option<RunId>,
}

/// Where a run stands between what it was made from and what it made.
#[derive(Clone, Debug, PartialEq)]
pub struct Lineage {
    /// What it was made from, in the order recorded.
    pub inputs: Vec<Input>,
    /// What it made, in the order recorded.
    pub artifacts: Vec<Artifact>,
    /// Runs that were made from this one, by number.
    pub children: Vec<RunId>,
}

impl Store {
    /// Records a file that a run wrote. Writing the same path again replaces the record.
    ///
    /// # Errors
    /// `Data` when the hash is not 64 hexadecimal digits.
    pub fn add_artifact(&mut self, run: RunId, artifact: &Artifact) -> Result<()> {
        check_sha256(&artifact.sha256)?;
        let bytes = i64::try_from(artifact.bytes)
            .map_err(|_| Error::data(format!("the size of `{}` is absurd", artifact.path)))?;
        let sql = "INSERT INTO artifacts (run_id, kind, path, sha256, bytes, created_utc)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6)
            ON CONFLICT (run_id, path) DO UPDATE SET kind = excluded.kind,
            sha256 = excluded.sha256, bytes = excluded.bytes, created_utc = excluded.created_utc";
        let Artifact {
            kind,
            path,
            sha256,
            created_utc,
            ..
        } = artifact;
        let row = params![run.0, kind, path, sha256, bytes, created_utc];
        let written = self.conn.execute(sql, row);
        written.map_err(|e| self.failed("cannot record the artifact in", &e))?;
        Ok(())
    }

    /// Records what a run was made from. The same source recorded again replaces its hash.
    ///
    /// # Errors
    /// `Data` when the hash is not 64 hexadecimal digits; `Usage` when the parent is the run
    /// itself.
    pub fn add_lineage(&mut self, run: RunId, input: &Input) -> Result<()> {
        if let Some(sha256) = &input.sha256 {
            check_sha256(sha256)?;
        }
        if input.parent == Some(run) {
            let message = format!("run number {} cannot be made from itself", run.0);
            return Err(Error::usage(message));
        }
        let sql = "INSERT INTO inputs (run_id, kind, source, sha256, parent_run_id)
            VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (run_id, kind, source) DO UPDATE SET
            sha256 = excluded.sha256, parent_run_id = excluded.parent_run_id";
        let parent = input.parent.map(|id| id.0);
        let row = params![run.0, input.kind.name(), input.source, input.sha256, parent];
        let written = self.conn.execute(sql, row);
        written.map_err(|e| self.failed("cannot record the lineage in", &e))?;
        Ok(())
    }

    /// What a run was made from, what it made, and which runs were made from it.
    pub fn lineage(&self, run: RunId) -> Result<Lineage> {
        let read = || -> rusqlite::Result<Lineage> {
            Ok(Lineage {
                inputs: self.inputs(run)?,
                artifacts: self.artifacts(run)?,
                children: self.children(run)?,
            })
        };
        read().map_err(|e| self.failed("cannot read the lineage from", &e))
    }

    fn inputs(&self, run: RunId) -> rusqlite::Result<Vec<Input>> {
        let sql = "SELECT kind, source, sha256, parent_run_id FROM inputs
            WHERE run_id = ?1 ORDER BY id";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([run.0], |row| {
            Ok(Input {
                kind: kind_at(row)?,
                source: row.get(1)?,
                sha256: row.get(2)?,
                parent: row.get::<_, Option<i64>>(3)?.map(RunId),
            })
        })?;
        rows.collect()
    }

    fn artifacts(&self, run: RunId) -> rusqlite::Result<Vec<Artifact>> {
        let sql = "SELECT kind, path, sha256, bytes, created_utc FROM artifacts
            WHERE run_id = ?1 ORDER BY id";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([run.0], |row| {
            Ok(Artifact {
                kind: row.get(0)?,
                path: row.get(1)?,
                sha256: row.get(2)?,
                bytes: row.get::<_, i64>(3)?.unsigned_abs(),
                created_utc: row.get(4)?,
            })
        })?;
        rows.collect()
    }

    fn children(&self, run: RunId) -> rusqlite::Result<Vec<RunId>> {
        let sql = "SELECT DISTINCT run_id FROM inputs WHERE parent_run_id = ?1 ORDER BY run_id";
        let mut statement = self.conn.prepare_cached(sql)?;
        let rows = statement.query_map([run.0], |row| row.get(0).map(RunId))?;
        rows.collect()
    }
}

fn kind_at(row: &Row<'_>) -> rusqlite::Result<InputKind> {
    let name: String = row.get(0)?;
    let found = InputKind::ALL.into_iter().find(|k| k.name() == name);
    found.ok_or_else(|| not_ours(0, "kind", &name))
}

fn check_sha256(text: &str) -> Result<()> {
    if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Ok(());
    }
    Err(Error::data(format!(
        "`{text}` is no SHA-256 of 64 hexadecimal digits"
    )))
}
