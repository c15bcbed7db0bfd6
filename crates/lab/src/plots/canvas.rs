//! What all figures share: colours, plain text, and the way to a PNG.

use kuva::backend::raster::RasterBackend;
use kuva::render::render::Scene;
use kuva::render::theme::Theme;
use tenon_base::{Error, Kind, Result};

/// Pixels of a PNG for each unit of the drawing.
const PNG_SCALE: f32 = 2.0;

pub(super) const GREY: &str = "#4D4D4D";

/// The scene as a PNG; `name` is for the error.
pub(super) fn png(scene: &Scene, name: &str) -> Result<Vec<u8>> {
    let drawn = RasterBackend::new()
        .with_scale(PNG_SCALE)
        .render_scene(scene);
    drawn.map_err(|e| Error::new(Kind::Io, format!("cannot draw the plot `{name}`: {e}")))
}

/// Text as it is: a pair of dollar signs would be read as a formula.
pub(super) fn plain(text: &str) -> String {
    text.replace('$', "\\$")
}

/// The colours of all that is not data.
pub(super) fn theme() -> Theme {
    Theme {
        grid_color: "#E6E6E6".into(),
        axis_color: GREY.into(),
        tick_color: GREY.into(),
        legend_border: "none".into(),
        ..Theme::light()
    }
}
