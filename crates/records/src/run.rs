//! Runs: creating, continuing, finishing, finding.

use rusqlite::types::Value;
use rusqlite::{OptionalExtension, Row, params, params_from_iter};
use tenon_base::{Error, Result, suggest};

use crate::direction::Direction;
use crate::metric::Split;
use crate::process::{Life, Process};
use crate::store::Store;
use crate::sweep::{SweepId, Trial};

/// The longest name of a run, in bytes; it is also the name of a folder.
pub const RUN_NAME_BYTES_MAX: usize = 128;

/// The number of a run in its store; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId(pub(crate) i64);

impl RunId {
    /// The number, for printing.
    pub fn number(self) -> i64 {
        self.0
    }
}

/// Where a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// A program is at work on it, or was when it was killed; see [`Store::mark_stale`].
    Running,
    /// Came to its end.
    Done,
    /// Ended with an error.
    Failed,
    /// Stopped by the user or killed; can be continued from its last checkpoint.
    Interrupted,
    /// Stopped by a judgement, as on a loss that is not a number.
    Aborted,
}

impl Status {
    /// All, in the order of documentation.
    pub const ALL: [Status; 5] = [
        Status::Running,
        Status::Done,
        Status::Failed,
        Status::Interrupted,
        Status::Aborted,
    ];

    /// The name in the store, on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Done => "done",
            Status::Failed => "failed",
            Status::Interrupted => "interrupted",
            Status::Aborted => "aborted",
        }
    }

    /// The status of this name.
    ///
    /// # Errors
    /// `Usage`, with all names.
    pub fn parse(name: &str) -> Result<Status> {
        let found = Status::ALL.into_iter().find(|s| s.name() == name);
        found.ok_or_else(|| {
            let names = Status::ALL.map(Status::name).join(", ");
            Error::usage(format!("unknown status `{name}`")).hint(format!("one of {names}"))
        })
    }
}

/// What is known when a run begins.
#[derive(Clone, Copy, Debug)]
pub struct NewRun<'a> {
    /// Unique name, which is also the name of the run's folder.
    pub name: &'a str,
    /// What kind of work: `train`, `lora`, `eval`, …
    pub kind: &'a str,
    /// Start, RFC 3339 in UTC.
    pub created_utc: &'a str,
    /// The run's folder.
    pub dir: &'a str,
    /// Seed of all randomness.
    pub seed: u64,
    /// Path of the kernels: `scalar`, `avx2`, `avx512`.
    pub isa: &'a str,
    /// Number of threads.
    pub threads: u32,
    /// Version of the program.
    pub version: &'a str,
    /// The resolved configuration, a JSON object.
    pub config_json: &'a str,
    /// The sweep that this run is a trial of.
    pub trial: Option<Trial<'a>>,
}

/// A run as it is stored; its configuration is read apart, by [`Store::config_json`].
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Number in the store.
    pub id: RunId,
    /// Unique name.
    pub name: String,
    /// What kind of work.
    pub kind: String,
    /// Where it stands.
    pub status: Status,
    /// Start, RFC 3339 in UTC.
    pub created_utc: String,
    /// End, RFC 3339 in UTC; absent while it runs and when nobody saw it end.
    pub finished_utc: Option<String>,
    /// The run's folder.
    pub dir: String,
    /// Seed of all randomness.
    pub seed: u64,
    /// Path of the kernels.
    pub isa: String,
    /// Number of threads.
    pub threads: u32,
    /// Version of the program.
    pub version: String,
    /// The program that writes, or wrote, the run.
    pub process: Process,
    /// Why it failed or was aborted.
    pub error: Option<String>,
    /// The sweep that it is a trial of.
    pub sweep: Option<SweepId>,
}

/// Which runs to list; `None` lists all.
#[derive(Clone, Copy, Debug)]
pub struct RunFilter<'a> {
    /// Only this kind of work.
    pub kind: Option<&'a str>,
    /// Only this status.
    pub status: Option<Status>,
    /// Only names with this text in them, whatever its case.
    pub name_part: Option<&'a str>,
    /// Only trials of this sweep.
    pub sweep: Option<SweepId>,
}

impl RunFilter<'_> {
    /// Every run.
    pub const ALL: RunFilter<'static> = RunFilter {
        kind: None,
        status: None,
        name_part: None,
        sweep: None,
    };
}

/// What a list is sorted by.
#[derive(Clone, Copy, Debug)]
pub enum SortKey<'a> {
    /// Start.
    Created,
    /// Name.
    Name,
    /// The best value of a metric, by the direction table; runs without one come last.
    Best(Split, &'a str),
}

/// The order of a list.
#[derive(Clone, Copy, Debug)]
pub struct RunSort<'a> {
    /// By what.
    pub key: SortKey<'a>,
    /// Newest, last or worst first. Ascending is oldest, first or best first.
    pub descending: bool,
}

impl RunSort<'_> {
    /// Newest first.
    pub const NEWEST: RunSort<'static> = RunSort {
        key: SortKey::Created,
        descending: true,
    };
}

const COLUMNS: &str = "runs.id, runs.name, runs.kind, runs.status, runs.created_utc, \
    runs.finished_utc, runs.dir, runs.seed, runs.isa, runs.threads, runs.version, runs.process, \
    runs.error, runs.sweep_id";

impl Store {
    /// Begins a run with status `running`, written by the calling program.
    ///
    /// # Errors
    /// `Usage` when the name is taken or cannot be the name of a folder, or the configuration is no
    /// JSON object.
    pub fn create_run(&mut self, new: &NewRun<'_>) -> Result<RunId> {
        check_name(new.name)?;
        check_json_object("the configuration", new.config_json)?;
        if let Some(trial) = &new.trial {
            check_json_object("the parameters of the trial", trial.params_json)?;
        }
        let sql = "INSERT INTO runs (name, kind, status, created_utc, dir, seed, isa, threads,
            version, process, config, sweep_id, sweep_params)
            VALUES (?1, ?2, 'running', ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)
            ON CONFLICT (name) DO NOTHING";
        let inserted = self.conn.execute(
            sql,
            params![
                new.name,
                new.kind,
                new.created_utc,
                new.dir,
                new.seed.to_string(),
                new.isa,
                new.threads,
                new.version,
                Process::current().to_text(),
                new.config_json,
                new.trial.map(|t| t.sweep.0),
                new.trial.map(|t| t.params_json),
            ],
        );
        match inserted {
            Ok(0) => Err(name_taken(new.name)),
            Ok(_) => Ok(RunId(self.conn.last_insert_rowid())),
            Err(e) => Err(self.failed("cannot record the run in", &e)),
        }
    }

    /// Takes a run up again: status `running`, written by the calling program, no end, no error.
    ///
    /// # Errors
    /// `Usage` while another program on this host is at work on it.
    pub fn reopen_run(&mut self, id: RunId) -> Result<()> {
        let run = self.run_by_id(id)?;
        let here = Process::current();
        let at_work = run.status == Status::Running && run.process.life() == Life::Alive;
        if at_work && run.process != here {
            let message = format!("another program is at work on the run `{}`", run.name);
            return Err(Error::usage(message).hint("wait until it has ended, or stop it"));
        }
        let sql = "UPDATE runs SET status = 'running', finished_utc = NULL, error = NULL,
            process = ?2 WHERE id = ?1";
        let updated = self.conn.execute(sql, params![id.0, here.to_text()]);
        updated.map_err(|e| self.failed("cannot continue the run in", &e))?;
        Ok(())
    }

    /// Ends a run. `error` says why it failed or was aborted.
    ///
    /// # Errors
    /// `Usage` when the run is not running or `status` is `running`.
    pub fn finish_run(
        &mut self,
        id: RunId,
        status: Status,
        finished_utc: &str,
        error: Option<&str>,
    ) -> Result<()> {
        if status == Status::Running {
            return Err(Error::usage("a run cannot end with the status `running`"));
        }
        let sql = "UPDATE runs SET status = ?2, finished_utc = ?3, error = ?4
            WHERE id = ?1 AND status = 'running'";
        let updated = self
            .conn
            .execute(sql, params![id.0, status.name(), finished_utc, error]);
        let n = updated.map_err(|e| self.failed("cannot end the run in", &e))?;
        if n == 1 {
            return Ok(());
        }
        let run = self.run_by_id(id)?;
        let (name, was) = (run.name, run.status.name());
        Err(Error::usage(format!(
            "the run `{name}` has ended before, as {was}"
        )))
    }

    /// Gives runs whose program is certainly gone the status `interrupted`, without an end since
    /// nobody saw it, and returns their names. A list that says `running` of a killed run would be
    /// a lie.
    pub fn mark_stale(&mut self) -> Result<Vec<String>> {
        let running = RunFilter {
            status: Some(Status::Running),
            ..RunFilter::ALL
        };
        let mut names = Vec::new();
        for run in self.runs(&running, &RunSort::NEWEST, None)? {
            if run.process.life() != Life::Gone {
                continue;
            }
            // The process is compared again, since the run may have been taken up in between.
            let sql = "UPDATE runs SET status = 'interrupted',
                error = 'its program ended without a word' WHERE id = ?1 AND process = ?2";
            let updated = self
                .conn
                .execute(sql, params![run.id.0, run.process.to_text()]);
            if updated.map_err(|e| self.failed("cannot mark the run in", &e))? == 1 {
                names.push(run.name);
            }
        }
        Ok(names)
    }

    /// Runs in order, at most `limit`. Equal keys are ordered by age, oldest first.
    pub fn runs(
        &self,
        filter: &RunFilter<'_>,
        sort: &RunSort<'_>,
        limit: Option<u32>,
    ) -> Result<Vec<Run>> {
        let mut sql = format!("SELECT {COLUMNS} FROM runs");
        let mut values: Vec<Value> = Vec::new();
        let order = order_by(sort, &mut sql, &mut values)?;
        let mut clauses: Vec<&str> = Vec::new();
        let mut restrict = |clause, value: Option<Value>| {
            if let Some(value) = value {
                clauses.push(clause);
                values.push(value);
            }
        };
        restrict("kind = ?", filter.kind.map(|k| k.to_string().into()));
        restrict(
            "status = ?",
            filter.status.map(|s| s.name().to_string().into()),
        );
        let part = filter.name_part.map(|p| p.to_lowercase().into());
        restrict("instr(lower(runs.name), ?) > 0", part);
        restrict("sweep_id = ?", filter.sweep.map(|s| s.0.into()));
        if !clauses.is_empty() {
            sql += &format!(" WHERE {}", clauses.join(" AND "));
        }
        sql += &format!(" ORDER BY {order}, runs.id");
        if let Some(limit) = limit {
            sql += &format!(" LIMIT {limit}");
        }
        self.query(&sql, values)
    }

    /// The run of this name or, when no run has it, of this number.
    ///
    /// # Errors
    /// `Usage` when there is none, with the nearest name.
    pub fn run(&self, name_or_id: &str) -> Result<Run> {
        if let Some(run) = self.run_where("name = ?1", name_or_id.to_string().into())? {
            return Ok(run);
        }
        if let Ok(id) = name_or_id.parse::<i64>()
            && let Some(run) = self.run_where("id = ?1", id.into())?
        {
            return Ok(run);
        }
        let names = self.names()?;
        let nearest = suggest::nearest(name_or_id, names.iter().map(String::as_str));
        let hint = match nearest {
            Some(name) => format!("did you mean `{name}`?"),
            None if names.is_empty() => "the store has no runs yet".to_string(),
            None => "`tenon runs ls` lists the runs".to_string(),
        };
        Err(Error::usage(format!("there is no run `{name_or_id}`")).hint(hint))
    }

    /// The run of this number.
    ///
    /// # Errors
    /// `Usage` when it was removed.
    pub fn run_by_id(&self, id: RunId) -> Result<Run> {
        let found = self.run_where("id = ?1", id.0.into())?;
        found.ok_or_else(|| Error::usage(format!("there is no run number {}", id.0)))
    }

    /// The resolved configuration of a run, a JSON object.
    pub fn config_json(&self, id: RunId) -> Result<String> {
        let sql = "SELECT config FROM runs WHERE id = ?1";
        let found = self.conn.query_row(sql, [id.0], |row| row.get(0));
        let found = found.optional();
        let config = found.map_err(|e| self.failed("cannot read the configuration from", &e))?;
        config.ok_or_else(|| Error::usage(format!("there is no run number {}", id.0)))
    }

    fn names(&self) -> Result<Vec<String>> {
        let read = || {
            let mut statement = self
                .conn
                .prepare("SELECT name FROM runs ORDER BY id DESC")?;
            let names = statement.query_map([], |row| row.get(0))?;
            names.collect::<rusqlite::Result<_>>()
        };
        read().map_err(|e| self.failed("cannot read the runs from", &e))
    }

    fn run_where(&self, clause: &str, value: Value) -> Result<Option<Run>> {
        let sql = format!("SELECT {COLUMNS} FROM runs WHERE {clause}");
        Ok(self.query(&sql, vec![value])?.pop())
    }

    fn query(&self, sql: &str, values: Vec<Value>) -> Result<Vec<Run>> {
        let read = || -> rusqlite::Result<Vec<Run>> {
            let mut statement = self.conn.prepare_cached(sql)?;
            let rows = statement.query_map(params_from_iter(values), run_from_row)?;
            rows.collect()
        };
        read().map_err(|e| self.failed("cannot read the runs from", &e))
    }
}

/// The `ORDER BY` terms; sorting by a metric also joins its summaries.
fn order_by(sort: &RunSort<'_>, sql: &mut String, values: &mut Vec<Value>) -> Result<String> {
    let way = if sort.descending { "DESC" } else { "ASC" };
    match sort.key {
        SortKey::Created => Ok(format!("runs.created_utc {way}")),
        SortKey::Name => Ok(format!("runs.name {way}")),
        SortKey::Best(split, metric) => {
            let direction = Direction::of(metric)?;
            *sql += " LEFT JOIN summaries ON summaries.run_id = runs.id
                AND summaries.split = ? AND summaries.name = ?";
            values.push(split.name().to_string().into());
            values.push(metric.to_string().into());
            let column = match direction {
                Direction::Lower => "summaries.lowest",
                Direction::Higher => "-summaries.highest",
            };
            Ok(format!("{column} {way} NULLS LAST"))
        }
    }
}

fn run_from_row(row: &Row<'_>) -> rusqlite::Result<Run> {
    let text = |i| row.get::<_, String>(i);
    let status = text(3)?;
    let (seed, process) = (text(7)?, text(11)?);
    Ok(Run {
        id: RunId(row.get(0)?),
        name: text(1)?,
        kind: text(2)?,
        status: Status::parse(&status).map_err(|_| not_ours(3, "status", &status))?,
        created_utc: text(4)?,
        finished_utc: row.get(5)?,
        dir: text(6)?,
        seed: seed.parse().map_err(|_| not_ours(7, "seed", &seed))?,
        isa: text(8)?,
        threads: row.get(9)?,
        version: text(10)?,
        process: Process::parse(&process).ok_or_else(|| not_ours(11, "process", &process))?,
        error: row.get(12)?,
        sweep: row.get::<_, Option<i64>>(13)?.map(SweepId),
    })
}

/// A value in the file that this program would not have written.
pub(crate) fn not_ours(column: usize, name: &str, value: &str) -> rusqlite::Error {
    let reason = format!("{name} `{value}` is not one of ours");
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, reason.into())
}

fn name_taken(name: &str) -> Error {
    let hint = "continue it with `--resume latest`, or give this run another `--name`";
    Error::usage(format!("the run `{name}` exists already")).hint(hint)
}

/// A name must be usable as one folder of any file system.
fn check_name(name: &str) -> Result<()> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name.len() > RUN_NAME_BYTES_MAX {
        "it is longer than 128 bytes"
    } else if name.starts_with('.') {
        "it begins with a dot"
    } else if name.trim() != name || name.chars().any(|c| c.is_control()) {
        "it has control characters, or spaces at an end"
    } else if name.contains(['/', '\\', ':', '*', '?', '"', '<', '>', '|']) {
        "a folder's name cannot hold `/ \\ : * ? \" < > |`"
    } else {
        return Ok(());
    };
    let message = format!("`{}` cannot name a run: {reason}", name.escape_debug());
    Err(Error::usage(message).hint("use letters, digits, `-`, `_` and `.`"))
}

pub(crate) fn check_json_object(what: &str, text: &str) -> Result<()> {
    match serde_json::from_str::<serde_json::Value>(text) {
        Ok(serde_json::Value::Object(_)) => Ok(()),
        Ok(_) => Err(Error::usage(format!("{what} is no JSON object"))),
        Err(e) => Err(Error::usage(format!("{what} is no JSON: {e}"))),
    }
}
