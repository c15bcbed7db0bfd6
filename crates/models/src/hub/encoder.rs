//! `config.json` of BERT, ESM-2, AMPLIFY and EnCodon. Defaults of absent keys are those of the
//! reference's configuration classes.

mod head;

use serde_json::{Map, Value, json};

use super::activation;
use super::decoder::ids;
use super::fields::Fields;
use crate::spec::{Activation, Encoder, EncoderSpec, Head, Spec};

/// Dropout rates act only in training, `classifier_dropout` only on another head, the initial
/// ranges only on fresh weights; the others have no effect in the references.
pub(super) const TOLERATED: &[&str] = &[
    "attention_probs_dropout_prob",
    "classifier_dropout",
    "directionality",
    "decoder_init_range",
    "dropout_prob",
    "gamma_init",
    "hidden_dropout_prob",
    "pooler_fc_size",
    "pooler_num_attention_heads",
    "pooler_num_fc_layers",
    "pooler_size_per_head",
    "pooler_type",
    "unk_token_id",
    "use_return_dict",
    "vocab_list",
    "vocab_path",
];

/// What ESM tolerates beside: the angles of positions that are learned.
const ESM_TOLERATED: &[&str] = &["rope_theta"];

/// What reads the keys of a family.
type Read = fn(&mut Fields) -> Spec;

/// Families by their `model_type`.
const READERS: &[(&str, Read)] = &[
    ("bert", bert),
    ("esm", esm),
    ("AMPLIFY", amplify),
    ("encodon", encodon),
    (PLAIN_ENCODON, plain_encodon),
];

/// Transformer Engine computes GELU in the tanh form.
const FUSED_ACTIVATIONS: &[(&str, Activation)] = &[
    ("gelu", Activation::GeluNew),
    ("relu", Activation::Relu),
    ("silu", Activation::Silu),
];

/// The `model_type` of EnCodon's plain variant.
pub(super) const PLAIN_ENCODON: &str = "codonfm";

/// The reader of a `model_type`.
pub(super) fn reader(model_type: &str) -> Option<Read> {
    let found = READERS.iter().find(|(name, _)| *name == model_type);
    found.map(|&(_, read)| read)
}

/// Keys that change nothing in models of one `model_type`.
pub(super) fn tolerated(model_type: &str) -> &'static [&'static str] {
    match model_type {
        "esm" => ESM_TOLERATED,
        _ => &[],
    }
}

pub(super) fn model_types() -> impl Iterator<Item = &'static str> {
    READERS.iter().map(|&(name, _)| name)
}

/// What most encoders say in the same words.
fn common(fields: &mut Fields, family: Encoder, norm_eps: f64, pad: Option<u32>) -> EncoderSpec {
    fields.only("is_decoder", &[json!(false)]);
    EncoderSpec {
        family,
        vocab_size: fields.size("vocab_size"),
        max_positions: 0,
        d_model: fields.size("hidden_size"),
        n_layers: fields.size("num_hidden_layers"),
        n_heads: fields.size("num_attention_heads"),
        d_ffn: fields.size("intermediate_size"),
        activation: Activation::Gelu,
        norm_eps,
        tie_embeddings: false,
        pad_id: fields.id_or("pad_token_id", pad),
        mask_id: fields.id("mask_token_id"),
        bos_id: fields.id("bos_token_id"),
        eos_ids: fields.ids("eos_token_id"),
        initializer_range: fields.number_or("initializer_range", 0.02),
        head: head::read(fields, family),
    }
}

fn bert(fields: &mut Fields) -> Spec {
    fields.only("position_embedding_type", &[json!("absolute")]);
    let token_types = fields.size_or("type_vocab_size", 2);
    let norm_eps = fields.number_or("layer_norm_eps", 1e-12);
    Spec::Encoder(EncoderSpec {
        max_positions: fields.size_or("max_position_embeddings", 512),
        activation: fields.choice_or("hidden_act", activation::NAMES, Activation::Gelu),
        tie_embeddings: fields.flag_or("tie_word_embeddings", true),
        ..common(fields, Encoder::Bert { token_types }, norm_eps, Some(0))
    })
}

fn esm(fields: &mut Fields) -> Spec {
    let positions = "position_embedding_type";
    // Absent means learned positions, as in ESM-1b.
    let is_rotary = fields.look(positions) == Some(&json!("rotary"));
    fields.only(positions, &[json!("rotary"), json!("absolute")]);
    fields.only("hidden_act", &[json!("gelu")]);
    fields.only("is_folding_model", &[json!(false), Value::Null]);
    fields.only("esmfold_config", &[Value::Null]);
    let norm_eps = fields.number_or("layer_norm_eps", 1e-12);
    let family = Encoder::Esm {
        token_dropout: fields.flag_or_null("token_dropout"),
        embed_norm: fields.flag_or_null("emb_layer_norm_before"),
        rope_theta: is_rotary.then(|| fields.number_or("rope_theta", 1e4)),
    };
    let rows = fields.size_or("max_position_embeddings", 1026);
    let mut spec = EncoderSpec {
        tie_embeddings: fields.flag_or("tie_word_embeddings", true),
        ..common(fields, family, norm_eps, None)
    };
    spec.max_positions = rows.saturating_sub(spec.first_position());
    Spec::Encoder(spec)
}

/// The reference's width of the gated layer: two thirds of the configured one, in whole eights.
fn amplify_width(intermediate_size: usize) -> usize {
    (intermediate_size.saturating_mul(2) / 3).next_multiple_of(8)
}

fn amplify(fields: &mut Fields) -> Spec {
    fields.only("hidden_act", &[json!("SwiGLU"), json!("swiglu")]);
    fields.only("rms_norm", &[json!(true)]);
    fields.only("pre_activation_layer_norm", &[json!(true)]);
    // The reference never ties, whatever the key says.
    fields.only("tie_word_embeddings", &[json!(false), json!(true)]);
    fields.only("other_special_token_ids", &[Value::Null]);
    let norm_eps = fields.number_or("norm_eps", 1e-5);
    let family = Encoder::Amplify {
        intermediate_size: 0,
        attention_bias: fields.flag_or("att_bias", false),
        mlp_bias: fields.flag_or("ffn_bias", false),
        embed_norm: fields.flag_or("layer_norm_after_embedding", false),
        final_norm: fields.flag_or("layer_norm_before_last_layer", true),
    };
    let mut spec = EncoderSpec {
        max_positions: fields.size_or("max_length", 2048),
        activation: Activation::Silu,
        initializer_range: fields.number_or("embedding_init_range", 0.02),
        ..common(fields, family, norm_eps, Some(0))
    };
    if let Encoder::Amplify {
        intermediate_size, ..
    } = &mut spec.family
    {
        *intermediate_size = spec.d_ffn;
        spec.d_ffn = amplify_width(spec.d_ffn);
    }
    Spec::Encoder(spec)
}

fn encodon(fields: &mut Fields) -> Spec {
    fields.only("hidden_act", &[json!("gelu")]);
    fields.only("tie_word_embeddings", &[json!(false), json!(true)]);
    let norm_eps = fields.number_or("layer_norm_eps", 1e-12);
    let rope_theta = fields.number_or("rotary_theta", 1e5);
    Spec::Encoder(EncoderSpec {
        max_positions: fields.size_or("max_position_embeddings", 2048),
        ..common(fields, Encoder::Encodon { rope_theta }, norm_eps, Some(3))
    })
}

fn plain_encodon(fields: &mut Fields) -> Spec {
    fields.only("tie_word_embeddings", &[json!(false), json!(true)]);
    fields.only("fuse_qkv_params", &[json!(true)]);
    fields.only("self_attn_mask_type", &[json!("padding")]);
    fields.only("padded_vocab_size", &[Value::Null]);
    let norm_eps = fields.number_or("layer_norm_eps", 1e-12);
    Spec::Encoder(EncoderSpec {
        max_positions: fields.size_or("max_position_embeddings", 2048),
        activation: fields.choice_or("hidden_act", FUSED_ACTIVATIONS, Activation::GeluNew),
        ..common(fields, Encoder::PlainEncodon, norm_eps, Some(3))
    })
}

pub(super) fn write(spec: &EncoderSpec) -> Map<String, Value> {
    let mut keys = vec![
        ("vocab_size", json!(spec.vocab_size)),
        ("hidden_size", json!(spec.d_model)),
        ("num_hidden_layers", json!(spec.n_layers)),
        ("num_attention_heads", json!(spec.n_heads)),
        ("intermediate_size", json!(spec.d_ffn)),
        ("pad_token_id", json!(spec.pad_id)),
        ("mask_token_id", json!(spec.mask_id)),
        ("bos_token_id", json!(spec.bos_id)),
        ("eos_token_id", ids(&spec.eos_ids)),
        ("is_decoder", json!(false)),
    ];
    // A later key replaces an earlier one.
    keys.extend(own_keys(spec));
    keys.extend(head::keys(spec));
    keys.into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}

fn activation_name(spec: &EncoderSpec) -> Option<&'static str> {
    let fused = |other: &&(&str, Activation)| other.1 == spec.activation;
    match spec.family {
        Encoder::PlainEncodon => FUSED_ACTIVATIONS.iter().find(fused).map(|&(name, _)| name),
        _ => activation::name(spec.activation),
    }
}

fn own_keys(spec: &EncoderSpec) -> Vec<(&'static str, Value)> {
    let activation = activation_name(spec);
    let mut keys = match spec.family {
        Encoder::Bert { token_types } => vec![
            ("model_type", json!("bert")),
            ("hidden_act", json!(activation)),
            ("type_vocab_size", json!(token_types)),
            ("position_embedding_type", json!("absolute")),
            ("tie_word_embeddings", json!(spec.tie_embeddings)),
        ],
        Encoder::Esm {
            token_dropout,
            embed_norm,
            rope_theta,
        } => {
            let kind = rope_theta.map_or("absolute", |_| "rotary");
            let mut keys = vec![
                ("model_type", json!("esm")),
                ("hidden_act", json!("gelu")),
                ("token_dropout", json!(token_dropout)),
                ("emb_layer_norm_before", json!(embed_norm)),
                ("position_embedding_type", json!(kind)),
                ("is_folding_model", json!(false)),
                ("tie_word_embeddings", json!(spec.tie_embeddings)),
            ];
            keys.extend(rope_theta.map(|theta| ("rope_theta", json!(theta))));
            keys
        }
        Encoder::Amplify {
            intermediate_size,
            attention_bias,
            mlp_bias,
            embed_norm,
            final_norm,
        } => vec![
            ("model_type", json!("AMPLIFY")),
            ("hidden_act", json!("SwiGLU")),
            ("intermediate_size", json!(intermediate_size)),
            ("att_bias", json!(attention_bias)),
            ("ffn_bias", json!(mlp_bias)),
            ("layer_norm_after_embedding", json!(embed_norm)),
            ("layer_norm_before_last_layer", json!(final_norm)),
            ("max_length", json!(spec.max_positions)),
            ("norm_eps", json!(spec.norm_eps)),
            ("rms_norm", json!(true)),
            ("embedding_init_range", json!(spec.initializer_range)),
        ],
        Encoder::Encodon { rope_theta } => vec![
            ("model_type", json!("encodon")),
            ("hidden_act", json!("gelu")),
            ("rotary_theta", json!(rope_theta)),
        ],
        Encoder::PlainEncodon => vec![
            ("model_type", json!(PLAIN_ENCODON)),
            ("hidden_act", json!(activation)),
            ("fuse_qkv_params", json!(true)),
            ("qkv_weight_interleaved", json!(true)),
            ("self_attn_mask_type", json!("padding")),
        ],
    };
    if !matches!(spec.family, Encoder::Amplify { .. }) {
        let rows = spec.first_position() + spec.max_positions;
        keys.extend([
            ("max_position_embeddings", json!(rows)),
            ("layer_norm_eps", json!(spec.norm_eps)),
            ("initializer_range", json!(spec.initializer_range)),
        ]);
    }
    keys
}

pub(super) fn fresh_extra(spec: &EncoderSpec) -> Map<String, Value> {
    let (class, rates): (_, &[&str]) = match spec.family {
        Encoder::Bert { .. } => ("BertForMaskedLM", BERT_RATES),
        Encoder::Esm { .. } => ("EsmForMaskedLM", BERT_RATES),
        Encoder::Amplify { .. } => ("AMPLIFY", &["dropout_prob"]),
        Encoder::Encodon { .. } => ("EnCodon", BERT_RATES),
        Encoder::PlainEncodon => ("CodonFMForMaskedLM", BERT_RATES),
    };
    let rates = rates.iter().map(|key| ((*key).to_owned(), json!(0.0)));
    let class = [("architectures".to_owned(), json!([class]))];
    // The class of another head is written from the spec.
    let class = class.into_iter().filter(|_| spec.head == Head::Masked);
    class.chain(rates).collect()
}

const BERT_RATES: &[&str] = &["attention_probs_dropout_prob", "hidden_dropout_prob"];

#[cfg(test)]
#[path = "encoder/esm_tests.rs"]
mod esm_tests;

#[cfg(test)]
#[path = "encoder/plain_tests.rs"]
mod plain_tests;
