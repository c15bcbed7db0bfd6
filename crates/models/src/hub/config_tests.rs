use super::*;
use crate::spec::{
    Activation, AttentionBias, CustomSpec, Decoder, DecoderSpec, Gpt2Spec, Rope, RopeScaling,
    Window,
};

#[path = "config_properties.rs"]
mod properties;

/// As `transformers` 4 writes it.
const LLAMA_4: &str = r#"{
  "architectures": ["LlamaForCausalLM"], "attention_bias": false, "attention_dropout": 0.0,
  "bos_token_id": 1, "eos_token_id": [2, 3], "hidden_act": "silu", "hidden_size": 48,
  "initializer_range": 0.02, "intermediate_size": 88, "max_position_embeddings": 64,
  "mlp_bias": false, "model_type": "llama", "num_attention_heads": 6, "num_hidden_layers": 3,
  "num_key_value_heads": 2, "pretraining_tp": 1, "rms_norm_eps": 1e-05, "rope_scaling": null,
  "rope_theta": 500000.0, "tie_word_embeddings": false, "torch_dtype": "bfloat16",
  "transformers_version": "4.46.3", "use_cache": true, "vocab_size": 97
}"#;

/// The published configuration of the smallest GPT-2, without its task settings.
const GPT2_4: &str = r#"{
  "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1,
  "bos_token_id": 50256, "embd_pdrop": 0.1, "eos_token_id": 50256, "initializer_range": 0.02,
  "layer_norm_epsilon": 1e-05, "model_type": "gpt2", "n_ctx": 1024, "n_embd": 768, "n_head": 12,
  "n_layer": 12, "n_positions": 1024, "resid_pdrop": 0.1, "summary_activation": null,
  "summary_first_dropout": 0.1, "summary_proj_to_labels": true, "summary_type": "cls_index",
  "summary_use_proj": true, "vocab_size": 50257
}"#;

const CUSTOM: &str = r#"{
  "model_type": "custom_transformer", "vocab_size": 100, "max_seq_len": 32, "n_blocks": 2,
  "n_heads": 2, "d_model": 32, "d_ffn": 64, "d_head": 16, "dtype": "torch.bfloat16"
}"#;

fn parse(text: &str) -> Result<HubConfig> {
    HubConfig::parse(text, "config.json")
}

/// `text` with one key set; `value` is JSON.
fn with(text: &str, key: &str, value: &str) -> String {
    let mut map: Map<String, Value> = serde_json::from_str(text).unwrap();
    map.insert(key.to_owned(), serde_json::from_str(value).unwrap());
    Value::Object(map).to_string()
}

fn without(text: &str, key: &str) -> String {
    let mut map: Map<String, Value> = serde_json::from_str(text).unwrap();
    map.remove(key).unwrap();
    Value::Object(map).to_string()
}

#[track_caller]
fn rejects(text: &str, message: &str) {
    let error = parse(text).expect_err("accepted");
    assert_eq!(error.kind(), tenon_base::Kind::Data);
    assert!(
        error.message().contains(message),
        "`{}` lacks `{message}`",
        error.message()
    );
    assert!(error.place().unwrap().starts_with("config.json"), "{error}");
}

fn llama(config: &HubConfig) -> &DecoderSpec {
    let Spec::Decoder(spec) = &config.spec else {
        panic!("not a Llama: {config:?}")
    };
    spec
}

fn gpt2(config: &HubConfig) -> &Gpt2Spec {
    let Spec::Gpt2(spec) = &config.spec else {
        panic!("not a GPT-2: {config:?}")
    };
    spec
}

#[test]
fn llama_of_version_4_is_read() {
    let config = parse(LLAMA_4).unwrap();
    let spec = llama(&config);
    assert_eq!((spec.n_heads, spec.n_kv_heads, spec.head_dim), (6, 2, 8));
    assert_eq!(spec.rope, Rope::plain(500_000.0));
    assert_eq!(spec.eos_ids, [2, 3]);
    assert_eq!(config.dtype, Some(Dtype::BF16));
    assert_eq!(config.extra["pretraining_tp"], 1);
}

#[test]
fn llama_of_version_5_is_the_same_model() {
    let four = without(&without(LLAMA_4, "rope_theta"), "torch_dtype");
    let rope = r#"{"rope_theta": 500000.0, "rope_type": "default"}"#;
    let five = with(
        &with(&four, "rope_parameters", rope),
        "dtype",
        r#""bfloat16""#,
    );
    let (four, five) = (parse(LLAMA_4).unwrap(), parse(&five).unwrap());
    assert_eq!((four.spec, four.dtype), (five.spec, five.dtype));
}

#[test]
fn llama_defaults_follow_the_reference() {
    let mut text = LLAMA_4.to_owned();
    for key in [
        "rope_theta",
        "num_key_value_heads",
        "rms_norm_eps",
        "max_position_embeddings",
        "bos_token_id",
        "eos_token_id",
        "torch_dtype",
    ] {
        text = without(&text, key);
    }
    let config = parse(&text).unwrap();
    let spec = llama(&config);
    assert_eq!((spec.rope.theta, spec.norm_eps), (10_000.0, 1e-6));
    assert_eq!((spec.n_kv_heads, spec.max_positions), (6, 2048));
    assert_eq!(
        (spec.bos_id, spec.eos_ids.len(), config.dtype),
        (None, 0, None)
    );
}

#[test]
fn llama_head_dim_is_free_when_given() {
    let config = parse(&with(LLAMA_4, "head_dim", "12")).unwrap();
    assert_eq!(llama(&config).head_dim, 12);
    rejects(
        &with(LLAMA_4, "hidden_size", "50"),
        "`head_dim` is not given",
    );
}

#[test]
fn llama_spellings_that_disagree_are_refused() {
    let rope = r#"{"rope_theta": 10000.0, "rope_type": "default"}"#;
    rejects(
        &with(LLAMA_4, "rope_parameters", rope),
        "`rope_theta` is 500000, `rope_parameters.rope_theta` is 10000",
    );
    rejects(
        &with(LLAMA_4, "dtype", r#""float32""#),
        "`dtype` says F32, `torch_dtype` says BF16",
    );
}

#[test]
fn llama_activation_and_bias() {
    rejects(
        &with(LLAMA_4, "hidden_act", r#""gelu""#),
        "`hidden_act` is `\"gelu\"`, supported:",
    );
    let config = parse(&with(LLAMA_4, "attention_bias", "true")).unwrap();
    assert_eq!(llama(&config).attention_bias, AttentionBias::All);
}

#[test]
fn gpt2_as_published_is_read() {
    let config = parse(GPT2_4).unwrap();
    let spec = gpt2(&config);
    assert_eq!((spec.d_ffn, spec.tie_embeddings), (3072, true));
    assert_eq!(
        (spec.activation, spec.eos_ids.as_slice()),
        (Activation::GeluNew, &[50256][..])
    );
    assert_eq!(config.extra["attn_pdrop"], 0.1);
}

#[test]
fn gpt2_inner_width_may_be_null_or_a_number() {
    assert_eq!(
        gpt2(&parse(&with(GPT2_4, "n_inner", "null")).unwrap()).d_ffn,
        3072
    );
    assert_eq!(
        gpt2(&parse(&with(GPT2_4, "n_inner", "100")).unwrap()).d_ffn,
        100
    );
}

#[test]
fn gpt2_values_that_would_change_the_maths_are_refused() {
    for (key, value, message) in [
        (
            "activation_function",
            r#""mish""#,
            "is `\"mish\"`, supported: one of `gelu`,",
        ),
        (
            "add_cross_attention",
            "true",
            "is `true`, supported: only `false`",
        ),
        (
            "pruned_heads",
            r#"{"0": [1]}"#,
            "is an object, supported: only `{}`",
        ),
    ] {
        rejects(&with(GPT2_4, key, value), &format!("`{key}` {message}"));
    }
}

#[test]
fn custom_is_read_and_its_head_width_must_fit() {
    let config = parse(CUSTOM).unwrap();
    assert!(matches!(
        config.spec,
        Spec::Custom(CustomSpec {
            n_blocks: 2,
            d_ffn: 64,
            ..
        })
    ));
    rejects(
        &with(CUSTOM, "d_head", "8"),
        "`d_head` is `8`, supported: only `16`",
    );
}

#[test]
fn unknown_keys_name_the_nearest() {
    rejects(
        &with(GPT2_4, "n_heads", "12"),
        "unknown key `n_heads`, did you mean `n_head`?",
    );
    rejects(
        &with(GPT2_4, "quantization_config", "{}"),
        "unknown key `quantization_config`",
    );
}

#[test]
fn missing_and_mistyped_keys_are_all_listed() {
    let text = with(&without(GPT2_4, "n_head"), "n_layer", "1.5");
    rejects(&text, "2 problems:");
    rejects(&text, "key `n_head` is missing");
    rejects(
        &text,
        "`n_layer` is `1.5`, supported: a non-negative integer",
    );
    rejects(&with(GPT2_4, "n_layer", "-1"), "`n_layer` is `-1`");
    rejects(&with(GPT2_4, "n_layer", "\"12\""), "`n_layer` is `\"12\"`");
    rejects(
        &with(GPT2_4, "layer_norm_epsilon", "null"),
        "`layer_norm_epsilon` is `null`",
    );
    rejects(
        &with(GPT2_4, "eos_token_id", "[1, -1]"),
        "`eos_token_id` is a list",
    );
}

#[test]
fn unknown_family_lists_the_known_ones() {
    rejects(
        &with(GPT2_4, "model_type", r#""gpt3""#),
        "`model_type` is `\"gpt3\"`, supported: `custom_transformer`, `gpt2`, `llama`, `mistral`",
    );
    rejects(
        &without(GPT2_4, "model_type"),
        "key `model_type` is missing",
    );
    rejects("[]", "not a JSON object");
    rejects(
        "{\"model_type\": \"gpt2\", \"model_type\": \"llama\"}",
        "appears twice",
    );
}

#[test]
fn impossible_models_are_refused() {
    rejects(
        &with(GPT2_4, "n_head", "7"),
        "`d_model` 768 is not a multiple of `n_heads` 7",
    );
    rejects(
        &with(GPT2_4, "n_embd", "18446744073709551615"),
        "above the limit",
    );
    rejects(&with(LLAMA_4, "num_attention_heads", "0"), "`n_heads` is 0");
}

#[test]
fn writing_keeps_extra_keys_and_never_lets_them_win() {
    let mut config = parse(GPT2_4).unwrap();
    config.extra.insert("n_head".to_owned(), json!(3));
    let back = parse(&config.to_json()).unwrap();
    assert_eq!(back.spec, config.spec);
    assert_eq!(back.extra["summary_type"], "cls_index");
}

#[test]
fn written_text_has_both_spellings() {
    let text = parse(LLAMA_4).unwrap().to_json();
    let map: Map<String, Value> = serde_json::from_str(&text).unwrap();
    assert_eq!(map["dtype"], map["torch_dtype"]);
    assert_eq!(map["rope_parameters"]["rope_theta"], map["rope_theta"]);
    assert!(map.keys().is_sorted());
}

#[test]
fn gpt2_scales_its_scores_by_width_and_by_block() {
    let scales = |text: &str| {
        let config = parse(text).unwrap();
        [0, 3].map(|layer| gpt2(&config).score_scale(layer))
    };
    assert_eq!(scales(GPT2_4), [0.125, 0.125]);
    let by_layer = with(GPT2_4, "scale_attn_by_inverse_layer_idx", "true");
    assert_eq!(scales(&by_layer), [0.125, 0.03125]);
    assert_eq!(
        scales(&with(&by_layer, "scale_attn_weights", "false")),
        [1.0, 0.25]
    );
}

/// What published files say besides: of heads, of tools that wrote them, of former versions.
#[test]
fn keys_of_published_files_without_meaning_are_kept() {
    for (text, key, value) in [
        (GPT2_4, "n_special", "0"),
        (GPT2_4, "predict_special_tokens", "true"),
        (GPT2_4, "_num_labels", "1"),
        (GPT2_4, "output_past", "true"),
        (LLAMA_4, "is_llama_config", "true"),
        (LLAMA_4, "transformers.js_config", "{}"),
        (LLAMA_4, "unsloth_version", r#""2024.9""#),
        (LLAMA_4, "_flash_attn_2_enabled", "false"),
    ] {
        let config = parse(&with(text, key, value)).unwrap();
        assert!(config.extra.contains_key(key), "{key}");
    }
    for key in ["rope_interleaved", "use_mrope"] {
        assert_eq!(
            parse(&with(LLAMA_4, key, "false")).unwrap(),
            parse(LLAMA_4).unwrap()
        );
        let message = format!("`{key}` is `true`, supported: only `false`");
        rejects(&with(LLAMA_4, key, "true"), &message);
    }
}

/// Absent and null are two things where the reference's default is a number.
#[test]
fn mistral_without_a_number_of_keys_has_eight_and_with_null_as_many_as_queries() {
    let text = with(LLAMA_4, "model_type", r#""mistral""#);
    let text = without(&without(&text, "mlp_bias"), "num_key_value_heads");
    let text = with(&with(&text, "num_attention_heads", "16"), "head_dim", "4");
    assert_eq!(llama(&parse(&text).unwrap()).n_kv_heads, 8);
    let text = with(&text, "num_key_value_heads", "null");
    assert_eq!(llama(&parse(&text).unwrap()).n_kv_heads, 16);
    rejects(
        &with(&text, "attention_bias", "true"),
        "`attention_bias` is `true`",
    );
}
