//! Decoders in the manner of Llama.

use std::f64::consts::TAU;

/// Which published family a decoder is: what its configuration and its tensors are called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoder {
    /// Llama 1 to 3.
    Llama,
    /// Mistral.
    Mistral,
    /// Qwen 2 and 2.5.
    Qwen2,
    /// Qwen 3.
    Qwen3,
    /// Mixtral.
    Mixtral,
}

/// The sizes of a decoder with RMS norms, rotary positions, grouped queries and SwiGLU.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderSpec {
    /// What it is called.
    pub family: Decoder,
    /// Rows of the token embedding.
    pub vocab_size: usize,
    /// The context it was made for, in tokens.
    pub max_positions: usize,
    /// Width of the stream.
    pub d_model: usize,
    /// Blocks.
    pub n_layers: usize,
    /// Query heads.
    pub n_heads: usize,
    /// Key and value heads; divides `n_heads`.
    pub n_kv_heads: usize,
    /// Width of a head; even. Query rows are `n_heads · head_dim`.
    pub head_dim: usize,
    /// Width of the gated feed-forward layer, or of each expert.
    pub d_ffn: usize,
    /// Added to the mean square in RMS norms.
    pub norm_eps: f64,
    /// Angles of the rotary positions.
    pub rope: Rope,
    /// Whether the head is the token embedding.
    pub tie_embeddings: bool,
    /// Which attention projections have biases.
    pub attention_bias: AttentionBias,
    /// Whether the three feed-forward projections have biases.
    pub mlp_bias: bool,
    /// Whether each query and key head is RMS-normed before it is rotated.
    pub head_norms: bool,
    /// How far back layers see, when they do not see all.
    pub window: Option<Window>,
    /// Experts in place of one feed-forward layer.
    pub experts: Option<Experts>,
    /// Begin-of-text id.
    pub bos_id: Option<u32>,
    /// End-of-text ids; any of them stops generation.
    pub eos_ids: Vec<u32>,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
}

/// Which of the four attention projections have biases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttentionBias {
    /// None of them.
    None,
    /// Query, key and value.
    QueryKeyValue,
    /// All of them.
    All,
}

/// A sliding window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Tokens that are seen, the token itself included.
    pub len: usize,
    /// The first layer that has it; earlier ones see all.
    pub first_layer: usize,
}

/// Experts of each layer (Jiang et al. 2024).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Experts {
    /// How many there are.
    pub count: usize,
    /// How many each token goes through.
    pub per_token: usize,
    /// Factor of the load-balancing loss.
    pub balance: f64,
    /// Whether the loss has that term.
    pub balanced: bool,
}

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
        (0..head_dim / 2).map(|i| self.scaled(plain(i))).collect()
    }

    fn scaled(&self, frequency: f64) -> f64 {
        match self.scaling {
            None => frequency,
            Some(RopeScaling::Linear { factor }) => frequency / factor,
            Some(RopeScaling::Llama3 {
                factor,
                low_freq_factor: low,
                high_freq_factor: high,
                original_max_positions,
            }) => {
                let turns = original_max_positions as f64 * frequency / TAU;
                let kept = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                (1.0 - kept) * frequency / factor + kept * frequency
            }
        }
    }
}

impl DecoderSpec {
    /// The window of a layer.
    pub fn window_of(&self, layer: usize) -> Option<usize> {
        let window = self.window.filter(|window| layer >= window.first_layer);
        window.map(|window| window.len)
    }

    /// Whether query, key and value have biases, and whether the projection after them has.
    pub fn attention_biases(&self) -> [bool; 2] {
        match self.attention_bias {
            AttentionBias::None => [false, false],
            AttentionBias::QueryKeyValue => [true, false],
            AttentionBias::All => [true, true],
        }
    }
}
