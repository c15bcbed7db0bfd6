//! Encoders: every token sees every other.

use super::Activation;
use tenon_engine::table::ValueLoss;

/// The sizes of an encoder with its head.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderSpec {
    /// Which published architecture it is, with its own choices.
    pub family: Encoder,
    /// Rows of the token embedding.
    pub vocab_size: usize,
    /// The context it was made for, in tokens. ESM-1b's table of positions has more rows.
    pub max_positions: usize,
    /// Width of the stream.
    pub d_model: usize,
    /// Blocks.
    pub n_layers: usize,
    /// Attention heads; divides `d_model`.
    pub n_heads: usize,
    /// Width of the feed-forward layer, of its gate where it has one.
    pub d_ffn: usize,
    /// In the feed-forward layer; a gated one has SiLU.
    pub activation: Activation,
    /// Added to the variance, or the mean square, in norms.
    pub norm_eps: f64,
    /// Whether the head's last matrix is the token embedding.
    pub tie_embeddings: bool,
    /// The id of padding.
    pub pad_id: Option<u32>,
    /// The id that stands for a hidden token.
    pub mask_id: Option<u32>,
    /// Begin-of-text id.
    pub bos_id: Option<u32>,
    /// End-of-text ids.
    pub eos_ids: Vec<u32>,
    /// Standard deviation of fresh weights; the bound of uniform ones where the family has those.
    pub initializer_range: f64,
    /// What it tells.
    pub head: Head,
}

/// What stands at the end of an encoder.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Head {
    /// Logits `[N, V]` over the vocabulary, for hidden tokens.
    #[default]
    Masked,
    /// Logits or numbers `[S, C]` of a sequence, from its first token.
    Sequence {
        /// `C`, at least 2 where one class is told.
        n_classes: usize,
        /// What they are.
        problem: Problem,
    },
    /// Logits `[N, C]`: the class of each token.
    Token {
        /// `C`.
        n_classes: usize,
    },
}

/// What the outputs of a head for sequences are, in the words of `transformers`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Problem {
    /// Logits of classes of which one is right.
    #[default]
    SingleLabel,
    /// Logits of labels that are right or wrong each for itself.
    MultiLabel,
    /// Numbers.
    Regression,
}

impl Problem {
    /// All of them.
    pub const ALL: [Problem; 3] = [
        Problem::SingleLabel,
        Problem::MultiLabel,
        Problem::Regression,
    ];

    /// The value of `problem_type`.
    pub const fn name(self) -> &'static str {
        match self {
            Problem::SingleLabel => "single_label_classification",
            Problem::MultiLabel => "multi_label_classification",
            Problem::Regression => "regression",
        }
    }

    /// That of this name.
    pub fn parse(name: &str) -> Option<Problem> {
        Problem::ALL
            .into_iter()
            .find(|problem| problem.name() == name)
    }

    /// How its outputs are compared with given numbers; `None` where a class is told.
    pub fn value_loss(self) -> Option<ValueLoss> {
        match self {
            Problem::SingleLabel => None,
            Problem::MultiLabel => Some(ValueLoss::Logistic),
            Problem::Regression => Some(ValueLoss::Squared),
        }
    }
}

/// A published encoder.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Encoder {
    /// BERT (Devlin et al. 2019) and Geneformer (Theodoris et al. 2023): post-norm, learned
    /// positions.
    Bert {
        /// Rows of the embedding of token types.
        token_types: usize,
    },
    /// ESM-2 (Lin et al. 2023): pre-norm, rotary positions; ESM-1b (Rives et al. 2021) with
    /// learned ones.
    Esm {
        /// Whether masked tokens are zeroed and the others scaled for them.
        token_dropout: bool,
        /// Whether a norm follows the embedding.
        embed_norm: bool,
        /// Base of the rotary angles; `None` for learned positions, which begin behind the row of
        /// `pad_id`.
        rope_theta: Option<f64>,
    },
    /// AMPLIFY (Fournier et al. 2024): RMS norms, interleaved rotary positions, SwiGLU.
    Amplify {
        /// The width in the configuration, of which the layer takes two thirds in whole eights.
        intermediate_size: usize,
        /// Whether the attention projections have biases.
        attention_bias: bool,
        /// Whether the feed-forward projections have biases.
        mlp_bias: bool,
        /// Whether a norm follows the embedding.
        embed_norm: bool,
        /// Whether a norm precedes the head.
        final_norm: bool,
    },
    /// EnCodon (CodonFM): a norm after the embedding, and norms inside both branches.
    Encodon {
        /// Base of the rotary angles.
        rope_theta: f64,
    },
    /// EnCodon without the norms inside its branches: plain pre-norm blocks, published in fused
    /// layers. Its GELU is the tanh form within blocks, as Transformer Engine computes it, and the
    /// exact one in the head; rotary angles have the base 10000.
    PlainEncodon,
}

impl EncoderSpec {
    /// Width of a head.
    pub fn head_dim(&self) -> usize {
        self.d_model.checked_div(self.n_heads).unwrap_or(0)
    }

    /// Rows of the embedding of token types, 0 without one.
    pub fn token_types(&self) -> usize {
        match self.family {
            Encoder::Bert { token_types } => token_types,
            Encoder::Esm { .. }
            | Encoder::Amplify { .. }
            | Encoder::Encodon { .. }
            | Encoder::PlainEncodon => 0,
        }
    }

    /// Base of the rotary angles, `None` where positions are learned.
    pub fn rope_theta(&self) -> Option<f64> {
        match self.family {
            Encoder::Bert { .. } => None,
            Encoder::Esm { rope_theta, .. } => rope_theta,
            Encoder::Encodon { rope_theta } => Some(rope_theta),
            Encoder::Amplify { .. } | Encoder::PlainEncodon => Some(1e4),
        }
    }

    /// The row of the learned table that the first position has: 0, or in ESM-1b the one behind
    /// that of padding.
    pub fn first_position(&self) -> usize {
        match self.family {
            Encoder::Esm {
                rope_theta: None, ..
            } => self.pad_id.map_or(0, |pad| pad as usize + 1),
            _ => 0,
        }
    }
}
