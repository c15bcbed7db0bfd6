//! Fused layers of ESM-2.

use crate::checkpoint::mapping::{By, Drop, Layout, Pad, Rule, Table};

/// ESM-2.
pub(crate) const ESM: Table = Table {
    rules: &[&[
        Rule::same(
            &["model.embeddings.word_embeddings.weight"],
            &["token_embedding.weight"],
        )
        .padded(Pad::Zero),
        Rule::same(
            &["model.embeddings.layer_norm.weight"],
            &["embed.norm.weight"],
        ),
        Rule::same(&["model.embeddings.layer_norm.bias"], &["embed.norm.bias"]),
        Rule::new(
            &["model.encoder.layers.{layer}.self_attention.layernorm_qkv.weight"],
            &[
                "blocks.{layer}.attn.q.weight",
                "blocks.{layer}.attn.k.weight",
                "blocks.{layer}.attn.v.weight",
            ],
            Layout::Grouped(By::Head),
        ),
        Rule::new(
            &["model.encoder.layers.{layer}.self_attention.layernorm_qkv.bias"],
            &[
                "blocks.{layer}.attn.q.bias",
                "blocks.{layer}.attn.k.bias",
                "blocks.{layer}.attn.v.bias",
            ],
            Layout::Grouped(By::Head),
        ),
        Rule::same(
            &["model.encoder.layers.{layer}.self_attention.layernorm_qkv.layer_norm_weight"],
            &["blocks.{layer}.attn.norm.weight"],
        ),
        Rule::same(
            &["model.encoder.layers.{layer}.self_attention.proj.weight"],
            &["blocks.{layer}.attn.out.weight"],
        ),
        Rule::same(
            &["model.encoder.layers.{layer}.layernorm_mlp.layer_norm_weight"],
            &["blocks.{layer}.mlp.norm.weight"],
        ),
        Rule::same(
            &["model.encoder.layers.{layer}.layernorm_mlp.fc1_weight"],
            &["blocks.{layer}.mlp.in.weight"],
        ),
        Rule::same(
            &["model.encoder.layers.{layer}.layernorm_mlp.fc2_weight"],
            &["blocks.{layer}.mlp.out.weight"],
        ),
        Rule::same(
            &["model.encoder.emb_layer_norm_after.weight"],
            &["final_norm.weight"],
        ),
        Rule::same(&["lm_head.dense.weight"], &["head.dense.weight"]),
        Rule::same(
            &["lm_head.decoder.layer_norm_weight"],
            &["head.norm.weight"],
        ),
        Rule::same(
            &["model.encoder.layers.{layer}.self_attention.layernorm_qkv.layer_norm_bias"],
            &["blocks.{layer}.attn.norm.bias"],
        ),
        Rule::same(
            &["model.encoder.layers.{layer}.self_attention.proj.bias"],
            &["blocks.{layer}.attn.out.bias"],
        ),
        Rule::same(
            &["model.encoder.layers.{layer}.layernorm_mlp.layer_norm_bias"],
            &["blocks.{layer}.mlp.norm.bias"],
        ),
        Rule::same(
            &["model.encoder.layers.{layer}.layernorm_mlp.fc1_bias"],
            &["blocks.{layer}.mlp.in.bias"],
        ),
        Rule::same(
            &["model.encoder.layers.{layer}.layernorm_mlp.fc2_bias"],
            &["blocks.{layer}.mlp.out.bias"],
        ),
        Rule::same(
            &["model.encoder.emb_layer_norm_after.bias"],
            &["final_norm.bias"],
        ),
        Rule::same(&["lm_head.dense.bias"], &["head.dense.bias"]),
        Rule::same(&["lm_head.decoder.layer_norm_bias"], &["head.norm.bias"]),
        Rule::same(&["lm_head.decoder.weight"], &["head.weight"]).padded(Pad::Zero),
        Rule::same(&["lm_head.decoder.bias"], &["head.bias"]).padded(Pad::Least),
    ]],
    prefixes: &[""],
    drops: &[
        Drop::always("model.encoder.layers.{layer}.self_attention.layernorm_qkv._extra_state"),
        Drop::always("model.encoder.layers.{layer}.self_attention.proj._extra_state"),
        Drop::always("model.encoder.layers.{layer}.self_attention.core_attention._extra_state"),
        Drop::always("model.encoder.layers.{layer}.layernorm_mlp._extra_state"),
        Drop::always("lm_head.dense._extra_state"),
        Drop::always("lm_head.decoder._extra_state"),
        Drop::always("model.encoder.emb_layer_norm_after._extra_state"),
        Drop::always("model.encoder.rotary_embeddings.inv_freq"),
        Drop::same_as(
            "lm_head.decoder.weight",
            "model.embeddings.word_embeddings.weight",
        ),
    ],
};
