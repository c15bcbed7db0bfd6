//! The store as a file: what is none is refused, and many programs write to one.

use std::path::Path;
use std::sync::Barrier;
use std::thread;

use tenon_base::Kind;
use tenon_records::{Metric, RunFilter, RunSort, Store};

use super::{new_run, store, train_loss};

#[test]
fn a_file_that_is_no_store_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tenon.db");
    let refuse = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        let error = Store::open(&path).unwrap_err();
        assert_eq!(error.kind(), Kind::Data, "{error}");
        assert!(error.hint_text().is_some());
        assert_eq!(std::fs::read(&path).unwrap(), bytes, "the file was changed");
    };
    refuse(&b"this is no database, but long enough to be taken for one. ".repeat(40));

    let foreign = folder.path().join("foreign.db");
    let raw = rusqlite::Connection::open(&foreign).unwrap();
    raw.execute_batch("CREATE TABLE runs (id); PRAGMA user_version = 2")
        .unwrap();
    drop(raw);
    let foreign = std::fs::read(foreign).unwrap();
    refuse(&foreign);

    let torn = {
        let whole = folder.path().join("whole.db");
        Store::open(&whole)
            .unwrap()
            .create_run(&new_run("a"))
            .unwrap();
        let raw = rusqlite::Connection::open(&whole).unwrap();
        raw.pragma_update(None, "journal_mode", "DELETE").unwrap();
        drop(raw);
        let mut bytes = std::fs::read(whole).unwrap();
        // The page that lists the tables, past the header.
        bytes[100..4096].fill(0xA5);
        bytes
    };
    refuse(&torn);
}

#[test]
fn a_store_of_a_newer_program_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = store(&folder).path().to_path_buf();
    let raw = rusqlite::Connection::open(&path).unwrap();
    raw.pragma_update(None, "user_version", 99).unwrap();
    let error = Store::open(&path).unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert!(error.message().contains("schema version 99"), "{error}");
}

#[test]
fn an_absent_file_or_folder_is_an_error_of_kind_io() {
    let folder = tempfile::tempdir().unwrap();
    let absent = folder.path().join("tenon.db");
    assert_eq!(Store::open_existing(&absent).unwrap_err().kind(), Kind::Io);
    assert!(!absent.exists());
    let no_folder = folder.path().join("none").join("tenon.db");
    let error = Store::open(&no_folder).unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
    assert_eq!(error.hint_text(), Some("check that the folder exists"));
}

/// Several connections do to the file what several programs do: each has its own lock.
#[test]
fn many_writers_at_once_lose_nothing() {
    const WRITERS: u64 = 6;
    const BATCHES: u64 = 20;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tenon.db");
    let start = Barrier::new(WRITERS as usize);
    let write = |path: &Path, writer: u64| {
        start.wait();
        let mut store = Store::open(path).unwrap();
        let id = store
            .create_run(&new_run(&format!("run-{writer}")))
            .unwrap();
        for batch in 0..BATCHES {
            let steps = batch * 5..batch * 5 + 5;
            let metrics: Vec<Metric> = steps.map(|step| train_loss(id, step, 1.0)).collect();
            store.append_metrics(&metrics).unwrap();
        }
    };
    thread::scope(|scope| {
        for writer in 0..WRITERS {
            let path = &path;
            let write = &write;
            scope.spawn(move || write(path, writer));
        }
    });
    let store = Store::open_existing(&path).unwrap();
    let runs = store.runs(&RunFilter::ALL, &RunSort::NEWEST, None).unwrap();
    assert_eq!(runs.len() as u64, WRITERS);
    for run in runs {
        assert_eq!(
            store.summaries(run.id).unwrap()[0].points,
            BATCHES * 5,
            "{}",
            run.name
        );
    }
}

#[test]
fn one_of_two_that_want_a_name_gets_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = store(&folder).path().to_path_buf();
    let created: Vec<bool> = thread::scope(|scope| {
        let create = || {
            Store::open(&path)
                .unwrap()
                .create_run(&new_run("same"))
                .is_ok()
        };
        let threads = [scope.spawn(create), scope.spawn(create)];
        threads.map(|t| t.join().unwrap()).to_vec()
    });
    assert_eq!(created.iter().filter(|ok| **ok).count(), 1);
}
