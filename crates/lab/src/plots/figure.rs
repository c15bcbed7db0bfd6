//! One figure: lines on a light grid, axes with units, a legend outside of the data.

use kuva::backend::svg::SvgBackend;
use kuva::plot::LinePlot;
use kuva::plot::annotations::ReferenceLine;
use kuva::plot::legend::{LegendEntry, LegendPosition, LegendShape};
use kuva::plot::scatter::ScatterPlot;
use kuva::render::layout::{Layout, TickFormat};
use kuva::render::plots::Plot;
use kuva::render::render::{Scene, render_multiple};
use kuva::render::theme::Theme;
use std::sync::Arc;
use tenon_base::{Error, Kind, Result};

use super::curve::Curve;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 520.0;

/// Pixels of a PNG for each unit of the drawing.
const PNG_SCALE: f32 = 2.0;

const GREY: &str = "#4D4D4D";

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
            // A pair of dollar signs would be read as a formula.
            subtitle: run.replace('$', "\\$"),
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
        let drawn = kuva::backend::raster::RasterBackend::new()
            .with_scale(PNG_SCALE)
            .render_scene(&self.scene());
        drawn.map_err(|e| {
            Error::new(
                Kind::Io,
                format!("cannot draw the plot `{}`: {e}", self.name),
            )
        })
    }

    fn scene(&self) -> Scene {
        render_multiple(self.plots(), self.layout())
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
        let mut layout = Layout::new(x_range, y_range)
            .with_width(WIDTH)
            .with_height(HEIGHT)
            .with_title(self.title)
            .with_subtitle(self.subtitle.as_str())
            .with_x_label("optimiser step")
            .with_y_label(self.y_label)
            .with_x_tick_format(TickFormat::Custom(Arc::new(grouped)))
            .with_y_tick_format(TickFormat::Custom(Arc::new(short)))
            .with_theme(Theme {
                grid_color: "#E6E6E6".into(),
                axis_color: GREY.into(),
                tick_color: GREY.into(),
                legend_border: "none".into(),
                ..Theme::light()
            })
            .with_legend_entries(self.legend())
            .with_legend_position(LegendPosition::OutsideBottomColumns);
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
        let marks = self.marks.iter().map(|mark| LegendEntry {
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

    fn x_range(&self) -> (f64, f64) {
        let xs = || {
            self.marks
                .iter()
                .flat_map(|m| m.curve.all())
                .map(|(x, _)| x)
        };
        let (low, high) = extent(xs());
        if low < high {
            (low, high)
        } else {
            (low - 1.0, high + 1.0)
        }
    }

    /// The values and the reference with a little air; never empty.
    fn y_range(&self) -> (f64, f64) {
        let values = self
            .marks
            .iter()
            .flat_map(|m| m.curve.all())
            .map(|(_, y)| y);
        let (low, high) = extent(values.chain(self.reference.iter().map(|r| r.value)));
        match self.scale {
            Scale::Log => (low / 1.25, high * 1.25),
            Scale::FromZero => (0.0f64.min(low), if high > 0.0 { high * 1.06 } else { 1.0 }),
            Scale::Linear => {
                let air = match high - low {
                    0.0 => 0.1 * high.abs().max(1e-6),
                    spread => 0.04 * spread,
                };
                (low - air, high + air)
            }
        }
    }
}

fn extent(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| {
        (low.min(x), high.max(x))
    })
}

/// A step: whole, with thin spaces between groups of three digits.
fn grouped(x: f64) -> String {
    let digits = format!("{:.0}", x.abs());
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push('\u{202F}');
        }
        text.push(digit);
    }
    if x <= -0.5 {
        format!("−{text}")
    } else {
        text
    }
}

/// A value in at most four significant digits, without the noise of binary fractions.
fn short(x: f64) -> String {
    let size = x.abs();
    if x == 0.0 {
        return "0".to_string();
    }
    if !(1e-3..1e5).contains(&size) {
        let text = format!("{x:.3e}");
        let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
        return format!("{}e{exponent}", trim_zeros(mantissa));
    }
    let places = (3 - size.log10().floor() as i32).clamp(0, 6) as usize;
    trim_zeros(&format!("{x:.places$}")).to_string()
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
    fn ticks_are_short() {
        let found = [0.0, 0.1 + 0.2, 2e-4 * 3.0, 1e-3, 12.5, 10_000.0, 1e6, -0.25].map(short);
        assert_eq!(
            found,
            ["0", "0.3", "6e-4", "0.001", "12.5", "10000", "1e6", "-0.25"]
        );
        let found = [0.0, 999.0, 1000.0, 1_234_567.0, -2000.0].map(grouped);
        assert_eq!(
            found,
            [
                "0",
                "999",
                "1\u{202F}000",
                "1\u{202F}234\u{202F}567",
                "−2\u{202F}000"
            ]
        );
    }
}
