//! Fused layers of GPT-2.

use crate::checkpoint::mapping::{Drop, Layout, Pad, Rule, Table};

/// GPT-2: fused layers keep matrices `[out, in]`, the reference `[in, out]`. No reference has such
/// a checkpoint; outside of its layers the names are those of the hub.
pub(crate) const GPT2: Table = Table {
    rules: &[&[
        Rule::same(&["transformer.wte.weight"], &["token_embedding.weight"]).padded(Pad::Zero),
        Rule::same(&["transformer.wpe.weight"], &["position_embedding.weight"]),
        Rule::same(
            &["transformer.h.{layer}.self_attention.layernorm_qkv.layer_norm_weight"],
            &["blocks.{layer}.attn.norm.weight"],
        ),
        Rule::same(
            &["transformer.h.{layer}.self_attention.layernorm_qkv.layer_norm_bias"],
            &["blocks.{layer}.attn.norm.bias"],
        ),
        Rule::new(
            &["transformer.h.{layer}.self_attention.layernorm_qkv.weight"],
            &["blocks.{layer}.attn.qkv.weight"],
            Layout::HeadsFirst,
        ),
        Rule::new(
            &["transformer.h.{layer}.self_attention.layernorm_qkv.bias"],
            &["blocks.{layer}.attn.qkv.bias"],
            Layout::HeadsFirst,
        ),
        Rule::new(
            &["transformer.h.{layer}.self_attention.proj.weight"],
            &["blocks.{layer}.attn.out.weight"],
            Layout::Transposed,
        ),
        Rule::same(
            &["transformer.h.{layer}.self_attention.proj.bias"],
            &["blocks.{layer}.attn.out.bias"],
        ),
        Rule::same(
            &["transformer.h.{layer}.layernorm_mlp.layer_norm_weight"],
            &["blocks.{layer}.mlp.norm.weight"],
        ),
        Rule::same(
            &["transformer.h.{layer}.layernorm_mlp.layer_norm_bias"],
            &["blocks.{layer}.mlp.norm.bias"],
        ),
        Rule::new(
            &["transformer.h.{layer}.layernorm_mlp.fc1_weight"],
            &["blocks.{layer}.mlp.in.weight"],
            Layout::Transposed,
        ),
        Rule::same(
            &["transformer.h.{layer}.layernorm_mlp.fc1_bias"],
            &["blocks.{layer}.mlp.in.bias"],
        ),
        Rule::new(
            &["transformer.h.{layer}.layernorm_mlp.fc2_weight"],
            &["blocks.{layer}.mlp.out.weight"],
            Layout::Transposed,
        ),
        Rule::same(
            &["transformer.h.{layer}.layernorm_mlp.fc2_bias"],
            &["blocks.{layer}.mlp.out.bias"],
        ),
        Rule::same(&["transformer.ln_f.weight"], &["final_norm.weight"]),
        Rule::same(&["transformer.ln_f.bias"], &["final_norm.bias"]),
        Rule::same(&["lm_head.weight"], &["head.weight"]).padded(Pad::Zero),
    ]],
    prefixes: &[""],
    drops: &[
        Drop::always("transformer.h.{layer}.self_attention.layernorm_qkv._extra_state"),
        Drop::always("transformer.h.{layer}.self_attention.core_attention._extra_state"),
        Drop::always("transformer.h.{layer}.self_attention.proj._extra_state"),
        Drop::always("transformer.h.{layer}.layernorm_mlp._extra_state"),
        Drop::always("transformer.ln_f._extra_state"),
        Drop::always("lm_head._extra_state"),
        Drop::same_as("lm_head.weight", "transformer.wte.weight"),
    ],
};
