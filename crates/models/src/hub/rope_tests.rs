use crate::hub::HubConfig;
use crate::spec::{Rope, RopeScaling, Spec, Yarn};
use tenon_base::Result;

/// A Llama with `text` under `key`, in the manner of version 4 or 5 of `transformers`.
fn parse(key: &str, text: &str) -> Result<HubConfig> {
    let config = format!(
        r#"{{"model_type": "llama", "vocab_size": 9, "hidden_size": 32, "num_hidden_layers": 1,
        "num_attention_heads": 2, "intermediate_size": 8, "max_position_embeddings": 64,
        "rope_theta": 1000000.0, "{key}": {text}}}"#
    );
    HubConfig::parse(&config, "config.json")
}

fn rope(config: &HubConfig) -> Rope {
    match &config.spec {
        Spec::Decoder(spec) => spec.rope,
        other => panic!("no decoder: {other:?}"),
    }
}

#[track_caller]
fn rejects(key: &str, text: &str, message: &str) {
    let error = parse(key, text).expect_err("accepted");
    let found = error.message();
    assert!(found.contains(message), "`{found}` lacks `{message}`");
}

const YARN: Yarn = Yarn {
    factor: 4.0,
    original_max_positions: 32_768,
    beta_fast: 32.0,
    beta_slow: 1.0,
    attention_factor: None,
    truncate: true,
};

#[test]
fn scaling_is_read_in_both_spellings() {
    let llama3 = RopeScaling::Llama3 {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_positions: 8192,
    };
    let cases = [
        (
            r#"{"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0,
            "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}"#,
            llama3,
        ),
        (
            r#"{"type": "linear", "factor": 2.0}"#,
            RopeScaling::Linear { factor: 2.0 },
        ),
        (
            r#"{"type": "dynamic", "factor": 2}"#,
            RopeScaling::Dynamic { factor: 2.0 },
        ),
        (
            r#"{"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}"#,
            RopeScaling::Yarn(YARN),
        ),
    ];
    for (text, expected) in cases {
        for key in ["rope_scaling", "rope_parameters"] {
            let config = parse(key, text).unwrap();
            assert_eq!(
                rope(&config),
                Rope {
                    theta: 1e6,
                    scaling: Some(expected)
                }
            );
            let back = HubConfig::parse(&config.to_json(), "written").unwrap();
            assert_eq!(back.spec, config.spec);
        }
    }
}

/// The context of pretraining is the model's where it is not given, and the factor of YaRN is that
/// of the two contexts.
#[test]
fn absent_numbers_follow_the_reference() {
    let text = r#"{"rope_type": "yarn", "factor": null, "original_max_position_embeddings": 16,
        "beta_fast": 0, "mscale": 0.7, "mscale_all_dim": 0, "finetuned": true}"#;
    let expected = Yarn {
        original_max_positions: 16,
        ..YARN
    };
    let found = rope(&parse("rope_scaling", text).unwrap()).scaling;
    assert_eq!(found, Some(RopeScaling::Yarn(expected)));
    let found = rope(&parse("rope_scaling", r#"{"type": "yarn", "factor": 4}"#).unwrap());
    let expected = Yarn {
        original_max_positions: 64,
        ..YARN
    };
    assert_eq!(found.scaling, Some(RopeScaling::Yarn(expected)));
}

/// Frequencies and factors that `transformers` 5.23 computes in f64 for a head of 16.
#[test]
fn yarn_is_that_of_the_reference() {
    let cases: [(&str, [f64; 4], f64); 3] = [
        (
            r#"{"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768}"#,
            [
                1.0,
                0.031_622_776_601_683_79,
                0.000_5,
                7.905_694_150_420_949e-6,
            ],
            1.138_629_436_111_989,
        ),
        (
            r#"{"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 32768,
            "truncate": false, "beta_fast": 16.0, "mscale": 0.7, "mscale_all_dim": 1.0}"#,
            [
                1.0,
                0.031_622_776_601_683_79,
                0.000_696_759_922_349_799_1,
                7.905_694_150_420_949e-6,
            ],
            0.963_474_656_886_082_6,
        ),
        (
            r#"{"type": "yarn", "factor": 4.0, "original_max_position_embeddings": 4,
            "attention_factor": 0.5}"#,
            [
                1.0,
                0.007_905_694_150_420_948,
                0.000_25,
                7.905_694_150_420_949e-6,
            ],
            0.5,
        ),
    ];
    for (text, expected, factor) in cases {
        let rope = rope(&parse("rope_scaling", text).unwrap());
        let found = rope.frequencies(16);
        for (i, expected) in expected.into_iter().enumerate() {
            let found = found[2 * i];
            assert!(
                (found / expected - 1.0).abs() < 1e-14,
                "{text}: {found}, not {expected}"
            );
        }
        assert!(
            (rope.score_factor() / factor.powi(2) - 1.0).abs() < 1e-14,
            "{text}"
        );
    }
}

#[test]
fn dynamic_scaling_changes_nothing_within_the_context() {
    let dynamic = rope(&parse("rope_scaling", r#"{"type": "dynamic", "factor": 2.0}"#).unwrap());
    assert_eq!(dynamic.frequencies(16), Rope::plain(1e6).frequencies(16));
    assert_eq!(dynamic.score_factor(), 1.0);
}

#[test]
fn what_is_not_computed_is_refused() {
    rejects(
        "rope_scaling",
        r#"{"rope_type": "longrope", "factor": 8.0}"#,
        "`rope_scaling.rope_type` is `\"longrope\"`, supported: one of `default`, `linear`, \
         `dynamic`, `llama3`, `yarn`",
    );
    rejects(
        "rope_scaling",
        r#"{"rope_type": "llama3", "factor": 8.0}"#,
        "key `rope_scaling.low_freq_factor` is missing",
    );
    rejects(
        "rope_scaling",
        r#"{"type": "dynamic", "factor": 2.0, "original_max_position_embeddings": 32}"#,
        "`rope_scaling.original_max_position_embeddings` is `32`, supported: only `64`",
    );
    rejects(
        "rope_parameters",
        r#"{"rope_type": "default", "partial_rotary_factor": 0.5}"#,
        "`rope_parameters.partial_rotary_factor` is `0.5`",
    );
    rejects(
        "rope_parameters",
        "3",
        "`rope_parameters` is `3`, supported: an obj",
    );
    for (key, value) in [
        ("beta_fast", "-1"),
        ("factor", "-4"),
        ("attention_factor", "-1"),
    ] {
        let text = format!(r#"{{"type": "yarn", "factor": 4.0, "{key}": {value}}}"#);
        let text = text.replace(r#""factor": 4.0, "factor""#, r#""factor""#);
        rejects(
            "rope_scaling",
            &text,
            &format!("`rope.{key}` {value} is not above 0"),
        );
    }
}
