use super::*;
use crate::hub::{HubConfig, Naming};
use crate::publish::code_of;

/// A configuration of every family.
const CONFIGS: [&str; 13] = [
    r#"{"model_type": "custom_transformer", "vocab_size": 61, "max_seq_len": 14, "n_blocks": 2,
        "n_heads": 2, "d_model": 16, "d_ffn": 24}"#,
    r#"{"model_type": "gpt2", "vocab_size": 61, "n_positions": 14, "n_embd": 16, "n_layer": 2,
        "n_head": 2}"#,
    r#"{"model_type": "llama"SIZES}"#,
    r#"{"model_type": "llama", "rope_scaling": {"rope_type": "llama3", "factor": 8,
        "low_freq_factor": 1, "high_freq_factor": 4,
        "original_max_position_embeddings": 16}SIZES}"#,
    r#"{"model_type": "mistral"SIZES}"#,
    r#"{"model_type": "qwen2"SIZES}"#,
    r#"{"model_type": "qwen3"SIZES}"#,
    r#"{"model_type": "mixtral"SIZES}"#,
    r#"{"model_type": "esm", "position_embedding_type": "rotary", "mask_token_id": 32SIZES}"#,
    r#"{"model_type": "esm", "token_dropout": false, "pad_token_id": 1SIZES}"#,
    r#"{"model_type": "AMPLIFY"SIZES}"#,
    r#"{"model_type": "encodon"SIZES}"#,
    r#"{"model_type": "codonfm"SIZES}"#,
];
const BERTS: [&str; 2] = ["gelu", "relu"];
const SIZES: &str = r#", "vocab_size": 61, "hidden_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 48"#;
const ENCODER_SIZES: &str = r#", "vocab_size": 61, "hidden_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 4, "intermediate_size": 48"#;

fn specs() -> Vec<Spec> {
    let encoders = ["esm", "AMPLIFY", "encodon", "codonfm"];
    let configs = CONFIGS.iter().map(|text| {
        let encoder = encoders
            .iter()
            .any(|name| text.contains(&format!("\"{name}\"")));
        text.replace("SIZES", if encoder { ENCODER_SIZES } else { SIZES })
    });
    let berts = BERTS.iter().map(|activation| {
        format!("{{\"model_type\": \"bert\", \"hidden_act\": \"{activation}\"{ENCODER_SIZES}}}")
    });
    let parsed = configs
        .chain(berts)
        .map(|text| HubConfig::parse(&text, "test"));
    parsed.map(|config| config.unwrap().spec).collect()
}

fn facts(spec: &Spec, fused: bool) -> CardFacts {
    CardFacts {
        name: "tiny".to_owned(),
        spec: spec.clone(),
        n_parameters: 7_511_801,
        dtype: None,
        license: "mit".to_owned(),
        source_license: None,
        source: "model".to_owned(),
        revision: None,
        files: Vec::new(),
        own_code: false,
        fused,
        has_tokenizer: false,
        run: None,
    }
}

/// The same with every fact there, and with hostile ones.
fn full(spec: &Spec, fused: bool, text: &str) -> CardFacts {
    let owned = || text.to_owned();
    let metric = Metric {
        name: owned(),
        value: 1.25,
        step: 40,
    };
    CardFacts {
        name: owned(),
        dtype: Some(Dtype::BF16),
        license: owned(),
        source_license: Some(owned()),
        source: owned(),
        revision: Some(owned()),
        files: vec![WrittenFile {
            name: "model.safetensors".to_owned(),
            sha256: "00".repeat(32),
        }],
        own_code: true,
        has_tokenizer: true,
        run: Some(RunFacts {
            name: owned(),
            data: Some(owned()),
            metrics: vec![metric],
        }),
        ..facts(spec, fused)
    }
}

#[track_caller]
fn is_filled(text: &str) {
    for mark in [
        "{",
        "}",
        "TODO",
        "None",
        "Some(",
        "null",
        "[More Information",
        "NaN",
    ] {
        assert!(!text.contains(mark), "`{mark}` in\n{text}");
    }
    assert!(!text.contains("\n\n\n") && !text.contains("  "), "{text}");
    let sections = [
        "# ",
        "## Architecture",
        "## How to load",
        "## Lineage",
        "## Attribution",
    ];
    assert!(
        sections
            .iter()
            .all(|part| text.contains(&format!("\n{part}"))),
        "{text}"
    );
}

#[test]
fn no_placeholder_is_left_in_any_family_and_layout() {
    let specs = specs();
    let families: std::collections::BTreeSet<&str> = specs.iter().map(Spec::family).collect();
    assert_eq!(families.len(), 11, "{families:?}");
    for spec in &specs {
        for fused in [false, true] {
            is_filled(&card(&facts(spec, fused)));
            is_filled(&card(&full(spec, fused, "owner/name")));
            is_filled(&card(&full(spec, fused, "{{name}}")));
        }
    }
}

#[test]
fn text_from_outside_stays_in_its_line() {
    let spec = &specs()[0];
    let text = card(&full(spec, false, "a\nlicense: mit\"\n---\n# b <i> `"));
    let (matter, body) = text[4..].split_once("---\n").unwrap();
    assert_eq!(matter.matches("license:").count(), 2, "{matter}");
    assert!(
        matter.starts_with("license: \"alicense: mit\\\"---# b i \"\n"),
        "{matter}"
    );
    assert!(!body.contains("<i>") && !body.contains("\n# b"), "{body}");
}

#[test]
fn names_of_the_hub_are_linked_and_others_are_not() {
    let spec = &specs()[1];
    let linked = card(&full(spec, false, "owner/name"));
    assert!(linked.contains("base_model: owner/name\n"));
    assert!(linked.contains("datasets:\n- owner/name\n"));
    for name in [
        "plain",
        "/data/models",
        "../x",
        "a/b/c",
        "a/.b",
        "a b/c",
        "a/",
    ] {
        assert!(!is_hub_id(name), "{name}");
        assert!(
            !card(&full(spec, false, name)).contains("base_model"),
            "{name}"
        );
    }
}

#[test]
fn counts_are_powers_of_ten() {
    for (n, text) in [
        (7_511_801, "7.5 x 10^6"),
        (9_960_000, "1.0 x 10^7"),
        (8, "8.0 x 10^0"),
        (651_000_000, "6.5 x 10^8"),
    ] {
        assert_eq!(power_of_ten(n), text);
    }
}

#[test]
fn every_module_is_whole() {
    for spec in specs() {
        for naming in [Naming::Hub, Naming::Fused { padded_vocab: None }] {
            let Some(code) = code_of(&spec, naming) else {
                continue;
            };
            for class in [&code.config_class, &code.model_class] {
                let lines = code.text.matches(&format!("\nclass {class}(")).count();
                assert_eq!(lines, 1, "{class}");
            }
            assert!(!code.text.contains("tenon_decoder") && !code.text.contains("TenonDecoder"));
            assert!(
                code.text
                    .starts_with("# SPDX-License-Identifier: MIT OR Apache-2.0\n")
            );
            assert_eq!(
                code.auto_map()["AutoConfig"],
                format!("{}.{}", code.module, code.config_class)
            );
        }
    }
}

#[test]
fn each_esm_is_that_of_its_paper() {
    let named = |keys: &str| {
        let text = format!(
            "{{\"model_type\": \"esm\", \"pad_token_id\": 1, \"mask_token_id\": 32{keys}\
             {ENCODER_SIZES}}}"
        );
        let spec = HubConfig::parse(&text, "test").unwrap().spec;
        let origins = origins(&spec);
        assert_eq!(origins.len(), 1);
        (origins[0].name, origins[0].authors)
    };
    let norm = ", \"emb_layer_norm_before\": true";
    let rotary = ", \"position_embedding_type\": \"rotary\"";
    assert_eq!(named(norm), ("ESM-1b", "Rives et al. (2021)"));
    assert_eq!(named(""), ("ESM-1v", "Meier et al. (2021)"));
    assert_eq!(named(rotary), ("ESM-2", "Lin et al. (2023)"));
}
