//! Plot files: which are drawn, what they hold, and that odd curves are drawn too.

use std::fs;
use std::path::Path;

use tenon::plots::{PlotFacts, draw};
use tenon_base::files::RealDisk;
use tenon_records::Split;
use tenon_records::log::LogRow;

const FACTS: PlotFacts<'static> = PlotFacts {
    run: "a run",
    corpus_entropy: None,
    max_grad_norm: None,
};

fn row(step: u64, split: Split, loss: f64) -> LogRow {
    LogRow {
        step,
        epoch: None,
        split,
        loss: Some(loss),
        learning_rate: None,
        grad_norm: None,
        tokens: None,
        tokens_per_second: None,
    }
}

/// Falling losses with a zigzag on them, a learning rate and norms.
fn training(steps: u64) -> Vec<LogRow> {
    let mut rows = Vec::new();
    for step in 1..=steps {
        let loss = 2.0 + 8.0 / (1.0 + step as f64 / 30.0) + 0.1 * (step % 5) as f64;
        rows.push(LogRow {
            learning_rate: Some(1e-3 * step as f64 / steps as f64),
            grad_norm: Some(0.5 + (step % 7) as f64),
            ..row(step, Split::Train, loss)
        });
        if step % 50 == 0 {
            rows.push(row(step, Split::Validation, loss + 0.2));
        }
    }
    rows
}

fn names(rows: &[LogRow], facts: &PlotFacts<'_>, dir: &Path) -> Vec<String> {
    let files = draw(rows, facts, &RealDisk, dir).unwrap();
    for file in &files {
        let bytes = fs::read(file).unwrap();
        match file.extension().unwrap().to_str() {
            Some("png") => assert!(bytes.starts_with(b"\x89PNG\r\n\x1a\n"), "{file:?}"),
            _ => check_svg(&String::from_utf8(bytes).unwrap()),
        }
    }
    let name = |file: &std::path::PathBuf| file.file_name().unwrap().to_str().unwrap().to_string();
    files.iter().map(name).collect()
}

/// No coordinate may be other than a finite number.
fn check_svg(svg: &str) {
    assert!(svg.starts_with("<svg") && svg.trim_end().ends_with("</svg>"));
    for area in svg.split("url(#").skip(1) {
        let id = area.split(')').next().unwrap();
        assert!(svg.contains(&format!("id=\"{id}\"")), "{id} is not defined");
    }
    for bad in ["NaN", "\"inf", "\"-inf", " inf", ",inf"] {
        assert!(!svg.contains(bad), "{bad} in the drawing");
    }
}

#[test]
fn every_figure_in_two_formats() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("run").join("plots");
    let expected = [
        "loss.png",
        "loss.svg",
        "learning_rate.png",
        "learning_rate.svg",
        "grad_norm.png",
        "grad_norm.svg",
    ];
    assert_eq!(names(&training(200), &FACTS, &dir), expected);
    let loss = fs::read_to_string(dir.join("loss.svg")).unwrap();
    let texts = [
        "optimiser step",
        "loss (nats per token)",
        "train, as logged",
        "train, trend",
        "validation",
    ];
    for text in texts {
        assert!(loss.contains(text), "{text}");
    }
    assert!(!loss.contains("entropy"), "the entropy is unknown");
}

#[test]
fn references_are_drawn_when_known() {
    let folder = tempfile::tempdir().unwrap();
    let facts = PlotFacts {
        corpus_entropy: Some(1.85),
        max_grad_norm: Some(1.0),
        ..FACTS
    };
    names(&training(20), &facts, folder.path());
    let loss = fs::read_to_string(folder.path().join("loss.svg")).unwrap();
    assert!(loss.contains("corpus entropy 1.850"));
    let norm = fs::read_to_string(folder.path().join("grad_norm.svg")).unwrap();
    assert!(norm.contains("clipped to 1"));
}

#[test]
fn without_values_nothing_is_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("plots");
    assert!(names(&[], &FACTS, &dir).is_empty());
    assert!(names(&[row(1, Split::Train, f64::NAN)], &FACTS, &dir).is_empty());
    assert!(!dir.exists());
    // A reference alone is no curve.
    let facts = PlotFacts {
        corpus_entropy: Some(1.0),
        ..FACTS
    };
    assert!(names(&[], &facts, &dir).is_empty());
}

#[test]
fn odd_curves_are_drawn() {
    let folder = tempfile::tempdir().unwrap();
    let mut gaps = training(300);
    for row in gaps.iter_mut().filter(|row| row.step % 11 == 0) {
        row.loss = Some(f64::NAN);
        row.grad_norm = Some(0.0);
    }
    let constant: Vec<LogRow> = (1..=200).map(|step| row(step, Split::Train, 2.0)).collect();
    let mut spike = training(300);
    spike[100].loss = Some(1e30);
    let late: Vec<LogRow> = (9..12).map(|n| row(n << 40, Split::Train, -1.0)).collect();
    let negative: Vec<LogRow> = (1..9).map(|n| row(n, Split::Train, -(n as f64))).collect();
    let cases = [
        ("one point", training(1)),
        ("gaps", gaps),
        ("constant", constant),
        ("zero", vec![row(0, Split::Train, 0.0)]),
        ("spike", spike),
        ("late", late),
        ("negative", negative),
        ("only validation", vec![row(5, Split::Validation, 1.0)]),
    ];
    for (name, rows) in cases {
        let drawn = names(&rows, &FACTS, &folder.path().join(name));
        assert!(drawn.contains(&"loss.png".to_string()), "{name}");
    }
}

#[test]
fn a_spike_makes_the_axis_logarithmic_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut rows = training(300);
    names(&rows, &FACTS, folder.path());
    let svg =
        |folder: &tempfile::TempDir| fs::read_to_string(folder.path().join("loss.svg")).unwrap();
    assert!(!svg(&folder).contains("log scale"));
    rows[100].loss = Some(1e4);
    names(&rows, &FACTS, folder.path());
    assert!(svg(&folder).contains("log scale"));
}

#[test]
fn long_runs_make_small_drawings() {
    let folder = tempfile::tempdir().unwrap();
    names(&training(60_000), &FACTS, folder.path());
    let bytes = fs::metadata(folder.path().join("loss.svg")).unwrap().len();
    assert!(bytes < 1 << 20, "{bytes} bytes");
}

#[test]
fn a_name_with_markup_is_text() {
    let folder = tempfile::tempdir().unwrap();
    let facts = PlotFacts {
        run: "<b> & $x$",
        ..FACTS
    };
    names(&training(3), &facts, folder.path());
    let svg = fs::read_to_string(folder.path().join("loss.svg")).unwrap();
    assert!(svg.contains("&lt;b&gt; &amp; $x$"), "{svg}");
}

#[test]
fn the_same_rows_give_the_same_bytes() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let files = folders
        .each_ref()
        .map(|f| draw(&training(150), &FACTS, &RealDisk, f.path()).unwrap());
    for (a, b) in files[0].iter().zip(&files[1]) {
        assert!(fs::read(a).unwrap() == fs::read(b).unwrap(), "{a:?}");
    }
}
