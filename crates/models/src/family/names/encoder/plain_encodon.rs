//! Tensors of EnCodon's plain variant, which is published in fused layers alone.

use crate::checkpoint::mapping::{By, Drop, Layout, Rule, Table, When};

/// The plain variant of EnCodon; where a tensor has a second name, that is the one in checkpoints
/// of the training recipe.
pub(crate) const PLAIN_ENCODON: Table = Table {
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
            &[
                "{prefix}encoder.layers.{layer}.self_attention.layernorm_qkv.layer_norm_weight",
                "{prefix}layers.{layer}.self_attention.layernorm_qkv.layer_norm_weight",
            ],
            &["blocks.{layer}.attn.norm.weight"],
        ),
        Rule::same(
            &[
                "{prefix}encoder.layers.{layer}.self_attention.layernorm_qkv.layer_norm_bias",
                "{prefix}layers.{layer}.self_attention.layernorm_qkv.layer_norm_bias",
            ],
            &["blocks.{layer}.attn.norm.bias"],
        ),
        Rule::new(
            &[
                "{prefix}encoder.layers.{layer}.self_attention.layernorm_qkv.weight",
                "{prefix}layers.{layer}.self_attention.layernorm_qkv.weight",
            ],
            &[
                "blocks.{layer}.attn.q.weight",
                "blocks.{layer}.attn.k.weight",
                "blocks.{layer}.attn.v.weight",
            ],
            Layout::Grouped(By::Head),
        ),
        Rule::new(
            &[
                "{prefix}encoder.layers.{layer}.self_attention.layernorm_qkv.bias",
                "{prefix}layers.{layer}.self_attention.layernorm_qkv.bias",
            ],
            &[
                "blocks.{layer}.attn.q.bias",
                "blocks.{layer}.attn.k.bias",
                "blocks.{layer}.attn.v.bias",
            ],
            Layout::Grouped(By::Head),
        ),
        Rule::same(
            &[
                "{prefix}encoder.layers.{layer}.self_attention.proj.weight",
                "{prefix}layers.{layer}.self_attention.proj.weight",
            ],
            &["blocks.{layer}.attn.out.weight"],
        ),
        Rule::same(
            &[
                "{prefix}encoder.layers.{layer}.self_attention.proj.bias",
                "{prefix}layers.{layer}.self_attention.proj.bias",
            ],
            &["blocks.{layer}.attn.out.bias"],
        ),
        Rule::same(
            &[
                "{prefix}encoder.layers.{layer}.layernorm_mlp.layer_norm_weight",
                "{prefix}layers.{layer}.layernorm_mlp.layer_norm_weight",
            ],
            &["blocks.{layer}.mlp.norm.weight"],
        ),
        Rule::same(
            &[
                "{prefix}encoder.layers.{layer}.layernorm_mlp.layer_norm_bias",
                "{prefix}layers.{layer}.layernorm_mlp.layer_norm_bias",
            ],
            &["blocks.{layer}.mlp.norm.bias"],
        ),
        Rule::same(
            &[
                "{prefix}encoder.layers.{layer}.layernorm_mlp.fc1_weight",
                "{prefix}layers.{layer}.layernorm_mlp.fc1_weight",
            ],
            &["blocks.{layer}.mlp.in.weight"],
        ),
        Rule::same(
            &[
                "{prefix}encoder.layers.{layer}.layernorm_mlp.fc1_bias",
                "{prefix}layers.{layer}.layernorm_mlp.fc1_bias",
            ],
            &["blocks.{layer}.mlp.in.bias"],
        ),
        Rule::same(
            &[
                "{prefix}encoder.layers.{layer}.layernorm_mlp.fc2_weight",
                "{prefix}layers.{layer}.layernorm_mlp.fc2_weight",
            ],
            &["blocks.{layer}.mlp.out.weight"],
        ),
        Rule::same(
            &[
                "{prefix}encoder.layers.{layer}.layernorm_mlp.fc2_bias",
                "{prefix}layers.{layer}.layernorm_mlp.fc2_bias",
            ],
            &["blocks.{layer}.mlp.out.bias"],
        ),
        Rule::same(
            &["{prefix}lm_head.dense.weight", "{prefix}cls.0.weight"],
            &["head.dense.weight"],
        ),
        Rule::same(
            &["{prefix}lm_head.dense.bias", "{prefix}cls.0.bias"],
            &["head.dense.bias"],
        ),
        Rule::same(
            &[
                "{prefix}lm_head.layer_norm_linear.layer_norm_weight",
                "{prefix}cls.2.layer_norm_weight",
            ],
            &["head.norm.weight"],
        ),
        Rule::same(
            &[
                "{prefix}lm_head.layer_norm_linear.layer_norm_bias",
                "{prefix}cls.2.layer_norm_bias",
            ],
            &["head.norm.bias"],
        ),
        Rule::same(
            &[
                "{prefix}lm_head.layer_norm_linear.weight",
                "{prefix}cls.2.weight",
            ],
            &["head.weight"],
        ),
        Rule::same(
            &[
                "{prefix}lm_head.layer_norm_linear.bias",
                "{prefix}cls.2.bias",
            ],
            &["head.bias"],
        ),
    ]],
    prefixes: &["", "model."],
    drops: &[
        Drop {
            hub: "{prefix}encoder.layers.{layer}.self_attention.layernorm_qkv._extra_state",
            when: When::Always,
        },
        Drop {
            hub: "{prefix}layers.{layer}.self_attention.layernorm_qkv._extra_state",
            when: When::Always,
        },
        Drop {
            hub: "{prefix}encoder.layers.{layer}.self_attention.core_attention._extra_state",
            when: When::Always,
        },
        Drop {
            hub: "{prefix}layers.{layer}.self_attention.core_attention._extra_state",
            when: When::Always,
        },
        Drop {
            hub: "{prefix}encoder.layers.{layer}.self_attention.proj._extra_state",
            when: When::Always,
        },
        Drop {
            hub: "{prefix}layers.{layer}.self_attention.proj._extra_state",
            when: When::Always,
        },
        Drop {
            hub: "{prefix}encoder.layers.{layer}.layernorm_mlp._extra_state",
            when: When::Always,
        },
        Drop {
            hub: "{prefix}layers.{layer}.layernorm_mlp._extra_state",
            when: When::Always,
        },
        Drop {
            hub: "{prefix}lm_head.dense._extra_state",
            when: When::Always,
        },
        Drop {
            hub: "{prefix}lm_head.layer_norm_linear._extra_state",
            when: When::Always,
        },
        Drop {
            hub: "{prefix}cls.0._extra_state",
            when: When::Always,
        },
        Drop {
            hub: "{prefix}cls.2._extra_state",
            when: When::Always,
        },
        Drop {
            hub: "{prefix}encoder.rotary_embeddings.inv_freq",
            when: When::Always,
        },
        Drop {
            hub: "{prefix}rotary_embeddings.inv_freq",
            when: When::Always,
        },
    ],
};
