//! Small models for the tests of this crate.

use tenon_engine::cpu::Cpu;
use tenon_engine::{DType, Isa, Kernels};
use tenon_models::net::Outputs;
use tenon_models::spec::{
    Activation, AttentionBias, CustomSpec, Decoder, DecoderSpec, Gpt2Spec, Rope, Spec,
};
use tenon_models::weights::Weights;

/// Tokens that each fixture's context has room for.
pub(crate) const CONTEXT: usize = 48;

/// One model of each family, with fresh weights wide enough that tokens differ in their logits.
pub(crate) fn models(vocab_size: usize) -> Vec<(Spec, Weights)> {
    let custom = Spec::Custom(CustomSpec {
        vocab_size,
        max_seq_len: CONTEXT,
        n_blocks: 2,
        n_heads: 2,
        d_model: 16,
        d_ffn: 24,
    });
    let gpt2 = Spec::Gpt2(Gpt2Spec {
        vocab_size,
        n_positions: CONTEXT,
        d_model: 24,
        n_layers: 2,
        n_heads: 3,
        d_ffn: 40,
        activation: Activation::GeluNew,
        norm_eps: 1e-5,
        scale_by_width: true,
        scale_by_layer: false,
        tie_embeddings: true,
        bos_id: None,
        eos_ids: Vec::new(),
        initializer_range: 0.3,
    });
    let llama = Spec::Decoder(DecoderSpec {
        family: Decoder::Llama,
        vocab_size,
        max_positions: CONTEXT,
        d_model: 24,
        n_layers: 2,
        n_heads: 4,
        n_kv_heads: 2,
        head_dim: 6,
        d_ffn: 40,
        norm_eps: 1e-5,
        rope: Rope::plain(10000.0),
        tie_embeddings: false,
        attention_bias: AttentionBias::None,
        mlp_bias: false,
        head_norms: false,
        window: None,
        experts: None,
        bos_id: None,
        eos_ids: Vec::new(),
        initializer_range: 0.3,
    });
    let with_weights = |spec: Spec| {
        let graph = spec.graph(&Outputs::inspecting(false));
        let weights = Weights::init(&graph, DType::F32, 7);
        (spec, weights)
    };
    [custom, gpt2, llama].map(with_weights).into()
}

/// The processor with its widest instruction set.
pub(crate) fn device(threads: usize) -> Box<dyn Kernels> {
    Box::new(Cpu::new(threads, Isa::detect()))
}
