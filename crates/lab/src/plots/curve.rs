//! A curve over steps, with gaps where values are missing.

use tenon_records::Split;
use tenon_records::log::LogRow;

/// Unbroken pieces of `(step, value)`, all finite, in the order of steps. Between two pieces a
/// value was missing or not a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The pieces; none is empty.
    pub pieces: Vec<Vec<(f64, f64)>>,
}

impl Curve {
    /// The values that `value` finds in the rows of a split. A row without a value breaks the curve
    /// only between rows that have one.
    pub fn of(rows: &[LogRow], split: Split, value: impl Fn(&LogRow) -> Option<f64>) -> Curve {
        let rows = rows.iter().filter(|row| row.split == split);
        Curve::from_values(rows.map(|row| (row.step as f64, value(row))))
    }

    /// A curve from values; `None` and what is not finite break it.
    pub fn from_values(values: impl IntoIterator<Item = (f64, Option<f64>)>) -> Curve {
        let mut pieces = vec![Vec::new()];
        for (step, value) in values {
            match value.filter(|y| y.is_finite()) {
                Some(y) => pieces
                    .last_mut()
                    .expect("one piece is open")
                    .push((step, y)),
                None => pieces.push(Vec::new()),
            }
        }
        pieces.retain(|piece| !piece.is_empty());
        Curve { pieces }
    }

    /// The curve without values that a logarithmic axis cannot show.
    pub fn above_zero(&self) -> Curve {
        let broken = self.pieces.iter().flat_map(|piece| {
            let values = piece
                .iter()
                .map(|&(x, y)| (x, Some(y).filter(|y| *y > 0.0)));
            values.chain([(0.0, None)])
        });
        Curve::from_values(broken)
    }

    /// The curve with each value replaced.
    pub fn map(&self, value: impl Fn(f64) -> f64) -> Curve {
        let pieces = self.pieces.iter();
        let pieces = pieces.map(|piece| piece.iter().map(|&(x, y)| (x, value(y))).collect());
        Curve {
            pieces: pieces.collect(),
        }
    }

    /// The lowest and the highest value; infinities in the wrong order when there is none.
    pub fn extent(&self) -> (f64, f64) {
        self.all()
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (_, y)| {
                (low.min(y), high.max(y))
            })
    }

    /// Number of values.
    pub fn points(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum()
    }

    /// All values, without their gaps.
    pub fn all(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.pieces.iter().flatten().copied()
    }
}

/// The most places at which a trend is computed; more would not show on a screen.
const TREND_PLACES_MAX: usize = 1000;

/// The trend of a noisy curve: at each place the straight line fitted, by least squares, to the
/// values within `reach` steps on both sides. Near an end, where a mean would bend towards the
/// inside, the line keeps its slope. The result breaks where the curve breaks; values beyond a gap
/// take part.
pub fn trend(curve: &Curve, reach: f64) -> Curve {
    let all: Vec<(f64, f64)> = curve.all().collect();
    let every = all.len().div_ceil(TREND_PLACES_MAX).max(1);
    let (mut from, mut to) = (0, 0);
    let mut pieces = Vec::with_capacity(curve.pieces.len());
    for piece in &curve.pieces {
        let mut places = Vec::new();
        for (i, &(x, _)) in piece.iter().enumerate() {
            if i % every != 0 && i + 1 != piece.len() {
                continue;
            }
            while all[from].0 < x - reach {
                from += 1;
            }
            while to < all.len() && all[to].0 <= x + reach {
                to += 1;
            }
            places.push((x, fit(&all[from..to], x)));
        }
        pieces.push(places);
    }
    Curve { pieces }
}

/// The value at `x` of the line through the points; at least one point.
fn fit(points: &[(f64, f64)], x: f64) -> f64 {
    // Offsets from the first value keep a constant exact.
    let (n, origin) = (points.len() as f64, points[0].1);
    let mean_x = points.iter().map(|p| (p.0 - x) / n).sum::<f64>();
    let mean_y = points.iter().map(|p| (p.1 - origin) / n).sum::<f64>();
    let (mut xx, mut xy) = (0.0, 0.0);
    for point in points {
        let dx = point.0 - x - mean_x;
        xx += dx * dx;
        xy += dx * (point.1 - origin - mean_y);
    }
    let slope = if xx > 0.0 { xy / xx } else { 0.0 };
    origin + mean_y - slope * mean_x
}

/// A curve of few points with the outline of the given one: of all values in each of `columns`
/// equal parts of its width, the first, the lowest, the highest and the last are kept.
pub fn outline(curve: &Curve, columns: usize) -> Curve {
    let (low, high) = curve
        .all()
        .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), (x, _)| {
            (low.min(x), high.max(x))
        });
    let column = |x: f64| ((x - low) / (high - low) * columns as f64) as usize;
    if curve.points() <= 4 * columns {
        return curve.clone();
    }
    let pieces = curve.pieces.iter().map(|piece| {
        let parts = piece.chunk_by(|a, b| column(a.0) == column(b.0));
        parts.flat_map(corners).collect()
    });
    Curve {
        pieces: pieces.collect(),
    }
}

fn corners(part: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let by_value = |a: &usize, b: &usize| part[*a].1.total_cmp(&part[*b].1);
    let lowest = (0..part.len()).min_by(by_value).unwrap_or(0);
    let highest = (0..part.len()).max_by(by_value).unwrap_or(0);
    let mut kept = [0, lowest, highest, part.len() - 1];
    kept.sort_unstable();
    let mut corners: Vec<(f64, f64)> = kept.iter().map(|&i| part[i]).collect();
    corners.dedup();
    corners
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(values: &[f64]) -> Curve {
        Curve::from_values(values.iter().enumerate().map(|(i, y)| (i as f64, Some(*y))))
    }

    #[test]
    fn gaps_break_a_curve() {
        let found = curve(&[f64::NAN, 1.0, 2.0, f64::NAN, f64::INFINITY, 3.0, f64::NAN]);
        assert_eq!(
            found.pieces,
            [vec![(1.0, 1.0), (2.0, 2.0)], vec![(5.0, 3.0)]]
        );
        assert_eq!(found.points(), 3);
        assert!(curve(&[f64::NAN]).pieces.is_empty());
    }

    #[test]
    fn a_logarithmic_axis_gets_no_zero() {
        let found = curve(&[1.0, 0.0, 2.0, -1.0, f64::NAN, 3.0]).above_zero();
        assert_eq!(
            found.pieces,
            [vec![(0.0, 1.0)], vec![(2.0, 2.0)], vec![(5.0, 3.0)]]
        );
    }

    #[test]
    fn a_trend_keeps_lines_to_their_ends_and_constants_exactly() {
        let line: Vec<f64> = (0..50).map(|i| 3.0 - 0.1 * f64::from(i)).collect();
        let found = trend(&curve(&line), 4.0);
        assert_eq!(found.points(), 50);
        for ((_, a), (_, b)) in found.all().zip(curve(&line).all()) {
            assert!((a - b).abs() < 1e-12, "{a} {b}");
        }
        assert!(trend(&curve(&[0.1; 500]), 7.0).all().all(|(_, y)| y == 0.1));
    }

    #[test]
    fn a_trend_is_calmer_than_its_noise() {
        let zigzag: Vec<f64> = (0..200).map(|i| f64::from(i % 2)).collect();
        let found = trend(&curve(&zigzag), 10.0);
        assert!(found.all().all(|(_, y)| (y - 0.5).abs() < 0.15));
    }

    #[test]
    fn a_trend_breaks_at_gaps_and_is_finite() {
        let found = trend(&curve(&[1.0, f64::NAN, 3.0, f64::NAN, f64::NAN, 9.0]), 1.0);
        assert_eq!(found.pieces.len(), 3);
        assert_eq!(found.pieces[2], [(5.0, 9.0)]);
        let long: Vec<f64> = (0..10_000).map(f64::from).collect();
        let found = trend(&curve(&long), 100.0);
        assert!(found.points() <= TREND_PLACES_MAX + 1);
        assert_eq!(found.all().last().map(|(x, _)| x), Some(9999.0));
    }

    #[test]
    fn an_outline_keeps_extremes_ends_and_short_curves() {
        let short = curve(&[1.0, 3.0, 2.0]);
        assert_eq!(outline(&short, 1), short);
        let mut values: Vec<f64> = (0..10_000).map(|i| f64::from(i % 7)).collect();
        values[5_000] = 99.0;
        values[7_001] = -99.0;
        let found = outline(&curve(&values), 50);
        assert!(found.points() <= 4 * 51);
        let points: Vec<(f64, f64)> = found.all().collect();
        for kept in [
            (0.0, 0.0),
            (5_000.0, 99.0),
            (7_001.0, -99.0),
            (9_999.0, values[9_999]),
        ] {
            assert!(points.contains(&kept), "{kept:?}");
        }
        assert!(points.is_sorted_by(|a, b| a.0 < b.0));
    }
}
