use serde_json::{Map, Value, json};

use crate::folder::parameters;
use crate::hub::HubConfig;
use crate::spec::{Encoder, EncoderSpec, Spec};

/// As `transformers` writes that of ESM-1b.
fn published() -> Map<String, Value> {
    let config = json!({
        "model_type": "esm", "architectures": ["EsmForMaskedLM"], "vocab_size": 33,
        "hidden_size": 20, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 40, "hidden_act": "gelu", "attention_probs_dropout_prob": 0.0,
        "hidden_dropout_prob": 0.0, "initializer_range": 0.02, "layer_norm_eps": 1e-5,
        "pad_token_id": 1, "mask_token_id": 32, "max_position_embeddings": 1026,
        "position_embedding_type": "absolute", "emb_layer_norm_before": true,
        "token_dropout": true, "is_folding_model": false,
        "rope_theta": 10000.0, "use_cache": true, "vocab_list": null,
    });
    config.as_object().expect("an object").clone()
}

fn parse(map: &Map<String, Value>) -> tenon_base::Result<HubConfig> {
    HubConfig::parse(&Value::Object(map.clone()).to_string(), "config.json")
}

fn encoder(config: &HubConfig) -> &EncoderSpec {
    let Spec::Encoder(spec) = &config.spec else {
        panic!("no encoder: {config:?}")
    };
    spec
}

/// The table of positions has two rows more than the context: padding's own and one before it.
#[test]
fn esm1b_is_read_and_given_back() {
    let map = published();
    let config = parse(&map).unwrap();
    let spec = encoder(&config);
    let family = Encoder::Esm {
        token_dropout: true,
        embed_norm: true,
        rope_theta: None,
    };
    assert_eq!((spec.family, spec.max_positions), (family, 1024));
    assert_eq!(spec.first_position(), 2);
    assert_eq!(config.spec.full_name(), "esm2 with learned positions");
    let parameters = parameters(&config.spec);
    let table = parameters
        .iter()
        .find(|p| p.name == "position_embedding.weight");
    assert_eq!(table.unwrap().shape, [1026, 20]);
    let back: Map<String, Value> = serde_json::from_str(&config.to_json()).unwrap();
    for (key, value) in &map {
        assert_eq!(back.get(key), Some(value), "{key}");
    }
    assert_eq!(parse(&back).unwrap().spec, config.spec);
}

/// The default of the reference's class.
#[test]
fn positions_of_esm_are_learned_where_nothing_is_said() {
    let mut map = published();
    map.remove("position_embedding_type");
    assert_eq!(parse(&map).unwrap().spec, parse(&published()).unwrap().spec);
    map.insert("position_embedding_type".to_owned(), json!("rotary"));
    let rotary = parse(&map).unwrap();
    let spec = encoder(&rotary);
    assert_eq!((spec.rope_theta(), spec.max_positions), (Some(1e4), 1026));
    assert_eq!(spec.first_position(), 0);
}

#[test]
fn tables_without_a_place_for_padding_are_refused() {
    for (key, value, message) in [
        (
            "pad_token_id",
            Value::Null,
            "learned positions need `pad_id`",
        ),
        ("max_position_embeddings", json!(2), "`max_positions` is 0"),
        ("pad_token_id", json!(33), "outside the vocabulary"),
        (
            "position_embedding_type",
            json!("relative_key"),
            "`position_embedding_type`",
        ),
    ] {
        let mut map = published();
        map.insert(key.to_owned(), value);
        let error = parse(&map).expect_err(key);
        assert!(error.message().contains(message), "{error}");
    }
}

#[test]
fn a_mask_and_padding_that_are_missing_are_both_told() {
    let mut map = published();
    for key in ["pad_token_id", "mask_token_id"] {
        map.insert(key.to_owned(), Value::Null);
    }
    let error = parse(&map).unwrap_err();
    for message in ["`token_dropout` needs `mask_id`", "need `pad_id`"] {
        assert!(error.message().contains(message), "{error}");
    }
}
