//! The store as its users see it.

mod file;

use tenon_base::Kind;
use tenon_records::{
    Artifact, At, Input, InputKind, Metric, NewRun, RunFilter, RunId, RunSort, SortKey, Split,
    Status, Store, Trial,
};

const START: &str = "2026-03-01T12:00:00.000Z";
const END: &str = "2026-03-01T13:00:00.000Z";

fn new_run<'a>(name: &'a str) -> NewRun<'a> {
    NewRun {
        name,
        kind: "train",
        created_utc: START,
        dir: "runs/a",
        seed: u64::MAX,
        isa: "avx2",
        threads: 2,
        version: "0.1.0",
        config_json: r#"{"training":{"learning_rate":0.001}}"#,
        trial: None,
    }
}

fn train_loss(run: RunId, step: u64, value: f64) -> Metric<'static> {
    Metric {
        run,
        split: Split::Train,
        name: "loss",
        step,
        epoch: Some(step as f64 / 10.0),
        value,
    }
}

fn store(folder: &tempfile::TempDir) -> Store {
    Store::open(&folder.path().join("tenon.db")).unwrap()
}

#[test]
fn a_run_comes_back_as_it_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let id = store(&folder).create_run(&new_run("first")).unwrap();
    let store = Store::open_existing(&folder.path().join("tenon.db")).unwrap();
    let run = store.run("first").unwrap();
    assert_eq!(run.id, id);
    assert_eq!(run.status, Status::Running);
    assert_eq!(run.seed, u64::MAX);
    assert_eq!(run.created_utc, START);
    assert_eq!(run.finished_utc, None);
    assert_eq!(run.error, None);
    assert_eq!(store.run(&id.number().to_string()).unwrap(), run);
    assert_eq!(store.config_json(id).unwrap(), new_run("first").config_json);
}

#[test]
fn a_taken_name_says_how_to_continue() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(&folder);
    store.create_run(&new_run("first")).unwrap();
    let error = store.create_run(&new_run("first")).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert_eq!(error.message(), "the run `first` exists already");
    assert!(error.hint_text().unwrap().contains("--resume latest"));
    assert_eq!(
        store
            .runs(&RunFilter::ALL, &RunSort::NEWEST, None)
            .unwrap()
            .len(),
        1
    );
}

#[test]
fn names_that_cannot_be_folders_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(&folder);
    let long = "x".repeat(129);
    for name in [
        "", ".", "..", ".hidden", "a/b", "a\\b", "a\nb", " a", "a ", "a:b", &long,
    ] {
        let error = store.create_run(&new_run(name)).unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{name:?}");
    }
    store.create_run(&new_run("gpt-28M_v1.0 größer")).unwrap();
}

#[test]
fn a_configuration_must_be_a_json_object() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(&folder);
    for config_json in ["", "[1]", "{", "model: gpt"] {
        let error = store
            .create_run(&NewRun {
                config_json,
                ..new_run("a")
            })
            .unwrap_err();
        assert_eq!(error.kind(), Kind::Usage, "{config_json:?}");
    }
}

#[test]
fn a_missing_run_names_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(&folder);
    let error = store.run("stories").unwrap_err();
    assert_eq!(error.hint_text(), Some("the store has no runs yet"));
    store.create_run(&new_run("stories")).unwrap();
    let error = store.run("storise").unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert_eq!(error.message(), "there is no run `storise`");
    assert_eq!(error.hint_text(), Some("did you mean `stories`?"));
}

#[test]
fn a_name_that_is_a_number_wins_over_the_number() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(&folder);
    store.create_run(&new_run("2")).unwrap();
    let second = store.create_run(&new_run("other")).unwrap();
    assert_eq!(second.number(), 2);
    assert_eq!(store.run("2").unwrap().name, "2");
}

#[test]
fn finishing_and_continuing() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(&folder);
    let id = store.create_run(&new_run("a")).unwrap();
    store
        .finish_run(id, Status::Aborted, END, Some("loss is not a number"))
        .unwrap();
    let run = store.run("a").unwrap();
    assert_eq!(run.status, Status::Aborted);
    assert_eq!(run.finished_utc.as_deref(), Some(END));
    assert_eq!(run.error.as_deref(), Some("loss is not a number"));

    let again = store.finish_run(id, Status::Done, END, None).unwrap_err();
    assert_eq!(again.message(), "the run `a` has ended before, as aborted");

    store.reopen_run(id).unwrap();
    let run = store.run("a").unwrap();
    assert_eq!(run.status, Status::Running);
    assert_eq!((run.finished_utc, run.error), (None, None));
    assert!(store.finish_run(id, Status::Running, END, None).is_err());
    store.finish_run(id, Status::Done, END, None).unwrap();
}

#[test]
fn a_run_of_the_living_is_not_stale() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(&folder);
    store.create_run(&new_run("a")).unwrap();
    assert!(store.mark_stale().unwrap().is_empty());
    assert_eq!(store.run("a").unwrap().status, Status::Running);
}

#[test]
fn a_series_keeps_every_value_and_what_is_not_a_number() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(&folder);
    let id = store.create_run(&new_run("a")).unwrap();
    let values = [
        0.1 + 0.2,
        f64::NAN,
        f64::INFINITY,
        -0.0,
        f64::MIN_POSITIVE,
        1e300,
    ];
    let steps = (1..).zip(values);
    let metrics: Vec<Metric> = steps.map(|(step, v)| train_loss(id, step, v)).collect();
    store.append_metrics(&metrics).unwrap();
    let series = store.series(id, Split::Train, "loss").unwrap();
    assert_eq!(series.len(), values.len());
    for (point, value) in series.iter().zip(values) {
        let both_nan = point.value.is_nan() && value.is_nan();
        assert!(both_nan || point.value == value, "{value}");
    }
    assert_eq!(series[0].epoch, Some(0.1));
    assert!(
        store
            .series(id, Split::Validation, "loss")
            .unwrap()
            .is_empty()
    );
    assert!(store.series(id, Split::Train, "Loss").unwrap().is_empty());
}

#[test]
fn a_summary_is_the_same_in_one_batch_and_in_many() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(&folder);
    let values = [3.0, f64::NAN, 1.0, 5.0, 1.0, f64::INFINITY, 2.0];
    let mut summaries = Vec::new();
    for (name, batch) in [("one", 7), ("three", 3), ("single", 1)] {
        let id = store.create_run(&new_run(name)).unwrap();
        let metrics: Vec<Metric> = (1..)
            .zip(values)
            .map(|(step, v)| train_loss(id, step, v))
            .collect();
        for part in metrics.chunks(batch) {
            store.append_metrics(part).unwrap();
        }
        summaries.push(store.summaries(id).unwrap());
    }
    assert_eq!(summaries[0], summaries[1]);
    assert_eq!(summaries[0], summaries[2]);
    let [summary] = &summaries[0][..] else {
        panic!("one series")
    };
    assert_eq!(summary.points, 7);
    assert_eq!(
        summary.first,
        At {
            step: 1,
            value: 3.0
        }
    );
    assert_eq!(
        summary.last,
        At {
            step: 7,
            value: 2.0
        }
    );
    assert_eq!(
        summary.lowest,
        Some(At {
            step: 3,
            value: 1.0
        })
    );
    assert_eq!(
        summary.highest,
        Some(At {
            step: 4,
            value: 5.0
        })
    );
    assert_eq!(summary.best(), summary.lowest);
}

#[test]
fn a_second_value_at_a_step_is_refused_with_its_whole_batch() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(&folder);
    let id = store.create_run(&new_run("a")).unwrap();
    store.append_metrics(&[train_loss(id, 5, 2.0)]).unwrap();
    let before = store.summaries(id).unwrap();
    let batch = [
        train_loss(id, 4, 9.0),
        train_loss(id, 5, 9.0),
        train_loss(id, 6, 9.0),
    ];
    let error = store.append_metrics(&batch).unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert_eq!(
        error.message(),
        "the series `train/loss` already has a value at step 5"
    );
    assert_eq!(store.series(id, Split::Train, "loss").unwrap().len(), 1);
    assert_eq!(store.summaries(id).unwrap(), before);
}

#[test]
fn continuing_drops_what_the_checkpoint_does_not_know() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(&folder);
    let [kept, cut] = ["kept", "cut"].map(|name| store.create_run(&new_run(name)).unwrap());
    for id in [kept, cut] {
        let metrics: Vec<Metric> = (1..=10)
            .map(|step| train_loss(id, step, 10.0 - step as f64))
            .collect();
        store.append_metrics(&metrics).unwrap();
    }
    let untouched = store.summaries(kept).unwrap();
    assert_eq!(store.truncate_metrics(cut, 6).unwrap(), 4);
    assert_eq!(store.truncate_metrics(cut, 6).unwrap(), 0);
    assert_eq!(
        store
            .series(cut, Split::Train, "loss")
            .unwrap()
            .last()
            .unwrap()
            .step,
        6
    );
    let summary = &store.summaries(cut).unwrap()[0];
    assert_eq!(summary.points, 6);
    assert_eq!(
        summary.last,
        At {
            step: 6,
            value: 4.0
        }
    );
    assert_eq!(summary.lowest, Some(summary.last));
    assert_eq!(store.summaries(kept).unwrap(), untouched);
    store.append_metrics(&[train_loss(cut, 7, 1.0)]).unwrap();
    assert_eq!(store.truncate_metrics(cut, 0).unwrap(), 7);
    assert!(store.summaries(cut).unwrap().is_empty());
}

#[test]
fn the_best_run_is_the_lowest_loss_and_the_highest_accuracy() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(&folder);
    assert_eq!(store.best(Split::Validation, "loss").unwrap(), None);
    let mut ids = Vec::new();
    for (name, loss, accuracy) in [("a", 2.0, 0.5), ("b", 1.5, 0.4), ("c", f64::NAN, 0.5)] {
        let id = store.create_run(&new_run(name)).unwrap();
        for (metric, value) in [("loss", loss), ("accuracy", accuracy)] {
            let metric = Metric {
                split: Split::Validation,
                name: metric,
                value,
                ..train_loss(id, 7, 0.0)
            };
            store.append_metrics(&[metric]).unwrap();
        }
        ids.push(id);
    }
    let best = store.best(Split::Validation, "loss").unwrap().unwrap();
    assert_eq!(
        (best.run.id, best.at),
        (
            ids[1],
            At {
                step: 7,
                value: 1.5
            }
        )
    );
    let best = store.best(Split::Validation, "accuracy").unwrap().unwrap();
    assert_eq!(best.run.id, ids[0], "equal values go to the older run");
    assert_eq!(store.best(Split::Train, "loss").unwrap(), None);
    assert_eq!(
        store.best(Split::Train, "lss").unwrap_err().kind(),
        Kind::Usage
    );

    let by_loss = |descending| {
        let key = SortKey::Best(Split::Validation, "loss");
        let runs = store
            .runs(&RunFilter::ALL, &RunSort { key, descending }, None)
            .unwrap();
        runs.into_iter().map(|run| run.name).collect::<Vec<_>>()
    };
    assert_eq!(by_loss(false), ["b", "a", "c"], "no value comes last");
    assert_eq!(by_loss(true), ["a", "b", "c"], "no value comes last");
}

#[test]
fn lists_are_filtered_sorted_and_limited() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(&folder);
    let times = [
        "2026-01-02T00:00:00Z",
        "2026-01-03T00:00:00Z",
        "2026-01-01T00:00:00Z",
    ];
    for (name, created_utc) in ["GPT-small", "gpt_big", "llama"].into_iter().zip(times) {
        let id = store
            .create_run(&NewRun {
                created_utc,
                ..new_run(name)
            })
            .unwrap();
        if name == "llama" {
            store.finish_run(id, Status::Done, END, None).unwrap();
        }
    }
    let names = |filter: &RunFilter, sort: &RunSort, limit| {
        let runs = store.runs(filter, sort, limit).unwrap();
        runs.into_iter().map(|run| run.name).collect::<Vec<_>>()
    };
    let all = RunFilter::ALL;
    assert_eq!(
        names(&all, &RunSort::NEWEST, None),
        ["gpt_big", "GPT-small", "llama"]
    );
    assert_eq!(names(&all, &RunSort::NEWEST, Some(1)), ["gpt_big"]);
    let part = RunFilter {
        name_part: Some("gpt"),
        ..all
    };
    assert_eq!(names(&part, &RunSort::NEWEST, None).len(), 2);
    let like = RunFilter {
        name_part: Some("t%b"),
        ..all
    };
    assert!(
        names(&like, &RunSort::NEWEST, None).is_empty(),
        "a name part is no pattern"
    );
    let done = RunFilter {
        status: Some(Status::Done),
        kind: Some("train"),
        ..all
    };
    assert_eq!(names(&done, &RunSort::NEWEST, None), ["llama"]);
    let by_name = RunSort {
        key: SortKey::Name,
        descending: false,
    };
    assert_eq!(
        names(&all, &by_name, None),
        ["GPT-small", "gpt_big", "llama"]
    );
}

/// The original kept columns for its sweeps and never wrote them.
#[test]
fn a_trial_keeps_its_sweep_and_its_parameters() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(&folder);
    let sweep = store
        .create_sweep("lr", START, r#"{"sampler":"grid"}"#)
        .unwrap();
    assert_eq!(
        store.create_sweep("lr", START, "{}").unwrap_err().kind(),
        Kind::Usage
    );
    let trial = Trial {
        sweep,
        params_json: r#"{"training.learning_rate":0.01}"#,
    };
    let id = store
        .create_run(&NewRun {
            trial: Some(trial),
            ..new_run("lr-0")
        })
        .unwrap();
    let alone = store.create_run(&new_run("alone")).unwrap();
    assert_eq!(store.run("lr-0").unwrap().sweep, Some(sweep));
    assert_eq!(
        store.trial_params_json(id).unwrap().as_deref(),
        Some(trial.params_json)
    );
    assert_eq!(store.trial_params_json(alone).unwrap(), None);
    let filter = RunFilter {
        sweep: Some(sweep),
        ..RunFilter::ALL
    };
    assert_eq!(
        store.runs(&filter, &RunSort::NEWEST, None).unwrap().len(),
        1
    );
    assert_eq!(store.sweep("lr").unwrap().unwrap().id, sweep);
    assert_eq!(store.sweep("none").unwrap(), None);
}

#[test]
fn lineage_goes_both_ways() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(&folder);
    let base = store.create_run(&new_run("base")).unwrap();
    let tuned = store.create_run(&new_run("tuned")).unwrap();
    let artifact = Artifact {
        kind: "model".into(),
        path: "runs/base/model".into(),
        sha256: "ab".repeat(32),
        bytes: 1 << 40,
        created_utc: END.into(),
    };
    store.add_artifact(base, &artifact).unwrap();
    let newer = Artifact {
        sha256: "cd".repeat(32),
        ..artifact.clone()
    };
    store.add_artifact(base, &newer).unwrap();
    let input = Input {
        kind: InputKind::Run,
        source: "base".into(),
        sha256: Some("cd".repeat(32)),
        parent: Some(base),
    };
    store.add_lineage(tuned, &input).unwrap();
    store.add_lineage(tuned, &input).unwrap();
    let of_base = store.lineage(base).unwrap();
    assert_eq!(of_base.artifacts, [newer]);
    assert_eq!(of_base.children, [tuned]);
    let recorded = store.lineage(tuned).unwrap().inputs;
    assert_eq!(recorded.len(), 1);
    assert_eq!(recorded[0], input);

    let own = Input {
        parent: Some(tuned),
        ..input.clone()
    };
    assert_eq!(
        store.add_lineage(tuned, &own).unwrap_err().kind(),
        Kind::Usage
    );
    for sha256 in ["", "ab", &"g".repeat(64)] {
        let lie = Input {
            sha256: Some(sha256.into()),
            ..input.clone()
        };
        assert_eq!(
            store.add_lineage(tuned, &lie).unwrap_err().kind(),
            Kind::Data
        );
    }
}

#[test]
fn compared_runs_show_differences_only() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(&folder);
    let configs = [
        r#"{"lr":0.1,"seed":1}"#,
        r#"{"lr":0.2,"seed":1,"warmup":5}"#,
    ];
    let ids: Vec<RunId> = ["a", "b"]
        .into_iter()
        .zip(configs)
        .map(|(name, config_json)| {
            store
                .create_run(&NewRun {
                    config_json,
                    ..new_run(name)
                })
                .unwrap()
        })
        .collect();
    let common = [(1, 4.0), (2, f64::NAN), (3, 3.0)];
    for (id, tail) in ids.iter().zip([2.5, 2.0]) {
        let metrics = common.map(|(step, value)| train_loss(*id, step, value));
        store.append_metrics(&metrics).unwrap();
        store.append_metrics(&[train_loss(*id, 4, tail)]).unwrap();
    }
    let validation = Metric {
        split: Split::Validation,
        ..train_loss(ids[1], 4, 2.2)
    };
    store.append_metrics(&[validation]).unwrap();

    let comparison = store.compare(&ids).unwrap();
    let keys: Vec<&str> = comparison
        .config
        .iter()
        .map(|row| row.key.as_str())
        .collect();
    assert_eq!(keys, ["lr", "warmup"]);
    assert_eq!(comparison.config[1].values, [None, Some("5".to_string())]);
    assert_eq!(comparison.series.len(), 2);
    let validation = &comparison.series[1];
    assert_eq!(validation.split, Split::Validation);
    assert!(validation.summaries[0].is_none(), "no data is not zero");
    let [divergence] = &comparison.divergences[..] else {
        panic!("one common series")
    };
    assert_eq!((divergence.step, divergence.common_points), (Some(4), 4));

    assert_eq!(store.compare(&ids[..1]).unwrap_err().kind(), Kind::Usage);
    assert_eq!(
        store.compare(&[ids[0], ids[0]]).unwrap_err().kind(),
        Kind::Usage
    );
}

/// The original never switched foreign keys on, so metrics of runs that do not exist could be
/// written.
#[test]
fn foreign_keys_hold() {
    let folder = tempfile::tempdir().unwrap();
    let mut store = store(&folder);
    let id = store.create_run(&new_run("a")).unwrap();
    store.append_metrics(&[train_loss(id, 1, 1.0)]).unwrap();
    let other = tempfile::tempdir().unwrap();
    let mut empty = Store::open(&other.path().join("tenon.db")).unwrap();
    assert_eq!(
        empty
            .append_metrics(&[train_loss(id, 1, 1.0)])
            .unwrap_err()
            .kind(),
        Kind::Data
    );

    let raw = rusqlite::Connection::open(store.path()).unwrap();
    raw.pragma_update(None, "foreign_keys", true).unwrap();
    raw.execute("DELETE FROM runs", []).unwrap();
    assert!(store.series(id, Split::Train, "loss").unwrap().is_empty());
    assert!(store.summaries(id).unwrap().is_empty());
}
