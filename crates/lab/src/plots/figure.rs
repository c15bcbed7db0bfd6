//! One figure: lines on a light grid, axes with units, a legend outside of the data.

use kuva::backend::svg::SvgBackend;
use kuva::plot::LinePlot;
use kuva::plot::annotations::ReferenceLine;
use kuva::plot::legend::{LegendEntry, LegendPosition, LegendShape};
use kuva::plot::scatter::ScatterPlot;
use kuva::render::layout::{Layout, TickFormat};
use kuva::render::plots::Plot;
use kuva::render::render::{Primitive, Scene, render_multiple};
use std::sync::Arc;
use tenon_base::Result;

use super::canvas::{GREY, plain, png, theme};
use super::curve::Curve;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 520.0;

/// Up to this number of values each one gets a marker.
const MARKERS_MAX: usize = 60;

/// How values become heights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scale {
    /// Even, around the values.
    Linear,
    /// Even, and zero is shown.
    FromZero,
    /// By decades.
    Log,
}

/// A curve and its looks.
#[derive(Debug)]
pub(super) struct Mark {
    label: String,
    curve: Curve,
    color: &'static str,
    width: f64,
    markers: bool,
}

impl Mark {
    pub(super) fn line(label: &str, curve: Curve, color: &'static str) -> Mark {
        Mark {
            label: label.to_string(),
            curve,
            color,
            width: 2.2,
            markers: false,
        }
    }

    pub(super) fn thin_line(label: &str, curve: Curve, color: &'static str) -> Mark {
        Mark {
            width: 1.0,
            ..Mark::line(label, curve, color)
        }
    }

    pub(super) fn dotted_line(label: &str, curve: Curve, color: &'static str) -> Mark {
        let markers = curve.points() <= MARKERS_MAX;
        Mark {
            markers,
            ..Mark::line(label, curve, color)
        }
    }
}

/// A horizontal dashed line.
#[derive(Debug)]
pub(super) struct Reference {
    pub(super) label: String,
    pub(super) value: f64,
}

/// A figure and the name of its files.
#[derive(Debug)]
pub(super) struct Figure {
    pub(super) name: &'static str,
    title: &'static str,
    subtitle: String,
    y_label: &'static str,
    scale: Scale,
    marks: Vec<Mark>,
    reference: Option<Reference>,
}

impl Figure {
    pub(super) fn new(
        name: &'static str,
        title: &'static str,
        run: &str,
        y_label: &'static str,
        scale: Scale,
    ) -> Figure {
        Figure {
            name,
            title,
            subtitle: plain(run),
            y_label,
            scale,
            marks: Vec::new(),
            reference: None,
        }
    }

    /// Later marks lie over earlier ones; empty ones are left out.
    pub(super) fn with_marks(mut self, marks: Vec<Mark>) -> Figure {
        self.marks = marks;
        self.marks.retain(|mark| mark.curve.points() > 0);
        self
    }

    pub(super) fn with_reference(mut self, reference: Option<Reference>) -> Figure {
        self.reference = reference.filter(|r| r.value.is_finite());
        self
    }

    /// The figure, unless it has nothing to show.
    pub(super) fn if_any(self) -> Option<Figure> {
        (!self.marks.is_empty()).then_some(self)
    }

    pub(super) fn svg(&self) -> String {
        SvgBackend::new()
            .with_embedded_font(false)
            .render_scene(&self.scene())
    }

    pub(super) fn png(&self) -> Result<Vec<u8>> {
        png(&self.scene(), self.name)
    }

    fn scene(&self) -> Scene {
        let mut scene = render_multiple(self.plots(), self.layout());
        // The library numbers its clipping areas over the whole process; equal rows shall give
        // equal bytes.
        let mut areas = 0;
        for element in &mut scene.elements {
            let Primitive::ClipStart { id, .. } = element else {
                continue;
            };
            areas += 1;
            let ours = format!("area-{areas}");
            for definition in &mut scene.defs {
                let (old, new) = (format!("id=\"{id}\""), format!("id=\"{ours}\""));
                *definition = definition.replace(&old, &new);
            }
            *id = ours;
        }
        scene
    }

    fn plots(&self) -> Vec<Plot> {
        let mut plots = Vec::new();
        for mark in &self.marks {
            let mut lone = Vec::new();
            for piece in &mark.curve.pieces {
                let line = LinePlot::new().with_data(piece.iter().copied());
                let line = line.with_color(mark.color).with_stroke_width(mark.width);
                plots.push(line.into());
                // A piece of one value has no line; without a marker it would be invisible.
                if mark.markers || piece.len() == 1 {
                    lone.extend(piece.iter().copied());
                }
            }
            if !lone.is_empty() {
                let size = 1.6 + mark.width;
                let dots = ScatterPlot::new().with_data(lone).with_color(mark.color);
                plots.push(dots.with_size(size).into());
            }
        }
        plots
    }

    fn layout(&self) -> Layout {
        let (x_range, y_range) = (self.x_range(), self.y_range());
        let scale = self.scale;
        let spread = y_range.1 - y_range.0;
        let y_text = move |y: f64| match scale {
            Scale::Log => short(y, y.abs()),
            Scale::Linear | Scale::FromZero => short(y, spread),
        };
        let mut layout = Layout::new(x_range, y_range)
            .with_x_axis_min(x_range.0)
            .with_x_axis_max(x_range.1)
            .with_y_axis_min(y_range.0)
            .with_y_axis_max(y_range.1)
            .with_width(WIDTH)
            .with_height(HEIGHT)
            .with_title(self.title)
            .with_subtitle(self.subtitle.as_str())
            .with_x_label("optimiser step")
            .with_y_label(self.y_label)
            .with_x_tick_format(TickFormat::Custom(Arc::new(step_text)))
            .with_x_tick_step(step_width(x_range.1 - x_range.0))
            .with_y_tick_format(TickFormat::Custom(Arc::new(y_text)))
            .with_theme(theme());
        let legend = self.legend();
        if !legend.is_empty() {
            layout = layout
                .with_legend_entries(legend)
                .with_legend_position(LegendPosition::OutsideBottomColumns);
        }
        if self.scale == Scale::Log {
            layout = layout.with_log_y();
        }
        if let Some(reference) = &self.reference {
            let line = ReferenceLine::horizontal(reference.value);
            layout = layout.with_reference_line(line.with_color(GREY));
        }
        layout
    }

    fn legend(&self) -> Vec<LegendEntry> {
        let named = self.marks.iter().filter(|mark| !mark.label.is_empty());
        let marks = named.map(|mark| LegendEntry {
            label: mark.label.clone(),
            color: mark.color.to_string(),
            shape: LegendShape::Line,
            dasharray: None,
        });
        let reference = self.reference.iter().map(|reference| LegendEntry {
            label: reference.label.clone(),
            color: GREY.to_string(),
            shape: LegendShape::Line,
            dasharray: Some("6 4".to_string()),
        });
        marks.chain(reference).collect()
    }

    /// All steps, from zero unless they begin late, with air on the right for markers and labels.
    fn x_range(&self) -> (f64, f64) {
        let xs = self
            .marks
            .iter()
            .flat_map(|m| m.curve.all())
            .map(|(x, _)| (x, x));
        let (low, high) = xs.fold(NOTHING, union);
        let low = if low < 0.2 * high { 0.0 } else { low };
        match high - low {
            0.0 => (low - 1.0, high + 1.0),
            width => (low, high + 0.015 * width),
        }
    }

    /// The values and the reference with a little air; never empty, and never so narrow that the
    /// noise of rounding is blown up.
    fn y_range(&self) -> (f64, f64) {
        let marks = self.marks.iter().map(|mark| mark.curve.extent());
        let reference = self.reference.iter().map(|r| (r.value, r.value));
        let (low, high) = marks.chain(reference).fold(NOTHING, union);
        match self.scale {
            // At least two ticks of 1, 2, 5, 10, … are within a factor of nine.
            Scale::Log if high < 9.0 * low => {
                let air = (9.0 * low / high).sqrt();
                (low / air, high * air)
            }
            Scale::Log => {
                let air = (high / low).powf(0.04);
                (low / air, high * air)
            }
            Scale::FromZero => (low.min(0.0), if high > 0.0 { high * 1.06 } else { 1.0 }),
            Scale::Linear => {
                let size = high.abs().max(low.abs()).max(1e-30);
                let least = 1e-6 * size;
                let air = if high - low > least {
                    0.04 * (high - low)
                } else {
                    0.1 * size
                };
                (low - air, high + air)
            }
        }
    }
}

const NOTHING: (f64, f64) = (f64::INFINITY, f64::NEG_INFINITY);

fn union(a: (f64, f64), b: (f64, f64)) -> (f64, f64) {
    (a.0.min(b.0), a.1.max(b.1))
}

/// The distance of ticks, a whole number, so that about six of them fill the axis.
pub(super) fn step_width(width: f64) -> f64 {
    let rough = (width / 6.0).max(1.0);
    let decade = 10f64.powf(rough.log10().floor());
    let nice = [1.0, 2.0, 5.0, 10.0].map(|n| n * decade);
    nice.into_iter().find(|n| *n >= rough).unwrap_or(rough)
}

/// A number of steps: whole, thousands as `k`, millions as `M`; empty for a part of a step.
pub(super) fn step_text(x: f64) -> String {
    let round = x.round();
    if (x - round).abs() > 1e-6 {
        return String::new();
    }
    match round.abs() {
        n if n >= 1e6 => format!("{}M", short(round / 1e6, 1e-3)),
        n if n >= 1e4 => format!("{}k", short(round / 1e3, 1e-3)),
        _ => format!("{round}"),
    }
}

/// A value with as many digits as tell ticks apart on an axis of this spread, without the noise of
/// binary fractions.
fn short(x: f64, spread: f64) -> String {
    if x == 0.0 {
        return "0".to_string();
    }
    // Ticks are at least a tenth of the spread apart, in steps of one, two or two and a half.
    let places = 2 - (spread / 4.0).log10().floor() as i32;
    if (1e-3..1e5).contains(&x.abs()) {
        let places = places.clamp(0, 12) as usize;
        return trim_zeros(&format!("{x:.places$}")).to_string();
    }
    let exponent = x.abs().log10().floor() as i32;
    let places = (places + exponent).clamp(0, 12) as usize;
    let text = format!("{x:.places$e}");
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    format!("{}e{exponent}", trim_zeros(mantissa))
}

fn trim_zeros(text: &str) -> &str {
    match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.'),
        false => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_short_and_tell_values_apart() {
        let found = [0.0, 0.1 + 0.2, 2.5, 12.5, -0.25].map(|x| short(x, 10.0));
        assert_eq!(found, ["0", "0.3", "2.5", "12.5", "-0.25"]);
        let found = [2e-4 * 3.0, 7.5e-4, 1e-3].map(|x| short(x, 1e-3));
        assert_eq!(found, ["6e-4", "7.5e-4", "0.001"]);
        let found = [2.00001, 2.00002].map(|x| short(x, 5e-5));
        assert_eq!(found, ["2.00001", "2.00002"]);
        assert_eq!(
            [1e6, 2e5, 40_000.0].map(|x| short(x, x)),
            ["1e6", "2e5", "40000"]
        );
        assert_eq!(
            [1.0, 12.0, 2030.0, 3e5].map(step_width),
            [1.0, 2.0, 500.0, 5e4]
        );
        let found = [0.0, 0.5, 999.0, 2000.0, 12_500.0, 300_000.0, 2_500_000.0].map(step_text);
        assert_eq!(found, ["0", "", "999", "2000", "12.5k", "300k", "2.5M"]);
    }

    #[test]
    fn an_axis_is_never_empty_and_does_not_blow_up_rounding() {
        for scale in [Scale::Linear, Scale::FromZero, Scale::Log] {
            for (a, b) in [(2.0, 2.0), (2.0, 2.0 + 4e-16), (1e-9, 1e-9), (1e9, 1e9)] {
                let curve = Curve::from_values([(1.0, Some(a)), (2.0, Some(b))]);
                let figure = Figure::new("n", "t", "r", "y", scale);
                let figure = figure.with_marks(vec![Mark::line("m", curve, "black")]);
                let (low, high) = figure.y_range();
                assert!(
                    low <= a && b <= high && high - low > 0.05 * a,
                    "{scale:?} {a} {b}"
                );
            }
        }
    }
}
