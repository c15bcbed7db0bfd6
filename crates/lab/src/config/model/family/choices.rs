//! What decoders and encoders leave open, from a configuration.

use tenon_models::spec::{Activation, Decoder, Encoder};

use super::super::super::judge::Judge;
use super::{DecoderShape, EncoderShape, activation};

pub(super) fn decoder_named(name: &str) -> Option<Decoder> {
    let all = [
        Decoder::Llama,
        Decoder::Mistral,
        Decoder::Qwen2,
        Decoder::Qwen3,
        Decoder::Mixtral,
    ];
    all.into_iter().find(|family| family.name() == name)
}

pub(super) fn decoder(
    judge: &Judge,
    family: Decoder,
    n_heads: usize,
    d_model: usize,
) -> DecoderShape {
    let head_dim = d_model.checked_div(n_heads).unwrap_or_default();
    let size = |key: &str, default: usize| judge.values.size(key).unwrap_or(default);
    let experts = [
        size("model.n_experts", 8),
        size("model.experts_per_token", 2),
    ];
    DecoderShape {
        family,
        window: judge.values.size("model.window"),
        experts: (family == Decoder::Mixtral).then_some(experts),
        n_kv_heads: size("model.n_kv_heads", n_heads),
        head_dim: size("model.head_dim", head_dim),
        norm_eps: judge.values.float("model.norm_eps").unwrap_or(1e-5),
        rope_theta: judge.values.float("model.rope_theta").unwrap_or(1e4),
        tie_embeddings: judge.values.bool("model.tie_embeddings").unwrap_or(false),
        init_std: judge.values.float("model.init_std").unwrap_or(0.02),
    }
}

pub(super) fn encoder(judge: &Judge, name: &str) -> Option<EncoderShape> {
    let theta = |default| judge.values.float("model.rope_theta").unwrap_or(default);
    let (family, norm_eps, tied) = match name {
        "bert" => (Encoder::Bert { token_types: 2 }, 1e-12, true),
        "esm2" => {
            let is_learned = judge.values.str("model.position_embedding_type") == Some("absolute");
            let family = Encoder::Esm {
                token_dropout: true,
                embed_norm: is_learned,
                rope_theta: (!is_learned).then(|| theta(1e4)),
            };
            (family, 1e-5, true)
        }
        "amplify" => {
            let family = Encoder::Amplify {
                intermediate_size: 0,
                attention_bias: false,
                mlp_bias: false,
                embed_norm: false,
                final_norm: true,
            };
            (family, 1e-5, false)
        }
        "codonfm" if judge.values.bool("model.inner_norms") == Some(false) => {
            (Encoder::PlainEncodon, 1e-12, false)
        }
        "codonfm" => {
            let rope_theta = theta(1e5);
            (Encoder::Encodon { rope_theta }, 1e-12, false)
        }
        _ => return None,
    };
    let tie_embeddings = judge.values.bool("model.tie_embeddings").unwrap_or(tied);
    let usual = match family {
        Encoder::PlainEncodon => Activation::GeluNew,
        _ => Activation::Gelu,
    };
    Some(EncoderShape {
        family,
        activation: activation(judge, usual),
        norm_eps: judge.values.float("model.norm_eps").unwrap_or(norm_eps),
        tie_embeddings,
        init_std: judge.values.float("model.init_std").unwrap_or(0.02),
    })
}
