//! Sweeps: a family of runs over a space of parameters.

use rusqlite::{OptionalExtension, params};
use tenon_base::{Error, Result};

use crate::run::{RunId, check_json_object};
use crate::store::Store;

/// The number of a sweep in its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SweepId(pub(crate) i64);

/// A sweep as it is stored.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    /// Number in the store.
    pub id: SweepId,
    /// Unique name.
    pub name: String,
    /// Start, RFC 3339 in UTC.
    pub created_utc: String,
    /// Space, sampler and budget, a JSON object.
    pub config_json: String,
}

/// The place of a run in a sweep.
#[derive(Clone, Copy, Debug)]
pub struct Trial<'a> {
    /// The sweep.
    pub sweep: SweepId,
    /// The parameters of this trial: a JSON object of dotted configuration keys.
    pub params_json: &'a str,
}

impl Store {
    /// Begins a sweep.
    ///
    /// # Errors
    /// `Usage` when the name is taken or the configuration is no JSON object.
    pub fn create_sweep(
        &mut self,
        name: &str,
        created_utc: &str,
        config_json: &str,
    ) -> Result<SweepId> {
        check_json_object("the configuration of the sweep", config_json)?;
        let sql = "INSERT INTO sweeps (name, created_utc, config) VALUES (?1, ?2, ?3)
            ON CONFLICT (name) DO NOTHING";
        let inserted = self
            .conn
            .execute(sql, params![name, created_utc, config_json]);
        match inserted {
            Ok(0) => Err(Error::usage(format!("the sweep `{name}` exists already"))
                .hint("continue it with `--resume`, or give it another name")),
            Ok(_) => Ok(SweepId(self.conn.last_insert_rowid())),
            Err(e) => Err(self.failed("cannot record the sweep in", &e)),
        }
    }

    /// The sweep of this name, if there is one.
    pub fn sweep(&self, name: &str) -> Result<Option<Sweep>> {
        let sql = "SELECT id, name, created_utc, config FROM sweeps WHERE name = ?1";
        let found = self.conn.query_row(sql, [name], |row| {
            Ok(Sweep {
                id: SweepId(row.get(0)?),
                name: row.get(1)?,
                created_utc: row.get(2)?,
                config_json: row.get(3)?,
            })
        });
        let found = found.optional();
        found.map_err(|e| self.failed("cannot read the sweep from", &e))
    }

    /// The parameters that a run got from its sweep, a JSON object; `None` outside a sweep.
    pub fn trial_params_json(&self, run: RunId) -> Result<Option<String>> {
        let sql = "SELECT sweep_params FROM runs WHERE id = ?1";
        let found = self.conn.query_row(sql, [run.0], |row| row.get(0));
        let found = found.optional();
        let params = found.map_err(|e| self.failed("cannot read the trial from", &e))?;
        Ok(params.flatten())
    }
}
