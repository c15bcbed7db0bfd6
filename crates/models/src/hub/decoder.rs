//! `config.json` of Llama, Mistral, Qwen and Mixtral. Defaults of absent keys are those of the
//! configuration classes of `transformers`.

use serde_json::{Map, Value, json};

use super::fields::Fields;
use super::rope;
use crate::spec::{AttentionBias, Decoder, DecoderSpec, Experts, Spec, Window};

/// Dropout and jitter act only in training; `pretraining_tp` cuts products into slices, which
/// changes rounding and nothing else; `is_llama_config` and `max_sequence_length` are keys that
/// `transformers` ignores.
pub(super) const TOLERATED: &[&str] = &[
    "attention_dropout",
    "is_llama_config",
    "max_sequence_length",
    "pretraining_tp",
];

/// The decoders, by their `model_type`.
const FAMILIES: [Decoder; 5] = [
    Decoder::Llama,
    Decoder::Mistral,
    Decoder::Qwen2,
    Decoder::Qwen3,
    Decoder::Mixtral,
];

/// What absent keys mean, and the name of the class.
struct Defaults {
    max_positions: usize,
    /// `None`, and null in a file: as many as query heads.
    n_kv_heads: Option<usize>,
    /// `None`: the width of the stream over the heads.
    head_dim: Option<usize>,
    norm_eps: f64,
    rope_theta: f64,
    class: &'static str,
}

fn defaults(family: Decoder) -> Defaults {
    let llama = Defaults {
        max_positions: 2048,
        n_kv_heads: None,
        head_dim: None,
        norm_eps: 1e-6,
        rope_theta: 1e4,
        class: "LlamaForCausalLM",
    };
    match family {
        Decoder::Llama => llama,
        Decoder::Mistral => Defaults {
            max_positions: 131_072,
            n_kv_heads: Some(8),
            class: "MistralForCausalLM",
            ..llama
        },
        Decoder::Qwen2 => Defaults {
            max_positions: 32_768,
            n_kv_heads: Some(32),
            class: "Qwen2ForCausalLM",
            ..llama
        },
        Decoder::Qwen3 => Defaults {
            max_positions: 32_768,
            n_kv_heads: Some(32),
            head_dim: Some(128),
            class: "Qwen3ForCausalLM",
            ..llama
        },
        Decoder::Mixtral => Defaults {
            max_positions: 131_072,
            n_kv_heads: Some(8),
            norm_eps: 1e-5,
            rope_theta: 1e6,
            class: "MixtralForCausalLM",
            ..llama
        },
    }
}

/// The decoder of a `model_type`.
pub(super) fn family(model_type: &str) -> Option<Decoder> {
    FAMILIES
        .into_iter()
        .find(|family| family.name() == model_type)
}

pub(super) fn model_types() -> impl Iterator<Item = &'static str> {
    FAMILIES.into_iter().map(Decoder::name)
}

pub(super) fn read(fields: &mut Fields, family: Decoder) -> Spec {
    let absent = defaults(family);
    let d_model = fields.size("hidden_size");
    let n_heads = fields.size("num_attention_heads");
    let head_dim = head_dim(fields, &absent, d_model, n_heads);
    let n_layers = fields.size("num_hidden_layers");
    fields.only("hidden_act", &[json!("silu"), json!("swish")]);
    // Published files say these of other layouts and inputs than those of text.
    fields.only("rope_interleaved", &[json!(false)]);
    fields.only("use_mrope", &[json!(false)]);
    let max_positions = fields.size_or("max_position_embeddings", absent.max_positions);
    let n_kv_heads = fields.size_or_null("num_key_value_heads", absent.n_kv_heads);
    Spec::Decoder(DecoderSpec {
        family,
        vocab_size: fields.size("vocab_size"),
        max_positions,
        d_model,
        n_layers,
        n_heads,
        n_kv_heads: n_kv_heads.unwrap_or(n_heads),
        head_dim,
        d_ffn: fields.size("intermediate_size"),
        norm_eps: fields.number_or("rms_norm_eps", absent.norm_eps),
        rope: rope::read(fields, absent.rope_theta, max_positions),
        tie_embeddings: fields.flag_or("tie_word_embeddings", false),
        attention_bias: attention_bias(fields, family),
        mlp_bias: family == Decoder::Llama && fields.flag_or("mlp_bias", false),
        head_norms: family == Decoder::Qwen3,
        window: window(fields, family, n_layers),
        experts: (family == Decoder::Mixtral).then(|| experts(fields)),
        bos_id: fields.id("bos_token_id"),
        eos_ids: fields.ids("eos_token_id"),
        initializer_range: fields.number_or("initializer_range", 0.02),
    })
}

fn head_dim(fields: &mut Fields, absent: &Defaults, d_model: usize, n_heads: usize) -> usize {
    if let Some(head_dim) = fields.size_opt("head_dim").or(absent.head_dim) {
        return head_dim;
    }
    if n_heads > 0 && !d_model.is_multiple_of(n_heads) {
        fields.problem(format!(
            "`hidden_size` {d_model} is not a multiple of `num_attention_heads` {n_heads}, and \
             `head_dim` is not given"
        ));
    }
    d_model.checked_div(n_heads).unwrap_or(0)
}

fn attention_bias(fields: &mut Fields, family: Decoder) -> AttentionBias {
    match family {
        Decoder::Llama | Decoder::Qwen3 => match fields.flag_or("attention_bias", false) {
            true => AttentionBias::All,
            false => AttentionBias::None,
        },
        Decoder::Qwen2 => {
            fields.only("attention_bias", &[json!(true)]);
            AttentionBias::QueryKeyValue
        }
        Decoder::Mistral | Decoder::Mixtral => {
            fields.only("attention_bias", &[json!(false)]);
            AttentionBias::None
        }
    }
}

/// The window and its layers. Qwen turns it on with a flag and counts layers; version 5 also lists
/// the kind of each layer, which has to agree.
fn window(fields: &mut Fields, family: Decoder, n_layers: usize) -> Option<Window> {
    let window = match family {
        Decoder::Llama => return None,
        Decoder::Mistral => fields.size_or_null("sliding_window", Some(4096)),
        Decoder::Mixtral => fields.size_or_null("sliding_window", None),
        Decoder::Qwen2 | Decoder::Qwen3 => {
            let on = fields.flag_or("use_sliding_window", false);
            let len = fields.size_or_null("sliding_window", Some(4096));
            len.filter(|_| on)
        }
    };
    let qwen = matches!(family, Decoder::Qwen2 | Decoder::Qwen3);
    let first_layer = match qwen {
        true => fields.size_or("max_window_layers", 28),
        false => 0,
    };
    let window = window.map(|len| Window { len, first_layer });
    let kinds = (0..n_layers).map(|layer| match window {
        Some(window) if layer >= window.first_layer => json!("sliding_attention"),
        _ => json!("full_attention"),
    });
    if qwen {
        fields.only("layer_types", &[Value::Null, kinds.collect()]);
    }
    window
}

fn experts(fields: &mut Fields) -> Experts {
    fields.only("router_jitter_noise", &[json!(0.0), json!(0)]);
    Experts {
        count: fields.size_or("num_local_experts", 8),
        per_token: fields.size_or("num_experts_per_tok", 2),
        balance: fields.number_or("router_aux_loss_coef", 0.001),
        balanced: fields.flag_or("output_router_logits", false),
    }
}

pub(super) fn write(spec: &DecoderSpec) -> Map<String, Value> {
    let mut keys = vec![
        ("model_type", json!(spec.family.name())),
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
        ("tie_word_embeddings", json!(spec.tie_embeddings)),
        ("bos_token_id", json!(spec.bos_id)),
        ("eos_token_id", ids(&spec.eos_ids)),
        ("initializer_range", json!(spec.initializer_range)),
    ];
    keys.extend(rope::write(&spec.rope));
    keys.extend(own_keys(spec));
    keys.into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

/// Keys that not all decoders have.
fn own_keys(spec: &DecoderSpec) -> Vec<(&'static str, Value)> {
    let bias = json!(spec.attention_bias == AttentionBias::All);
    let len = json!(spec.window.map(|window| window.len));
    let mut keys = match spec.family {
        Decoder::Llama => vec![("mlp_bias", json!(spec.mlp_bias))],
        Decoder::Mistral | Decoder::Mixtral => vec![("sliding_window", len.clone())],
        Decoder::Qwen2 | Decoder::Qwen3 => {
            let first = spec
                .window
                .map_or(spec.n_layers, |window| window.first_layer);
            vec![
                ("use_sliding_window", json!(spec.window.is_some())),
                ("sliding_window", len.clone()),
                ("max_window_layers", json!(first)),
            ]
        }
    };
    if matches!(spec.family, Decoder::Llama | Decoder::Qwen3) {
        keys.push(("attention_bias", bias));
    }
    if let Some(experts) = spec.experts {
        keys.extend([
            ("num_local_experts", json!(experts.count)),
            ("num_experts_per_tok", json!(experts.per_token)),
            ("router_aux_loss_coef", json!(experts.balance)),
            ("output_router_logits", json!(experts.balanced)),
            ("router_jitter_noise", json!(0.0)),
        ]);
    }
    keys
}

/// Token ids in the form that `transformers` writes: null, one number, or a list.
pub(super) fn ids(ids: &[u32]) -> Value {
    match ids {
        [] => Value::Null,
        [id] => json!(id),
        _ => json!(ids),
    }
}

pub(super) fn fresh_extra(family: Decoder) -> Map<String, Value> {
    let keys = [
        ("architectures", json!([defaults(family).class])),
        ("attention_dropout", json!(0.0)),
    ];
    keys.into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}
