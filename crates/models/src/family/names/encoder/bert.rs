//! Tensors of BERT.

use crate::checkpoint::mapping::{Drop, Rule, Table, When};

/// BERT; old checkpoints call the parameters of norms `gamma` and `beta`.
pub(crate) const BERT: Table = Table {
    rules: &[
        RULES,
        &[Rule::same(&["cls.predictions.bias"], &["head.bias"])],
    ],
    prefixes: &["bert.", ""],
    drops: &[
        POSITION_IDS,
        POOLER_WEIGHT,
        POOLER_BIAS,
        NEXT_WEIGHT,
        NEXT_BIAS,
        Drop {
            hub: "cls.predictions.decoder.weight",
            when: When::SameAs("{prefix}embeddings.word_embeddings.weight"),
        },
        Drop {
            hub: "cls.predictions.decoder.bias",
            when: When::SameAs("cls.predictions.bias"),
        },
    ],
};

/// BERT with a head of its own. Version 5 of `transformers` then has two biases, and adds that of
/// the decoder; version 4 has one, under either name.
pub(crate) const BERT_UNTIED: Table = Table {
    rules: &[
        RULES,
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
        always("cls.predictions.bias"),
    ],
};

const fn always(hub: &'static str) -> Drop {
    Drop {
        hub,
        when: When::Always,
    }
}

const POSITION_IDS: Drop = always("{prefix}embeddings.position_ids");
const POOLER_WEIGHT: Drop = always("{prefix}pooler.dense.weight");
const POOLER_BIAS: Drop = always("{prefix}pooler.dense.bias");
const NEXT_WEIGHT: Drop = always("cls.seq_relationship.weight");
const NEXT_BIAS: Drop = always("cls.seq_relationship.bias");

/// All but the bias of the logits.
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
