//! Published models by their sizes: what a family has been used for, and a check of our graphs,
//! whose numbers of parameters are known.

use crate::spec::{
    Activation, AttentionBias, Decoder, DecoderSpec, Encoder, EncoderSpec, Gpt2Spec, Head, Rope,
    RopeScaling, Spec,
};

/// A published model.
#[derive(Clone, Debug)]
pub struct Published {
    /// What its authors call it.
    pub name: &'static str,
    /// Its sizes.
    pub spec: Spec,
}

/// All of them, family by family.
pub fn published() -> Vec<Published> {
    let mut all = Vec::new();
    for (name, d_model, n_layers, n_heads) in [
        ("gpt2", 768, 12, 12),
        ("gpt2-medium", 1024, 24, 16),
        ("gpt2-large", 1280, 36, 20),
        ("gpt2-xl", 1600, 48, 25),
    ] {
        let spec = gpt2(d_model, n_layers, n_heads);
        all.push(Published { name, spec });
    }
    all.extend(decoders());
    all.extend(encoders());
    all
}

fn gpt2(d_model: usize, n_layers: usize, n_heads: usize) -> Spec {
    Spec::Gpt2(Gpt2Spec {
        vocab_size: 50_257,
        n_positions: 1024,
        d_model,
        n_layers,
        n_heads,
        d_ffn: 4 * d_model,
        activation: Activation::GeluNew,
        norm_eps: 1e-5,
        scale_by_width: true,
        scale_by_layer: false,
        tie_embeddings: true,
        bos_id: Some(50_256),
        eos_ids: vec![50_256],
        initializer_range: 0.02,
    })
}

fn decoders() -> Vec<Published> {
    let llama = |sizes| plain_decoder(Decoder::Llama, sizes);
    let llama3 = |sizes, tie_embeddings| DecoderSpec {
        rope: Rope {
            theta: 500_000.0,
            scaling: Some(RopeScaling::Llama3 {
                factor: if tie_embeddings { 32.0 } else { 8.0 },
                low_freq_factor: 1.0,
                high_freq_factor: 4.0,
                original_max_positions: 8192,
            }),
        },
        tie_embeddings,
        ..llama(sizes)
    };
    let mistral = DecoderSpec {
        window: Some(crate::spec::Window {
            len: 4096,
            first_layer: 0,
        }),
        ..plain_decoder(Decoder::Mistral, [32_000, 32_768, 4096, 32, 32, 8, 14_336])
    };
    let qwen2 = DecoderSpec {
        attention_bias: AttentionBias::QueryKeyValue,
        tie_embeddings: true,
        rope: Rope::plain(1e6),
        ..plain_decoder(Decoder::Qwen2, [151_936, 32_768, 896, 24, 14, 2, 4864])
    };
    let qwen3 = DecoderSpec {
        head_dim: 128,
        head_norms: true,
        tie_embeddings: true,
        rope: Rope::plain(1e6),
        ..plain_decoder(Decoder::Qwen3, [151_936, 40_960, 1024, 28, 16, 8, 3072])
    };
    let named = [
        (
            "TinyLlama-1.1B",
            llama([32_000, 2048, 2048, 22, 32, 4, 5632]),
        ),
        (
            "Llama-2-7B",
            llama([32_000, 4096, 4096, 32, 32, 32, 11_008]),
        ),
        (
            "Llama-3.1-8B",
            llama3([128_256, 131_072, 4096, 32, 32, 8, 14_336], false),
        ),
        (
            "Llama-3.2-1B",
            llama3([128_256, 131_072, 2048, 16, 32, 8, 8192], true),
        ),
        ("Mistral-7B-v0.1", mistral),
        ("Qwen2.5-0.5B", qwen2),
        ("Qwen3-0.6B", qwen3),
        ("Mixtral-8x7B-v0.1", mixtral()),
    ];
    let published = named.map(|(name, spec)| Published {
        name,
        spec: Spec::Decoder(spec),
    });
    published.into()
}

fn mixtral() -> DecoderSpec {
    DecoderSpec {
        experts: Some(crate::spec::Experts {
            count: 8,
            per_token: 2,
            balance: 0.02,
            balanced: false,
        }),
        rope: Rope::plain(1e6),
        ..plain_decoder(Decoder::Mixtral, [32_000, 32_768, 4096, 32, 32, 8, 14_336])
    }
}

/// A decoder without biases, window or experts, of these sizes: vocabulary, context, width, layers,
/// heads, key-value heads, feed-forward width.
pub fn plain_decoder(family: Decoder, sizes: [usize; 7]) -> DecoderSpec {
    let [
        vocab_size,
        max_positions,
        d_model,
        n_layers,
        n_heads,
        n_kv_heads,
        d_ffn,
    ] = sizes;
    DecoderSpec {
        family,
        vocab_size,
        max_positions,
        d_model,
        n_layers,
        n_heads,
        n_kv_heads,
        head_dim: d_model / n_heads,
        d_ffn,
        norm_eps: 1e-5,
        rope: Rope::plain(1e4),
        tie_embeddings: false,
        attention_bias: AttentionBias::None,
        mlp_bias: false,
        head_norms: false,
        window: None,
        experts: None,
        bos_id: None,
        eos_ids: Vec::new(),
        initializer_range: 0.02,
    }
}

fn encoders() -> Vec<Published> {
    let bert = Encoder::Bert { token_types: 2 };
    let geneformer = |sizes| EncoderSpec {
        activation: Activation::Relu,
        ..encoder(bert, sizes)
    };
    let esm = Encoder::Esm {
        token_dropout: true,
        embed_norm: false,
        rope_theta: Some(1e4),
    };
    let esm = |d_model, n_layers, n_heads| {
        encoder(esm, [33, 1026, d_model, n_layers, n_heads, 4 * d_model])
    };
    let amplify = |d_model, n_layers, n_heads, intermediate_size| {
        let family = Encoder::Amplify {
            intermediate_size,
            attention_bias: false,
            mlp_bias: false,
            embed_norm: false,
            final_norm: true,
        };
        let d_ffn = (2 * intermediate_size / 3).next_multiple_of(8);
        EncoderSpec {
            tie_embeddings: false,
            ..encoder(family, [27, 2048, d_model, n_layers, n_heads, d_ffn])
        }
    };
    let named = [
        (
            "bert-base-uncased",
            encoder(bert, [30_522, 512, 768, 12, 12, 3072]),
        ),
        (
            "bert-large-uncased",
            encoder(bert, [30_522, 512, 1024, 24, 16, 4096]),
        ),
        (
            "Geneformer-V1-10M",
            geneformer([25_426, 2048, 256, 6, 4, 512]),
        ),
        (
            "Geneformer-V2-104M",
            geneformer([20_275, 4096, 768, 12, 12, 3072]),
        ),
        (
            "Geneformer-V2-316M",
            geneformer([20_275, 4096, 1152, 18, 18, 4608]),
        ),
        ("esm2_t6_8M", esm(320, 6, 20)),
        ("esm2_t12_35M", esm(480, 12, 20)),
        ("esm2_t30_150M", esm(640, 30, 20)),
        ("esm2_t33_650M", esm(1280, 33, 20)),
        ("esm2_t36_3B", esm(2560, 36, 40)),
        ("esm2_t48_15B", esm(5120, 48, 40)),
        ("esm1b_t33_650M_UR50S", esm1b()),
        ("AMPLIFY_120M", amplify(640, 24, 10, 2560)),
        ("AMPLIFY_350M", amplify(960, 32, 15, 3840)),
    ];
    let published = named.map(|(name, spec)| Published {
        name,
        spec: Spec::Encoder(spec),
    });
    published.into()
}

/// With learned positions behind the row of padding.
fn esm1b() -> EncoderSpec {
    let family = Encoder::Esm {
        token_dropout: true,
        embed_norm: true,
        rope_theta: None,
    };
    EncoderSpec {
        pad_id: Some(1),
        ..encoder(family, [33, 1024, 1280, 33, 20, 5120])
    }
}

/// Vocabulary, context, width, layers, heads, feed-forward width.
fn encoder(family: Encoder, sizes: [usize; 6]) -> EncoderSpec {
    let [vocab_size, max_positions, d_model, n_layers, n_heads, d_ffn] = sizes;
    EncoderSpec {
        family,
        vocab_size,
        max_positions,
        d_model,
        n_layers,
        n_heads,
        d_ffn,
        activation: Activation::Gelu,
        norm_eps: 1e-5,
        tie_embeddings: true,
        pad_id: Some(0),
        mask_id: Some(vocab_size as u32 - 1),
        bos_id: None,
        eos_ids: Vec::new(),
        initializer_range: 0.02,
        head: Head::Masked,
    }
}

#[cfg(test)]
mod tests {
    use super::published;
    use crate::folder::parameters;

    /// Parameters of `transformers` 5.23 for the same sizes, without heads of other tasks.
    const KNOWN: &[(&str, usize)] = &[
        ("gpt2", 124_439_808),
        ("gpt2-medium", 354_823_168),
        ("gpt2-large", 774_030_080),
        ("gpt2-xl", 1_557_611_200),
        ("TinyLlama-1.1B", 1_100_048_384),
        ("Llama-2-7B", 6_738_415_616),
        ("Llama-3.1-8B", 8_030_261_248),
        ("Llama-3.2-1B", 1_235_814_400),
        ("Mistral-7B-v0.1", 7_241_732_096),
        ("Qwen2.5-0.5B", 494_032_768),
        ("Qwen3-0.6B", 596_049_920),
        ("Mixtral-8x7B-v0.1", 46_702_792_704),
        ("bert-base-uncased", 109_514_298),
        ("bert-large-uncased", 335_174_458),
        ("Geneformer-V1-10M", 10_288_722),
        ("Geneformer-V2-104M", 104_386_867),
        ("Geneformer-V2-316M", 316_354_867),
        ("esm2_t6_8M", 7_512_353),
        ("esm2_t12_35M", 33_501_153),
        ("esm2_t30_150M", 148_139_553),
        ("esm2_t33_650M", 651_042_593),
        ("esm2_t36_3B", 2_839_004_193),
        ("esm2_t48_15B", 15_129_098_273),
        ("esm1b_t33_650M_UR50S", 652_358_433),
    ];

    #[test]
    fn published_models_have_their_known_numbers_of_parameters() {
        let all = published();
        for &(name, known) in KNOWN {
            let found = all.iter().find(|model| model.name == name).expect(name);
            found.spec.validate().unwrap();
            let n: usize = parameters(&found.spec)
                .iter()
                .map(|target| target.shape.iter().product::<usize>())
                .sum();
            assert_eq!(n, known, "{name}");
        }
    }
}
