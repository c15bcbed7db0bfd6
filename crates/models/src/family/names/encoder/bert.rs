//! Tensors of BERT.

use super::DENSE;
use crate::checkpoint::mapping::{Drop, Rule, Table};

/// BERT; old checkpoints call the parameters of norms `gamma` and `beta`.
pub(crate) const BERT: Table = Table {
    rules: &[
        RULES,
        DENSE,
        &[Rule::same(&["cls.predictions.bias"], &["head.bias"])],
    ],
    prefixes: &["bert.", ""],
    drops: &[
        POSITION_IDS,
        POOLER_WEIGHT,
        POOLER_BIAS,
        NEXT_WEIGHT,
        NEXT_BIAS,
        Drop::same_as(
            "cls.predictions.decoder.weight",
            "{prefix}embeddings.word_embeddings.weight",
        ),
        Drop::same_as("cls.predictions.decoder.bias", "cls.predictions.bias"),
    ],
};

/// BERT with a head of its own. Version 5 of `transformers` then has two biases, and adds that of
/// the decoder; version 4 has one, under either name.
pub(crate) const BERT_UNTIED: Table = Table {
    rules: &[
        RULES,
        DENSE,
        &[Rule::same(
            &["cls.predictions.decoder.bias", "cls.predictions.bias"],
            &["head.bias"],
        )],
    ],
    prefixes: BERT.prefixes,
    drops: &[
        POSITION_IDS,
        POOLER_WEIGHT,
        POOLER_BIAS,
        NEXT_WEIGHT,
        NEXT_BIAS,
        Drop::always("cls.predictions.bias"),
    ],
};

const POSITION_IDS: Drop = Drop::always("{prefix}embeddings.position_ids");
const POOLER_WEIGHT: Drop = Drop::always("{prefix}pooler.dense.weight");
const POOLER_BIAS: Drop = Drop::always("{prefix}pooler.dense.bias");
const NEXT_WEIGHT: Drop = Drop::always("cls.seq_relationship.weight");
const NEXT_BIAS: Drop = Drop::always("cls.seq_relationship.bias");

/// All but dense layers of blocks and the bias of the logits.
const RULES: &[Rule] = &[
    Rule::same(
        &["{prefix}embeddings.word_embeddings.weight"],
        &["token_embedding.weight"],
    ),
    Rule::same(
        &["{prefix}embeddings.token_type_embeddings.weight"],
        &["token_type_embedding.weight"],
    ),
    Rule::same(
        &["{prefix}embeddings.position_embeddings.weight"],
        &["position_embedding.weight"],
    ),
    Rule::same(
        &[
            "{prefix}embeddings.LayerNorm.weight",
            "{prefix}embeddings.LayerNorm.gamma",
        ],
        &["embed.norm.weight"],
    ),
    Rule::same(
        &[
            "{prefix}embeddings.LayerNorm.bias",
            "{prefix}embeddings.LayerNorm.beta",
        ],
        &["embed.norm.bias"],
    ),
    Rule::same(
        &[
            "{prefix}encoder.layer.{layer}.attention.output.LayerNorm.weight",
            "{prefix}encoder.layer.{layer}.attention.output.LayerNorm.gamma",
        ],
        &["blocks.{layer}.attn.norm.weight"],
    ),
    Rule::same(
        &[
            "{prefix}encoder.layer.{layer}.attention.output.LayerNorm.bias",
            "{prefix}encoder.layer.{layer}.attention.output.LayerNorm.beta",
        ],
        &["blocks.{layer}.attn.norm.bias"],
    ),
    Rule::same(
        &[
            "{prefix}encoder.layer.{layer}.output.LayerNorm.weight",
            "{prefix}encoder.layer.{layer}.output.LayerNorm.gamma",
        ],
        &["blocks.{layer}.mlp.norm.weight"],
    ),
    Rule::same(
        &[
            "{prefix}encoder.layer.{layer}.output.LayerNorm.bias",
            "{prefix}encoder.layer.{layer}.output.LayerNorm.beta",
        ],
        &["blocks.{layer}.mlp.norm.bias"],
    ),
    Rule::same(
        &["cls.predictions.transform.dense.weight"],
        &["head.dense.weight"],
    ),
    Rule::same(
        &["cls.predictions.transform.dense.bias"],
        &["head.dense.bias"],
    ),
    Rule::same(
        &[
            "cls.predictions.transform.LayerNorm.weight",
            "cls.predictions.transform.LayerNorm.gamma",
        ],
        &["head.norm.weight"],
    ),
    Rule::same(
        &[
            "cls.predictions.transform.LayerNorm.bias",
            "cls.predictions.transform.LayerNorm.beta",
        ],
        &["head.norm.bias"],
    ),
    Rule::same(&["cls.predictions.decoder.weight"], &["head.weight"]),
    Rule::same(&["{prefix}pooler.dense.weight"], &["head.pool.weight"]),
    Rule::same(&["{prefix}pooler.dense.bias"], &["head.pool.bias"]),
    Rule::same(&["classifier.weight"], &["head.sequence.weight"]),
    Rule::same(&["classifier.bias"], &["head.sequence.bias"]),
    Rule::same(&["classifier.weight"], &["head.token.weight"]),
    Rule::same(&["classifier.bias"], &["head.token.bias"]),
];
