//! Tensors of Llama and its relatives.

use crate::checkpoint::mapping::{Drop, Layout, Rule, Table};

const PREFIXES: &[&str] = &["model.", ""];

/// What all of them have.
const COMMON: &[Rule] = &[
    Rule::same(
        &["{prefix}embed_tokens.weight"],
        &["token_embedding.weight"],
    ),
    Rule::same(
        &["{prefix}layers.{layer}.input_layernorm.weight"],
        &["blocks.{layer}.attn.norm.weight"],
    ),
    Rule::same(
        &["{prefix}layers.{layer}.self_attn.q_proj.weight"],
        &["blocks.{layer}.attn.q.weight"],
    ),
    Rule::same(
        &["{prefix}layers.{layer}.self_attn.q_proj.bias"],
        &["blocks.{layer}.attn.q.bias"],
    ),
    Rule::same(
        &["{prefix}layers.{layer}.self_attn.k_proj.weight"],
        &["blocks.{layer}.attn.k.weight"],
    ),
    Rule::same(
        &["{prefix}layers.{layer}.self_attn.k_proj.bias"],
        &["blocks.{layer}.attn.k.bias"],
    ),
    Rule::same(
        &["{prefix}layers.{layer}.self_attn.v_proj.weight"],
        &["blocks.{layer}.attn.v.weight"],
    ),
    Rule::same(
        &["{prefix}layers.{layer}.self_attn.v_proj.bias"],
        &["blocks.{layer}.attn.v.bias"],
    ),
    Rule::same(
        &["{prefix}layers.{layer}.self_attn.o_proj.weight"],
        &["blocks.{layer}.attn.out.weight"],
    ),
    Rule::same(
        &["{prefix}layers.{layer}.self_attn.o_proj.bias"],
        &["blocks.{layer}.attn.out.bias"],
    ),
    Rule::same(
        &["{prefix}layers.{layer}.self_attn.q_norm.weight"],
        &["blocks.{layer}.attn.q_norm.weight"],
    ),
    Rule::same(
        &["{prefix}layers.{layer}.self_attn.k_norm.weight"],
        &["blocks.{layer}.attn.k_norm.weight"],
    ),
    Rule::same(
        &["{prefix}layers.{layer}.post_attention_layernorm.weight"],
        &["blocks.{layer}.mlp.norm.weight"],
    ),
    Rule::same(&["{prefix}norm.weight"], &["final_norm.weight"]),
    Rule::same(&["lm_head.weight"], &["head.weight"]),
];

/// The gated layer of Llama.
const FEED_FORWARD: &[Rule] = &[
    Rule::same(
        &["{prefix}layers.{layer}.mlp.gate_proj.weight"],
        &["blocks.{layer}.mlp.gate.weight"],
    ),
    Rule::same(
        &["{prefix}layers.{layer}.mlp.gate_proj.bias"],
        &["blocks.{layer}.mlp.gate.bias"],
    ),
    Rule::same(
        &["{prefix}layers.{layer}.mlp.up_proj.weight"],
        &["blocks.{layer}.mlp.up.weight"],
    ),
    Rule::same(
        &["{prefix}layers.{layer}.mlp.up_proj.bias"],
        &["blocks.{layer}.mlp.up.bias"],
    ),
    Rule::same(
        &["{prefix}layers.{layer}.mlp.down_proj.weight"],
        &["blocks.{layer}.mlp.out.weight"],
    ),
    Rule::same(
        &["{prefix}layers.{layer}.mlp.down_proj.bias"],
        &["blocks.{layer}.mlp.out.bias"],
    ),
];

/// The experts of Mixtral.
const EXPERTS: &[Rule] = &[
    Rule::same(
        &["{prefix}layers.{layer}.block_sparse_moe.gate.weight"],
        &["blocks.{layer}.mlp.router.weight"],
    ),
    Rule::new(
        &["{prefix}layers.{layer}.block_sparse_moe.experts.{expert}.w1.weight"],
        &["blocks.{layer}.mlp.experts.gate"],
        Layout::Members,
    ),
    Rule::new(
        &["{prefix}layers.{layer}.block_sparse_moe.experts.{expert}.w3.weight"],
        &["blocks.{layer}.mlp.experts.up"],
        Layout::Members,
    ),
    Rule::new(
        &["{prefix}layers.{layer}.block_sparse_moe.experts.{expert}.w2.weight"],
        &["blocks.{layer}.mlp.experts.out"],
        Layout::Members,
    ),
];

const DROPS: &[Drop] = &[
    Drop::always("{prefix}layers.{layer}.self_attn.rotary_emb.inv_freq"),
    Drop::always("{prefix}rotary_emb.inv_freq"),
    Drop::same_as("lm_head.weight", "{prefix}embed_tokens.weight"),
];

/// Llama, Mistral and Qwen; a model has the biases and norms that its spec says.
pub(crate) const LLAMA: Table = Table {
    rules: &[COMMON, FEED_FORWARD],
    prefixes: PREFIXES,
    drops: DROPS,
};

/// Mixtral: a router and a tensor for each of an expert's three matrices.
pub(crate) const MIXTRAL: Table = Table {
    rules: &[COMMON, EXPERTS],
    prefixes: PREFIXES,
    drops: DROPS,
};
