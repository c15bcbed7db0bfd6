//! Dropout from a counter: the mask is never stored, the derivative draws it again.

use crate::isa::simd;
use crate::pool::Parts;
use crate::{Cx, Float};
use tenon_base::rng::philox4x32;

/// Elements that one counter serves.
const WORDS: usize = 4;
/// Elements for which masks are drawn at once.
const CHUNK: usize = 256;

/// What decides a mask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// Probability of dropping an element, in 0..1.
    pub p: f64,
    /// The Philox key of the step.
    pub key: [u32; 2],
    /// Which dropout of the model this is.
    pub site: u64,
}

/// y = x / (1 − p) where element e is kept, else 0. Element e is kept when word e mod 4 of
/// philox(\[e/4 low, e/4 high, site low, site high\], key) is at least p·2³². Its own derivative:
/// call it with dy for x.
///
/// # Panics
/// When the lengths differ or p is not in 0..1.
pub fn dropout<S: Float>(cx: Cx<'_>, dropout: Dropout, x: &[S], y: &mut [S]) {
    assert_eq!(x.len(), y.len(), "x and y of dropout");
    assert!(
        (0.0..1.0).contains(&dropout.p),
        "dropout probability {}",
        dropout.p
    );
    let n = x.len();
    let y = Parts::new(y);
    cx.ranges(n.div_ceil(CHUNK), 8 * CHUNK, &|chunks| {
        let range = chunks.start * CHUNK..n.min(chunks.end * CHUNK);
        // SAFETY: ranges are disjoint.
        let y = unsafe { y.part(range.clone()) };
        mask(cx.isa(), dropout, range.start, &x[range], y);
    });
}

simd! {
    /// `start` is a multiple of [`CHUNK`].
    fn mask<S: Float>(dropout: Dropout, start: usize, x: &[S], y: &mut [S]) {
        let limit = (dropout.p * 4_294_967_296.0) as u32;
        let scale = S::from_f64(1.0 / (1.0 - dropout.p));
        let (site, key) = (dropout.site, dropout.key);
        let chunks = x.chunks(CHUNK).zip(y.chunks_mut(CHUNK));
        for (c, (x, y)) in chunks.enumerate() {
            let first = (start + c * CHUNK) / WORDS;
            let mut words = [[0; WORDS]; CHUNK / WORDS];
            for (b, words) in words.iter_mut().enumerate() {
                let at = (first + b) as u64;
                let counter = [at as u32, (at >> 32) as u32, site as u32, (site >> 32) as u32];
                *words = philox4x32(counter, key);
            }
            for ((y, &x), &word) in y.iter_mut().zip(x).zip(words.as_flattened()) {
                *y = if word >= limit { x * scale } else { S::ZERO };
            }
        }
    }
}
