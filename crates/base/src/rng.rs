//! Counter-based randomness: Philox4x32-10 (Salmon, Moraes, Dror, Shaw 2011, "Parallel random
//! numbers: as easy as 1, 2, 3").
//!
//! One scheme for the whole program. A draw is a pure function of the run seed, a named [`Stream`],
//! a step and an index, so nothing has to be saved to resume and the order of threads cannot
//! matter:
//!
//! 1. the Philox key of a step is `philox(counter = [step lo, step hi, stream, 0], key =
//!    seed)[0..2]`;
//! 2. block `b` of index `i` is `philox(counter = [i lo, i hi, b lo, b hi], key)`.

const MULTIPLIER: [u32; 2] = [0xD251_1F53, 0xCD9E_8D57];
const WEYL: [u32; 2] = [0x9E37_79B9, 0xBB67_AE85];
const ROUNDS: usize = 10;

/// Four random words for a counter and a key. Branch-free, so a loop over counters vectorises.
#[inline(always)]
pub fn philox4x32(counter: [u32; 4], key: [u32; 2]) -> [u32; 4] {
    let mut c = counter;
    let mut k = key;
    for _ in 0..ROUNDS {
        let p0 = u64::from(MULTIPLIER[0]) * u64::from(c[0]);
        let p1 = u64::from(MULTIPLIER[1]) * u64::from(c[2]);
        c = [
            (p1 >> 32) as u32 ^ c[1] ^ k[0],
            p1 as u32,
            (p0 >> 32) as u32 ^ c[3] ^ k[1],
            p0 as u32,
        ];
        k = [k[0].wrapping_add(WEYL[0]), k[1].wrapping_add(WEYL[1])];
    }
    c
}

/// What the numbers are for. Streams with the same seed are independent.
///
/// The numbers of the variants are part of the reproducibility promise: never renumber them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Stream {
    /// Initial weights; step = 0, index = parameter.
    Init = 1,
    /// Order of the rows; step = epoch.
    Shuffle = 2,
    /// Dropout masks; step = optimiser micro-step, index = element.
    Dropout = 3,
    /// Sampling of tokens in generation; step = position, index = sequence.
    Sample = 4,
    /// Synthetic corpora.
    Corpus = 5,
    /// Train/validation/test splits.
    Split = 6,
    /// Random directions of derivative checks.
    Direction = 7,
    /// Masked tokens and crops of training; step = epoch, index = document.
    Mask = 8,
    /// Masked tokens and crops of validation; step = 0, index = document.
    MaskValidation = 9,
}

/// A run seed and a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    seed: u64,
    stream: u32,
}

impl Key {
    /// The key of one stream of a run.
    pub fn new(seed: u64, stream: Stream) -> Key {
        Key {
            seed,
            stream: stream as u32,
        }
    }

    /// The Philox key of a step. A kernel that draws per element calls
    /// `philox4x32([index lo, index hi, block lo, block hi], words)`.
    pub fn words(self, step: u64) -> [u32; 2] {
        let [lo, hi] = split(step);
        let [a, b, ..] = philox4x32([lo, hi, self.stream, 0], split(self.seed));
        [a, b]
    }

    /// The generator of one step and index.
    pub fn at(self, step: u64, index: u64) -> Rng {
        Rng {
            key: self.words(step),
            index: split(index),
            block: 0,
            words: [0; 4],
            used: 4,
        }
    }
}

fn split(value: u64) -> [u32; 2] {
    [value as u32, (value >> 32) as u32]
}

/// A short sequence of draws at one point of the counter space; made by [`Key::at`].
#[derive(Clone, Debug)]
pub struct Rng {
    key: [u32; 2],
    index: [u32; 2],
    block: u64,
    words: [u32; 4],
    used: usize,
}

impl Rng {
    /// The next 32 random bits.
    pub fn next_u32(&mut self) -> u32 {
        if self.used == self.words.len() {
            let [lo, hi] = split(self.block);
            self.words = philox4x32([self.index[0], self.index[1], lo, hi], self.key);
            self.block += 1;
            self.used = 0;
        }
        self.used += 1;
        self.words[self.used - 1]
    }

    /// The next 64 random bits: low word first.
    pub fn next_u64(&mut self) -> u64 {
        let lo = u64::from(self.next_u32());
        lo | u64::from(self.next_u32()) << 32
    }

    /// Uniform on `[0, 1)` with 53 random bits.
    pub fn uniform_f64(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }

    /// Standard normal by Box–Muller: two uniforms for each value, the sine branch is not kept.
    ///
    /// Uses the `libm` crate rather than the system's library, whose last bits differ between
    /// machines.
    pub fn normal(&mut self) -> f64 {
        // 1 − u lies in (0, 1], so the logarithm is finite.
        let radius = (-2.0 * libm::log(1.0 - self.uniform_f64())).sqrt();
        radius * libm::cos(std::f64::consts::TAU * self.uniform_f64())
    }

    /// Uniform on `0..n`, without bias (Lemire 2019, multiply and reject).
    ///
    /// # Panics
    /// When `n` is 0.
    pub fn below(&mut self, n: u64) -> u64 {
        assert!(n > 0, "a draw below 0 has no value");
        let rejected_below = n.wrapping_neg() % n;
        loop {
            let wide = u128::from(self.next_u64()) * u128::from(n);
            if wide as u64 >= rejected_below {
                return (wide >> 64) as u64;
            }
        }
    }
}

/// The order of `0..n` in an epoch: Fisher–Yates with the draws of `key.at(epoch, 0)`.
pub fn permutation(key: Key, epoch: u64, n: u32) -> Vec<u32> {
    let mut rng = key.at(epoch, 0);
    let mut order: Vec<u32> = (0..n).collect();
    for last in (1..order.len()).rev() {
        let other = rng.below(last as u64 + 1) as usize;
        order.swap(last, other);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The vectors for `philox4x32 10` in the Random123 distribution's `kat_vectors`.
    #[test]
    fn philox_matches_the_published_vectors() {
        let pi = [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344];
        let cases: [([u32; 4], [u32; 2], [u32; 4]); 3] = [
            (
                [0; 4],
                [0; 2],
                [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8],
            ),
            (
                [!0; 4],
                [!0; 2],
                [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd],
            ),
            (
                pi,
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in cases {
            assert_eq!(philox4x32(counter, key), expected, "counter {counter:x?}");
        }
    }

    #[test]
    fn a_draw_depends_on_seed_stream_step_and_index_and_on_nothing_else() {
        let draw = |seed, stream, step, index| Key::new(seed, stream).at(step, index).next_u64();
        let base = draw(7, Stream::Dropout, 3, 5);
        assert_eq!(base, draw(7, Stream::Dropout, 3, 5));
        assert_ne!(base, draw(8, Stream::Dropout, 3, 5));
        assert_ne!(base, draw(7 + (1 << 32), Stream::Dropout, 3, 5));
        assert_ne!(base, draw(7, Stream::Init, 3, 5));
        assert_ne!(base, draw(7, Stream::Dropout, 4, 5));
        assert_ne!(base, draw(7, Stream::Dropout, 3 + (1 << 32), 5));
        assert_ne!(base, draw(7, Stream::Dropout, 3, 6));
        assert_ne!(base, draw(7, Stream::Dropout, 3, 5 + (1 << 32)));
    }

    #[test]
    fn the_generator_is_the_documented_counter_scheme() {
        let key = Key::new(42, Stream::Sample);
        let mut rng = key.at(9, 1 << 40);
        let words = key.words(9);
        for block in 0..3 {
            for word in philox4x32([0, 1 << 8, block, 0], words) {
                assert_eq!(rng.next_u32(), word);
            }
        }
    }

    #[test]
    fn uniform_stays_in_range_and_has_the_right_moments() {
        let mut rng = Key::new(1, Stream::Corpus).at(0, 0);
        let n = 100_000;
        let draws: Vec<f64> = (0..n).map(|_| rng.uniform_f64()).collect();
        assert!(draws.iter().all(|u| (0.0..1.0).contains(u)));
        let mean = draws.iter().sum::<f64>() / f64::from(n);
        assert!(
            (mean - 0.5).abs() < 5.0 * (1.0 / 12.0_f64 / f64::from(n)).sqrt(),
            "{mean}"
        );
    }

    #[test]
    fn normal_has_the_moments_of_a_standard_normal() {
        let mut rng = Key::new(1, Stream::Init).at(0, 0);
        let n = 100_000.0;
        let draws: Vec<f64> = (0..100_000).map(|_| rng.normal()).collect();
        assert!(draws.iter().all(|x| x.is_finite()));
        let moment = |power| draws.iter().map(|x| x.powi(power)).sum::<f64>() / n;
        // Five standard errors of each sample moment.
        assert!(moment(1).abs() < 5.0 / n.sqrt(), "mean {}", moment(1));
        assert!(
            (moment(2) - 1.0).abs() < 5.0 * (2.0 / n).sqrt(),
            "variance {}",
            moment(2)
        );
        assert!(
            moment(3).abs() < 5.0 * (15.0 / n).sqrt(),
            "skew {}",
            moment(3)
        );
        assert!(
            (moment(4) - 3.0).abs() < 5.0 * (96.0 / n).sqrt(),
            "kurtosis {}",
            moment(4)
        );
    }

    #[test]
    fn below_is_uniform_and_bounded() {
        let mut rng = Key::new(3, Stream::Split).at(0, 0);
        let mut seen = [0u32; 7];
        for _ in 0..70_000 {
            seen[rng.below(7) as usize] += 1;
        }
        let chi2: f64 = seen
            .iter()
            .map(|&k| (f64::from(k) - 1e4).powi(2) / 1e4)
            .sum();
        assert!(
            chi2 < 30.0,
            "chi² with 6 degrees of freedom is {chi2}: {seen:?}"
        );
        assert_eq!(rng.below(1), 0);
        assert!(rng.below(u64::MAX) < u64::MAX);
    }

    #[test]
    fn permutation_holds_every_row_once_and_changes_with_the_epoch() {
        let key = Key::new(11, Stream::Shuffle);
        for n in [0, 1, 2, 3, 1000] {
            let mut order = permutation(key, 0, n);
            order.sort_unstable();
            assert!(order.iter().copied().eq(0..n), "n = {n}");
        }
        assert_ne!(permutation(key, 0, 1000), permutation(key, 1, 1000));
        assert_eq!(permutation(key, 4, 1000), permutation(key, 4, 1000));
    }

    #[test]
    fn every_permutation_of_three_is_equally_likely() {
        let mut seen = std::collections::BTreeMap::new();
        for epoch in 0..6000 {
            *seen
                .entry(permutation(Key::new(5, Stream::Shuffle), epoch, 3))
                .or_insert(0u32) += 1;
        }
        assert_eq!(seen.len(), 6);
        let chi2: f64 = seen
            .values()
            .map(|&k| (f64::from(k) - 1e3).powi(2) / 1e3)
            .sum();
        assert!(
            chi2 < 28.0,
            "chi² with 5 degrees of freedom is {chi2}: {seen:?}"
        );
    }
}
