//! `report.md` from facts.

use tenon::report::{ReportFacts, Sample, render};
use tenon_models::spec::{Objective, Problem};
use tenon_records::{Input, InputKind, Metric, NewRun, Run, Split, Status, Store, Summary};

/// A run and its summaries, written and read back.
fn recorded(name: &str, metrics: &[(Split, &str, u64, f64)]) -> (Run, Vec<Summary>) {
    let folder = tempfile::tempdir().unwrap();
    let mut store = Store::open(&folder.path().join("tenon.db")).unwrap();
    let dir = format!("runs/{name}");
    let new = NewRun {
        name,
        kind: "train",
        created_utc: "2026-03-01T12:00:00.000Z",
        dir: &dir,
        seed: 42,
        isa: "avx512",
        threads: 2,
        version: "0.1.0",
        config_json: "{}",
        trial: None,
    };
    let run = store.create_run(&new).unwrap();
    let metrics: Vec<Metric> = metrics
        .iter()
        .map(|&(split, name, step, value)| Metric {
            run,
            split,
            name,
            step,
            epoch: None,
            value,
        })
        .collect();
    store.append_metrics(&metrics).unwrap();
    store
        .finish_run(run, Status::Done, "2026-03-01T13:02:05.000Z", None)
        .unwrap();
    (store.run_by_id(run).unwrap(), store.summaries(run).unwrap())
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_string(), value.to_string())
}

fn full_facts() -> ReportFacts {
    let (run, summaries) = recorded(
        "stories",
        &[
            (Split::Train, "loss", 1, 10.8),
            (Split::Train, "loss", 500, 2.25),
            (Split::Train, "learning_rate", 1, 1e-5),
            (Split::Train, "learning_rate", 500, 1e-3),
            (Split::Validation, "loss", 250, 2.31),
            (Split::Validation, "loss", 500, 2.4),
            (Split::Validation, "accuracy", 500, 0.5125),
        ],
    );
    ReportFacts {
        run,
        seconds: Some(3725.4),
        config: vec![
            pair("training.learning_rate", "0.001"),
            pair("training.batch_size", "8"),
        ],
        objective: Objective::Causal,
        model: vec![pair("family", "gpt2"), pair("parameters", "28,123,456")],
        data: vec![pair("data set", "stories"), pair("rows", "5,000")],
        summaries,
        tokens: Some(1_024_000),
        tokens_per_second: Some(274.87),
        plots: ["plots/loss.png", "plots/loss.svg", "plots/grad_norm.png"]
            .map(String::from)
            .into(),
        samples: vec![Sample {
            prompt: "Once upon a time".into(),
            continuation: ", there was a `fence`:\n```\nand so on".into(),
        }],
        inputs: vec![Input {
            kind: InputKind::HubModel,
            source: "org/model@main".into(),
            sha256: Some("ab".repeat(32)),
            parent: None,
        }],
        config_path: Some("configs/stories.yaml".into()),
    }
}

#[test]
fn a_full_report() {
    insta::assert_snapshot!("report", render(&full_facts()));
}

#[test]
fn what_is_unknown_is_left_out() {
    let (run, _) = recorded("bare", &[]);
    let facts = ReportFacts {
        run,
        seconds: None,
        config: Vec::new(),
        objective: Objective::Causal,
        model: Vec::new(),
        data: Vec::new(),
        summaries: Vec::new(),
        tokens: None,
        tokens_per_second: None,
        plots: Vec::new(),
        samples: Vec::new(),
        inputs: Vec::new(),
        config_path: None,
    };
    let report = render(&facts);
    insta::assert_snapshot!("report_bare", report);
    for absent in [
        "Curves",
        "What it writes",
        "Made from",
        "--resume",
        "tokens/s",
        "| 0",
    ] {
        assert!(!report.contains(absent), "{absent}");
    }
}

#[test]
fn without_validation_the_report_says_so() {
    let (run, summaries) = recorded("a", &[(Split::Train, "loss", 1, 2.0)]);
    let facts = ReportFacts {
        run,
        summaries,
        ..full_facts()
    };
    assert!(render(&facts).contains("Nothing was measured on held-out data"));
    assert!(!render(&full_facts()).contains("Nothing was measured"));
}

#[test]
fn perplexity_is_that_of_the_loss() {
    let report = render(&full_facts());
    let line = report
        .lines()
        .find(|l| l.starts_with("| validation perplexity"))
        .unwrap();
    assert_eq!(
        line,
        "| validation perplexity | 10.0744 | 11.0232 | 10.0744 | 250 |"
    );
}

/// The kind of model decides, not the metrics that were recorded.
#[test]
fn the_loss_of_a_head_has_no_perplexity() {
    let facts = ReportFacts {
        objective: Objective::Token { n_classes: 2 },
        ..full_facts()
    };
    assert!(!render(&facts).contains("perplexity"));
    let other = (Split::Validation, "mse", 500, 0.5);
    let (run, summaries) = recorded("a", &[(Split::Train, "loss", 1, 2.0), other]);
    let facts = ReportFacts {
        run,
        summaries,
        ..full_facts()
    };
    assert!(render(&facts).contains("| train perplexity |"));
}

#[test]
fn hostile_text_stays_text() {
    let mut facts = full_facts();
    facts.run.error = Some("<script>alert(1)</script> | # *x*\n\n# heading".into());
    facts.data = vec![pair("a|b", "[link](javascript:x)\n| c |")];
    facts.plots = vec!["plots/a>b\n.png".into()];
    facts.samples = vec![Sample {
        prompt: "a](b) `".into(),
        continuation: "````\n# no heading\x1b[2J".into(),
    }];
    facts.config_path = Some("it's; rm -rf x".into());
    let report = render(&facts);
    assert!(!report.contains("<script"));
    assert!(!report.contains("\x1b"));
    assert!(!report.contains("\n# heading"));
    assert!(report.contains("| a\\|b | \\[link\\](javascript:x) \\| c \\| |"));
    assert!(
        report.contains("`````text\n"),
        "the fence is longer than what it holds"
    );
    assert!(report.contains(r"tenon train 'it'\''s; rm -rf x' --name stories"));
    assert!(report.contains("](<plots/a%3Eb.png>)"));
}

/// Each model is used in its own way.
#[test]
fn commands_fit_what_the_model_tells() {
    let problem = Problem::Regression;
    let n_classes = 2;
    for (objective, command) in [
        (
            Objective::Causal,
            "tenon generate runs/stories/model --prompt",
        ),
        (
            Objective::Masked,
            "tenon predict runs/stories/model --task embed",
        ),
        (
            Objective::Sequence { n_classes, problem },
            "tenon predict runs/stories/model --task head",
        ),
        (
            Objective::Token { n_classes },
            "tenon predict runs/stories/model --task head",
        ),
    ] {
        let facts = ReportFacts {
            objective,
            ..full_facts()
        };
        let report = render(&facts);
        assert!(report.contains(command), "{report}");
        assert!(report.contains("tenon eval runs/stories/model"), "{report}");
        let generates = report.contains("tenon generate");
        assert_eq!(generates, objective == Objective::Causal);
    }
}
