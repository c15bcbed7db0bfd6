//! Which keys a query sees, as ranges computed from positions.

use super::TK;
use std::ops::Range;

/// The rules of one sequence. Positions and keys count from the sequence's start.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sight<'a> {
    pub(crate) causal: bool,
    pub(crate) window: Option<usize>,
    /// Keys that the mask lets through lie in here; tiles start at its start.
    keys: (usize, usize),
    mask: Option<&'a [i32]>,
}

impl<'a> Sight<'a> {
    /// The rules for `n_keys` keys under an optional mask of that length.
    pub(crate) fn new(
        causal: bool,
        window: Option<usize>,
        n_keys: usize,
        mask: Option<&'a [i32]>,
    ) -> Self {
        let keys = match mask {
            None => (0, n_keys),
            Some(mask) => {
                let first = mask.iter().position(|&m| m != 0).unwrap_or(n_keys);
                let last = mask
                    .iter()
                    .rposition(|&m| m != 0)
                    .map_or(first, |last| last + 1);
                (first, last)
            }
        };
        let has_holes = |mask: &&[i32]| mask[keys.0..keys.1].contains(&0);
        Sight {
            causal,
            window,
            keys,
            mask: mask.filter(has_holes),
        }
    }

    /// The keys that position `i` sees, but for holes in the mask.
    pub(crate) fn range(&self, i: usize) -> Range<usize> {
        let window = self.window.unwrap_or(usize::MAX);
        let start = (i + 1).saturating_sub(window).max(self.keys.0);
        let end = if self.causal {
            i + 1
        } else {
            i.saturating_add(window)
        }
        .min(self.keys.1);
        start..end.max(start)
    }

    /// The tiles that touch `keys`, cut at its end.
    pub(crate) fn tiles(&self, keys: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let origin = self.keys.0;
        let first = if keys.is_empty() {
            keys.end
        } else {
            (keys.start - origin) / TK * TK + origin
        };
        (first..keys.end)
            .step_by(TK)
            .map(move |j| j..keys.end.min(j + TK))
    }

    /// The tile behind `tile`, empty behind the last key.
    pub(crate) fn next_tile(&self, tile: &Range<usize>) -> Range<usize> {
        tile.end..self.keys.1.min(tile.end + TK).max(tile.end)
    }

    /// The end of the tile of queries that starts at `i`: tiles restart at the first visible key,
    /// so that padding on the left does not move them.
    pub(crate) fn query_tile_end(&self, i: usize, len: usize, size: usize) -> usize {
        let stop = if i < self.keys.0 {
            self.keys.0.min(len)
        } else {
            len
        };
        stop.min(i + size)
    }

    /// Whether the mask hides keys between others that it shows.
    pub(crate) fn has_holes(&self) -> bool {
        self.mask.is_some()
    }

    /// Whether the mask hides key `j`, inside [`Sight::range`].
    pub(crate) fn is_hole(&self, j: usize) -> bool {
        self.mask.is_some_and(|mask| mask[j] == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::Sight;

    #[test]
    fn ranges_follow_the_rules() {
        let causal = Sight::new(true, None, 10, None);
        assert_eq!((causal.range(0), causal.range(9)), (0..1, 0..10));
        let windowed = Sight::new(true, Some(3), 10, None);
        assert_eq!((windowed.range(1), windowed.range(9)), (0..2, 7..10));
        let both_ways = Sight::new(false, Some(3), 10, None);
        assert_eq!((both_ways.range(0), both_ways.range(5)), (0..3, 3..8));
        assert_eq!(Sight::new(false, None, 10, None).range(4), 0..10);
        let huge = Sight::new(false, Some(usize::MAX), 10, None);
        assert_eq!(huge.range(9), 0..10);
    }

    #[test]
    fn masks_cut_both_ends_and_leave_holes() {
        let sight = Sight::new(false, None, 6, Some(&[0, 1, 0, 1, 1, 0]));
        assert_eq!((sight.keys.0, sight.range(0)), (1, 1..5));
        assert!(sight.has_holes() && sight.is_hole(2) && !sight.is_hole(3));
        let nobody = Sight::new(true, None, 3, Some(&[0, 0, 0]));
        assert!((0..3).all(|i| nobody.range(i).is_empty()));
        let padded = Sight::new(true, None, 4, Some(&[0, 0, 1, 1]));
        assert!(padded.range(1).is_empty());
        assert_eq!(padded.range(3), 2..4);
        assert!(!padded.has_holes());
    }

    #[test]
    fn tiles_start_at_multiples_from_the_first_key() {
        let sight = Sight::new(true, None, 300, None);
        let tiles: Vec<_> = sight.tiles(100..200).collect();
        assert_eq!(tiles, [96..192, 192..200]);
        assert_eq!(sight.next_tile(&(96..192)), 192..288);
        assert_eq!(sight.next_tile(&(288..300)), 300..300);
        assert_eq!(sight.tiles(5..5).count(), 0);
    }

    #[test]
    fn query_tiles_restart_at_the_first_key() {
        let mask: Vec<i32> = (0..100).map(|i| i32::from(i >= 10)).collect();
        let sight = Sight::new(true, None, 100, Some(&mask));
        assert_eq!(sight.query_tile_end(0, 100, 64), 10);
        assert_eq!(sight.query_tile_end(10, 100, 64), 74);
        assert_eq!(sight.query_tile_end(74, 100, 64), 100);
    }
}
