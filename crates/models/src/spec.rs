//! What a model is, as plain numbers: enough to build its graph and to write its `config.json`.

mod check;
mod decoder;
mod encoder;
mod rope;

pub use decoder::{AttentionBias, Decoder, DecoderSpec, Experts, Window};
pub use rope::{Rope, RopeScaling, Yarn};

pub use encoder::{Encoder, EncoderSpec, Head, Problem};

use check::Check;
use tenon_base::{Error, Result};

/// The largest vocabulary.
pub const VOCAB_MAX: usize = 1 << 24;
/// The longest context, in tokens.
pub const CONTEXT_MAX: usize = 1 << 24;
/// The widest stream, feed-forward layer or head.
pub const WIDTH_MAX: usize = 1 << 20;
/// The most layers.
pub const LAYERS_MAX: usize = 512;
/// The most heads.
pub const HEADS_MAX: usize = 4096;
/// The most experts of a layer.
pub const EXPERTS_MAX: usize = 1024;

/// A model family with its sizes.
#[derive(Clone, Debug, PartialEq)]
pub enum Spec {
    /// Post-norm transformer with stacked, right-multiplied weights and no biases.
    Custom(CustomSpec),
    /// GPT-2.
    Gpt2(Gpt2Spec),
    /// Llama and its relatives.
    Decoder(DecoderSpec),
    /// BERT, ESM-2, AMPLIFY, EnCodon.
    Encoder(EncoderSpec),
}

/// What a model learns to tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Objective {
    /// The next token.
    Causal,
    /// Hidden tokens, from both sides.
    Masked,
    /// The class of a sequence, its labels, or numbers.
    Sequence {
        /// How many classes, labels or numbers there are.
        n_classes: usize,
        /// Which of the three.
        problem: Problem,
    },
    /// The class of each token.
    Token {
        /// How many classes there are.
        n_classes: usize,
    },
}

/// The sizes of `custom_transformer`.
#[derive(Clone, Debug, PartialEq)]
pub struct CustomSpec {
    /// Rows of the token embedding.
    pub vocab_size: usize,
    /// Rows of the learned position embedding.
    pub max_seq_len: usize,
    /// Blocks.
    pub n_blocks: usize,
    /// Attention heads; divides `d_model`.
    pub n_heads: usize,
    /// Width of the stream.
    pub d_model: usize,
    /// Width of the feed-forward layer.
    pub d_ffn: usize,
}

/// The feed-forward activation of GPT-2.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// GELU in its tanh form.
    GeluNew,
    /// GELU with erf.
    Gelu,
    /// max(x, 0).
    Relu,
    /// x·sigmoid(x).
    Silu,
}

/// The sizes of GPT-2.
#[derive(Clone, Debug, PartialEq)]
pub struct Gpt2Spec {
    /// Rows of the token embedding.
    pub vocab_size: usize,
    /// Rows of the learned position embedding.
    pub n_positions: usize,
    /// Width of the stream.
    pub d_model: usize,
    /// Blocks.
    pub n_layers: usize,
    /// Attention heads; divides `d_model`.
    pub n_heads: usize,
    /// Width of the feed-forward layer.
    pub d_ffn: usize,
    /// Between the two feed-forward matrices.
    pub activation: Activation,
    /// Added to the variance in layer norms.
    pub norm_eps: f64,
    /// Whether scores are multiplied by `1/√head_dim`.
    pub scale_by_width: bool,
    /// Whether scores of block `i`, counted from 0, are divided by `i + 1`.
    pub scale_by_layer: bool,
    /// Whether the head is the token embedding.
    pub tie_embeddings: bool,
    /// Begin-of-text id.
    pub bos_id: Option<u32>,
    /// End-of-text ids; any of them stops generation.
    pub eos_ids: Vec<u32>,
    /// Standard deviation of fresh weights.
    pub initializer_range: f64,
}

impl Gpt2Spec {
    /// What the scores of a block are multiplied by.
    pub fn score_scale(&self, layer: usize) -> f64 {
        let head_dim = self.d_model.checked_div(self.n_heads).unwrap_or(1);
        let by_width = match self.scale_by_width {
            true => (head_dim as f64).recip().sqrt(),
            false => 1.0,
        };
        match self.scale_by_layer {
            true => by_width / (layer + 1) as f64,
            false => by_width,
        }
    }
}

impl Spec {
    /// Checks sizes, limits and divisibility. The error lists everything that is wrong, in the
    /// words of this type's fields.
    pub fn validate(&self) -> Result<()> {
        let mut check = Check::default();
        match self {
            Spec::Custom(spec) => check.custom(spec),
            Spec::Gpt2(spec) => check.gpt2(spec),
            Spec::Decoder(spec) => check.decoder(spec),
            Spec::Encoder(spec) => check.encoder(spec),
        }
        if check.problems.is_empty() {
            return Ok(());
        }
        Err(Error::data(format!(
            "not a possible model: {}",
            check.problems.join("; ")
        )))
    }

    /// Rows of the token embedding.
    pub fn vocab_size(&self) -> usize {
        match self {
            Spec::Custom(spec) => spec.vocab_size,
            Spec::Gpt2(spec) => spec.vocab_size,
            Spec::Decoder(spec) => spec.vocab_size,
            Spec::Encoder(spec) => spec.vocab_size,
        }
    }

    /// The same model with rotary tables for this many positions, at most its own: shorter tables
    /// change no bit of shorter sequences. Learned positions stay.
    pub fn with_rotary_positions(&self, positions: usize) -> Spec {
        let mut spec = self.clone();
        let rotary = match &mut spec {
            Spec::Decoder(decoder) => Some(&mut decoder.max_positions),
            Spec::Encoder(encoder) if encoder.rope_theta().is_some() => {
                Some(&mut encoder.max_positions)
            }
            Spec::Custom(_) | Spec::Gpt2(_) | Spec::Encoder(_) => None,
        };
        if let Some(own) = rotary {
            *own = (*own).min(positions.max(1));
        }
        spec
    }

    /// What it learns to tell.
    pub fn objective(&self) -> Objective {
        match self {
            Spec::Encoder(spec) => match spec.head {
                Head::Masked => Objective::Masked,
                Head::Sequence { n_classes, problem } => Objective::Sequence { n_classes, problem },
                Head::Token { n_classes } => Objective::Token { n_classes },
            },
            Spec::Custom(_) | Spec::Gpt2(_) | Spec::Decoder(_) => Objective::Causal,
        }
    }

    /// Whether it tells something of sequences or tokens instead of tokens themselves.
    pub fn has_classes(&self) -> bool {
        match self.objective() {
            Objective::Causal | Objective::Masked => false,
            Objective::Sequence { .. } | Objective::Token { .. } => true,
        }
    }

    /// Refuses a model that tells classes, for `work` that needs probabilities of tokens.
    ///
    /// # Errors
    /// `Data` when its head has classes.
    pub fn expect_tokens(&self, work: &str) -> Result<()> {
        if !self.has_classes() {
            return Ok(());
        }
        let message = format!("the model tells classes, {work} needs one that tells tokens");
        Err(Error::data(message).hint("`tenon predict --task head` gives what it tells"))
    }

    /// Blocks.
    pub fn n_layers(&self) -> usize {
        match self {
            Spec::Custom(spec) => spec.n_blocks,
            Spec::Gpt2(spec) => spec.n_layers,
            Spec::Decoder(spec) => spec.n_layers,
            Spec::Encoder(spec) => spec.n_layers,
        }
    }

    /// End-of-text ids; any of them stops generation.
    pub fn eos_ids(&self) -> &[u32] {
        match self {
            Spec::Custom(_) => &[],
            Spec::Gpt2(spec) => &spec.eos_ids,
            Spec::Decoder(spec) => &spec.eos_ids,
            Spec::Encoder(spec) => &spec.eos_ids,
        }
    }

    /// Rows of the embedding of token types, 0 without one.
    pub fn token_types(&self) -> usize {
        match self {
            Spec::Encoder(spec) => spec.token_types(),
            Spec::Custom(_) | Spec::Gpt2(_) | Spec::Decoder(_) => 0,
        }
    }

    /// How many tokens the layers with a window see, where some have one.
    pub fn window(&self) -> Option<usize> {
        match self {
            Spec::Decoder(spec) => (0..spec.n_layers).find_map(|layer| spec.window_of(layer)),
            Spec::Custom(_) | Spec::Gpt2(_) | Spec::Encoder(_) => None,
        }
    }

    /// The longest sequence, in tokens.
    pub fn context_len(&self) -> usize {
        match self {
            Spec::Custom(spec) => spec.max_seq_len,
            Spec::Gpt2(spec) => spec.n_positions,
            Spec::Decoder(spec) => spec.max_positions,
            Spec::Encoder(spec) => spec.max_positions,
        }
    }
}

#[cfg(test)]
#[path = "spec/tests.rs"]
mod tests;
