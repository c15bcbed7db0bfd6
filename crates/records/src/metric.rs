//! Metrics: series of values over steps, and a summary of each series.

use std::collections::BTreeMap;

use rusqlite::{Connection, Row, Transaction, params};
use tenon_base::{Error, Result};

use crate::direction::Direction;
use crate::run::{Run, RunId, not_ours};
use crate::store::Store;

/// Which data a value was measured on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Split {
    /// The data that the weights are fitted to.
    Train,
    /// Data held out to judge during training.
    Validation,
    /// Data held out for the last judgement.
    Test,
}

impl Split {
    /// All, in the order of lists.
    pub const ALL: [Split; 3] = [Split::Train, Split::Validation, Split::Test];

    /// The name in files, on the command line and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Validation => "validation",
            Split::Test => "test",
        }
    }

    /// The split of this name.
    ///
    /// # Errors
    /// `Usage`, with all names.
    pub fn parse(name: &str) -> Result<Split> {
        let found = Split::ALL.into_iter().find(|s| s.name() == name);
        found.ok_or_else(|| {
            let names = Split::ALL.map(Split::name).join(", ");
            Error::usage(format!("unknown split `{name}`")).hint(format!("one of {names}"))
        })
    }
}

/// One value to record.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Metric<'a> {
    /// The run.
    pub run: RunId,
    /// The data.
    pub split: Split,
    /// The name; the direction table knows those that have a best value.
    pub name: &'a str,
    /// Optimiser steps done.
    pub step: u64,
    /// Passes over the data done, with fraction.
    pub epoch: Option<f64>,
    /// The value; one that is not a number is kept as such, and the sign of a zero is lost.
    pub value: f64,
}

/// One value of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// Optimiser steps done.
    pub step: u64,
    /// Passes over the data done, with fraction.
    pub epoch: Option<f64>,
    /// The value.
    pub value: f64,
}

/// A value and its step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct At {
    /// Optimiser steps done.
    pub step: u64,
    /// The value.
    pub value: f64,
}

/// What a list needs to know of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The data.
    pub split: Split,
    /// The name.
    pub name: String,
    /// Number of values, at least one.
    pub points: u64,
    /// The value of the smallest step.
    pub first: At,
    /// The value of the greatest step.
    pub last: At,
    /// The lowest finite value, at its first step.
    pub lowest: Option<At>,
    /// The highest finite value, at its first step.
    pub highest: Option<At>,
}

impl Summary {
    /// The best value, for a metric of the direction table that has a finite value.
    pub fn best(&self) -> Option<At> {
        match Direction::of(&self.name).ok()? {
            Direction::Lower => self.lowest,
            Direction::Higher => self.highest,
        }
    }

    fn of_one(metric: &Metric<'_>) -> Summary {
        let at = At {
            step: metric.step,
            value: metric.value,
        };
        let finite = at.value.is_finite().then_some(at);
        Summary {
            split: metric.split,
            name: metric.name.to_string(),
            points: 1,
            first: at,
            last: at,
            lowest: finite,
            highest: finite,
        }
    }

    /// Joins two parts of one series in whatever order; equal extremes keep the earlier step.
    fn join(&mut self, other: &Summary) {
        self.points += other.points;
        if other.first.step < self.first.step {
            self.first = other.first;
        }
        if other.last.step > self.last.step {
            self.last = other.last;
        }
        let earlier = |a: At, b: At| if b.step < a.step { b } else { a };
        let pick = |a: Option<At>, b: Option<At>, direction: Direction| match (a, b) {
            (Some(a), Some(b)) if a.value == b.value => Some(earlier(a, b)),
            (Some(a), Some(b)) if direction.better(b.value, a.value) => Some(b),
            (a, b) => a.or(b),
        };
        self.lowest = pick(self.lowest, other.lowest, Direction::Lower);
        self.highest = pick(self.highest, other.highest, Direction::Higher);
    }
}

/// The best value of a metric among all runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Best {
    /// The run that has it.
    pub run: Run,
    /// The value and its step.
    pub at: At,
    /// Which way the metric is better.
    pub direction: Direction,
}

impl Store {
    /// Records values, all or none, in one transaction.
    ///
    /// # Errors
    /// `Data` when a series already has a value at one of the steps: a continued run must
    /// [`Store::truncate_metrics`] first.
    pub fn append_metrics(&mut self, metrics: &[Metric<'_>]) -> Result<()> {
        let written = write_metrics(&mut self.conn, metrics);
        let taken = written.map_err(|e| self.failed("cannot record metrics in", &e))?;
        let Some(Metric {
            split, name, step, ..
        }) = taken
        else {
            return Ok(());
        };
        let split = split.name();
        let message = format!("the series `{split}/{name}` already has a value at step {step}");
        Err(Error::data(message)
            .hint("a run that is continued drops the steps after its checkpoint"))
    }

    /// Removes the values after `step`, as the checkpoint that a run continues from does not know
    /// them. Returns how many were removed.
    pub fn truncate_metrics(&mut self, run: RunId, step: u64) -> Result<usize> {
        let cut = |conn: &mut Connection| -> rusqlite::Result<usize> {
            let tx = conn.transaction()?;
            let last = i64::try_from(step).unwrap_or(i64::MAX);
            let sql = "DELETE FROM metrics WHERE run_id = ?1 AND step > ?2";
            let removed = tx.execute(sql, params![run.0, last])?;
            if removed > 0 {
                tx.execute("DELETE FROM summaries WHERE run_id = ?1", [run.0])?;
                for summary in summarise(&tx, run)? {
                    write_summary(&tx, run, &summary)?;
                }
            }
            tx.commit()?;
            Ok(removed)
        };
        let removed = cut(&mut self.conn);
        removed.map_err(|e| self.failed("cannot remove metrics from", &e))
    }

    /// A series in the order of its steps; empty when nothing was recorded.
    pub fn series(&self, run: RunId, split: Split, name: &str) -> Result<Vec<Point>> {
        let read = || {
            let sql = "SELECT step, epoch, value FROM metrics
                WHERE run_id = ?1 AND split = ?2 AND name = ?3 ORDER BY step";
            let mut statement = self.conn.prepare_cached(sql)?;
            let rows = statement.query_map(params![run.0, split.name(), name], |row| {
                Ok(Point {
                    step: row.get(0)?,
                    epoch: row.get(1)?,
                    value: value_at(row, 2)?,
                })
            })?;
            rows.collect::<rusqlite::Result<_>>()
        };
        read().map_err(|e| self.failed("cannot read metrics from", &e))
    }

    /// Summaries of all series of a run, by split and name. Reads no points.
    pub fn summaries(&self, run: RunId) -> Result<Vec<Summary>> {
        let read = read_summaries(&self.conn, run, None);
        let mut summaries = read.map_err(|e| self.failed("cannot read metrics from", &e))?;
        summaries.sort_by(|a, b| (a.split, &a.name).cmp(&(b.split, &b.name)));
        Ok(summaries)
    }

    /// The best value of a metric among all runs and where it was reached; `None` when no run has a
    /// finite value. Equal values go to the older run.
    ///
    /// # Errors
    /// `Usage` when it is not known which way the metric is better.
    pub fn best(&self, split: Split, metric: &str) -> Result<Option<Best>> {
        let direction = Direction::of(metric)?;
        let (value, step, way) = match direction {
            Direction::Lower => ("lowest", "lowest_step", "ASC"),
            Direction::Higher => ("highest", "highest_step", "DESC"),
        };
        let sql = format!(
            "SELECT run_id, {step}, {value} FROM summaries
            WHERE split = ?1 AND name = ?2 AND {value} IS NOT NULL
            ORDER BY {value} {way}, run_id LIMIT 1"
        );
        let read = || -> rusqlite::Result<Option<(RunId, At)>> {
            let mut statement = self.conn.prepare_cached(&sql)?;
            let mut rows = statement.query(params![split.name(), metric])?;
            let Some(row) = rows.next()? else {
                return Ok(None);
            };
            let (step, value) = (row.get(1)?, row.get(2)?);
            Ok(Some((RunId(row.get(0)?), At { step, value })))
        };
        let found = read().map_err(|e| self.failed("cannot read metrics from", &e))?;
        found
            .map(|(id, at)| {
                let run = self.run_by_id(id)?;
                Ok(Best { run, at, direction })
            })
            .transpose()
    }
}

/// Writes all metrics, or none and returns the first one whose place is taken.
fn write_metrics<'a>(
    conn: &mut Connection,
    metrics: &[Metric<'a>],
) -> rusqlite::Result<Option<Metric<'a>>> {
    let mut parts: BTreeMap<(RunId, Split, &str), Summary> = BTreeMap::new();
    for metric in metrics {
        let part = Summary::of_one(metric);
        parts
            .entry((metric.run, metric.split, metric.name))
            .and_modify(|whole| whole.join(&part))
            .or_insert(part);
    }
    let tx = conn.transaction()?;
    let taken = insert_metrics(&tx, metrics)?;
    if taken.is_some() {
        tx.rollback()?;
        return Ok(taken);
    }
    for ((run, split, name), mut whole) in parts {
        for known in read_summaries(&tx, run, Some((split, name)))? {
            whole.join(&known);
        }
        write_summary(&tx, run, &whole)?;
    }
    tx.commit()?;
    Ok(None)
}

/// Inserts until a place is taken, and returns the metric that found it so.
fn insert_metrics<'a>(
    tx: &Transaction<'_>,
    metrics: &[Metric<'a>],
) -> rusqlite::Result<Option<Metric<'a>>> {
    let sql = "INSERT INTO metrics (run_id, split, name, step, epoch, value)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";
    let mut statement = tx.prepare_cached(sql)?;
    for m in metrics {
        let row = params![m.run.0, m.split.name(), m.name, m.step, m.epoch, m.value];
        if statement.execute(row)? == 0 {
            return Ok(Some(*m));
        }
    }
    Ok(None)
}

fn summarise(conn: &Connection, run: RunId) -> rusqlite::Result<Vec<Summary>> {
    let sql = "SELECT split, name, step, value FROM metrics WHERE run_id = ?1";
    let mut statement = conn.prepare_cached(sql)?;
    let mut rows = statement.query([run.0])?;
    let mut wholes: BTreeMap<(Split, String), Summary> = BTreeMap::new();
    while let Some(row) = rows.next()? {
        let (split, name) = (split_at(row, 0)?, row.get::<_, String>(1)?);
        let part = Summary::of_one(&Metric {
            run,
            split,
            name: &name,
            step: row.get(2)?,
            epoch: None,
            value: value_at(row, 3)?,
        });
        wholes
            .entry((split, name))
            .and_modify(|whole| whole.join(&part))
            .or_insert(part);
    }
    Ok(wholes.into_values().collect())
}

fn write_summary(conn: &Connection, run: RunId, s: &Summary) -> rusqlite::Result<()> {
    let sql = "INSERT OR REPLACE INTO summaries (run_id, split, name, points, first_step, first,
        last_step, last, lowest_step, lowest, highest_step, highest)
        VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    let row = params![
        run.0,
        s.split.name(),
        s.name,
        s.points,
        s.first.step,
        s.first.value,
        s.last.step,
        s.last.value,
        s.lowest.map(|at| at.step),
        s.lowest.map(|at| at.value),
        s.highest.map(|at| at.step),
        s.highest.map(|at| at.value),
    ];
    conn.prepare_cached(sql)?.execute(row)?;
    Ok(())
}

fn read_summaries(
    conn: &Connection,
    run: RunId,
    series: Option<(Split, &str)>,
) -> rusqlite::Result<Vec<Summary>> {
    let sql = "SELECT split, name, points, first_step, first, last_step, last,
        lowest_step, lowest, highest_step, highest FROM summaries
        WHERE run_id = ?1 AND split = ifnull(?2, split) AND name = ifnull(?3, name)";
    let mut statement = conn.prepare_cached(sql)?;
    let (split, name) = series.unzip();
    let rows = statement.query_map(params![run.0, split.map(Split::name), name], |row| {
        Ok(Summary {
            split: split_at(row, 0)?,
            name: row.get(1)?,
            points: row.get(2)?,
            first: at(row, 3)?,
            last: at(row, 5)?,
            lowest: extreme_at(row, 7)?,
            highest: extreme_at(row, 9)?,
        })
    })?;
    rows.collect()
}

fn split_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Split> {
    let name: String = row.get(column)?;
    Split::parse(&name).map_err(|_| not_ours(column, "split", &name))
}

/// NULL is how SQLite keeps what is not a number.
fn value_at(row: &Row<'_>, column: usize) -> rusqlite::Result<f64> {
    Ok(row.get::<_, Option<f64>>(column)?.unwrap_or(f64::NAN))
}

fn at(row: &Row<'_>, column: usize) -> rusqlite::Result<At> {
    Ok(At {
        step: row.get(column)?,
        value: value_at(row, column + 1)?,
    })
}

fn extreme_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<At>> {
    let step: Option<u64> = row.get(column)?;
    let value: Option<f64> = row.get(column + 1)?;
    Ok(step.zip(value).map(|(step, value)| At { step, value }))
}
