//! Decoders in the manner of Llama.

use super::Rope;

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
