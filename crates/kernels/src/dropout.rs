//! Dropout from a counter: the mask is never stored, the derivative draws it again.

use crate::gemm::prefetch;
use crate::isa::simd;
use crate::pool::Parts;
use crate::{Cx, Float};

/// Elements that one counter serves.
const WORDS: usize = 4;
/// Elements for which masks are drawn at once.
const CHUNK: usize = 256;
/// Counters of a chunk.
const COUNTERS: usize = CHUNK / WORDS;
/// Vectors of counters whose rounds overlap: a product waits for the one before it.
const TOGETHER: usize = 2;
/// Counters from one of those vectors to the next.
const APART: usize = COUNTERS / TOGETHER;
/// Philox4x32-10 as in `tenon_base::rng`.
const ROUNDS: usize = 10;
const MULTIPLIER: [u64; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
/// The word in the low half.
const LOW: u64 = 0xFFFF_FFFF;

pub(crate) type RoundKeys = [[u64; 2]; ROUNDS];
/// Words of a chunk of counters.
pub(crate) type Words = [[[u32; WORDS]; APART]; TOGETHER];

/// Room for a chunk.
pub(crate) const NO_WORDS: Words = [[[0; WORDS]; APART]; TOGETHER];

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

pub(crate) fn round_keys([a, b]: [u32; 2]) -> RoundKeys {
    std::array::from_fn(|round| {
        let times = round as u32;
        let key = [
            a.wrapping_add(WEYL[0].wrapping_mul(times)),
            b.wrapping_add(WEYL[1].wrapping_mul(times)),
        ];
        key.map(u64::from)
    })
}

/// Philox in the low halves of 64-bit lanes. High halves hold what the products leave there: a
/// vector product reads low halves only, so that nothing has to be moved between lanes. Rounds of
/// several counters alternate, since a product waits for the one before it.
#[inline(always)]
fn draw(c: &mut [[u64; WORDS]; TOGETHER], keys: &RoundKeys) {
    for key in keys {
        for c in &mut *c {
            let p0 = MULTIPLIER[0] * (c[0] & LOW);
            let p1 = MULTIPLIER[1] * (c[2] & LOW);
            *c = [
                (p1 >> 32) ^ (c[1] ^ key[0]),
                p1,
                (p0 >> 32) ^ (c[3] ^ key[1]),
                p0,
            ];
        }
    }
}

/// The words of a chunk of counters from `first` on, in order.
#[inline(always)]
pub(crate) fn draw_chunk(first: u64, site: u64, keys: &RoundKeys, words: &mut Words) {
    for b in 0..APART {
        let mut c = [[0; WORDS]; TOGETHER];
        for i in 0..TOGETHER {
            let at = first + (b + i * APART) as u64;
            c[i] = [at, at >> 32, site, site >> 32];
        }
        draw(&mut c, keys);
        for i in 0..TOGETHER {
            for w in 0..WORDS {
                words[i][b][w] = c[i][w] as u32;
            }
        }
    }
}

simd! {
    /// `start` is a multiple of [`CHUNK`].
    fn mask<S: Float>(dropout: Dropout, start: usize, x: &[S], y: &mut [S]) {
        let limit = (dropout.p * 4_294_967_296.0) as u32;
        let scale = S::from_f64(1.0 / (1.0 - dropout.p));
        let (site, keys) = (dropout.site, round_keys(dropout.key));
        let mut words = NO_WORDS;
        let chunks = x.chunks(CHUNK).zip(y.chunks_mut(CHUNK));
        for (c, (x, y)) in chunks.enumerate() {
            // Drawing leaves memory idle.
            for at in (0..x.len()).step_by(64 / size_of::<S>()) {
                prefetch(x.as_ptr().wrapping_add(at));
                prefetch(y.as_ptr().wrapping_add(at));
            }
            draw_chunk(((start + c * CHUNK) / WORDS) as u64, site, &keys, &mut words);
            let words = words.as_flattened().as_flattened();
            for ((y, &x), &word) in y.iter_mut().zip(x).zip(words) {
                *y = if word >= limit { x * scale } else { S::ZERO };
            }
        }
    }
}
