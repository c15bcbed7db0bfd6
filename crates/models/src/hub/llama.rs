//! `config.json` of Llama. Defaults of absent keys are those of `LlamaConfig` in `transformers`.

use serde_json::{Map, Value, json};

use super::fields::Fields;
use crate::spec::{LlamaSpec, Spec};

pub(super) const MODEL_TYPE: &str = "llama";

/// Dropout acts only in training; `pretraining_tp` cuts products into slices, which changes
/// rounding and nothing else; `max_sequence_length` is a former key that `transformers` ignores.
pub(super) const TOLERATED: &[&str] =
    &["attention_dropout", "max_sequence_length", "pretraining_tp"];

const ROPE_THETA: f64 = 10_000.0;

pub(super) fn read(fields: &mut Fields) -> Spec {
    let d_model = fields.size("hidden_size");
    let n_heads = fields.size("num_attention_heads");
    let head_dim = fields.size_opt("head_dim");
    let head_dim = head_dim.unwrap_or_else(|| {
        if n_heads > 0 && !d_model.is_multiple_of(n_heads) {
            fields.problem(format!(
                "`hidden_size` {d_model} is not a multiple of `num_attention_heads` {n_heads}, and \
                 `head_dim` is not given"
            ));
        }
        d_model.checked_div(n_heads).unwrap_or(0)
    });
    fields.only("hidden_act", &[json!("silu"), json!("swish")]);
    Spec::Llama(LlamaSpec {
        vocab_size: fields.size("vocab_size"),
        max_positions: fields.size_or("max_position_embeddings", 2048),
        d_model,
        n_layers: fields.size("num_hidden_layers"),
        n_heads,
        n_kv_heads: fields.size_opt("num_key_value_heads").unwrap_or(n_heads),
        head_dim,
        d_ffn: fields.size("intermediate_size"),
        norm_eps: fields.number_or("rms_norm_eps", 1e-6),
        rope_theta: rope_theta(fields),
        tie_embeddings: fields.flag_or("tie_word_embeddings", false),
        attention_bias: fields.flag_or("attention_bias", false),
        mlp_bias: fields.flag_or("mlp_bias", false),
        bos_id: fields.id("bos_token_id"),
        eos_ids: fields.ids("eos_token_id"),
        initializer_range: fields.number_or("initializer_range", 0.02),
    })
}

/// Version 4 writes `rope_theta` and `rope_scaling`, version 5 `rope_parameters`; both may stand
/// together when they agree.
fn rope_theta(fields: &mut Fields) -> f64 {
    let mut theta = fields.number_opt("rope_theta");
    for key in ["rope_parameters", "rope_scaling"] {
        let Some(mut rope) = fields.object(key) else {
            continue;
        };
        rope.only("rope_type", &[json!("default")]);
        rope.only("type", &[json!("default")]);
        rope.only("partial_rotary_factor", &[json!(1.0), json!(1)]);
        let inner = rope.number_opt("rope_theta");
        fields.close(rope);
        if let (Some(theta), Some(inner)) = (theta, inner)
            && theta != inner
        {
            fields.problem(format!(
                "`rope_theta` is {theta}, `{key}.rope_theta` is {inner}"
            ));
        }
        theta = theta.or(inner);
    }
    theta.unwrap_or(ROPE_THETA)
}

pub(super) fn write(spec: &LlamaSpec) -> Map<String, Value> {
    let rope = json!({"rope_theta": spec.rope_theta, "rope_type": "default"});
    let keys = [
        ("model_type", json!(MODEL_TYPE)),
        ("vocab_size", json!(spec.vocab_size)),
        ("max_position_embeddings", json!(spec.max_positions)),
        ("hidden_size", json!(spec.d_model)),
        ("num_hidden_layers", json!(spec.n_layers)),
        ("num_attention_heads", json!(spec.n_heads)),
        ("num_key_value_heads", json!(spec.n_kv_heads)),
        ("head_dim", json!(spec.head_dim)),
        ("intermediate_size", json!(spec.d_ffn)),
        ("hidden_act", json!("silu")),
        ("rms_norm_eps", json!(spec.norm_eps)),
        ("rope_theta", json!(spec.rope_theta)),
        ("rope_parameters", rope),
        ("tie_word_embeddings", json!(spec.tie_embeddings)),
        ("attention_bias", json!(spec.attention_bias)),
        ("mlp_bias", json!(spec.mlp_bias)),
        ("bos_token_id", json!(spec.bos_id)),
        ("eos_token_id", ids(&spec.eos_ids)),
        ("initializer_range", json!(spec.initializer_range)),
    ];
    keys.into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// Token ids in the form that `transformers` writes: null, one number, or a list.
pub(super) fn ids(ids: &[u32]) -> Value {
    match ids {
        [] => Value::Null,
        [id] => json!(id),
        _ => json!(ids),
    }
}

pub(super) fn fresh_extra() -> Map<String, Value> {
    let keys = [
        ("architectures", json!(["LlamaForCausalLM"])),
        ("attention_dropout", json!(0.0)),
    ];
    keys.into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}
