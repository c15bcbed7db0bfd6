//! Small models, batches of packed sequences, and one step of training.

use std::sync::Arc;
use tenon_engine::cpu::{Cpu, Isa};
use tenon_engine::exec::IGNORE;
use tenon_engine::table::AdamW;
use tenon_engine::{DType, Executor, Extent, Graph, LossSum, ParamId, PlanOptions};
use tenon_models::net::{LossOptions, Outputs, feed_targets};
use tenon_models::spec::{
    Activation, AttentionBias, CustomSpec, Decoder, DecoderSpec, Encoder, EncoderSpec, Gpt2Spec,
    Head, Rope, Spec,
};
use tenon_models::weights::Weights;

pub(crate) const VOCAB: usize = 61;

/// One model of each family, with sizes that fill no vector register evenly.
pub(crate) fn families() -> [Spec; 3] {
    let gpt2 = Gpt2Spec {
        vocab_size: VOCAB,
        n_positions: 40,
        d_model: 36,
        n_layers: 3,
        n_heads: 3,
        d_ffn: 76,
        activation: Activation::GeluNew,
        norm_eps: 1e-5,
        scale_by_width: true,
        scale_by_layer: false,
        tie_embeddings: true,
        bos_id: None,
        eos_ids: vec![],
        initializer_range: 0.2,
    };
    let llama = DecoderSpec {
        family: Decoder::Llama,
        vocab_size: VOCAB,
        max_positions: 40,
        d_model: 36,
        n_layers: 3,
        n_heads: 6,
        n_kv_heads: 2,
        head_dim: 6,
        d_ffn: 52,
        norm_eps: 1e-5,
        rope: Rope::plain(10_000.0),
        tie_embeddings: false,
        attention_bias: AttentionBias::None,
        mlp_bias: false,
        head_norms: false,
        window: None,
        experts: None,
        bos_id: None,
        eos_ids: vec![],
        initializer_range: 0.2,
    };
    let custom = CustomSpec {
        vocab_size: VOCAB,
        max_seq_len: 40,
        n_blocks: 3,
        n_heads: 4,
        d_model: 36,
        d_ffn: 70,
    };
    [Spec::Gpt2(gpt2), Spec::Decoder(llama), Spec::Custom(custom)]
}

/// Those, and an encoder, whose last block computes the rows that count alone.
pub(crate) fn trained() -> [Spec; 4] {
    let [gpt2, llama, custom] = families();
    let encoder = EncoderSpec {
        family: Encoder::Esm {
            token_dropout: true,
            embed_norm: true,
            rope_theta: Some(10_000.0),
        },
        vocab_size: VOCAB,
        max_positions: 40,
        d_model: 36,
        n_layers: 3,
        n_heads: 3,
        d_ffn: 70,
        activation: Activation::Gelu,
        norm_eps: 1e-5,
        tie_embeddings: true,
        pad_id: None,
        mask_id: Some(3),
        bos_id: None,
        eos_ids: vec![],
        initializer_range: 0.2,
        head: Head::Masked,
    };
    [gpt2, llama, custom, Spec::Encoder(encoder)]
}

/// Tokens of the `s`-th pseudo-random sequence.
pub(crate) fn sequence(s: usize, len: usize) -> Vec<i32> {
    (0..len)
        .map(|t| ((s * 31 + t * 17 + t * t) % VOCAB) as i32)
        .collect()
}

/// Packed sequences as the executor takes them.
pub(crate) struct Batch {
    ids: Vec<i32>,
    positions: Vec<i32>,
    bounds: Vec<i32>,
    targets: Vec<i32>,
}

impl Batch {
    /// Sequences of these lengths with pseudo-random tokens, numbered from `first`; the last row of
    /// each has no target.
    pub(crate) fn of_lengths(lengths: &[usize], first: usize) -> Batch {
        let mut batch = Batch {
            ids: vec![],
            positions: vec![],
            bounds: vec![0],
            targets: vec![],
        };
        for (s, &len) in lengths.iter().enumerate() {
            let tokens = sequence(first + s, len);
            batch.positions.extend(0..len as i32);
            batch.targets.extend(&tokens[1..]);
            batch.targets.push(IGNORE);
            batch.ids.extend(tokens);
            batch.bounds.push(batch.ids.len() as i32);
        }
        batch
    }

    pub(crate) fn extent(&self) -> Extent {
        Extent::new(self.ids.len(), self.bounds.len() - 1)
    }

    /// Gives the batch to the active graph. Allocates nothing.
    pub(crate) fn feed(&self, exec: &mut Executor) {
        exec.set_extent(self.extent());
        let all = [
            ("input_ids", &self.ids),
            ("positions", &self.positions),
            ("cu_seqlens", &self.bounds),
        ];
        for (name, values) in all {
            if exec.has_input(name) {
                exec.set_input(name, values);
            }
        }
        if exec.has_input("targets") {
            feed_targets(exec, &self.targets, &[]);
        }
    }
}

/// The graph that training runs.
pub(crate) fn training_graph(spec: &Spec, dropout: f64) -> Graph {
    spec.graph(&Outputs::training(LossOptions::PLAIN, dropout))
}

/// Options for training with AdamW.
pub(crate) fn training(float: DType, capacity: Extent) -> PlanOptions {
    PlanOptions::training(float, capacity, 2)
}

/// An executor with fresh weights.
pub(crate) fn executor(graph: Graph, options: PlanOptions, threads: usize, isa: Isa) -> Executor {
    let weights = Weights::init(&graph, options.float, 11);
    let mut exec = Executor::new(Arc::new(graph), options, Box::new(Cpu::new(threads, isa)));
    weights.write(&mut exec);
    exec
}

/// Forward, backward, norm and AdamW over one batch, with gradients of this step alone. Allocates
/// nothing.
pub(crate) fn step(exec: &mut Executor, batch: &Batch, number: u64) -> LossSum {
    batch.feed(exec);
    exec.set_key([number as u32, 3]);
    exec.zero_grads();
    exec.forward();
    exec.backward();
    let loss = exec.loss();
    let norm = (exec.grad_sum_of_squares()).sqrt() / loss.tokens as f64;
    let spec = AdamW {
        learning_rate: 1e-2,
        beta1: 0.9,
        beta2: 0.99,
        eps: 1e-8,
        weight_decay: 0.1,
        step: number,
        grad_scale: 1.0 / (loss.tokens as f64 * norm.max(1.0)),
    };
    for p in 0..exec.graph().params.len() as u32 {
        if exec.graph().param(ParamId(p)).trainable {
            exec.adamw(ParamId(p), &spec);
        }
    }
    loss
}
