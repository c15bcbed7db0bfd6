//! Fused layers of AMPLIFY.

use crate::checkpoint::mapping::{By, Drop, Layout, Pad, Rule, Table};

/// AMPLIFY.
pub(crate) const AMPLIFY: Table = Table {
    rules: &[&[
        Rule::same(&["amplify.encoder.weight"], &["token_embedding.weight"]).padded(Pad::Zero),
        Rule::same(&["amplify.layer_norm_1.weight"], &["embed.norm.weight"]),
        Rule::new(
            &["amplify.transformer_encoder.{layer}.self_attention.layernorm_qkv.weight"],
            &[
                "blocks.{layer}.attn.q.weight",
                "blocks.{layer}.attn.k.weight",
                "blocks.{layer}.attn.v.weight",
            ],
            Layout::Grouped(By::Head),
        ),
        Rule::new(
            &["amplify.transformer_encoder.{layer}.self_attention.layernorm_qkv.bias"],
            &[
                "blocks.{layer}.attn.q.bias",
                "blocks.{layer}.attn.k.bias",
                "blocks.{layer}.attn.v.bias",
            ],
            Layout::Grouped(By::Head),
        ),
        Rule::same(
            &["amplify.transformer_encoder.{layer}.self_attention.layernorm_qkv.layer_norm_weight"],
            &["blocks.{layer}.attn.norm.weight"],
        ),
        Rule::same(
            &["amplify.transformer_encoder.{layer}.self_attention.proj.weight"],
            &["blocks.{layer}.attn.out.weight"],
        ),
        Rule::same(
            &["amplify.transformer_encoder.{layer}.self_attention.proj.bias"],
            &["blocks.{layer}.attn.out.bias"],
        ),
        Rule::same(
            &["amplify.transformer_encoder.{layer}.layernorm_mlp.layer_norm_weight"],
            &["blocks.{layer}.mlp.norm.weight"],
        ),
        Rule::new(
            &["amplify.transformer_encoder.{layer}.layernorm_mlp.fc1_weight"],
            &[
                "blocks.{layer}.mlp.gate.weight",
                "blocks.{layer}.mlp.up.weight",
            ],
            Layout::Grouped(By::Part),
        ),
        Rule::same(
            &["amplify.transformer_encoder.{layer}.layernorm_mlp.fc2_weight"],
            &["blocks.{layer}.mlp.out.weight"],
        ),
        Rule::new(
            &["amplify.transformer_encoder.{layer}.layernorm_mlp.fc1_bias"],
            &["blocks.{layer}.mlp.gate.bias", "blocks.{layer}.mlp.up.bias"],
            Layout::Grouped(By::Part),
        ),
        Rule::same(
            &["amplify.transformer_encoder.{layer}.layernorm_mlp.fc2_bias"],
            &["blocks.{layer}.mlp.out.bias"],
        ),
        Rule::same(&["decoder.layer_norm_weight"], &["final_norm.weight"]),
        Rule::same(&["decoder.weight"], &["head.weight"]).padded(Pad::Zero),
        Rule::same(&["decoder.bias"], &["head.bias"]).padded(Pad::Least),
    ]],
    prefixes: &[""],
    drops: &[
        Drop::always(
            "amplify.transformer_encoder.{layer}.self_attention.layernorm_qkv._extra_state",
        ),
        Drop::always("amplify.transformer_encoder.{layer}.self_attention.proj._extra_state"),
        Drop::always(
            "amplify.transformer_encoder.{layer}.self_attention.core_attention._extra_state",
        ),
        Drop::always("amplify.transformer_encoder.{layer}.layernorm_mlp._extra_state"),
        Drop::always("decoder._extra_state"),
    ],
};
