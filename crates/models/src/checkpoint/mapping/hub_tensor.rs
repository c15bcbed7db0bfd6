//! A tensor as a checkpoint of the hub holds it.

use super::{Pad, Piece};

/// A tensor to write into a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubTensor {
    /// The hub's name.
    pub name: String,
    /// The hub's shape.
    pub shape: Vec<usize>,
    /// Positions of our parameters in the list that was given, and what of them it holds.
    pub parts: Vec<(usize, Piece)>,
    /// What elements of no parameter hold.
    pub pad: Option<Pad>,
}

impl HubTensor {
    /// Whether whole parameters, one after the other, are all that it holds. `len` tells a
    /// parameter's elements.
    pub fn is_sequence(&self, len: impl Fn(usize) -> usize) -> bool {
        let mut end = 0;
        let follows = self.parts.iter().all(|&(i, piece)| {
            let start = end;
            end += piece.len;
            piece == Piece::whole(len(i), start, 0)
        });
        follows && end == self.shape.iter().product::<usize>()
    }
}
