//! Stores of every version, as their programs left them, opened by this one.

use std::path::Path;

use tenon_records::{At, RunFilter, RunSort, Split, Status, Store};

/// A dump of a small store for each version; the last one is the present version.
const VERSIONS: [&str; 3] = [
    include_str!("versions/v1.sql"),
    include_str!("versions/v2.sql"),
    include_str!("versions/v3.sql"),
];

fn old_store(path: &Path, dump: &str) {
    let raw = rusqlite::Connection::open(path).unwrap();
    raw.pragma_update(None, "foreign_keys", false).unwrap();
    raw.execute_batch(dump).unwrap();
}

/// Every table and index, without the way its text is broken into lines.
fn schema(path: &Path) -> Vec<String> {
    let raw = rusqlite::Connection::open(path).unwrap();
    let sql = "SELECT type || ' ' || name || ': ' || ifnull(sql, '') FROM sqlite_schema ORDER BY 1";
    let mut statement = raw.prepare(sql).unwrap();
    let rows = statement
        .query_map([], |row| row.get::<_, String>(0))
        .unwrap();
    rows.map(|row| {
        row.unwrap()
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ")
    })
    .collect()
}

fn user_version(path: &Path) -> i64 {
    let raw = rusqlite::Connection::open(path).unwrap();
    raw.query_row("PRAGMA user_version", [], |row| row.get(0))
        .unwrap()
}

#[test]
fn every_version_becomes_the_schema_of_a_new_store() {
    let folder = tempfile::tempdir().unwrap();
    let new = folder.path().join("new.db");
    Store::open(&new).unwrap();
    assert_eq!(
        user_version(&new),
        VERSIONS.len() as i64,
        "a version has no dump"
    );
    for (index, dump) in VERSIONS.iter().enumerate() {
        let path = folder.path().join(format!("v{}.db", index + 1));
        old_store(&path, dump);
        assert_eq!(user_version(&path), index as i64 + 1);
        Store::open(&path).unwrap();
        assert_eq!(user_version(&path), VERSIONS.len() as i64);
        assert_eq!(schema(&path), schema(&new), "from version {}", index + 1);
    }
}

#[test]
fn every_version_keeps_its_rows() {
    let folder = tempfile::tempdir().unwrap();
    for (index, dump) in VERSIONS.iter().enumerate() {
        let version = index + 1;
        let path = folder.path().join(format!("v{version}.db"));
        old_store(&path, dump);
        let mut store = Store::open(&path).unwrap();
        let first = store.run("first").unwrap();
        assert_eq!(
            (first.seed, first.status),
            (u64::MAX, Status::Done),
            "version {version}"
        );
        let series = store.series(first.id, Split::Train, "loss").unwrap();
        assert_eq!(series.len(), 5);
        assert!(series[4].value.is_nan());

        let summaries = store.summaries(first.id).unwrap();
        assert_eq!(summaries.len(), 2);
        assert_eq!(summaries[0].points, 5);
        assert_eq!(
            summaries[0].first,
            At {
                step: 1,
                value: 4.0
            }
        );
        assert_eq!(summaries[0].last.step, 5);
        assert!(summaries[0].last.value.is_nan());
        assert_eq!(
            summaries[0].lowest,
            Some(At {
                step: 2,
                value: 3.0
            }),
            "version {version}"
        );
        assert_eq!(
            summaries[0].highest,
            Some(At {
                step: 1,
                value: 4.0
            }),
            "version {version}"
        );

        let second = store.run("7").unwrap();
        assert_eq!(second.error.as_deref(), Some("loss is not a number"));
        let summary = &store.summaries(second.id).unwrap()[0];
        assert_eq!(
            (summary.lowest, summary.highest),
            (None, None),
            "version {version}"
        );
        assert_eq!(store.lineage(first.id).unwrap().children, [second.id]);
        assert_eq!(store.lineage(first.id).unwrap().artifacts[0].bytes, 1 << 40);
        assert_eq!(store.sweep("lr").unwrap().is_some(), version >= 3);
        assert_eq!(second.sweep.is_some(), version >= 3);

        // What the migration computed is what this program computes from the points.
        store.truncate_metrics(first.id, 4).unwrap();
        let recomputed = &store.summaries(first.id).unwrap()[0];
        assert_eq!(recomputed.lowest, summaries[0].lowest);
        assert_eq!(recomputed.highest, summaries[0].highest);
    }
}

#[test]
fn two_programs_that_open_an_old_store_at_once_both_succeed() {
    let folder = tempfile::tempdir().unwrap();
    for (index, dump) in VERSIONS.iter().enumerate() {
        let path = folder.path().join(format!("v{}.db", index + 1));
        old_store(&path, dump);
        std::thread::scope(|scope| {
            let threads = [0; 4].map(|_| scope.spawn(|| Store::open(&path).map(|_| ())));
            for thread in threads {
                thread.join().unwrap().unwrap();
            }
        });
        let store = Store::open_existing(&path).unwrap();
        let runs = store.runs(&RunFilter::ALL, &RunSort::NEWEST, None).unwrap();
        assert_eq!(runs.len(), 2);
        assert_eq!(store.summaries(runs[1].id).unwrap()[0].points, 5);
    }
}
