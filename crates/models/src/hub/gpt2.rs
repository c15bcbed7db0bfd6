//! `config.json` of GPT-2. Defaults of absent keys are those of `GPT2Config` in `transformers`.

use serde_json::{Map, Value, json};

use super::activation;
use super::fields::Fields;
use crate::spec::{Activation, Gpt2Spec, Spec};

pub(super) const MODEL_TYPE: &str = "gpt2";

/// Dropout rates act only in training, `summary_*` only on another head; `n_ctx` (a former name of
/// `n_positions`), `n_special` and `predict_special_tokens` are not read by `transformers`;
/// `reorder_and_upcast_attn` changes half precision only.
pub(super) const TOLERATED: &[&str] = &[
    "attn_pdrop",
    "embd_pdrop",
    "n_ctx",
    "n_special",
    "predict_special_tokens",
    "reorder_and_upcast_attn",
    "resid_pdrop",
    "summary_activation",
    "summary_first_dropout",
    "summary_proj_to_labels",
    "summary_type",
    "summary_use_proj",
];

pub(super) fn read(fields: &mut Fields) -> Spec {
    let d_model = fields.size("n_embd");
    Spec::Gpt2(Gpt2Spec {
        vocab_size: fields.size("vocab_size"),
        n_positions: fields.size("n_positions"),
        d_model,
        n_layers: fields.size("n_layer"),
        n_heads: fields.size("n_head"),
        d_ffn: fields
            .size_opt("n_inner")
            .unwrap_or(d_model.saturating_mul(4)),
        activation: fields.choice_or(
            "activation_function",
            activation::NAMES,
            Activation::GeluNew,
        ),
        norm_eps: fields.number_or("layer_norm_epsilon", 1e-5),
        scale_by_width: fields.flag_or("scale_attn_weights", true),
        scale_by_layer: fields.flag_or("scale_attn_by_inverse_layer_idx", false),
        tie_embeddings: fields.flag_or("tie_word_embeddings", true),
        bos_id: fields.id("bos_token_id"),
        eos_ids: fields.ids("eos_token_id"),
        initializer_range: fields.number_or("initializer_range", 0.02),
    })
}

pub(super) fn write(spec: &Gpt2Spec) -> Map<String, Value> {
    let keys = [
        ("model_type", json!(MODEL_TYPE)),
        ("vocab_size", json!(spec.vocab_size)),
        ("n_positions", json!(spec.n_positions)),
        ("n_embd", json!(spec.d_model)),
        ("n_layer", json!(spec.n_layers)),
        ("n_head", json!(spec.n_heads)),
        ("n_inner", json!(spec.d_ffn)),
        (
            "activation_function",
            json!(activation::name(spec.activation)),
        ),
        ("layer_norm_epsilon", json!(spec.norm_eps)),
        ("scale_attn_weights", json!(spec.scale_by_width)),
        (
            "scale_attn_by_inverse_layer_idx",
            json!(spec.scale_by_layer),
        ),
        ("tie_word_embeddings", json!(spec.tie_embeddings)),
        ("bos_token_id", json!(spec.bos_id)),
        ("eos_token_id", super::decoder::ids(&spec.eos_ids)),
        ("initializer_range", json!(spec.initializer_range)),
    ];
    keys.into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// Absent, the rates would default to dropout in a training by `transformers`.
pub(super) fn fresh_extra() -> Map<String, Value> {
    let rates = ["attn_pdrop", "embd_pdrop", "resid_pdrop"].map(|key| (key, json!(0.0)));
    let keys = [("architectures", json!(["GPT2LMHeadModel"]))]
        .into_iter()
        .chain(rates);
    keys.map(|(key, value)| (key.to_owned(), value)).collect()
}
