//! The families of fresh models: their defaults, what they fix, and how they become a graph's spec.

mod choices;
mod spec;

use choices::{decoder, decoder_named, encoder};
use tenon_models::spec::{Activation, Decoder, Encoder};

use super::super::judge::Judge;
use super::super::section::Section;
use super::info::{FamilyInfo, fixed_keys};

/// The sizes of a fresh model.
#[derive(Clone, Debug, PartialEq)]
pub struct Architecture {
    /// Rows of the token embedding; `None` until the tokenizer is known, which decides it.
    pub vocab_size: Option<usize>,
    /// Longest sequence in tokens.
    pub max_seq_len: usize,
    /// Blocks.
    pub n_blocks: usize,
    /// Attention heads.
    pub n_heads: usize,
    /// Width of the stream.
    pub d_model: usize,
    /// Width of the feed-forward layer.
    pub d_ffn: usize,
    /// What only this family has.
    pub family: Family,
}

/// A family with the choices that it offers beyond the sizes.
#[derive(Clone, Debug, PartialEq)]
pub enum Family {
    /// `custom_transformer`.
    Custom,
    /// GPT-2.
    Gpt2(Gpt2Shape),
    /// Llama and its relatives.
    Decoder(DecoderShape),
    /// BERT, ESM-2, AMPLIFY and EnCodon.
    Encoder(EncoderShape),
}

/// The choices of GPT-2 beyond the sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct Gpt2Shape {
    /// Between the two feed-forward matrices.
    pub activation: Activation,
    /// Added to the variance in layer norms.
    pub norm_eps: f64,
    /// Whether the head is the token embedding.
    pub tie_embeddings: bool,
    /// Standard deviation of fresh weights.
    pub init_std: f64,
}

/// The choices of encoders beyond the sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct EncoderShape {
    /// Which one, with its own choices.
    pub family: Encoder,
    /// Between the two feed-forward matrices.
    pub activation: Activation,
    /// Added to the variance, or the mean square, in norms.
    pub norm_eps: f64,
    /// Whether the head is the token embedding.
    pub tie_embeddings: bool,
    /// Standard deviation, or bound, of fresh weights.
    pub init_std: f64,
}

/// The choices of Llama and its relatives beyond the sizes.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderShape {
    /// Which one.
    pub family: Decoder,
    /// Tokens that a token sees, itself included; `None` for all before it.
    pub window: Option<usize>,
    /// Experts in place of one feed-forward layer: how many, and how many a token goes through.
    pub experts: Option<[usize; 2]>,
    /// Key and value heads.
    pub n_kv_heads: usize,
    /// Width of a head.
    pub head_dim: usize,
    /// Added to the mean square in RMS norms.
    pub norm_eps: f64,
    /// Base of the rotary angles.
    pub rope_theta: f64,
    /// Whether the head is the token embedding.
    pub tie_embeddings: bool,
    /// Standard deviation of fresh weights.
    pub init_std: f64,
}

pub(super) fn resolve(judge: &mut Judge) -> Architecture {
    let info = FamilyInfo::of(judge.values.str("model.family").unwrap_or("custom"));
    if judge.fine(&["model.family"]) {
        fixed_keys(judge, info);
    }
    let size = |key: &str, default: usize| judge.values.size(key).unwrap_or(default);
    let n_heads = size("model.n_heads", info.n_heads);
    let d_model = size("model.d_model", info.d_model);
    let d_ffn = match info.name {
        "custom" => 128,
        "gpt2" | "bert" | "esm2" | "codonfm" => d_model.saturating_mul(4),
        "amplify" => (d_model.saturating_mul(8) / 3).next_multiple_of(8),
        _ => d_model.saturating_mul(8).div_ceil(3).next_multiple_of(64),
    };
    let architecture = Architecture {
        vocab_size: judge.values.size("model.vocab_size"),
        max_seq_len: size("model.max_seq_len", info.context(judge)),
        n_blocks: size("model.n_blocks", info.n_blocks),
        n_heads,
        d_model,
        d_ffn: size("model.d_ffn", d_ffn),
        family: match info.name {
            "custom" => Family::Custom,
            "gpt2" => Family::Gpt2(gpt2(judge)),
            name => match (decoder_named(name), encoder(judge, name)) {
                (Some(family), _) => Family::Decoder(decoder(judge, family, n_heads, d_model)),
                (None, Some(shape)) => Family::Encoder(shape),
                (None, None) => Family::Custom,
            },
        },
    };
    divisions(judge, &architecture);
    architecture
}

fn activation(judge: &Judge, default: Activation) -> Activation {
    match judge.values.str("model.activation") {
        Some("gelu") => Activation::Gelu,
        Some("gelu_new") => Activation::GeluNew,
        Some("relu") => Activation::Relu,
        Some("silu") => Activation::Silu,
        _ => default,
    }
}

fn gpt2(judge: &Judge) -> Gpt2Shape {
    Gpt2Shape {
        activation: activation(judge, Activation::GeluNew),
        norm_eps: judge.values.float("model.norm_eps").unwrap_or(1e-5),
        tie_embeddings: judge.values.bool("model.tie_embeddings").unwrap_or(true),
        init_std: judge.values.float("model.init_std").unwrap_or(0.02),
    }
}

/// Sizes that must divide each other.
fn divisions(judge: &mut Judge, sizes: &Architecture) {
    let (n_heads, d_model) = (sizes.n_heads, sizes.d_model);
    let own_head_dim = judge.values.is_set("model.head_dim") || !judge.fine(&["model.head_dim"]);
    if !own_head_dim
        && judge.fine(&["model.family", "model.d_model", "model.n_heads"])
        && !d_model.is_multiple_of(n_heads)
    {
        let key = written(judge, &["model.d_model", "model.n_heads"]);
        let message =
            format!("`model.d_model` {d_model} is not a multiple of `model.n_heads` {n_heads}");
        let below = d_model / n_heads * n_heads;
        let label = match below {
            0 => format!("the nearest multiple is {n_heads}"),
            _ => format!("the nearest multiples are {below} and {}", below + n_heads),
        };
        judge.fault(key, message, &label, "");
    }
    let Family::Decoder(shape) = &sizes.family else {
        return;
    };
    if judge.fine(&["model.n_heads", "model.n_kv_heads"])
        && !n_heads.is_multiple_of(shape.n_kv_heads)
    {
        let message = format!(
            "`model.n_heads` {n_heads} is not a multiple of `model.n_kv_heads` {}",
            shape.n_kv_heads
        );
        let key = written(judge, &["model.n_kv_heads", "model.n_heads"]);
        judge.fault(key, message, "", "");
    }
    let divides = own_head_dim || d_model.is_multiple_of(n_heads);
    if judge.fine(&["model.d_model", "model.n_heads", "model.head_dim"])
        && divides
        && !shape.head_dim.is_multiple_of(2)
    {
        let message = format!("`model.head_dim` {} is odd", shape.head_dim);
        let key = written(judge, &["model.head_dim", "model.d_model", "model.n_heads"]);
        judge.fault(key, message, "rotary positions turn pairs", "");
    }
}

/// The first of the keys that the user wrote, or the first.
fn written<'k>(judge: &Judge, keys: &[&'k str]) -> &'k str {
    let set = keys.iter().find(|key| judge.values.is_set(key));
    set.unwrap_or(&keys[0])
}

fn activation_name(activation: Activation) -> &'static str {
    match activation {
        Activation::GeluNew => "gelu_new",
        Activation::Gelu => "gelu",
        Activation::Relu => "relu",
        Activation::Silu => "silu",
    }
}

impl Family {
    /// The word in `model.family`.
    pub fn name(&self) -> &'static str {
        match self {
            Family::Custom => "custom",
            Family::Gpt2(_) => "gpt2",
            Family::Decoder(shape) => shape.family.name(),
            Family::Encoder(shape) => shape.family.name(),
        }
    }
}

impl Architecture {
    pub(super) fn write(&self, section: &mut Section) {
        section.text("family", self.family.name());
        section.int_or_absent("vocab_size", self.vocab_size);
        section.int("max_seq_len", self.max_seq_len);
        section.int("n_blocks", self.n_blocks);
        section.int("n_heads", self.n_heads);
        section.int("d_model", self.d_model);
        section.int("d_ffn", self.d_ffn);
        match &self.family {
            Family::Custom => {}
            Family::Gpt2(shape) => {
                section.text("activation", activation_name(shape.activation));
                section.float("norm_eps", shape.norm_eps);
                section.bool("tie_embeddings", shape.tie_embeddings);
                section.float("init_std", shape.init_std);
            }
            Family::Decoder(shape) => {
                section.int("n_kv_heads", shape.n_kv_heads);
                section.int("head_dim", shape.head_dim);
                section.float("norm_eps", shape.norm_eps);
                section.float("rope_theta", shape.rope_theta);
                section.int_or_absent("window", shape.window);
                if let Some([count, per_token]) = shape.experts {
                    section.int("n_experts", count);
                    section.int("experts_per_token", per_token);
                }
                section.bool("tie_embeddings", shape.tie_embeddings);
                section.float("init_std", shape.init_std);
            }
            Family::Encoder(shape) => {
                if matches!(shape.family, Encoder::Bert { .. }) {
                    section.text("activation", activation_name(shape.activation));
                }
                section.float("norm_eps", shape.norm_eps);
                match shape.family {
                    Encoder::Esm { rope_theta, .. } => {
                        let kind = rope_theta.map_or("absolute", |_| "rotary");
                        section.text("position_embedding_type", kind);
                        if let Some(theta) = rope_theta {
                            section.float("rope_theta", theta);
                        }
                    }
                    Encoder::Encodon { rope_theta } => {
                        section.float("rope_theta", rope_theta);
                        section.bool("inner_norms", true);
                    }
                    Encoder::PlainEncodon => section.bool("inner_norms", false),
                    Encoder::Bert { .. } | Encoder::Amplify { .. } => {}
                }
                section.bool("tie_embeddings", shape.tie_embeddings);
                section.float("init_std", shape.init_std);
            }
        }
    }
}
