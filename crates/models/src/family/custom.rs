//! `custom_transformer`: post-norm blocks, erf GELU, no biases in the linear maps, learned
//! positions, untied head; all weights multiply from the right and are stacked over the blocks in
//! checkpoints.

use crate::checkpoint::mapping::{Layout, Rule, Table};
use crate::net::{Net, Outputs, Weight};
use crate::spec::CustomSpec;
use tenon_engine::graph::Part;
use tenon_engine::ops::WeightLayout;
use tenon_engine::table::{Activation, AttentionDims};
use tenon_engine::{Graph, Init};

const NORM_EPS: f64 = 1e-5;

/// Builds the graph. Fresh weights are normal with standard deviation `√(1/fan_in)`.
pub(super) fn graph(spec: &CustomSpec, outputs: &Outputs) -> Graph {
    let &CustomSpec {
        vocab_size,
        max_seq_len,
        n_blocks,
        n_heads,
        d_model: d,
        d_ffn,
    } = spec;
    let init = Init::Normal((d as f64).recip().sqrt());
    let mut net = Net::new(outputs);
    let tokens = Weight {
        name: "token_embedding.weight",
        part: Part::TokenEmbedding,
        init,
    };
    let tokens = net.weight(tokens, &[vocab_size, d]);
    let positions = Weight {
        name: "position_embedding.weight",
        part: Part::PositionEmbedding,
        init,
    };
    let positions = net.weight(positions, &[max_seq_len, d]);
    let x = net.tokens(tokens);
    let x = net.add_positions(x, positions, 0);
    let mut x = net.dropout(x, "embed.dropout");
    let head_dim = d / n_heads;
    let scale = (head_dim as f64).recip().sqrt();
    let dims = AttentionDims {
        n_heads,
        n_kv_heads: n_heads,
        head_dim,
        scale,
        causal: true,
        window: None,
    };
    let right = WeightLayout::InOut;
    for layer in 0..n_blocks {
        net.hidden_state(layer, x);
        net.enter_block(layer);
        let qkv = [
            ("attn.q", Part::Query),
            ("attn.k", Part::Key),
            ("attn.v", Part::Value),
        ]
        .map(|(name, part)| net.linear(x, Weight { name, part, init }, [d, d], right, false));
        let y = net.attention(&qkv, dims);
        let w = Weight {
            name: "attn.out",
            part: Part::AttentionOut,
            init,
        };
        let y = net.linear(y, w, [d, d], right, false);
        let y = net.residual(x, y, "attn");
        let y = net.layer_norm(y, "attn.norm", NORM_EPS);
        let w = Weight {
            name: "mlp.in",
            part: Part::FeedForwardIn,
            init,
        };
        let h = net.linear(y, w, [d, d_ffn], right, false);
        let h = net.activate(h, Activation::GeluErf);
        let init = Init::Normal((d_ffn as f64).recip().sqrt());
        let w = Weight {
            name: "mlp.out",
            part: Part::FeedForwardOut,
            init,
        };
        let h = net.linear(h, w, [d_ffn, d], right, false);
        let y = net.residual(y, h, "mlp");
        x = net.layer_norm(y, "mlp.norm", NORM_EPS);
    }
    net.leave_blocks();
    net.hidden_state(n_blocks, x);
    let head = net.weight(
        Weight {
            name: "head.weight",
            part: Part::Head,
            init,
        },
        &[d, vocab_size],
    );
    net.head(x, head, right)
}

const fn stacked(hub: &'static [&'static str], ours: &'static [&'static str]) -> Rule {
    Rule::new(hub, ours, Layout::Stacked)
}

/// The 13 tensors of a checkpoint.
pub(super) const TABLE: Table = Table {
    rules: &[&[
        Rule::same(&["vocab_embedding"], &["token_embedding.weight"]),
        Rule::same(&["pos_embedding"], &["position_embedding.weight"]),
        stacked(&["Q"], &["blocks.{layer}.attn.q.weight"]),
        stacked(&["K"], &["blocks.{layer}.attn.k.weight"]),
        stacked(&["V"], &["blocks.{layer}.attn.v.weight"]),
        stacked(&["W_o"], &["blocks.{layer}.attn.out.weight"]),
        stacked(&["attention_gamma"], &["blocks.{layer}.attn.norm.weight"]),
        stacked(&["attention_beta"], &["blocks.{layer}.attn.norm.bias"]),
        stacked(&["W1"], &["blocks.{layer}.mlp.in.weight"]),
        stacked(&["W2"], &["blocks.{layer}.mlp.out.weight"]),
        stacked(&["ffn_gamma"], &["blocks.{layer}.mlp.norm.weight"]),
        stacked(&["ffn_beta"], &["blocks.{layer}.mlp.norm.bias"]),
        Rule::same(&["output_projection"], &["head.weight"]),
    ]],
    prefixes: &[""],
    drops: &[],
};
