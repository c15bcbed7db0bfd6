//! Curves of a run as PNG and SVG files: loss, learning rate, norm of the gradient.
//!
//! Colours are those of Okabe and Ito's palette, which stay apart for colour-blind readers; no meaning
//! hangs on colour alone, since validation also has markers and references are dashed.

pub mod curve;
mod figure;

use std::path::{Path, PathBuf};

use tenon_base::Result;
use tenon_base::files::Disk;
use tenon_records::Split;
use tenon_records::log::LogRow;

use curve::{Curve, smooth};
use figure::{Figure, Mark, Reference, Scale};

const BLUE: &str = "#0072B2";
const PALE_BLUE: &str = "#B3D5E8";
const ORANGE: &str = "#D55E00";
const GREEN: &str = "#009E73";
const PALE_GREEN: &str = "#B2E2D5";
const PURPLE: &str = "#8E4A7E";

/// What the plots say beside the rows.
#[derive(Clone, Copy, Debug)]
pub struct PlotFacts<'a> {
    /// Name of the run, shown under each title.
    pub run: &'a str,
    /// Entropy of the corpus in nats per token, where it is known: the lowest loss that can be reached.
    pub corpus_entropy: Option<f64>,
    /// The norm that gradients are clipped to, where they are.
    pub max_grad_norm: Option<f64>,
}

/// Draws what the rows have into the folder, which is created: `loss`, `learning_rate` and `grad_norm`,
/// each as `.png` and `.svg`. A figure without a single finite value is not drawn. Returns the files.
///
/// # Errors
/// `Io` when a file cannot be written.
pub fn draw(
    rows: &[LogRow],
    facts: &PlotFacts<'_>,
    disk: &dyn Disk,
    dir: &Path,
) -> Result<Vec<PathBuf>> {
    let figures = [
        loss(rows, facts),
        learning_rate(rows, facts),
        grad_norm(rows, facts),
    ];
    let mut written = Vec::new();
    for figure in figures.into_iter().flatten() {
        disk.create_dir_all(dir)?;
        let png = dir.join(format!("{}.png", figure.name));
        disk.write_atomic(&png, &figure.png()?)?;
        let svg = dir.join(format!("{}.svg", figure.name));
        disk.write_atomic(&svg, figure.svg().as_bytes())?;
        written.extend([png, svg]);
    }
    Ok(written)
}

fn loss(rows: &[LogRow], facts: &PlotFacts<'_>) -> Option<Figure> {
    let train = Curve::of(rows, Split::Train, |row| row.loss);
    let validation = Curve::of(rows, Split::Validation, |row| row.loss);
    let mut marks = noisy("train", &train, BLUE, PALE_BLUE);
    marks.push(Mark::dotted_line("validation", validation, ORANGE));
    let reference = facts.corpus_entropy.map(|value| Reference {
        label: format!("entropy of the corpus ({value:.3})"),
        value,
    });
    Figure::new(
        "loss",
        "Loss",
        facts.run,
        "loss (nats per token)",
        Scale::Linear,
    )
    .with_marks(marks)
    .with_reference(reference)
    .if_any()
}

fn learning_rate(rows: &[LogRow], facts: &PlotFacts<'_>) -> Option<Figure> {
    let curve = Curve::of(rows, Split::Train, |row| row.learning_rate);
    Figure::new(
        "learning_rate",
        "Learning rate",
        facts.run,
        "learning rate",
        Scale::FromZero,
    )
    .with_marks(vec![Mark::line("learning rate", curve, PURPLE)])
    .if_any()
}

fn grad_norm(rows: &[LogRow], facts: &PlotFacts<'_>) -> Option<Figure> {
    let curve = Curve::of(rows, Split::Train, |row| row.grad_norm).above_zero();
    let reference = facts
        .max_grad_norm
        .filter(|x| *x > 0.0)
        .map(|value| Reference {
            label: format!("clipped to {value}"),
            value,
        });
    let label = "norm of the gradient (log scale)";
    Figure::new(
        "grad_norm",
        "Norm of the gradient before clipping",
        facts.run,
        label,
        Scale::Log,
    )
    .with_marks(noisy("norm", &curve, GREEN, PALE_GREEN))
    .with_reference(reference)
    .if_any()
}

/// Raw values, faint, under their moving mean; short curves are drawn as they are.
fn noisy(label: &str, curve: &Curve, color: &'static str, pale: &'static str) -> Vec<Mark> {
    let half_width = curve.points() / 100;
    if half_width == 0 {
        return vec![Mark::line(label, curve.clone(), color)];
    }
    let width = 2 * half_width + 1;
    vec![
        Mark::thin_line(&format!("{label}, each step logged"), curve.clone(), pale),
        Mark::line(
            &format!("{label}, mean of {width} around"),
            smooth(curve, half_width),
            color,
        ),
    ]
}
