//! Fused layers of BERT.

use crate::checkpoint::mapping::{By, Drop, Layout, Rule, Table};

/// BERT and Geneformer: post-norm, so that the norms stand alone.
pub(crate) const BERT: Table = Table {
    rules: &[&[
        Rule::same(
            &["bert.embeddings.word_embeddings.weight"],
            &["token_embedding.weight"],
        ),
        Rule::same(
            &["bert.embeddings.token_type_embeddings.weight"],
            &["token_type_embedding.weight"],
        ),
        Rule::same(
            &["bert.embeddings.position_embeddings.weight"],
            &["position_embedding.weight"],
        ),
        Rule::same(
            &["bert.embeddings.LayerNorm.weight"],
            &["embed.norm.weight"],
        ),
        Rule::same(&["bert.embeddings.LayerNorm.bias"], &["embed.norm.bias"]),
        Rule::new(
            &["bert.encoder.layer.{layer}.self_attention.qkv.weight"],
            &[
                "blocks.{layer}.attn.q.weight",
                "blocks.{layer}.attn.k.weight",
                "blocks.{layer}.attn.v.weight",
            ],
            Layout::Grouped(By::Head),
        ),
        Rule::new(
            &["bert.encoder.layer.{layer}.self_attention.qkv.bias"],
            &[
                "blocks.{layer}.attn.q.bias",
                "blocks.{layer}.attn.k.bias",
                "blocks.{layer}.attn.v.bias",
            ],
            Layout::Grouped(By::Head),
        ),
        Rule::same(
            &["bert.encoder.layer.{layer}.self_attention.proj.weight"],
            &["blocks.{layer}.attn.out.weight"],
        ),
        Rule::same(
            &["bert.encoder.layer.{layer}.layernorm.weight"],
            &["blocks.{layer}.attn.norm.weight"],
        ),
        Rule::same(
            &[
                "bert.encoder.layer.{layer}.layernorm_mlp.fc1.weight",
                "bert.encoder.layer.{layer}.layernorm_mlp.fc1_weight",
            ],
            &["blocks.{layer}.mlp.in.weight"],
        ),
        Rule::same(
            &[
                "bert.encoder.layer.{layer}.layernorm_mlp.fc2.weight",
                "bert.encoder.layer.{layer}.layernorm_mlp.fc2_weight",
            ],
            &["blocks.{layer}.mlp.out.weight"],
        ),
        Rule::same(
            &[
                "bert.encoder.layer.{layer}.layernorm_mlp.layer_norm.weight",
                "bert.encoder.layer.{layer}.layernorm_mlp.layer_norm_weight",
            ],
            &["blocks.{layer}.mlp.norm.weight"],
        ),
        Rule::same(
            &["cls.predictions.transform.dense.weight"],
            &["head.dense.weight"],
        ),
        Rule::same(
            &["cls.predictions.transform.LayerNorm.weight"],
            &["head.norm.weight"],
        ),
        Rule::same(
            &["bert.encoder.layer.{layer}.self_attention.proj.bias"],
            &["blocks.{layer}.attn.out.bias"],
        ),
        Rule::same(
            &["bert.encoder.layer.{layer}.layernorm.bias"],
            &["blocks.{layer}.attn.norm.bias"],
        ),
        Rule::same(
            &[
                "bert.encoder.layer.{layer}.layernorm_mlp.fc1.bias",
                "bert.encoder.layer.{layer}.layernorm_mlp.fc1_bias",
            ],
            &["blocks.{layer}.mlp.in.bias"],
        ),
        Rule::same(
            &[
                "bert.encoder.layer.{layer}.layernorm_mlp.fc2.bias",
                "bert.encoder.layer.{layer}.layernorm_mlp.fc2_bias",
            ],
            &["blocks.{layer}.mlp.out.bias"],
        ),
        Rule::same(
            &[
                "bert.encoder.layer.{layer}.layernorm_mlp.layer_norm.bias",
                "bert.encoder.layer.{layer}.layernorm_mlp.layer_norm_bias",
            ],
            &["blocks.{layer}.mlp.norm.bias"],
        ),
        Rule::same(
            &["cls.predictions.transform.dense.bias"],
            &["head.dense.bias"],
        ),
        Rule::same(
            &["cls.predictions.transform.LayerNorm.bias"],
            &["head.norm.bias"],
        ),
        Rule::same(&["cls.predictions.decoder.weight"], &["head.weight"]),
        Rule::same(&["cls.predictions.bias"], &["head.bias"]),
    ]],
    prefixes: &[""],
    drops: &[
        Drop::always("bert.encoder.layer.{layer}.self_attention.qkv._extra_state"),
        Drop::always("bert.encoder.layer.{layer}.self_attention.proj._extra_state"),
        Drop::always("bert.encoder.layer.{layer}.self_attention.core_attention._extra_state"),
        Drop::always("bert.encoder.layer.{layer}.layernorm._extra_state"),
        Drop::always("bert.encoder.layer.{layer}.layernorm_mlp._extra_state"),
        Drop::always("bert.embeddings.position_ids"),
        Drop::same_as(
            "cls.predictions.decoder.weight",
            "bert.embeddings.word_embeddings.weight",
        ),
        Drop::same_as("cls.predictions.decoder.bias", "cls.predictions.bias"),
    ],
};
