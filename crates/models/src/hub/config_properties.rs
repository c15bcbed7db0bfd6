//! What holds for any configuration.

use proptest::prelude::*;

use super::*;
use crate::spec::{Experts, Yarn};

/// One of the decoders, with the choices that its configuration can say.
fn any_decoder(
    family: usize,
    [a, b, c, d, e, f]: [usize; 6],
    eps: f64,
    theta: f64,
    flags: [bool; 3],
    (bos_id, eos_ids): (Option<u32>, Vec<u32>),
) -> Spec {
    let family = [
        Decoder::Llama,
        Decoder::Mistral,
        Decoder::Qwen2,
        Decoder::Qwen3,
        Decoder::Mixtral,
    ][family - 2];
    let qwen = matches!(family, Decoder::Qwen2 | Decoder::Qwen3);
    let window = Window {
        len: a,
        first_layer: if qwen { b } else { 0 },
    };
    let experts = Experts {
        count: d,
        per_token: 1,
        balance: eps,
        balanced: flags[2],
    };
    Spec::Decoder(DecoderSpec {
        family,
        vocab_size: a,
        max_positions: b,
        d_model: e,
        n_layers: c,
        n_heads: d * 2,
        n_kv_heads: d,
        head_dim: f * 2,
        d_ffn: b,
        norm_eps: eps,
        rope: Rope {
            theta,
            scaling: match flags {
                [true, true, _] => Some(RopeScaling::Linear { factor: eps }),
                [true, false, true] => Some(RopeScaling::Dynamic { factor: eps }),
                [true, false, false] => Some(RopeScaling::Yarn(Yarn {
                    factor: eps,
                    original_max_positions: a,
                    beta_fast: theta,
                    beta_slow: eps,
                    attention_factor: (b > c).then_some(eps),
                    truncate: d > e,
                })),
                [false, ..] => None,
            },
        },
        tie_embeddings: flags[0],
        attention_bias: match family {
            Decoder::Qwen2 => AttentionBias::QueryKeyValue,
            Decoder::Llama | Decoder::Qwen3 if flags[1] => AttentionBias::All,
            _ => AttentionBias::None,
        },
        mlp_bias: flags[2] && family == Decoder::Llama,
        head_norms: family == Decoder::Qwen3,
        window: (flags[1] && family != Decoder::Llama).then_some(window),
        experts: (family == Decoder::Mixtral).then_some(experts),
        bos_id,
        eos_ids,
        initializer_range: eps,
    })
}

fn any_spec() -> impl Strategy<Value = Spec> {
    let size = 1usize..200;
    let sizes = prop::array::uniform6(size);
    let eps = prop_oneof![Just(1e-5), Just(1e-6), 1e-12f64..1e-2];
    let ids = (
        prop::option::of(any::<u32>()),
        prop::collection::vec(any::<u32>(), 0..3),
    );
    (
        0usize..7,
        sizes,
        eps,
        ids,
        any::<[bool; 3]>(),
        1e-3f64..1e7,
        0usize..4,
    )
        .prop_map(
            |(family, [a, b, c, d, e, f], eps, (bos_id, eos_ids), flags, theta, activation)| {
                match family {
                    0 => Spec::Custom(CustomSpec {
                        vocab_size: a,
                        max_seq_len: b,
                        n_blocks: c,
                        n_heads: d,
                        d_model: d * e,
                        d_ffn: f,
                    }),
                    1 => Spec::Gpt2(Gpt2Spec {
                        vocab_size: a,
                        n_positions: b,
                        d_model: d * e,
                        n_layers: c,
                        n_heads: d,
                        d_ffn: f,
                        activation: [
                            Activation::GeluNew,
                            Activation::Gelu,
                            Activation::Relu,
                            Activation::Silu,
                        ][activation],
                        norm_eps: eps,
                        scale_by_width: !flags[1],
                        scale_by_layer: flags[2],
                        tie_embeddings: flags[0],
                        bos_id,
                        eos_ids,
                        initializer_range: eps,
                    }),
                    _ => any_decoder(
                        family,
                        [a, b, c, d, e, f],
                        eps,
                        theta,
                        flags,
                        (bos_id, eos_ids),
                    ),
                }
            },
        )
}

proptest! {
    #[test]
    fn what_is_written_is_read(spec in any_spec()) {
        let config = HubConfig::new(spec, Dtype::F32).unwrap();
        let text = config.to_json();
        let back = parse(&text).unwrap();
        prop_assert_eq!(&back.spec, &config.spec);
        prop_assert_eq!(back.dtype, config.dtype);
        prop_assert_eq!(back.to_json(), text);
    }

    #[test]
    fn any_text_gives_a_config_or_an_error(text in any::<String>()) {
        prop_assert!(parse(&text).is_err());
    }

    /// One key of a good configuration is replaced by any value: read as a valid model or refused.
    #[test]
    fn any_value_of_any_key_is_survived(
        which in any::<prop::sample::Index>(),
        family in 0usize..3,
        value in prop_oneof![
            Just(json!(null)), Just(json!([])), Just(json!({})), Just(json!({"rope_type": 3})),
            any::<i64>().prop_map(|n| json!(n)), any::<u64>().prop_map(|n| json!(n)),
            any::<f64>().prop_map(|x| json!(x)), any::<String>().prop_map(|s| json!(s)),
            any::<bool>().prop_map(|b| json!(b)),
        ],
    ) {
        let text = [LLAMA_4, GPT2_4, CUSTOM][family];
        let map: Map<String, Value> = serde_json::from_str(text).unwrap();
        let key = map.keys().nth(which.index(map.len())).unwrap();
        if let Ok(config) = parse(&with(text, key, &value.to_string())) {
            prop_assert!(config.spec.validate().is_ok());
            prop_assert_eq!(parse(&config.to_json()).unwrap(), config);
        }
    }
}
