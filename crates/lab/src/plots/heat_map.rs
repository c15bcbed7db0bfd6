//! A map of probabilities between residues as a picture.

use kuva::plot::heatmap::{ColorMap, Heatmap};
use kuva::render::layout::{Layout, TickFormat};
use kuva::render::plots::Plot;
use kuva::render::render::render_multiple;
use std::sync::Arc;
use tenon_base::Result;

use super::canvas::{plain, png, theme};
use super::figure::{step_text, step_width};

const WIDTH: f64 = 740.0;
const HEIGHT: f64 = 680.0;

/// Cells on a side: about one for each pixel of the picture.
const CELLS_MAX: usize = 512;

/// Letters of a title.
const TITLE_MAX: usize = 60;

/// The picture of a square map `values [n, n]` of probabilities as a PNG: residue 1 at the lower
/// left, 0 white and 1 dark blue in every picture. Above 512 residues, a cell stands for a square
/// of them and shows its largest probability, so that no contact is lost.
///
/// # Errors
/// `Io` when it cannot be drawn.
///
/// # Panics
/// When the map is empty or not square.
pub fn heat_map(title: &str, subtitle: &str, values: &[f64], n: usize) -> Result<Vec<u8>> {
    assert!(n > 0 && values.len() == n * n, "a map of {n} residues");
    let block = n.div_ceil(CELLS_MAX);
    let cells = blocks(values, n, block);
    let end = (cells.len() * block) as f64 + 0.5;
    let on_axes = |heat: Heatmap, colors| {
        let heat = heat.with_x_range(0.5, end).with_y_range(0.5, end);
        Plot::from(heat.with_cell_size(1.0).with_color_map(colors))
    };
    let colors = ColorMap::Custom(Arc::new(shade(&cells)));
    // The colour bar is that of the first map, which lies under the second and is not seen.
    let bar = Heatmap::new().with_data([[0.0, 1.0]]);
    let plots = vec![
        on_axes(bar, ColorMap::Blues),
        on_axes(Heatmap::new().with_data(cells), colors),
    ];
    let ticks = || TickFormat::Custom(Arc::new(step_text));
    let step = step_width(end - 0.5);
    let layout = Layout::auto_from_plots(&plots)
        .with_width(WIDTH)
        .with_height(HEIGHT)
        .with_x_axis_min(0.5)
        .with_x_axis_max(end)
        .with_y_axis_min(0.5)
        .with_y_axis_max(end)
        .with_x_tick_step(step)
        .with_y_tick_step(step)
        .with_x_tick_format(ticks())
        .with_y_tick_format(ticks())
        .with_title(plain(&cut(title)))
        .with_subtitle(plain(&cut(subtitle)))
        .with_x_label("residue")
        .with_y_label("residue")
        .with_theme(theme());
    png(&render_multiple(plots, layout), title)
}

/// The largest value of each square of `block` residues.
fn blocks(values: &[f64], n: usize, block: usize) -> Vec<Vec<f64>> {
    let side = n.div_ceil(block);
    let mut cells = vec![vec![0f64; side]; side];
    for (i, row) in values.chunks_exact(n).enumerate() {
        for (j, &value) in row.iter().enumerate() {
            let cell = &mut cells[i / block][j / block];
            *cell = cell.max(value);
        }
    }
    cells
}

/// The library spreads colours over the range of the data; this takes its part of that range back
/// to a probability, so that pictures can be compared.
fn shade(cells: &[Vec<f64>]) -> impl Fn(f64) -> String + use<> {
    let all = || cells.iter().flatten().copied();
    let low = all().fold(f64::INFINITY, f64::min);
    let high = all().fold(f64::NEG_INFINITY, f64::max);
    move |part| ColorMap::Blues.map(low + part * (high - low))
}

/// At most [`TITLE_MAX`] letters.
fn cut(text: &str) -> String {
    match text.chars().nth(TITLE_MAX) {
        None => text.to_owned(),
        Some(_) => text.chars().take(TITLE_MAX - 1).chain(['…']).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_square_shows_its_largest_value() {
        let values: Vec<f64> = (0..25).map(f64::from).collect();
        assert_eq!(blocks(&values, 5, 1)[1], [5.0, 6.0, 7.0, 8.0, 9.0]);
        let halves = [[6.0, 8.0, 9.0], [16.0, 18.0, 19.0], [21.0, 23.0, 24.0]];
        assert_eq!(blocks(&values, 5, 2), halves);
    }

    #[test]
    fn a_probability_has_the_same_colour_in_every_picture() {
        let (narrow, wide) = (shade(&[vec![0.25, 0.75]]), shade(&[vec![0.0, 1.0]]));
        assert_eq!(narrow(0.5), wide(0.5));
        assert_eq!(narrow(1.0), wide(0.75));
        assert_ne!(narrow(1.0), wide(1.0));
    }

    #[test]
    fn long_titles_are_cut() {
        assert_eq!(cut("sp|P1|NAME"), "sp|P1|NAME");
        let long = cut(&"é".repeat(61));
        assert_eq!((long.chars().count(), long.chars().last()), (60, Some('…')));
        assert_eq!(cut(&"é".repeat(60)), "é".repeat(60));
    }

    #[test]
    fn maps_of_any_size_and_of_one_value_are_drawn() {
        for (n, value) in [(1, 0.5), (2, 0.0), (17, 1.0)] {
            let png = heat_map("$a$", "", &vec![value; n * n], n).unwrap();
            assert!(png.starts_with(b"\x89PNG\r\n\x1a\n"), "{n}");
        }
    }
}
