//! The tables, one migration for each version of the file.
//!
//! A migration that was released never changes. Each one begins with a statement that fails when it
//! runs twice: two programs may open an old file at once, and the slower one must notice that the
//! other has been faster instead of applying the same change again.

use rusqlite_migration::{M, Migrations};

/// Marks the file as ours in SQLite's header ("TNON"); the first migration writes it.
pub(crate) const APPLICATION_ID: i64 = 0x544E_4F4E;

/// SQL from each version to the next; the version of a file is the number of those applied.
pub(crate) const STEPS: [&str; 3] = [RUNS, SUMMARIES, SWEEPS];

pub(crate) fn migrations() -> Migrations<'static> {
    Migrations::new(STEPS.iter().map(|sql| M::up(sql)).collect())
}

// `seed` is text because SQLite's integers end at 2^63 − 1. `value` is NULL where a metric was not
// a number, which SQLite cannot store; infinities are stored.
const RUNS: &str = "
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    kind TEXT NOT NULL,
    status TEXT NOT NULL
        CHECK (status IN ('running', 'done', 'failed', 'interrupted', 'aborted')),
    created_utc TEXT NOT NULL,
    finished_utc TEXT,
    dir TEXT NOT NULL,
    seed TEXT NOT NULL,
    isa TEXT NOT NULL,
    threads INTEGER NOT NULL CHECK (threads > 0),
    version TEXT NOT NULL,
    process TEXT NOT NULL,
    config TEXT NOT NULL CHECK (json_valid(config)),
    error TEXT
) STRICT;
CREATE INDEX runs_by_time ON runs (created_utc);

CREATE TABLE metrics (
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    split TEXT NOT NULL,
    name TEXT NOT NULL,
    step INTEGER NOT NULL CHECK (step >= 0),
    epoch REAL,
    value REAL,
    PRIMARY KEY (run_id, split, name, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE artifacts (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    kind TEXT NOT NULL,
    path TEXT NOT NULL,
    sha256 TEXT NOT NULL CHECK (length(sha256) = 64),
    bytes INTEGER NOT NULL CHECK (bytes >= 0),
    created_utc TEXT NOT NULL,
    UNIQUE (run_id, path)
) STRICT;

CREATE TABLE inputs (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('data', 'config', 'run', 'hub_model', 'artifact')),
    source TEXT NOT NULL,
    sha256 TEXT CHECK (length(sha256) = 64),
    parent_run_id INTEGER REFERENCES runs (id) ON DELETE SET NULL,
    UNIQUE (run_id, kind, source)
) STRICT;
CREATE INDEX inputs_by_parent ON inputs (parent_run_id);

PRAGMA application_id = 1414418254;
";

// One row for each series, kept beside its points, so that a list of many runs reads no points.
// `lowest` and `highest` are among the finite values.
const SUMMARIES: &str = "
CREATE TABLE summaries (
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    split TEXT NOT NULL,
    name TEXT NOT NULL,
    points INTEGER NOT NULL CHECK (points > 0),
    first_step INTEGER NOT NULL,
    first REAL,
    last_step INTEGER NOT NULL,
    last REAL,
    lowest_step INTEGER,
    lowest REAL,
    highest_step INTEGER,
    highest REAL,
    PRIMARY KEY (run_id, split, name)
) STRICT, WITHOUT ROWID;
CREATE INDEX summaries_by_lowest ON summaries (split, name, lowest);
CREATE INDEX summaries_by_highest ON summaries (split, name, highest);

WITH series AS (
    SELECT run_id, split, name, count(*) AS points, min(step) AS first_step, max(step) AS last_step
    FROM metrics GROUP BY run_id, split, name
), low AS (
    SELECT *, row_number() OVER
        (PARTITION BY run_id, split, name ORDER BY value, step) AS place
    FROM metrics WHERE abs(value) <= 1.7976931348623157e308
), high AS (
    SELECT *, row_number() OVER
        (PARTITION BY run_id, split, name ORDER BY value DESC, step) AS place
    FROM metrics WHERE abs(value) <= 1.7976931348623157e308
)
INSERT INTO summaries
SELECT s.run_id, s.split, s.name, s.points,
    s.first_step, f.value, s.last_step, l.value, low.step, low.value, high.step, high.value
FROM series s
JOIN metrics f ON (f.run_id, f.split, f.name, f.step) = (s.run_id, s.split, s.name, s.first_step)
JOIN metrics l ON (l.run_id, l.split, l.name, l.step) = (s.run_id, s.split, s.name, s.last_step)
LEFT JOIN low ON (low.run_id, low.split, low.name) = (s.run_id, s.split, s.name) AND low.place = 1
LEFT JOIN high ON (high.run_id, high.split, high.name) = (s.run_id, s.split, s.name)
    AND high.place = 1;
";

const SWEEPS: &str = "
CREATE TABLE sweeps (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    created_utc TEXT NOT NULL,
    config TEXT NOT NULL CHECK (json_valid(config))
) STRICT;
ALTER TABLE runs ADD COLUMN sweep_id INTEGER REFERENCES sweeps (id) ON DELETE SET NULL;
ALTER TABLE runs ADD COLUMN sweep_params TEXT
    CHECK (sweep_params IS NULL OR json_valid(sweep_params));
CREATE INDEX runs_by_sweep ON runs (sweep_id);
";
