use serde_json::{Map, Value, json};

use crate::hub::{HubConfig, Naming};
use crate::spec::{Activation, Encoder, EncoderSpec, Spec};

/// With every key that NVIDIA's configuration class writes of itself.
fn published() -> Map<String, Value> {
    let config = json!({
        "model_type": "codonfm", "architectures": ["CodonFMForMaskedLM"], "vocab_size": 69,
        "hidden_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 512, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
        "attention_probs_dropout_prob": 0.1, "initializer_range": 0.02, "layer_norm_eps": 1e-12,
        "pad_token_id": 3, "mask_token_id": 4, "max_position_embeddings": 2048,
        "attn_input_format": "thd", "self_attn_mask_type": "padding",
        "qkv_weight_interleaved": true, "fuse_qkv_params": true, "layer_precision": ["fp8", null],
        "use_quantized_model_init": false, "dtype": "bfloat16",
        "auto_map": {"AutoConfig": "modeling_codonfm_te.CodonFMConfig"},
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

#[test]
fn the_plain_variant_is_read_and_given_back() {
    let map = published();
    let config = parse(&map).unwrap();
    assert_eq!(config.naming, Naming::Hub);
    let spec = encoder(&config);
    assert_eq!(spec.family, Encoder::PlainEncodon);
    assert_eq!(spec.activation, Activation::GeluNew);
    assert_eq!(spec.rope_theta(), Some(1e4));
    assert_eq!((spec.pad_id, spec.mask_id), (Some(3), Some(4)));
    let back: Map<String, Value> = serde_json::from_str(&config.to_json()).unwrap();
    for (key, value) in &map {
        // The classes that it names are in no folder of ours.
        let expected = (key != "auto_map").then_some(value);
        assert_eq!(back.get(key), expected, "{key}");
    }
    assert_eq!(parse(&back).unwrap().spec, config.spec);
}

#[test]
fn each_activation_of_the_plain_variant_is_given_back() {
    for (name, activation) in [("relu", Activation::Relu), ("silu", Activation::Silu)] {
        let mut map = published();
        map.insert("hidden_act".to_owned(), json!(name));
        let config = parse(&map).unwrap();
        assert_eq!(encoder(&config).activation, activation);
        assert!(
            config
                .to_json()
                .contains(&format!("\"hidden_act\": \"{name}\""))
        );
    }
}

#[test]
fn what_the_plain_variant_does_not_have_is_refused() {
    for (key, value) in [
        ("fuse_qkv_params", json!(false)),
        ("qkv_weight_interleaved", json!(false)),
        ("self_attn_mask_type", json!("causal")),
        ("padded_vocab_size", json!(80)),
        ("hidden_act", json!("gelu_new")),
        ("rotary_theta", json!(1e5)),
        ("rope_theta", json!(1e4)),
    ] {
        let mut map = published();
        map.insert(key.to_owned(), value);
        let error = parse(&map).expect_err(key);
        assert!(error.message().contains(&format!("`{key}`")), "{error}");
    }
}

/// Within blocks there is no exact GELU, and nothing but masked tokens is told.
#[test]
fn a_plain_spec_that_cannot_be_written_is_none() {
    let spec = encoder(&parse(&published()).unwrap()).clone();
    let exact = EncoderSpec {
        activation: Activation::Gelu,
        ..spec.clone()
    };
    let error = Spec::Encoder(exact).validate().unwrap_err();
    assert!(error.message().contains("exact GELU"), "{error}");
    assert!(Spec::Encoder(spec).validate().is_ok());
}

/// The base of the angles that a configuration without one means is not that of the plain variant.
#[test]
fn absent_angles_of_each_variant_are_those_of_its_reference() {
    let mut map = published();
    map.remove("fuse_qkv_params");
    map.remove("qkv_weight_interleaved");
    map.insert("model_type".to_owned(), json!("encodon"));
    for key in ["auto_map", "self_attn_mask_type", "layer_precision"] {
        map.remove(key);
    }
    // Under another family's name they would be computed with the default.
    let mut other = map.clone();
    other.insert("rope_theta".to_owned(), json!(1e4));
    let error = parse(&other).unwrap_err();
    assert!(error.message().contains("`rope_theta`"), "{error}");
    let spec = encoder(&parse(&map).unwrap()).clone();
    let family = Encoder::Encodon { rope_theta: 1e5 };
    assert_eq!((spec.family, spec.norm_eps), (family, 1e-12));
}
