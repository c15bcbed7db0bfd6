//! Tensors of AMPLIFY.

use crate::checkpoint::mapping::{By, Drop, Layout, Rule, Table};

/// AMPLIFY; gate and up are rows of one matrix.
pub(crate) const AMPLIFY: Table = Table {
    rules: &[&[
        Rule::same(&["encoder.weight"], &["token_embedding.weight"]),
        Rule::same(&["layer_norm_1.weight"], &["embed.norm.weight"]),
        Rule::same(
            &["transformer_encoder.{layer}.attention_norm.weight"],
            &["blocks.{layer}.attn.norm.weight"],
        ),
        Rule::same(
            &["transformer_encoder.{layer}.q.weight"],
            &["blocks.{layer}.attn.q.weight"],
        ),
        Rule::same(
            &["transformer_encoder.{layer}.q.bias"],
            &["blocks.{layer}.attn.q.bias"],
        ),
        Rule::same(
            &["transformer_encoder.{layer}.k.weight"],
            &["blocks.{layer}.attn.k.weight"],
        ),
        Rule::same(
            &["transformer_encoder.{layer}.k.bias"],
            &["blocks.{layer}.attn.k.bias"],
        ),
        Rule::same(
            &["transformer_encoder.{layer}.v.weight"],
            &["blocks.{layer}.attn.v.weight"],
        ),
        Rule::same(
            &["transformer_encoder.{layer}.v.bias"],
            &["blocks.{layer}.attn.v.bias"],
        ),
        Rule::same(
            &["transformer_encoder.{layer}.wo.weight"],
            &["blocks.{layer}.attn.out.weight"],
        ),
        Rule::same(
            &["transformer_encoder.{layer}.wo.bias"],
            &["blocks.{layer}.attn.out.bias"],
        ),
        Rule::same(
            &["transformer_encoder.{layer}.ffn_norm.weight"],
            &["blocks.{layer}.mlp.norm.weight"],
        ),
        Rule::new(
            &["transformer_encoder.{layer}.ffn.w12.weight"],
            &[
                "blocks.{layer}.mlp.gate.weight",
                "blocks.{layer}.mlp.up.weight",
            ],
            Layout::Grouped(By::Part),
        ),
        Rule::new(
            &["transformer_encoder.{layer}.ffn.w12.bias"],
            &["blocks.{layer}.mlp.gate.bias", "blocks.{layer}.mlp.up.bias"],
            Layout::Grouped(By::Part),
        ),
        Rule::same(
            &["transformer_encoder.{layer}.ffn.w3.weight"],
            &["blocks.{layer}.mlp.out.weight"],
        ),
        Rule::same(
            &["transformer_encoder.{layer}.ffn.w3.bias"],
            &["blocks.{layer}.mlp.out.bias"],
        ),
        Rule::same(&["layer_norm_2.weight"], &["final_norm.weight"]),
        Rule::same(&["decoder.weight"], &["head.weight"]),
        Rule::same(&["decoder.bias"], &["head.bias"]),
    ]],
    prefixes: &[""],
    drops: &[Drop::always("freqs_cis")],
};
