-- A store of schema version 3, as its program left it.
BEGIN TRANSACTION;
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
INSERT INTO "artifacts" VALUES(1,1,'model','runs/first/model','abababababababababababababababababababababababababababababababab',1099511627776,'2026-03-01T13:00:00.000Z');
CREATE TABLE inputs (
    id INTEGER PRIMARY KEY,
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    kind TEXT NOT NULL CHECK (kind IN ('data', 'config', 'run', 'hub_model', 'artifact')),
    source TEXT NOT NULL,
    sha256 TEXT CHECK (length(sha256) = 64),
    parent_run_id INTEGER REFERENCES runs (id) ON DELETE SET NULL,
    UNIQUE (run_id, kind, source)
) STRICT;
INSERT INTO "inputs" VALUES(1,1,'data','stories',NULL,NULL);
INSERT INTO "inputs" VALUES(2,7,'run','first',NULL,1);
CREATE TABLE metrics (
    run_id INTEGER NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    split TEXT NOT NULL,
    name TEXT NOT NULL,
    step INTEGER NOT NULL CHECK (step >= 0),
    epoch REAL,
    value REAL,
    PRIMARY KEY (run_id, split, name, step)
) STRICT, WITHOUT ROWID;
INSERT INTO "metrics" VALUES(1,'train','loss',1,0.5,4.0);
INSERT INTO "metrics" VALUES(1,'train','loss',2,1.0,3.0);
INSERT INTO "metrics" VALUES(1,'train','loss',3,1.5,3.0);
INSERT INTO "metrics" VALUES(1,'train','loss',4,2.0,9e999);
INSERT INTO "metrics" VALUES(1,'train','loss',5,2.5,NULL);
INSERT INTO "metrics" VALUES(1,'validation','accuracy',4,NULL,0.25);
INSERT INTO "metrics" VALUES(7,'train','loss',1,NULL,NULL);
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
, sweep_id INTEGER REFERENCES sweeps (id) ON DELETE SET NULL, sweep_params TEXT
    CHECK (sweep_params IS NULL OR json_valid(sweep_params))) STRICT;
INSERT INTO "runs" VALUES(1,'first','train','done','2026-03-01T12:00:00.000Z','2026-03-01T13:00:00.000Z','runs/first','18446744073709551615','avx2',2,'0.1.0','host boot 12 34','{"seed":1}',NULL,NULL,NULL);
INSERT INTO "runs" VALUES(7,'second','train','aborted','2026-03-02T12:00:00.000Z',NULL,'runs/second','0','scalar',1,'0.1.0','host boot 12 35','{}','loss is not a number',3,'{"lr":0.1}');
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
INSERT INTO "summaries" VALUES(1,'train','loss',5,1,4.0,5,NULL,2,3.0,1,4.0);
INSERT INTO "summaries" VALUES(1,'validation','accuracy',1,4,0.25,4,0.25,4,0.25,4,0.25);
INSERT INTO "summaries" VALUES(7,'train','loss',1,1,NULL,1,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE sweeps (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    created_utc TEXT NOT NULL,
    config TEXT NOT NULL CHECK (json_valid(config))
) STRICT;
INSERT INTO "sweeps" VALUES(3,'lr','2026-03-01T11:00:00.000Z','{"sampler":"grid"}');
CREATE INDEX runs_by_time ON runs (created_utc);
CREATE INDEX inputs_by_parent ON inputs (parent_run_id);
CREATE INDEX summaries_by_lowest ON summaries (split, name, lowest);
CREATE INDEX summaries_by_highest ON summaries (split, name, highest);
CREATE INDEX runs_by_sweep ON runs (sweep_id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('runs',7);
INSERT INTO "sqlite_sequence" VALUES('sweeps',3);
COMMIT;
PRAGMA application_id = 1414418254;
PRAGMA user_version = 3;
