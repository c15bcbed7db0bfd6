//! `config.json` of `custom_transformer`.

use serde_json::{Map, Value, json};

use super::fields::Fields;
use crate::spec::{CustomSpec, Spec};

pub(super) const MODEL_TYPE: &str = "custom_transformer";

pub(super) const TOLERATED: &[&str] = &["bos_token_id", "device", "eos_token_id"];

pub(super) fn read(fields: &mut Fields) -> Spec {
    let spec = CustomSpec {
        vocab_size: fields.size("vocab_size"),
        max_seq_len: fields.size("max_seq_len"),
        n_blocks: fields.size("n_blocks"),
        n_heads: fields.size("n_heads"),
        d_model: fields.size("d_model"),
        d_ffn: fields.size("d_ffn"),
    };
    let d_head = spec.d_model.checked_div(spec.n_heads).unwrap_or(0);
    fields.only("d_head", &[json!(d_head)]);
    Spec::Custom(spec)
}

pub(super) fn write(spec: &CustomSpec) -> Map<String, Value> {
    let CustomSpec {
        vocab_size,
        max_seq_len,
        n_blocks,
        n_heads,
        d_model,
        d_ffn,
    } = spec;
    let keys = [
        ("model_type", json!(MODEL_TYPE)),
        ("vocab_size", json!(vocab_size)),
        ("max_seq_len", json!(max_seq_len)),
        ("n_blocks", json!(n_blocks)),
        ("n_heads", json!(n_heads)),
        ("d_model", json!(d_model)),
        ("d_ffn", json!(d_ffn)),
    ];
    keys.into_iter()
        .map(|(key, value)| (key.to_owned(), value))
        .collect()
}
