//! Tensors of EnCodon.

use crate::checkpoint::mapping::{Drop, Rule, Table};

/// EnCodon.
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
            &["{prefix}layers.{layer}.pre_attn_layer_norm.weight"],
            &["blocks.{layer}.attn.norm.weight"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.pre_attn_layer_norm.bias"],
            &["blocks.{layer}.attn.norm.bias"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.attention.query.weight"],
            &["blocks.{layer}.attn.q.weight"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.attention.query.bias"],
            &["blocks.{layer}.attn.q.bias"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.attention.key.weight"],
            &["blocks.{layer}.attn.k.weight"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.attention.key.bias"],
            &["blocks.{layer}.attn.k.bias"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.attention.value.weight"],
            &["blocks.{layer}.attn.v.weight"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.attention.value.bias"],
            &["blocks.{layer}.attn.v.bias"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.post_attn_layer_norm.weight"],
            &["blocks.{layer}.attn.inner_norm.weight"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.post_attn_layer_norm.bias"],
            &["blocks.{layer}.attn.inner_norm.bias"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.post_attn_dense.weight"],
            &["blocks.{layer}.attn.out.weight"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.post_attn_dense.bias"],
            &["blocks.{layer}.attn.out.bias"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.pre_ffn_layer_norm.weight"],
            &["blocks.{layer}.mlp.norm.weight"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.pre_ffn_layer_norm.bias"],
            &["blocks.{layer}.mlp.norm.bias"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.intermediate_dense.weight"],
            &["blocks.{layer}.mlp.in.weight"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.intermediate_dense.bias"],
            &["blocks.{layer}.mlp.in.bias"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.post_ffn_layer_norm.weight"],
            &["blocks.{layer}.mlp.inner_norm.weight"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.post_ffn_layer_norm.bias"],
            &["blocks.{layer}.mlp.inner_norm.bias"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.output_dense.weight"],
            &["blocks.{layer}.mlp.out.weight"],
        ),
        Rule::same(
            &["{prefix}layers.{layer}.output_dense.bias"],
            &["blocks.{layer}.mlp.out.bias"],
        ),
        Rule::same(&["{prefix}cls.0.weight"], &["head.dense.weight"]),
        Rule::same(&["{prefix}cls.0.bias"], &["head.dense.bias"]),
        Rule::same(&["{prefix}cls.2.weight"], &["head.norm.weight"]),
        Rule::same(&["{prefix}cls.2.bias"], &["head.norm.bias"]),
        Rule::same(&["{prefix}cls.3.weight"], &["head.weight"]),
        Rule::same(&["{prefix}cls.3.bias"], &["head.bias"]),
    ]],
    prefixes: &["", "model."],
    drops: &[
        Drop::always("{prefix}layers.{layer}.attention.rotary_embeddings.inv_freq"),
        Drop::always("{prefix}layers.{layer}.attention.rotary_emb.inv_freq"),
        Drop::always("{prefix}layers.{layer}.attention.rotary.inv_freq"),
    ],
};
