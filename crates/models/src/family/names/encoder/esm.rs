//! Tensors of ESM-2.

use crate::checkpoint::mapping::{Drop, Rule, Table, When};

/// ESM-2; the contact head belongs to another task. Version 5 of `transformers` writes norms as
/// `gamma` and `beta`, and the frequencies under a name with a star.
pub(crate) const ESM: Table = Table {
    rules: &[&[
        Rule::same(
            &["{prefix}embeddings.word_embeddings.weight"],
            &["token_embedding.weight"],
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
            &["{prefix}encoder.layer.{layer}.attention.self.query.weight"],
            &["blocks.{layer}.attn.q.weight"],
        ),
        Rule::same(
            &["{prefix}encoder.layer.{layer}.attention.self.query.bias"],
            &["blocks.{layer}.attn.q.bias"],
        ),
        Rule::same(
            &["{prefix}encoder.layer.{layer}.attention.self.key.weight"],
            &["blocks.{layer}.attn.k.weight"],
        ),
        Rule::same(
            &["{prefix}encoder.layer.{layer}.attention.self.key.bias"],
            &["blocks.{layer}.attn.k.bias"],
        ),
        Rule::same(
            &["{prefix}encoder.layer.{layer}.attention.self.value.weight"],
            &["blocks.{layer}.attn.v.weight"],
        ),
        Rule::same(
            &["{prefix}encoder.layer.{layer}.attention.self.value.bias"],
            &["blocks.{layer}.attn.v.bias"],
        ),
        Rule::same(
            &["{prefix}encoder.layer.{layer}.attention.output.dense.weight"],
            &["blocks.{layer}.attn.out.weight"],
        ),
        Rule::same(
            &["{prefix}encoder.layer.{layer}.attention.output.dense.bias"],
            &["blocks.{layer}.attn.out.bias"],
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
            &["{prefix}encoder.layer.{layer}.intermediate.dense.weight"],
            &["blocks.{layer}.mlp.in.weight"],
        ),
        Rule::same(
            &["{prefix}encoder.layer.{layer}.intermediate.dense.bias"],
            &["blocks.{layer}.mlp.in.bias"],
        ),
        Rule::same(
            &["{prefix}encoder.layer.{layer}.output.dense.weight"],
            &["blocks.{layer}.mlp.out.weight"],
        ),
        Rule::same(
            &["{prefix}encoder.layer.{layer}.output.dense.bias"],
            &["blocks.{layer}.mlp.out.bias"],
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
    ]],
    prefixes: &["esm.", ""],
    drops: &[
        Drop {
            hub: "{prefix}embeddings.position_ids",
            when: When::Always,
        },
        Drop {
            hub: "{prefix}embeddings.position_embeddings.weight",
            when: When::Always,
        },
        Drop {
            hub: "{prefix}encoder.layer.{layer}.attention.self.rotary_embeddings.inv_freq",
            when: When::Always,
        },
        Drop {
            hub: "{prefix}encoder.layer.*.attention.self.rotary_embeddings.inv_freq",
            when: When::Always,
        },
        Drop {
            hub: "{prefix}rotary_embeddings.inv_freq",
            when: When::Always,
        },
        Drop {
            hub: "{prefix}contact_head.regression.weight",
            when: When::Always,
        },
        Drop {
            hub: "{prefix}contact_head.regression.bias",
            when: When::Always,
        },
        Drop {
            hub: "{prefix}pooler.dense.weight",
            when: When::Always,
        },
        Drop {
            hub: "{prefix}pooler.dense.bias",
            when: When::Always,
        },
        Drop {
            hub: "lm_head.decoder.weight",
            when: When::SameAs("{prefix}embeddings.word_embeddings.weight"),
        },
        Drop {
            hub: "lm_head.decoder.bias",
            when: When::SameAs("lm_head.bias"),
        },
    ],
};
