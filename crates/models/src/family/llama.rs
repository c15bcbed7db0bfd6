//! Llama (Touvron et al. 2023): pre-norm blocks with RMS norms, rotary positions, grouped queries,
//! SwiGLU.

use crate::checkpoint::mapping::{Drop, Layout, Rule, Table, When};
use crate::net::{Net, Outputs, Weight};
use crate::spec::LlamaSpec;
use tenon_engine::graph::Part;
use tenon_engine::ops::{SwiGlu, WeightLayout};
use tenon_engine::table::{AttentionDims, RopeStyle};
use tenon_engine::{Graph, Init};

/// Builds the graph. Fresh weights are normal with the spec's standard deviation.
pub(super) fn graph(spec: &LlamaSpec, outputs: &Outputs) -> Graph {
    let &LlamaSpec {
        d_model: d,
        n_layers,
        n_heads,
        n_kv_heads,
        head_dim,
        d_ffn,
        norm_eps,
        ..
    } = spec;
    let init = Init::Normal(spec.initializer_range);
    let mut net = Net::new(outputs);
    let tokens = Weight {
        name: "token_embedding.weight",
        part: Part::TokenEmbedding,
        init,
    };
    let tokens = net.weight(tokens, &[spec.vocab_size, d]);
    let x = net.tokens(tokens);
    let mut x = net.dropout(x, "embed.dropout");
    net.rotary_tables(head_dim, spec.rope_theta, spec.max_positions);
    let scale = (head_dim as f64).recip().sqrt();
    let dims = AttentionDims {
        n_heads,
        n_kv_heads,
        head_dim,
        scale,
        causal: true,
        window: None,
    };
    let (width, kv) = (n_heads * head_dim, n_kv_heads * head_dim);
    let (left, style) = (WeightLayout::OutIn, RopeStyle::RotateHalf);
    let bias = spec.attention_bias;
    for layer in 0..n_layers {
        net.hidden_state(layer, x);
        net.enter_block(layer);
        let y = net.rms_norm(x, "attn.norm", norm_eps);
        let q = net.linear(
            y,
            Weight {
                name: "attn.q",
                part: Part::Query,
                init,
            },
            [d, width],
            left,
            bias,
        );
        let k = net.linear(
            y,
            Weight {
                name: "attn.k",
                part: Part::Key,
                init,
            },
            [d, kv],
            left,
            bias,
        );
        let v = net.linear(
            y,
            Weight {
                name: "attn.v",
                part: Part::Value,
                init,
            },
            [d, kv],
            left,
            bias,
        );
        let q = net.rotate(q, "attn.rotate_q", head_dim, style);
        let k = net.rotate(k, "attn.rotate_k", head_dim, style);
        let y = net.attention(&[q, k, v], dims);
        let w = Weight {
            name: "attn.out",
            part: Part::AttentionOut,
            init,
        };
        let y = net.linear(y, w, [width, d], left, bias);
        x = net.residual(x, y, "attn");
        let y = net.rms_norm(x, "mlp.norm", norm_eps);
        let bias = spec.mlp_bias;
        let gate = net.linear(
            y,
            Weight {
                name: "mlp.gate",
                part: Part::Gate,
                init,
            },
            [d, d_ffn],
            left,
            bias,
        );
        let up = net.linear(
            y,
            Weight {
                name: "mlp.up",
                part: Part::Up,
                init,
            },
            [d, d_ffn],
            left,
            bias,
        );
        let y = net.apply_op("mlp.swiglu", SwiGlu, &[gate, up]);
        let w = Weight {
            name: "mlp.out",
            part: Part::FeedForwardOut,
            init,
        };
        let y = net.linear(y, w, [d_ffn, d], left, bias);
        x = net.residual(x, y, "mlp");
    }
    net.leave_blocks();
    let x = net.rms_norm(x, "final_norm", norm_eps);
    net.hidden_state(n_layers, x);
    let head = match spec.tie_embeddings {
        true => tokens,
        false => net.weight(
            Weight {
                name: "head.weight",
                part: Part::Head,
                init,
            },
            &[spec.vocab_size, d],
        ),
    };
    net.head(x, head, left)
}

const fn rule(hub: &'static [&'static str], ours: &'static str) -> Rule {
    Rule {
        hub,
        ours,
        layout: Layout::Same,
    }
}

/// Names of the reference.
pub(super) const TABLE: Table = Table {
    rules: &[
        rule(&["{prefix}embed_tokens.weight"], "token_embedding.weight"),
        rule(
            &["{prefix}layers.{layer}.input_layernorm.weight"],
            "blocks.{layer}.attn.norm.weight",
        ),
        rule(
            &["{prefix}layers.{layer}.self_attn.q_proj.weight"],
            "blocks.{layer}.attn.q.weight",
        ),
        rule(
            &["{prefix}layers.{layer}.self_attn.q_proj.bias"],
            "blocks.{layer}.attn.q.bias",
        ),
        rule(
            &["{prefix}layers.{layer}.self_attn.k_proj.weight"],
            "blocks.{layer}.attn.k.weight",
        ),
        rule(
            &["{prefix}layers.{layer}.self_attn.k_proj.bias"],
            "blocks.{layer}.attn.k.bias",
        ),
        rule(
            &["{prefix}layers.{layer}.self_attn.v_proj.weight"],
            "blocks.{layer}.attn.v.weight",
        ),
        rule(
            &["{prefix}layers.{layer}.self_attn.v_proj.bias"],
            "blocks.{layer}.attn.v.bias",
        ),
        rule(
            &["{prefix}layers.{layer}.self_attn.o_proj.weight"],
            "blocks.{layer}.attn.out.weight",
        ),
        rule(
            &["{prefix}layers.{layer}.self_attn.o_proj.bias"],
            "blocks.{layer}.attn.out.bias",
        ),
        rule(
            &["{prefix}layers.{layer}.post_attention_layernorm.weight"],
            "blocks.{layer}.mlp.norm.weight",
        ),
        rule(
            &["{prefix}layers.{layer}.mlp.gate_proj.weight"],
            "blocks.{layer}.mlp.gate.weight",
        ),
        rule(
            &["{prefix}layers.{layer}.mlp.gate_proj.bias"],
            "blocks.{layer}.mlp.gate.bias",
        ),
        rule(
            &["{prefix}layers.{layer}.mlp.up_proj.weight"],
            "blocks.{layer}.mlp.up.weight",
        ),
        rule(
            &["{prefix}layers.{layer}.mlp.up_proj.bias"],
            "blocks.{layer}.mlp.up.bias",
        ),
        rule(
            &["{prefix}layers.{layer}.mlp.down_proj.weight"],
            "blocks.{layer}.mlp.out.weight",
        ),
        rule(
            &["{prefix}layers.{layer}.mlp.down_proj.bias"],
            "blocks.{layer}.mlp.out.bias",
        ),
        rule(&["{prefix}norm.weight"], "final_norm.weight"),
        rule(&["lm_head.weight"], "head.weight"),
    ],
    prefixes: &["model.", ""],
    drops: &[
        Drop {
            hub: "{prefix}layers.{layer}.self_attn.rotary_emb.inv_freq",
            when: When::Always,
        },
        Drop {
            hub: "lm_head.weight",
            when: When::SameAs("{prefix}embed_tokens.weight"),
        },
    ],
};
