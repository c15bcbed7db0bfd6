//! Fused layers of decoders.

use crate::checkpoint::mapping::{By, Drop, Layout, Rule, Table};

const PREFIXES: &[&str] = &[""];

/// What all of them have.
const COMMON: &[Rule] = &[
    Rule::same(&["model.embed_tokens.weight"], &["token_embedding.weight"]),
    Rule::same(
        &["model.layers.{layer}.self_attention.layernorm_qkv.layer_norm_weight"],
        &["blocks.{layer}.attn.norm.weight"],
    ),
    Rule::new(
        &["model.layers.{layer}.self_attention.layernorm_qkv.weight"],
        &[
            "blocks.{layer}.attn.q.weight",
            "blocks.{layer}.attn.k.weight",
            "blocks.{layer}.attn.v.weight",
        ],
        Layout::Grouped(By::KvHead),
    ),
    Rule::new(
        &["model.layers.{layer}.self_attention.layernorm_qkv.bias"],
        &[
            "blocks.{layer}.attn.q.bias",
            "blocks.{layer}.attn.k.bias",
            "blocks.{layer}.attn.v.bias",
        ],
        Layout::Grouped(By::KvHead),
    ),
    Rule::same(
        &["model.layers.{layer}.self_attention.proj.weight"],
        &["blocks.{layer}.attn.out.weight"],
    ),
    Rule::same(
        &["model.layers.{layer}.self_attention.proj.bias"],
        &["blocks.{layer}.attn.out.bias"],
    ),
    Rule::same(
        &["model.layers.{layer}.self_attention.q_norm.weight"],
        &["blocks.{layer}.attn.q_norm.weight"],
    ),
    Rule::same(
        &["model.layers.{layer}.self_attention.k_norm.weight"],
        &["blocks.{layer}.attn.k_norm.weight"],
    ),
    Rule::same(&["model.norm.weight"], &["final_norm.weight"]),
    Rule::same(&["lm_head.weight"], &["head.weight"]),
];

/// The gated layer of Llama.
const FEED_FORWARD: &[Rule] = &[
    Rule::same(
        &["model.layers.{layer}.layernorm_mlp.layer_norm_weight"],
        &["blocks.{layer}.mlp.norm.weight"],
    ),
    Rule::new(
        &["model.layers.{layer}.layernorm_mlp.fc1_weight"],
        &[
            "blocks.{layer}.mlp.gate.weight",
            "blocks.{layer}.mlp.up.weight",
        ],
        Layout::Grouped(By::Part),
    ),
    Rule::same(
        &["model.layers.{layer}.layernorm_mlp.fc2_weight"],
        &["blocks.{layer}.mlp.out.weight"],
    ),
    Rule::new(
        &["model.layers.{layer}.layernorm_mlp.fc1_bias"],
        &["blocks.{layer}.mlp.gate.bias", "blocks.{layer}.mlp.up.bias"],
        Layout::Grouped(By::Part),
    ),
    Rule::same(
        &["model.layers.{layer}.layernorm_mlp.fc2_bias"],
        &["blocks.{layer}.mlp.out.bias"],
    ),
];

/// The experts of Mixtral.
const EXPERTS: &[Rule] = &[
    Rule::same(
        &["model.layers.{layer}.post_attention_layernorm.weight"],
        &["blocks.{layer}.mlp.norm.weight"],
    ),
    Rule::same(
        &["model.layers.{layer}.mlp.gate.weight"],
        &["blocks.{layer}.mlp.router.weight"],
    ),
    Rule::new(
        &["model.layers.{layer}.mlp.experts.gate_up_proj"],
        &[
            "blocks.{layer}.mlp.experts.gate",
            "blocks.{layer}.mlp.experts.up",
        ],
        Layout::Grouped(By::Expert),
    ),
    Rule::same(
        &["model.layers.{layer}.mlp.experts.down_proj"],
        &["blocks.{layer}.mlp.experts.out"],
    ),
];

const DROPS: &[Drop] = &[
    Drop::always("model.layers.{layer}.self_attention.layernorm_qkv._extra_state"),
    Drop::always("model.layers.{layer}.self_attention.proj._extra_state"),
    Drop::always("model.layers.{layer}.self_attention.core_attention._extra_state"),
    Drop::always("model.layers.{layer}.layernorm_mlp._extra_state"),
    Drop::always("model.norm._extra_state"),
    Drop::always("lm_head._extra_state"),
    Drop::zeros("model.layers.{layer}.self_attention.layernorm_qkv.bias"),
    Drop::zeros("model.layers.{layer}.self_attention.proj.bias"),
    Drop::zeros("model.layers.{layer}.layernorm_mlp.fc1_bias"),
    Drop::zeros("model.layers.{layer}.layernorm_mlp.fc2_bias"),
    Drop::always("model.rotary_emb.inv_freq"),
    Drop::same_as("lm_head.weight", "model.embed_tokens.weight"),
];

/// Llama, Mistral and Qwen: query, key and value by key-value group.
pub(crate) const LLAMA: Table = Table {
    rules: &[COMMON, FEED_FORWARD],
    prefixes: PREFIXES,
    drops: DROPS,
};

/// Mixtral: the experts of a layer in two tensors.
pub(crate) const MIXTRAL: Table = Table {
    rules: &[COMMON, EXPERTS],
    prefixes: PREFIXES,
    drops: DROPS,
};
