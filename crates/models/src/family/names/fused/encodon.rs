//! Fused layers of EnCodon.

use crate::checkpoint::mapping::{By, Drop, Layout, Pad, Rule, Table};

/// EnCodon under the names of NVIDIA's conversion: its inner norms stand before the matrices that
/// end the branches. Its embedding has no rows beyond the vocabulary.
pub(crate) const ENCODON: Table = Table {
    rules: &[&[
        Rule::same(
            &["{prefix}embeddings.word_embeddings.weight"],
            &["token_embedding.weight"],
        ),
        Rule::same(
            &["{prefix}embeddings.post_ln.weight"],
            &["embed.norm.weight"],
        ),
        Rule::same(&["{prefix}embeddings.post_ln.bias"], &["embed.norm.bias"]),
        Rule::same(
            &["{prefix}layers.{layer}.self_attention.layernorm_qkv.layer_norm_weight"],
            &["blocks.{layer}.attn.norm.weight"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.self_attention.layernorm_qkv.layer_norm_bias"],
            &["blocks.{layer}.attn.norm.bias"],
        ),
        Rule::new(
            &["{prefix}layers.{layer}.self_attention.layernorm_qkv.weight"],
            &[
                "blocks.{layer}.attn.q.weight",
                "blocks.{layer}.attn.k.weight",
                "blocks.{layer}.attn.v.weight",
            ],
            Layout::Grouped(By::Head),
        ),
        Rule::new(
            &["{prefix}layers.{layer}.self_attention.layernorm_qkv.bias"],
            &[
                "blocks.{layer}.attn.q.bias",
                "blocks.{layer}.attn.k.bias",
                "blocks.{layer}.attn.v.bias",
            ],
            Layout::Grouped(By::Head),
        ),
        Rule::same(
            &["{prefix}layers.{layer}.self_attention.proj.layer_norm_weight"],
            &["blocks.{layer}.attn.inner_norm.weight"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.self_attention.proj.layer_norm_bias"],
            &["blocks.{layer}.attn.inner_norm.bias"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.self_attention.proj.weight"],
            &["blocks.{layer}.attn.out.weight"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.self_attention.proj.bias"],
            &["blocks.{layer}.attn.out.bias"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.mlp_fc1.layer_norm_weight"],
            &["blocks.{layer}.mlp.norm.weight"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.mlp_fc1.layer_norm_bias"],
            &["blocks.{layer}.mlp.norm.bias"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.mlp_fc1.weight"],
            &["blocks.{layer}.mlp.in.weight"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.mlp_fc1.bias"],
            &["blocks.{layer}.mlp.in.bias"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.mlp_fc2.layer_norm_weight"],
            &["blocks.{layer}.mlp.inner_norm.weight"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.mlp_fc2.layer_norm_bias"],
            &["blocks.{layer}.mlp.inner_norm.bias"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.mlp_fc2.weight"],
            &["blocks.{layer}.mlp.out.weight"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.mlp_fc2.bias"],
            &["blocks.{layer}.mlp.out.bias"],
        ),
        Rule::same(&["{prefix}cls.0.weight"], &["head.dense.weight"]),
        Rule::same(&["{prefix}cls.0.bias"], &["head.dense.bias"]),
        Rule::same(&["{prefix}cls.2.layer_norm_weight"], &["head.norm.weight"]),
        Rule::same(&["{prefix}cls.2.layer_norm_bias"], &["head.norm.bias"]),
        Rule::same(&["{prefix}cls.2.weight"], &["head.weight"]).padded(Pad::Zero),
        Rule::same(&["{prefix}cls.2.bias"], &["head.bias"]).padded(Pad::Least),
    ]],
    prefixes: &["", "model."],
    drops: &[
        Drop::always("{prefix}layers.{layer}.self_attention.layernorm_qkv._extra_state"),
        Drop::always("{prefix}layers.{layer}.self_attention.core_attention._extra_state"),
        Drop::always("{prefix}layers.{layer}.self_attention.proj._extra_state"),
        Drop::always("{prefix}layers.{layer}.mlp_fc1._extra_state"),
        Drop::always("{prefix}layers.{layer}.mlp_fc2._extra_state"),
        Drop::always("{prefix}cls.0._extra_state"),
        Drop::always("{prefix}cls.2._extra_state"),
        Drop::always("{prefix}rotary_embeddings.inv_freq"),
    ],
};
