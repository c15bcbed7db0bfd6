//! Llama (Touvron et al. 2023) and its relatives: pre-norm blocks with RMS norms, rotary positions,
//! grouped queries, SwiGLU or experts of it.

use super::names::decoder::{LLAMA, MIXTRAL};
use super::names::fused;
use crate::checkpoint::mapping::Table;
use crate::net::{Net, Outputs, Weight};
use crate::spec::{Decoder, DecoderSpec};
use tenon_engine::graph::Part;
use tenon_engine::ops::{SwiGlu, WeightLayout};
use tenon_engine::table::{AttentionDims, RopeStyle};
use tenon_engine::{Graph, Init, ValueId};

impl Decoder {
    /// The family's name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Decoder::Llama => "llama",
            Decoder::Mistral => "mistral",
            Decoder::Qwen2 => "qwen2",
            Decoder::Qwen3 => "qwen3",
            Decoder::Mixtral => "mixtral",
        }
    }

    /// The names of its tensors.
    pub(super) fn table(self) -> &'static Table {
        match self {
            Decoder::Mixtral => &MIXTRAL,
            _ => &LLAMA,
        }
    }

    /// The names of its tensors in fused layers.
    pub(super) fn fused_table(self) -> &'static Table {
        match self {
            Decoder::Mixtral => &fused::MIXTRAL,
            _ => &fused::LLAMA,
        }
    }
}

/// Builds the graph. Fresh weights are normal with the spec's standard deviation.
pub(super) fn graph(spec: &DecoderSpec, outputs: &Outputs) -> Graph {
    let init = Init::Normal(spec.initializer_range);
    let mut net = Net::new(outputs);
    let tokens = Weight {
        name: "token_embedding.weight",
        part: Part::TokenEmbedding,
        init,
    };
    let vocabulary = [spec.vocab_size, spec.d_model];
    let tokens = net.weight(tokens, &vocabulary);
    let x = net.tokens(tokens);
    let mut x = net.dropout(x, "embed.dropout");
    net.rotary_tables(&spec.rope.frequencies(spec.head_dim), spec.max_positions);
    for layer in 0..spec.n_layers {
        net.hidden_state(layer, x);
        net.enter_block(layer);
        let y = net.rms_norm(x, "attn.norm", spec.norm_eps);
        let y = attention(&mut net, spec, layer, y);
        x = net.residual(x, y, "attn");
        let y = net.rms_norm(x, "mlp.norm", spec.norm_eps);
        let y = feed_forward(&mut net, spec, y);
        x = net.residual(x, y, "mlp");
    }
    net.leave_blocks();
    let x = net.rms_norm(x, "final_norm", spec.norm_eps);
    net.hidden_state(spec.n_layers, x);
    let head = match spec.tie_embeddings {
        true => tokens,
        false => net.weight(
            Weight {
                name: "head.weight",
                part: Part::Head,
                init,
            },
            &vocabulary,
        ),
    };
    match spec.experts {
        Some(experts) => net.balanced_head(x, head, WeightLayout::OutIn, experts),
        None => net.head(x, head, WeightLayout::OutIn),
    }
}

fn attention(net: &mut Net<'_>, spec: &DecoderSpec, layer: usize, y: ValueId) -> ValueId {
    let &DecoderSpec {
        d_model: d,
        n_heads,
        n_kv_heads,
        head_dim,
        ..
    } = spec;
    let init = Init::Normal(spec.initializer_range);
    let [bias, out_bias] = spec.attention_biases();
    let (left, style) = (WeightLayout::OutIn, RopeStyle::RotateHalf);
    let (width, kv) = (n_heads * head_dim, n_kv_heads * head_dim);
    let parts = [
        ("attn.q", Part::Query, width),
        ("attn.k", Part::Key, kv),
        ("attn.v", Part::Value, kv),
    ];
    let [mut q, mut k, v] = parts.map(|(name, part, width)| {
        let w = Weight { name, part, init };
        net.linear(y, w, [d, width], left, bias)
    });
    if spec.head_norms {
        q = net.head_norm(q, "attn.q_norm", spec.norm_eps, head_dim);
        k = net.head_norm(k, "attn.k_norm", spec.norm_eps, head_dim);
    }
    let q = net.rotate(q, "attn.rotate_q", head_dim, style);
    let k = net.rotate(k, "attn.rotate_k", head_dim, style);
    let dims = AttentionDims {
        n_heads,
        n_kv_heads,
        head_dim,
        scale: (head_dim as f64).recip().sqrt() * spec.rope.score_factor(),
        causal: true,
        window: spec.window_of(layer),
    };
    let y = net.attention(&[q, k, v], dims);
    let w = Weight {
        name: "attn.out",
        part: Part::AttentionOut,
        init,
    };
    net.linear(y, w, [width, d], left, out_bias)
}

fn feed_forward(net: &mut Net<'_>, spec: &DecoderSpec, y: ValueId) -> ValueId {
    let (d, d_ffn, bias) = (spec.d_model, spec.d_ffn, spec.mlp_bias);
    let init = Init::Normal(spec.initializer_range);
    if let Some(experts) = spec.experts {
        return net.experts(y, experts, [d, d_ffn], init);
    }
    let left = WeightLayout::OutIn;
    let parts = [("mlp.gate", Part::Gate), ("mlp.up", Part::Up)];
    let [gate, up] = parts.map(|(name, part)| {
        let w = Weight { name, part, init };
        net.linear(y, w, [d, d_ffn], left, bias)
    });
    let y = net.apply_op("mlp.swiglu", SwiGlu, &[gate, up]);
    let w = Weight {
        name: "mlp.out",
        part: Part::FeedForwardOut,
        init,
    };
    net.linear(y, w, [d_ffn, d], left, bias)
}
