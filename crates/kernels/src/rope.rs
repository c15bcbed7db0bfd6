//! Rotary position embedding (Su et al. 2021).

use crate::isa::simd;
use crate::{Cols, ColsMut, Cx, Float};

/// Which columns of a head turn together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RopeStyle {
    /// Column i with column i + K/2, as GPT-NeoX and Llama in the hub's layout.
    RotateHalf,
    /// Column 2i with column 2i + 1, as GPT-J and Llama's own layout.
    Interleaved,
}

/// Angles and positions.
#[derive(Clone, Copy, Debug)]
pub struct Rope<'a, S> {
    /// H.
    pub n_heads: usize,
    /// K, even.
    pub head_dim: usize,
    /// Cosines `[P, K/2]`.
    pub cos: &'a [S],
    /// Sines `[P, K/2]`.
    pub sin: &'a [S],
    /// The position of each row, `[N]`, below P.
    pub positions: &'a [i32],
    /// Which columns turn together.
    pub style: RopeStyle,
    /// Turn back: the derivative of the rotation.
    pub inverse: bool,
}

impl<S> Rope<'_, S> {
    fn assert_shapes(&self) {
        let half = self.head_dim / 2;
        assert!(
            half > 0 && self.head_dim.is_multiple_of(2),
            "head width {}",
            self.head_dim
        );
        assert_eq!(self.cos.len(), self.sin.len(), "cosines and sines");
        let n = self.cos.len() / half;
        assert_eq!(n * half, self.cos.len(), "angles are not rows of {half}");
        let outside = self
            .positions
            .iter()
            .find(|&&p| usize::try_from(p).map_or(true, |p| p >= n));
        assert!(outside.is_none(), "position {outside:?} of {n}");
    }
}

/// y = x with each pair (a, b) of each head turned by its angle: (a·cos − b·sin, b·cos + a·sin).
/// x and y are `[N, H·K]`.
///
/// # Panics
/// When a position is outside the tables or a length does not fit.
pub fn rope<S: Float>(cx: Cx<'_>, rope: Rope<'_, S>, x: Cols<'_, S>, y: ColsMut<'_, S>) {
    rope.assert_shapes();
    let (n, width) = (rope.positions.len(), rope.n_heads * rope.head_dim);
    x.assert_holds(n, width, "x");
    assert_eq!((y.rows(), y.width()), (n, width), "y of a rotation");
    cx.ranges(n, 2 * width, &|rows| {
        for i in rows {
            // SAFETY: ranges of rows are disjoint.
            let y = unsafe { y.row(i, 0, width) };
            y.copy_from_slice(x.row(i, 0, width));
            turn_row(cx.isa(), rope, rope.positions[i] as usize, y);
        }
    });
}

/// [`rope`] in place.
///
/// # Panics
/// When a position is outside the tables or a length does not fit.
pub fn rope_in_place<S: Float>(cx: Cx<'_>, rope: Rope<'_, S>, x: ColsMut<'_, S>) {
    rope.assert_shapes();
    let (n, width) = (rope.positions.len(), rope.n_heads * rope.head_dim);
    assert_eq!((x.rows(), x.width()), (n, width), "x of a rotation");
    cx.ranges(n, 2 * width, &|rows| {
        for i in rows {
            // SAFETY: ranges of rows are disjoint.
            let x = unsafe { x.row(i, 0, width) };
            turn_row(cx.isa(), rope, rope.positions[i] as usize, x);
        }
    });
}

simd! {
    fn turn_row<S: Float>(rope: Rope<'_, S>, position: usize, row: &mut [S]) {
        let half = rope.head_dim / 2;
        let cos = &rope.cos[position * half..][..half];
        let sin = &rope.sin[position * half..][..half];
        let sign = if rope.inverse { -S::ONE } else { S::ONE };
        for head in row.chunks_exact_mut(rope.head_dim) {
            match rope.style {
                RopeStyle::RotateHalf => {
                    let (a, b) = head.split_at_mut(half);
                    for (((a, b), &cos), &sin) in a.iter_mut().zip(b).zip(cos).zip(sin) {
                        (*a, *b) = turn_pair(*a, *b, cos, sign * sin);
                    }
                }
                RopeStyle::Interleaved => {
                    let (pairs, _) = head.as_chunks_mut::<2>();
                    for (([a, b], &cos), &sin) in pairs.iter_mut().zip(cos).zip(sin) {
                        (*a, *b) = turn_pair(*a, *b, cos, sign * sin);
                    }
                }
            }
        }
    }
}

#[inline(always)]
fn turn_pair<S: Float>(a: S, b: S, cos: S, sin: S) -> (S, S) {
    (a.mul_add(cos, -(b * sin)), b.mul_add(cos, a * sin))
}
