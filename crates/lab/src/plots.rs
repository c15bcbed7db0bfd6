//! Curves of a run as PNG and SVG files: loss, learning rate, norm of the gradient. Maps of
//! probabilities as PNG.
//!
//! Colours are those of Okabe and Ito's palette, which stay apart for colour-blind readers; no
//! meaning hangs on colour alone, since validation also has markers and references are dashed.

mod canvas;
pub mod curve;
mod figure;
pub mod heat_map;

use std::path::{Path, PathBuf};

use tenon_base::Result;
use tenon_base::files::Disk;
use tenon_records::Split;
use tenon_records::log::LogRow;

use curve::{Curve, outline, trend};
use figure::{Figure, Mark, Reference, Scale};

const BLUE: &str = "#0072B2";
const PALE_BLUE: &str = "#B3D5E8";
const ORANGE: &str = "#D55E00";
const GREEN: &str = "#009E73";
const PALE_GREEN: &str = "#B2E2D5";
const PURPLE: &str = "#8E4A7E";

/// Columns of a figure in which a curve of many points keeps its outline.
const COLUMNS: usize = 1500;

/// Shorter curves are drawn without a trend.
const TREND_POINTS_MIN: usize = 100;

/// The part of all steps that a trend looks at on each side of a place.
const TREND_SHARE: f64 = 0.015;

/// What the plots say beside the rows.
#[derive(Clone, Copy, Debug)]
pub struct PlotFacts<'a> {
    /// Name of the run, shown under each title.
    pub run: &'a str,
    /// Entropy of the corpus in nats per token, where it is known: the lowest loss that can be
    /// reached.
    pub corpus_entropy: Option<f64>,
    /// The norm that gradients are clipped to, where they are.
    pub max_grad_norm: Option<f64>,
}

/// Draws what the rows have into the folder, which is created: `loss`, `learning_rate` and
/// `grad_norm`, each as `.png` and `.svg`. A figure without a single finite value is not drawn.
/// Returns the files.
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
    let (scale, label) = match spikes(&train) {
        true => (Scale::Log, "loss (nats per token, log scale)"),
        false => (Scale::Linear, "loss (nats per token)"),
    };
    let mut marks = noisy("train", &train, scale, BLUE, PALE_BLUE);
    marks.push(Mark::dotted_line("validation", validation, ORANGE));
    let reference = facts.corpus_entropy.map(|value| Reference {
        label: format!("corpus entropy {value:.3}"),
        value,
    });
    Figure::new("loss", "Loss", facts.run, label, scale)
        .with_marks(marks)
        .with_reference(reference)
        .if_any()
}

/// Whether the highest value is so far above the usual ones that an even axis would flatten them.
fn spikes(curve: &Curve) -> bool {
    let mut values: Vec<f64> = curve.all().map(|(_, y)| y).collect();
    values.sort_unstable_by(f64::total_cmp);
    match (values.first(), values.get(values.len() / 2), values.last()) {
        (Some(&low), Some(&middle), Some(&high)) => low > 0.0 && high > 20.0 * middle,
        _ => false,
    }
}

fn learning_rate(rows: &[LogRow], facts: &PlotFacts<'_>) -> Option<Figure> {
    let curve = Curve::of(rows, Split::Train, |row| row.learning_rate);
    let curve = outline(&curve, COLUMNS);
    Figure::new(
        "learning_rate",
        "Learning rate",
        facts.run,
        "learning rate",
        Scale::FromZero,
    )
    .with_marks(vec![Mark::line("", curve, PURPLE)])
    .if_any()
}

fn grad_norm(rows: &[LogRow], facts: &PlotFacts<'_>) -> Option<Figure> {
    let curve = Curve::of(rows, Split::Train, |row| row.grad_norm).above_zero();
    let limit = facts.max_grad_norm.filter(|x| *x > 0.0);
    let reference = limit.map(|value| Reference {
        label: format!("clipped to {value}"),
        value,
    });
    let label = "gradient norm (L2, log scale)";
    Figure::new(
        "grad_norm",
        "Gradient norm before clipping",
        facts.run,
        label,
        Scale::Log,
    )
    .with_marks(noisy("norm", &curve, Scale::Log, GREEN, PALE_GREEN))
    .with_reference(reference)
    .if_any()
}

/// Raw values, faint, under their trend, which on a logarithmic axis is that of the logarithms;
/// short curves are drawn as they are.
fn noisy(
    label: &str,
    curve: &Curve,
    scale: Scale,
    color: &'static str,
    pale: &'static str,
) -> Vec<Mark> {
    let steps = match (curve.all().next(), curve.all().last()) {
        (Some((first, _)), Some((last, _))) => last - first,
        _ => 0.0,
    };
    if curve.points() < TREND_POINTS_MIN {
        return vec![Mark::line(label, curve.clone(), color)];
    }
    let reach = TREND_SHARE * steps;
    let smooth = match scale {
        Scale::Log => trend(&curve.map(f64::ln), reach).map(f64::exp),
        Scale::Linear | Scale::FromZero => trend(curve, reach),
    };
    vec![
        Mark::thin_line(
            &format!("{label}, as logged"),
            outline(curve, COLUMNS),
            pale,
        ),
        Mark::line(&format!("{label}, trend"), smooth, color),
    ]
}
