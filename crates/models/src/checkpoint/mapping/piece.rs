//! Blocks of elements that a hub tensor and one of our parameters have in common.

use std::ops::Range;

/// Which elements of a hub tensor are which of a parameter: blocks of `len` elements, counted by
/// four nested loops, in the parameter one after the other from `ours` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece {
    /// From the outermost loop to the innermost: how often, and how far apart in the hub's tensor.
    pub loops: [(usize, usize); 4],
    /// Elements of a block.
    pub len: usize,
    /// The first block's place in the hub's tensor.
    pub hub: usize,
    /// The first block's place in the parameter.
    pub ours: usize,
}

/// A loop that runs once.
const ONCE: (usize, usize) = (1, 0);

impl Piece {
    /// The same elements, at these places.
    pub(super) fn whole(len: usize, hub: usize, ours: usize) -> Piece {
        Piece {
            loops: [ONCE; 4],
            len,
            hub,
            ours,
        }
    }

    /// `n` blocks of a parameter's elements, `stride` apart in the hub's tensor from `hub` on.
    pub(super) fn apart(n: usize, stride: usize, len: usize, hub: usize) -> Piece {
        Piece {
            loops: [ONCE, ONCE, ONCE, (n, stride)],
            ..Piece::whole(len, hub, 0)
        }
    }

    /// A parameter of which no two neighbours are neighbours in the hub's tensor.
    pub(super) fn scattered(loops: [(usize, usize); 4]) -> Piece {
        Piece {
            loops,
            ..Piece::whole(1, 0, 0)
        }
    }

    /// How many blocks there are.
    pub fn n(self) -> usize {
        self.loops.iter().map(|(n, _)| n).product()
    }

    /// The parameter's elements that it holds.
    pub fn range(self) -> Range<usize> {
        self.ours..self.ours + self.n() * self.len
    }

    /// Where they lie in the parameter's bytes, of `width` each.
    pub fn bytes(self, width: usize) -> Range<usize> {
        let Range { start, end } = self.range();
        start * width..end * width
    }

    /// The same when of the parameter these elements alone are there.
    pub fn alone(self) -> Piece {
        Piece { ours: 0, ..self }
    }

    /// Places that a range of the parameter's elements shares with each block: in the hub's tensor,
    /// in the range, and how many.
    pub fn within(self, range: Range<usize>) -> impl Iterator<Item = (usize, usize, usize)> {
        self.blocks().filter_map(move |(hub, ours)| {
            let start = range.start.max(ours);
            let end = range.end.min(ours + self.len);
            (start < end).then(|| (hub + start - ours, start - range.start, end - start))
        })
    }

    /// Pairs of places, in elements: in the hub's tensor and in the parameter.
    pub fn blocks(self) -> impl Iterator<Item = (usize, usize)> {
        let [a, b, c, d] = self.loops;
        let hubs = places(self.hub, a)
            .flat_map(move |hub| places(hub, b))
            .flat_map(move |hub| places(hub, c))
            .flat_map(move |hub| places(hub, d));
        hubs.enumerate()
            .map(move |(i, hub)| (hub, self.ours + i * self.len))
    }

    /// Copies the hub's elements, of `width` bytes each, to their places in the parameter.
    pub fn fill(self, hub: &[u8], ours: &mut [u8], width: usize) {
        for (from, to) in self.blocks() {
            let len = self.len * width;
            ours[to * width..][..len].copy_from_slice(&hub[from * width..][..len]);
        }
    }

    /// Copies the parameter's elements, of `width` bytes each, to their places in the hub's tensor.
    pub fn spread(self, ours: &[u8], hub: &mut [u8], width: usize) {
        for (to, from) in self.blocks() {
            let len = self.len * width;
            hub[to * width..][..len].copy_from_slice(&ours[from * width..][..len]);
        }
    }
}

/// Where each turn of a loop begins.
fn places(start: usize, (n, stride): (usize, usize)) -> impl Iterator<Item = usize> {
    (0..n).map(move |i| start + i * stride)
}
