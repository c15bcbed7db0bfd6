//! Tensors of ESM-2 and ESM-1b.

use super::DENSE;
use crate::checkpoint::mapping::{Drop, Rule, Table};

/// ESM-2 and ESM-1b; the contact head belongs to another task. Version 5 of `transformers` writes
/// norms as `gamma` and `beta`, and the frequencies under a name with a star.
pub(crate) const ESM: Table = Table {
    rules: &[
        DENSE,
        &[
            Rule::same(
                &["{prefix}embeddings.word_embeddings.weight"],
                &["token_embedding.weight"],
            ),
            Rule::same(
                &["{prefix}embeddings.position_embeddings.weight"],
                &["position_embedding.weight"],
            ),
            Rule::same(
                &["{prefix}embeddings.layer_norm.weight"],
                &["embed.norm.weight"],
            ),
            Rule::same(
                &["{prefix}embeddings.layer_norm.bias"],
                &["embed.norm.bias"],
            ),
            Rule::same(
                &[
                    "{prefix}encoder.layer.{layer}.attention.LayerNorm.weight",
                    "{prefix}encoder.layer.{layer}.attention.LayerNorm.gamma",
                ],
                &["blocks.{layer}.attn.norm.weight"],
            ),
            Rule::same(
                &[
                    "{prefix}encoder.layer.{layer}.attention.LayerNorm.bias",
                    "{prefix}encoder.layer.{layer}.attention.LayerNorm.beta",
                ],
                &["blocks.{layer}.attn.norm.bias"],
            ),
            Rule::same(
                &[
                    "{prefix}encoder.layer.{layer}.LayerNorm.weight",
                    "{prefix}encoder.layer.{layer}.LayerNorm.gamma",
                ],
                &["blocks.{layer}.mlp.norm.weight"],
            ),
            Rule::same(
                &[
                    "{prefix}encoder.layer.{layer}.LayerNorm.bias",
                    "{prefix}encoder.layer.{layer}.LayerNorm.beta",
                ],
                &["blocks.{layer}.mlp.norm.bias"],
            ),
            Rule::same(
                &["{prefix}encoder.emb_layer_norm_after.weight"],
                &["final_norm.weight"],
            ),
            Rule::same(
                &["{prefix}encoder.emb_layer_norm_after.bias"],
                &["final_norm.bias"],
            ),
            Rule::same(&["lm_head.dense.weight"], &["head.dense.weight"]),
            Rule::same(&["lm_head.dense.bias"], &["head.dense.bias"]),
            Rule::same(&["lm_head.layer_norm.weight"], &["head.norm.weight"]),
            Rule::same(&["lm_head.layer_norm.bias"], &["head.norm.bias"]),
            Rule::same(&["lm_head.decoder.weight"], &["head.weight"]),
            Rule::same(&["lm_head.bias"], &["head.bias"]),
            Rule::same(&["classifier.dense.weight"], &["head.pool.weight"]),
            Rule::same(&["classifier.dense.bias"], &["head.pool.bias"]),
            Rule::same(&["classifier.out_proj.weight"], &["head.sequence.weight"]),
            Rule::same(&["classifier.out_proj.bias"], &["head.sequence.bias"]),
            Rule::same(&["classifier.weight"], &["head.token.weight"]),
            Rule::same(&["classifier.bias"], &["head.token.bias"]),
        ],
    ],
    prefixes: &["esm.", ""],
    drops: &[
        Drop::always("{prefix}embeddings.position_ids"),
        Drop::always("{prefix}embeddings.position_embeddings.weight"),
        Drop::always("{prefix}encoder.layer.{layer}.attention.self.rotary_embeddings.inv_freq"),
        Drop::always("{prefix}encoder.layer.*.attention.self.rotary_embeddings.inv_freq"),
        Drop::always("{prefix}rotary_embeddings.inv_freq"),
        Drop::always("{prefix}contact_head.regression.weight"),
        Drop::always("{prefix}contact_head.regression.bias"),
        Drop::always("{prefix}pooler.dense.weight"),
        Drop::always("{prefix}pooler.dense.bias"),
        Drop::same_as(
            "lm_head.decoder.weight",
            "{prefix}embeddings.word_embeddings.weight",
        ),
        Drop::same_as("lm_head.decoder.bias", "lm_head.bias"),
    ],
};
