//! Fresh models that `transformers` was asked about, and the tokens it was asked with.

use std::path::Path;

use tenon_base::Result;
use tenon_base::files::Disk;
use tenon_engine::{DType, Init};
use tenon_models::checkpoint::Dtype;
use tenon_models::folder;
use tenon_models::hub::HubConfig;
use tenon_models::net::Outputs;
use tenon_models::spec::{Activation, AttentionBias, Decoder, DecoderSpec, Gpt2Spec, Rope, Spec};
use tenon_models::weights::Weights;

/// Weights of this size make every part matter, unlike those that a training starts from.
const STD_DEV: f64 = 0.25;

fn gpt2(activation: Activation, tie_embeddings: bool) -> Spec {
    Spec::Gpt2(Gpt2Spec {
        vocab_size: 71,
        n_positions: 24,
        d_model: 24,
        n_layers: 3,
        n_heads: 3,
        d_ffn: 40,
        activation,
        norm_eps: 1e-5,
        scale_by_width: true,
        scale_by_layer: false,
        tie_embeddings,
        bos_id: Some(0),
        eos_ids: vec![1],
        initializer_range: STD_DEV,
    })
}

fn llama(head_dim: usize, tie_embeddings: bool, bias: bool) -> Spec {
    Spec::Decoder(DecoderSpec {
        family: Decoder::Llama,
        vocab_size: 71,
        max_positions: 24,
        d_model: 24,
        n_layers: 3,
        n_heads: 6,
        n_kv_heads: 2,
        head_dim,
        d_ffn: 44,
        norm_eps: 1e-6,
        rope: Rope::plain(5000.0),
        tie_embeddings,
        attention_bias: match bias {
            true => AttentionBias::All,
            false => AttentionBias::None,
        },
        mlp_bias: bias,
        head_norms: false,
        window: None,
        experts: None,
        bos_id: Some(1),
        eos_ids: vec![2, 3],
        initializer_range: STD_DEV,
    })
}

/// Moves gains and biases away from the 1 and 0 that would hide one that is ignored; exact in f32.
fn nudge(bytes: &mut [u8]) {
    for (i, bytes) in bytes.as_chunks_mut::<4>().0.iter_mut().enumerate() {
        let shift = (i * 37 % 19) as f32 / 64.0 - 9.0 / 64.0;
        *bytes = (f32::from_le_bytes(*bytes) + shift).to_le_bytes();
    }
}

/// Name, configuration and weights of each model.
pub(crate) fn models() -> Result<Vec<(&'static str, HubConfig, Weights)>> {
    let specs = [
        ("gpt2", gpt2(Activation::GeluNew, true)),
        ("gpt2_erf_untied", gpt2(Activation::Gelu, false)),
        ("llama", llama(8, false, false)),
        ("llama_tied_biased", llama(4, true, true)),
    ];
    let model = |(seed, (name, spec)): (usize, (&'static str, Spec))| {
        let graph = spec.graph(&Outputs::judging());
        let mut weights = Weights::init(&graph, DType::F32, seed as u64);
        let constants = graph.params.iter().zip(&mut weights.tensors);
        for (_, weight) in constants.filter(|(p, _)| matches!(p.init, Init::Constant(_))) {
            nudge(&mut weight.bytes);
        }
        Ok((name, HubConfig::new(spec, Dtype::F32)?, weights))
    };
    specs.into_iter().enumerate().map(model).collect()
}

/// Writes the model folders under `out`.
pub(crate) fn write(disk: &dyn Disk, out: &Path) -> Result<()> {
    for (name, config, weights) in models()? {
        folder::save(disk, &out.join(name), &config, &weights)?;
    }
    Ok(())
}
