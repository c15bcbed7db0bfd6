//! A curve in braille characters, two dots wide and four dots high each.

/// The curve of `(x, y)` points, all finite and in the order of x, as lines of `width` characters.
/// Each column of dots shows the mean of its points; columns without points stay empty.
pub(super) fn braille(points: &[(f64, f64)], width: usize, height: usize) -> Vec<String> {
    let (columns, rows) = (2 * width, 4 * height);
    let means = column_means(points, columns);
    let known = || means.iter().flatten();
    let (low, high) = known().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), y| {
        (low.min(*y), high.max(*y))
    });
    let row_of = |y: f64| {
        // A constant curve runs through the middle.
        let part = if high > low {
            (high - y) / (high - low)
        } else {
            0.5
        };
        (part * (rows - 1) as f64).round() as usize
    };
    let mut dots = vec![vec![0u8; width]; height];
    let mut last: Option<usize> = None;
    for (column, mean) in means.iter().enumerate() {
        let row = mean.map(row_of);
        if let Some(row) = row {
            // Joined to the neighbour on the left, so that steep parts are lines too.
            let from = last.map_or(row, |last| if last < row { last + 1 } else { last });
            for dot in from.min(row)..=from.max(row).min(rows - 1) {
                dots[dot / 4][column / 2] |= BITS[dot % 4][column % 2];
            }
        }
        last = row;
    }
    let line = |row: &Vec<u8>| row.iter().map(|bits| character(*bits)).collect::<String>();
    dots.iter()
        .map(|row| line(row).trim_end().to_string())
        .collect()
}

/// Bits of the dots of a braille character (Unicode block U+2800), by row and column.
const BITS: [[u8; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

fn character(bits: u8) -> char {
    match bits {
        0 => ' ',
        bits => char::from_u32(0x2800 + u32::from(bits)).unwrap_or(' '),
    }
}

fn column_means(points: &[(f64, f64)], columns: usize) -> Vec<Option<f64>> {
    let mut sums = vec![(0.0, 0u32); columns];
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return vec![None; columns];
    };
    let width = (last.0 - first.0).max(1.0);
    for &(x, y) in points {
        let column = ((x - first.0) / width * (columns - 1) as f64).round() as usize;
        let (sum, n) = &mut sums[column.min(columns - 1)];
        *sum += y;
        *n += 1;
    }
    let mut means: Vec<Option<f64>> = sums
        .iter()
        .map(|&(sum, n)| (n > 0).then(|| sum / f64::from(n)))
        .collect();
    bridge(&mut means);
    means
}

/// Fills columns between known ones along a straight line: few points still make a curve.
fn bridge(means: &mut [Option<f64>]) {
    let known: Vec<(usize, f64)> = means
        .iter()
        .enumerate()
        .filter_map(|(i, mean)| mean.map(|y| (i, y)))
        .collect();
    for pair in known.windows(2) {
        let ((from, a), (to, b)) = (pair[0], pair[1]);
        for i in from + 1..to {
            let part = (i - from) as f64 / (to - from) as f64;
            means[i] = Some(a + (b - a) * part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_falling_line_runs_from_corner_to_corner() {
        let points: Vec<(f64, f64)> = (0..16).map(|i| (f64::from(i), -f64::from(i))).collect();
        let lines = braille(&points, 8, 4);
        assert_eq!(lines, ["⠑⢄", "  ⠑⢄", "    ⠑⢄", "      ⠑⢄"]);
    }

    #[test]
    fn a_constant_runs_through_the_middle() {
        let lines = braille(&[(1.0, 2.0), (100.0, 2.0)], 4, 3);
        assert_eq!(lines.iter().filter(|line| !line.is_empty()).count(), 1);
        assert!(!lines[1].is_empty());
    }

    #[test]
    fn one_point_is_one_dot_and_none_is_empty() {
        let dots = |points: &[(f64, f64)]| {
            let lines = braille(points, 5, 2).concat();
            lines.chars().filter(|c| *c != ' ').count()
        };
        assert_eq!(dots(&[(7.0, 1.0)]), 1);
        assert_eq!(dots(&[]), 0);
    }
}
