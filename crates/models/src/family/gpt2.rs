//! GPT-2 (Radford et al. 2019): pre-norm blocks, learned positions, biases everywhere, weights
//! `[in, out]`.

use crate::checkpoint::mapping::{Drop, Rule, Table};
use crate::net::{Net, Outputs, Weight};
use crate::spec::{Activation as Name, Gpt2Spec};
use tenon_engine::graph::Part;
use tenon_engine::ops::WeightLayout;
use tenon_engine::table::{Activation, AttentionDims};
use tenon_engine::{Graph, Init};

/// Builds the graph. Fresh weights are normal with the spec's standard deviation, those that end a
/// residual branch scaled by `1/√(2·layers)`, as the reference does.
pub(super) fn graph(spec: &Gpt2Spec, outputs: &Outputs) -> Graph {
    let &Gpt2Spec {
        d_model: d,
        n_layers,
        n_heads,
        d_ffn,
        norm_eps,
        ..
    } = spec;
    let init = Init::Normal(spec.initializer_range);
    let branch_init = Init::Normal(spec.initializer_range / (2.0 * n_layers as f64).sqrt());
    let mut net = Net::new(outputs);
    let tokens = Weight {
        name: "token_embedding.weight",
        part: Part::TokenEmbedding,
        init,
    };
    let tokens = net.weight(tokens, &[spec.vocab_size, d]);
    let positions = Weight {
        name: "position_embedding.weight",
        part: Part::PositionEmbedding,
        init,
    };
    let positions = net.weight(positions, &[spec.n_positions, d]);
    let x = net.tokens(tokens);
    let x = net.add_positions(x, positions, 0);
    let mut x = net.dropout(x, "embed.dropout");
    let head_dim = d / n_heads;
    let dims = |layer| AttentionDims {
        n_heads,
        n_kv_heads: n_heads,
        head_dim,
        scale: spec.score_scale(layer),
        causal: true,
        window: None,
    };
    let right = WeightLayout::InOut;
    let function = match spec.activation {
        Name::GeluNew => Activation::GeluTanh,
        Name::Gelu => Activation::GeluErf,
        Name::Relu => Activation::Relu,
        Name::Silu => Activation::Silu,
    };
    for layer in 0..n_layers {
        net.hidden_state(layer, x);
        net.enter_block(layer);
        let y = net.layer_norm(x, "attn.norm", norm_eps);
        let qkv = net.linear(
            y,
            Weight {
                name: "attn.qkv",
                part: Part::Qkv,
                init,
            },
            [d, 3 * d],
            right,
            true,
        );
        let y = net.attention(&[qkv], dims(layer));
        let w = Weight {
            name: "attn.out",
            part: Part::AttentionOut,
            init: branch_init,
        };
        let y = net.linear(y, w, [d, d], right, true);
        x = net.residual(x, y, "attn");
        let y = net.layer_norm(x, "mlp.norm", norm_eps);
        let w = Weight {
            name: "mlp.in",
            part: Part::FeedForwardIn,
            init,
        };
        let y = net.linear(y, w, [d, d_ffn], right, true);
        let y = net.activate(y, function);
        let w = Weight {
            name: "mlp.out",
            part: Part::FeedForwardOut,
            init: branch_init,
        };
        let y = net.linear(y, w, [d_ffn, d], right, true);
        x = net.residual(x, y, "mlp");
    }
    net.leave_blocks();
    let x = net.layer_norm(x, "final_norm", norm_eps);
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
    net.head(x, head, WeightLayout::OutIn)
}

/// Names of the reference, with or without the `transformer.` prefix.
pub(super) const TABLE: Table = Table {
    rules: &[&[
        Rule::same(&["{prefix}wte.weight"], &["token_embedding.weight"]),
        Rule::same(&["{prefix}wpe.weight"], &["position_embedding.weight"]),
        Rule::same(
            &["{prefix}h.{layer}.ln_1.weight"],
            &["blocks.{layer}.attn.norm.weight"],
        ),
        Rule::same(
            &["{prefix}h.{layer}.ln_1.bias"],
            &["blocks.{layer}.attn.norm.bias"],
        ),
        Rule::same(
            &["{prefix}h.{layer}.attn.c_attn.weight"],
            &["blocks.{layer}.attn.qkv.weight"],
        ),
        Rule::same(
            &["{prefix}h.{layer}.attn.c_attn.bias"],
            &["blocks.{layer}.attn.qkv.bias"],
        ),
        Rule::same(
            &["{prefix}h.{layer}.attn.c_proj.weight"],
            &["blocks.{layer}.attn.out.weight"],
        ),
        Rule::same(
            &["{prefix}h.{layer}.attn.c_proj.bias"],
            &["blocks.{layer}.attn.out.bias"],
        ),
        Rule::same(
            &["{prefix}h.{layer}.ln_2.weight"],
            &["blocks.{layer}.mlp.norm.weight"],
        ),
        Rule::same(
            &["{prefix}h.{layer}.ln_2.bias"],
            &["blocks.{layer}.mlp.norm.bias"],
        ),
        Rule::same(
            &["{prefix}h.{layer}.mlp.c_fc.weight"],
            &["blocks.{layer}.mlp.in.weight"],
        ),
        Rule::same(
            &["{prefix}h.{layer}.mlp.c_fc.bias"],
            &["blocks.{layer}.mlp.in.bias"],
        ),
        Rule::same(
            &["{prefix}h.{layer}.mlp.c_proj.weight"],
            &["blocks.{layer}.mlp.out.weight"],
        ),
        Rule::same(
            &["{prefix}h.{layer}.mlp.c_proj.bias"],
            &["blocks.{layer}.mlp.out.bias"],
        ),
        Rule::same(&["{prefix}ln_f.weight"], &["final_norm.weight"]),
        Rule::same(&["{prefix}ln_f.bias"], &["final_norm.bias"]),
        Rule::same(&["lm_head.weight"], &["head.weight"]),
    ]],
    prefixes: &["transformer.", ""],
    drops: &[
        Drop::always("{prefix}h.{layer}.attn.bias"),
        Drop::always("{prefix}h.{layer}.attn.masked_bias"),
        Drop::same_as("lm_head.weight", "{prefix}wte.weight"),
    ],
};
