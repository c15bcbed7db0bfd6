use super::*;

fn llama() -> DecoderSpec {
    DecoderSpec {
        family: Decoder::Llama,
        vocab_size: 97,
        max_positions: 64,
        d_model: 48,
        n_layers: 3,
        n_heads: 6,
        n_kv_heads: 2,
        head_dim: 8,
        d_ffn: 88,
        norm_eps: 1e-5,
        rope: Rope::plain(10000.0),
        tie_embeddings: false,
        attention_bias: AttentionBias::None,
        mlp_bias: false,
        head_norms: false,
        window: None,
        experts: None,
        bos_id: Some(1),
        eos_ids: vec![2],
        initializer_range: 0.02,
    }
}

#[track_caller]
fn rejects(change: impl Fn(&mut DecoderSpec), message: &str) {
    let mut spec = llama();
    change(&mut spec);
    let error = Spec::Decoder(spec).validate().expect_err("accepted");
    assert!(
        error.message().contains(message),
        "`{}` lacks `{message}`",
        error.message()
    );
}

#[test]
fn possible_models_pass() {
    Spec::Decoder(llama()).validate().unwrap();
    let wide_heads = DecoderSpec {
        head_dim: 128,
        ..llama()
    };
    Spec::Decoder(wide_heads).validate().unwrap();
}

#[test]
fn impossible_models_are_named() {
    rejects(
        |s| s.n_kv_heads = 4,
        "`n_heads` 6 is not a multiple of `n_kv_heads` 4",
    );
    rejects(|s| s.head_dim = 7, "`head_dim` 7 is odd");
    rejects(|s| s.d_ffn = 0, "`d_ffn` is 0");
    rejects(|s| s.n_heads = 0, "`n_heads` is 0");
    rejects(|s| s.n_kv_heads = 0, "`n_kv_heads` is 0");
    rejects(
        |s| s.n_layers = LAYERS_MAX + 1,
        "`n_layers` 513 is above the limit of 512",
    );
    rejects(|s| s.norm_eps = 0.0, "`norm_eps` 0 is not above 0");
    rejects(|s| s.norm_eps = f64::NAN, "`norm_eps` NaN");
    rejects(|s| s.rope.theta = f64::INFINITY, "`rope.theta` inf");
    rejects(|s| s.initializer_range = -1.0, "`initializer_range` -1");
}

#[test]
fn all_problems_are_listed_at_once() {
    let spec = CustomSpec {
        vocab_size: 0,
        max_seq_len: 8,
        n_blocks: 1,
        n_heads: 3,
        d_model: 32,
        d_ffn: 0,
    };
    let error = Spec::Custom(spec).validate().unwrap_err();
    let expected = "not a possible model: `vocab_size` is 0; `d_ffn` is 0; \
                    `d_model` 32 is not a multiple of `n_heads` 3";
    assert_eq!(error.message(), expected);
}
