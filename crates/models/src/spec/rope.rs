//! Rotary positions: how far each pair of a head turns, and how contexts are stretched.

use std::f64::consts::TAU;

/// The angles of rotary positions: position times a frequency for each pair.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rope {
    /// Pair `i` of `K/2` turns by `theta^(−2i/K)` a position.
    pub theta: f64,
    /// A change of the frequencies for longer contexts.
    pub scaling: Option<RopeScaling>,
}

/// Frequencies for contexts longer than those of pretraining.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum RopeScaling {
    /// All frequencies divided by the factor (Chen et al. 2023).
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// A theta that grows with texts longer than the model's context. Up to there, which is all
    /// that a model accepts, nothing is scaled.
    Dynamic {
        /// How much longer the context is to become.
        factor: f64,
    },
    /// Llama 3.1: wavelengths above `original / low_freq_factor` are stretched by the factor, those
    /// below `original / high_freq_factor` are kept, and between them the two are mixed.
    Llama3 {
        /// How much long wavelengths are stretched.
        factor: f64,
        /// Turns within the original context below which a frequency is stretched in full.
        low_freq_factor: f64,
        /// Turns within the original context above which a frequency is kept.
        high_freq_factor: f64,
        /// The context of pretraining.
        original_max_positions: usize,
    },
    /// YaRN (Peng et al. 2023): pairs with many turns within the original context are kept, those
    /// with few are stretched, and those between are mixed by their place; rotated queries and keys
    /// are scaled.
    Yarn(Yarn),
}

/// The numbers of YaRN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Yarn {
    /// How much slow pairs are stretched.
    pub factor: f64,
    /// The context of pretraining.
    pub original_max_positions: usize,
    /// Turns within the original context above which a pair is kept.
    pub beta_fast: f64,
    /// Turns within the original context below which a pair is stretched in full.
    pub beta_slow: f64,
    /// What rotated queries and keys are multiplied by; `None` for `0.1·ln(factor) + 1`.
    pub attention_factor: Option<f64>,
    /// Whether the pairs between which frequencies are mixed are whole numbers.
    pub truncate: bool,
}

impl Yarn {
    /// What rotated queries and keys are multiplied by when the model does not say, by a factor of
    /// lengths and a weight of its logarithm.
    pub fn magnitude(factor: f64, weight: f64) -> f64 {
        match factor > 1.0 {
            true => 0.1 * weight * factor.ln() + 1.0,
            false => 1.0,
        }
    }

    /// The first pair that is not kept, and the pair from which on all are stretched in full.
    fn mixed_pairs(&self, theta: f64, head_dim: usize) -> [f64; 2] {
        let k = head_dim as f64;
        let pair_of = |turns: f64| {
            k * (self.original_max_positions as f64 / (turns * TAU)).ln() / (2.0 * theta.ln())
        };
        let (mut low, mut high) = (pair_of(self.beta_fast), pair_of(self.beta_slow));
        if self.truncate {
            (low, high) = (low.floor(), high.ceil());
        }
        let (low, high) = (low.max(0.0), high.min(k - 1.0));
        // The reference's way around a division by zero.
        [low, if low == high { high + 0.001 } else { high }]
    }

    fn scaled(&self, frequencies: &mut [f64], theta: f64, head_dim: usize) {
        let [low, high] = self.mixed_pairs(theta, head_dim);
        for (i, frequency) in frequencies.iter_mut().enumerate() {
            let stretched = ((i as f64 - low) / (high - low)).clamp(0.0, 1.0);
            *frequency = *frequency / self.factor * stretched + *frequency * (1.0 - stretched);
        }
    }
}

impl Rope {
    /// Frequencies without scaling.
    pub fn plain(theta: f64) -> Rope {
        Rope {
            theta,
            scaling: None,
        }
    }

    /// Radians a position for each of `head_dim / 2` pairs.
    pub fn frequencies(&self, head_dim: usize) -> Vec<f64> {
        let plain = |i: usize| self.theta.powf(-2.0 * i as f64 / head_dim as f64);
        let mut frequencies: Vec<f64> = (0..head_dim / 2).map(plain).collect();
        match self.scaling {
            None | Some(RopeScaling::Dynamic { .. }) => {}
            Some(RopeScaling::Linear { factor }) => {
                frequencies.iter_mut().for_each(|f| *f /= factor);
            }
            Some(RopeScaling::Llama3 {
                factor,
                low_freq_factor: low,
                high_freq_factor: high,
                original_max_positions,
            }) => {
                for frequency in &mut frequencies {
                    let turns = original_max_positions as f64 * *frequency / TAU;
                    let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                    *frequency = (1.0 - kept) * *frequency / factor + kept * *frequency;
                }
            }
            Some(RopeScaling::Yarn(yarn)) => yarn.scaled(&mut frequencies, self.theta, head_dim),
        }
        frequencies
    }

    /// What scores are multiplied by besides `1/√head_dim`: the square of the factor of rotated
    /// queries and keys.
    pub fn score_factor(&self) -> f64 {
        match self.scaling {
            Some(RopeScaling::Yarn(yarn)) => yarn
                .attention_factor
                .unwrap_or_else(|| Yarn::magnitude(yarn.factor, 1.0))
                .powi(2),
            _ => 1.0,
        }
    }
}
