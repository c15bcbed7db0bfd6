//! `tenon runs`: tables and JSON of a small store.

use serde_json::Value;
use tenon::runs::{SCHEMA_VERSION, best, compare, ls, show};
use tenon_records::{
    Artifact, Input, InputKind, Metric, NewRun, Run, RunFilter, RunId, RunSort, SortKey, Split,
    Status, Store,
};

const START: &str = "2026-03-01T12:00:00.000Z";
const END: &str = "2026-03-01T13:30:00.000Z";

/// A finished run, one that is aborted and made from it, and one without metrics.
fn small_store(folder: &tempfile::TempDir) -> Store {
    let mut store = Store::open(&folder.path().join("tenon.db")).unwrap();
    let new = |name, config_json| NewRun {
        name,
        kind: "train",
        created_utc: START,
        dir: "runs/stories",
        seed: 42,
        isa: "avx2",
        threads: 2,
        version: "0.1.0",
        config_json,
        trial: None,
    };
    let config = r#"{"training":{"learning_rate":0.001,"batch_size":8}}"#;
    let first = store.create_run(&new("stories", config)).unwrap();
    let config = r#"{"training":{"learning_rate":0.1,"batch_size":8,"warmup_steps":5}}"#;
    let second = store.create_run(&new("stories-hot", config)).unwrap();
    store.create_run(&new("empty", "{}")).unwrap();
    for (id, floor) in [(first, 2.0), (second, 3.0)] {
        record(&mut store, id, floor);
    }
    let artifact = Artifact {
        kind: "model".into(),
        path: "runs/stories/model".into(),
        sha256: "0123456789abcdef".repeat(4),
        bytes: 112_345_678,
        created_utc: END.into(),
    };
    store.add_artifact(first, &artifact).unwrap();
    let input = Input {
        kind: InputKind::Run,
        source: "stories".into(),
        sha256: None,
        parent: Some(first),
    };
    store.add_lineage(second, &input).unwrap();
    store.finish_run(first, Status::Done, END, None).unwrap();
    let reason = "loss is not a number\nat step 100";
    store
        .finish_run(second, Status::Aborted, END, Some(reason))
        .unwrap();
    store
}

fn record(store: &mut Store, run: RunId, floor: f64) {
    let mut metrics = Vec::new();
    for step in 1..=100u64 {
        let value = floor + 8.0 / (1.0 + step as f64 / 10.0);
        let metric = Metric {
            run,
            split: Split::Train,
            name: "loss",
            step,
            epoch: None,
            value,
        };
        metrics.push(metric);
        if step % 25 == 0 {
            metrics.push(Metric {
                split: Split::Validation,
                value: value + 0.25,
                ..metric
            });
        }
    }
    if floor > 2.0 {
        metrics.last_mut().unwrap().value = f64::NAN;
    }
    store.append_metrics(&metrics).unwrap();
}

fn all(store: &Store) -> Vec<Run> {
    let by_name = RunSort {
        key: SortKey::Name,
        descending: false,
    };
    store.runs(&RunFilter::ALL, &by_name, None).unwrap()
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap()
}

#[test]
fn the_list() {
    let folder = tempfile::tempdir().unwrap();
    let store = small_store(&folder);
    insta::assert_snapshot!("ls", ls::as_text(&store, &all(&store)).unwrap());
    insta::assert_snapshot!(
        "ls_json",
        pretty(&ls::as_json(&store, &all(&store)).unwrap())
    );
    assert_eq!(ls::as_text(&store, &[]).unwrap(), "no runs\n");
}

#[test]
fn one_run() {
    let folder = tempfile::tempdir().unwrap();
    let store = small_store(&folder);
    for name in ["stories", "stories-hot", "empty"] {
        let run = store.run(name).unwrap();
        insta::assert_snapshot!(format!("show_{name}"), show::as_text(&store, &run).unwrap());
    }
    let run = store.run("stories-hot").unwrap();
    insta::assert_snapshot!("show_json", pretty(&show::as_json(&store, &run).unwrap()));
}

#[test]
fn two_runs() {
    let folder = tempfile::tempdir().unwrap();
    let store = small_store(&folder);
    let ids = ["stories", "stories-hot"].map(|name| store.run(name).unwrap().id);
    let comparison = store.compare(&ids).unwrap();
    insta::assert_snapshot!("compare", compare::as_text(&comparison));
    insta::assert_snapshot!("compare_json", pretty(&compare::as_json(&comparison)));
}

#[test]
fn the_best_run() {
    let folder = tempfile::tempdir().unwrap();
    let store = small_store(&folder);
    let found = store.best(Split::Validation, "loss").unwrap();
    let text = best::as_text(Split::Validation, "loss", found.as_ref());
    assert_eq!(
        text,
        "stories: validation/loss 2.9773 at step 100 (lower is better)\n"
    );
    let document = best::as_json(Split::Validation, "loss", found.as_ref());
    assert_eq!(document["best"]["run"]["name"], "stories");
    assert_eq!(document["best"]["at"]["step"], 100);

    let none = store.best(Split::Test, "accuracy").unwrap();
    let text = best::as_text(Split::Test, "accuracy", none.as_ref());
    assert_eq!(text, "no run has a finite value of test/accuracy\n");
    assert!(best::as_json(Split::Test, "accuracy", none.as_ref())["best"].is_null());
}

#[test]
fn every_document_has_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let store = small_store(&folder);
    let runs = all(&store);
    let comparison = store.compare(&[runs[0].id, runs[1].id]).unwrap();
    let documents = [
        ls::as_json(&store, &runs).unwrap(),
        show::as_json(&store, &runs[0]).unwrap(),
        compare::as_json(&comparison),
        best::as_json(Split::Train, "loss", None),
    ];
    for document in documents {
        assert_eq!(document["schema_version"], SCHEMA_VERSION);
    }
}
