//! A curve over steps, with gaps where values are missing.

use tenon_records::Split;
use tenon_records::log::LogRow;

/// Unbroken pieces of `(step, value)`, all finite, in the order of steps. Between two pieces a value was
/// missing or not a number.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve {
    /// The pieces; none is empty.
    pub pieces: Vec<Vec<(f64, f64)>>,
}

impl Curve {
    /// The values that `value` finds in the rows of a split. A row without a value breaks the curve only
    /// between rows that have one.
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

    /// Number of values.
    pub fn points(&self) -> usize {
        self.pieces.iter().map(Vec::len).sum()
    }

    /// All values, without their gaps.
    pub fn all(&self) -> impl Iterator<Item = (f64, f64)> + '_ {
        self.pieces.iter().flatten().copied()
    }
}

/// Mean over the `half_width` values before and after each value of a piece, fewer at its ends, always
/// as many on both sides, so that a rising or falling curve is not bent.
pub fn smooth(curve: &Curve, half_width: usize) -> Curve {
    let pieces = curve.pieces.iter().map(|piece| {
        let mean_at = |i: usize| {
            let reach = half_width.min(i).min(piece.len() - 1 - i);
            let window = &piece[i - reach..=i + reach];
            // Divided before the sum, which then stays finite for every finite input.
            let n = window.len() as f64;
            window.iter().map(|&(_, y)| y / n).sum::<f64>()
        };
        (0..piece.len()).map(|i| (piece[i].0, mean_at(i))).collect()
    });
    Curve {
        pieces: pieces.collect(),
    }
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
    fn smoothing_keeps_lines_and_constants_and_stays_within_the_values() {
        let line: Vec<f64> = (0..50).map(f64::from).collect();
        for ((_, a), (_, b)) in smooth(&curve(&line), 4).all().zip(curve(&line).all()) {
            assert!((a - b).abs() < 1e-12, "{a} {b}");
        }
        let zigzag: Vec<f64> = (0..50).map(|i| f64::from(i % 2)).collect();
        let found = smooth(&curve(&zigzag), 3);
        assert_eq!(found.points(), 50);
        assert!(found.all().all(|(_, y)| (0.0..=1.0).contains(&y)));
        let inner = found.all().skip(5).take(40);
        assert!(inner.into_iter().all(|(_, y)| (y - 0.5).abs() < 0.1));
    }

    #[test]
    fn smoothing_does_not_cross_gaps() {
        let found = smooth(&curve(&[0.0, 0.0, f64::NAN, 9.0, 9.0]), 2);
        let values: Vec<f64> = found.all().map(|(_, y)| y).collect();
        assert_eq!(values, [0.0, 0.0, 9.0, 9.0]);
    }

    #[test]
    fn smoothing_stays_finite() {
        assert!(
            smooth(&curve(&[1e308; 9]), 4)
                .all()
                .all(|(_, y)| y.is_finite())
        );
    }
}
