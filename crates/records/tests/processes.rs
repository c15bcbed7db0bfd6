//! Several programs on one store, and one that is killed while it writes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tenon_records::{Metric, NewRun, RunFilter, RunSort, Split, Status, Store};

const BATCH: u64 = 50;

/// Tells the copies of this test program which store to write, which run, and how many batches.
const TASK: &str = "TENON_RECORDS_TEST_TASK";

/// The body of the copies; without a task it is an empty test.
#[test]
fn writer() {
    let Some(task) = std::env::var_os(TASK) else {
        return;
    };
    let task = task.into_string().unwrap();
    let [path, name, batches] =
        <[&str; 3]>::try_from(task.splitn(3, '|').collect::<Vec<_>>()).unwrap();
    let mut store = Store::open(Path::new(path)).unwrap();
    let run = store
        .create_run(&NewRun {
            name,
            kind: "train",
            created_utc: "2026-03-01T12:00:00.000Z",
            dir: "runs/a",
            seed: 1,
            isa: "scalar",
            threads: 1,
            version: "0.1.0",
            config_json: "{}",
            trial: None,
        })
        .unwrap();
    for batch in 0..batches.parse::<u64>().unwrap() {
        let steps = batch * BATCH..(batch + 1) * BATCH;
        let metrics: Vec<Metric> = steps
            .map(|step| Metric {
                run,
                split: Split::Train,
                name: "loss",
                step,
                epoch: None,
                value: step as f64,
            })
            .collect();
        store.append_metrics(&metrics).unwrap();
    }
    store
        .finish_run(run, Status::Done, "2026-03-01T13:00:00.000Z", None)
        .unwrap();
}

fn spawn(path: &Path, name: &str, batches: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["writer", "--exact"])
        .env(TASK, format!("{}|{name}|{batches}", path.display()))
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn store_in(folder: &tempfile::TempDir) -> PathBuf {
    folder.path().join("tenon.db")
}

#[test]
fn programs_that_write_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = store_in(&folder);
    let programs = ["a", "b", "c"].map(|name| spawn(&path, name, 40));
    for mut program in programs {
        assert!(program.wait().unwrap().success());
    }
    let store = Store::open_existing(&path).unwrap();
    let runs = store.runs(&RunFilter::ALL, &RunSort::NEWEST, None).unwrap();
    assert_eq!(runs.len(), 3);
    for run in runs {
        assert_eq!(run.status, Status::Done);
        assert_eq!(
            store.series(run.id, Split::Train, "loss").unwrap().len() as u64,
            40 * BATCH
        );
        assert_eq!(store.summaries(run.id).unwrap()[0].points, 40 * BATCH);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_killed_program_leaves_whole_batches_and_a_run_that_is_found_out_and_continued() {
    let folder = tempfile::tempdir().unwrap();
    let path = store_in(&folder);
    let mut program = spawn(&path, "victim", u64::MAX / BATCH);
    let mut store = Store::open(&path).unwrap();
    let points = |store: &Store| {
        let runs = store.runs(&RunFilter::ALL, &RunSort::NEWEST, None).unwrap();
        let summaries = runs.first().map(|run| store.summaries(run.id).unwrap());
        summaries
            .and_then(|s| s.first().map(|s| s.points))
            .unwrap_or(0)
    };
    while points(&store) < 5 * BATCH {
        assert!(
            program.try_wait().unwrap().is_none(),
            "the writer has ended by itself"
        );
        std::thread::yield_now();
    }
    let run = store.run("victim").unwrap();
    let taken = store.reopen_run(run.id).unwrap_err();
    assert_eq!(
        taken.message(),
        "another program is at work on the run `victim`"
    );
    assert!(store.mark_stale().unwrap().is_empty());

    program.kill().unwrap();
    program.wait().unwrap();
    assert_eq!(store.mark_stale().unwrap(), ["victim"]);
    let run = store.run("victim").unwrap();
    assert_eq!(run.status, Status::Interrupted);
    assert_eq!(run.finished_utc, None, "nobody saw it end");

    let series = store.series(run.id, Split::Train, "loss").unwrap();
    assert_eq!(
        series.len() as u64 % BATCH,
        0,
        "a batch is written whole or not at all"
    );
    assert_eq!(
        store.summaries(run.id).unwrap()[0].points,
        series.len() as u64
    );
    store.reopen_run(run.id).unwrap();
    assert_eq!(
        store.truncate_metrics(run.id, BATCH - 1).unwrap() as u64 % BATCH,
        0
    );
    assert_eq!(
        store.series(run.id, Split::Train, "loss").unwrap().len() as u64,
        BATCH
    );
}
