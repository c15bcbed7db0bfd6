//! The derivatives of whole models, proved; and proofs that must fail.

use tenon_base::Kind;
use tenon_base::files::RealDisk;
use tenon_engine::DType;
use tenon_models::folder::{self, Folder};
use tenon_models::gradcheck::{GradReport, Options, TensorReport, Verdict, gradcheck};
use tenon_models::net::{LossOptions, Outputs};
use tenon_models::spec::{
    Activation, AttentionBias, CustomSpec, Decoder, DecoderSpec, Gpt2Spec, Rope, Spec,
};
use tenon_models::weights::Weights;

use crate::common::{COMMITTED, committed, cpu};

pub(crate) fn custom() -> Spec {
    Spec::Custom(CustomSpec {
        vocab_size: 37,
        max_seq_len: 16,
        n_blocks: 2,
        n_heads: 2,
        d_model: 16,
        d_ffn: 24,
    })
}

pub(crate) fn gpt2(activation: Activation) -> Gpt2Spec {
    Gpt2Spec {
        vocab_size: 37,
        n_positions: 16,
        d_model: 16,
        n_layers: 2,
        n_heads: 2,
        d_ffn: 40,
        activation,
        norm_eps: 1e-5,
        scale_by_width: true,
        scale_by_layer: false,
        tie_embeddings: true,
        bos_id: Some(0),
        eos_ids: vec![1],
        initializer_range: 0.02,
    }
}

pub(crate) fn llama(tie_embeddings: bool, bias: bool) -> DecoderSpec {
    DecoderSpec {
        family: Decoder::Llama,
        vocab_size: 37,
        max_positions: 64,
        d_model: 24,
        n_layers: 2,
        n_heads: 4,
        n_kv_heads: 2,
        head_dim: 8,
        d_ffn: 20,
        norm_eps: 1e-5,
        rope: Rope::plain(10000.0),
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
        eos_ids: vec![2],
        initializer_range: 0.02,
    }
}

fn specs() -> Vec<Spec> {
    let untied = Gpt2Spec {
        tie_embeddings: false,
        ..gpt2(Activation::Silu)
    };
    let gpt2 = [Activation::GeluNew, Activation::Gelu, Activation::Relu].map(gpt2);
    let llama = [llama(false, false), llama(true, false), llama(false, true)].map(Spec::Decoder);
    let gpt2 = gpt2.into_iter().chain([untied]).map(Spec::Gpt2);
    let committed = COMMITTED.map(|name| golden(name).config.spec);
    let others = [custom()].into_iter().chain(gpt2).chain(llama);
    others.chain(committed).collect()
}

fn golden(name: &str) -> Folder {
    folder::load(&RealDisk, &committed(name).join("model")).unwrap()
}

#[track_caller]
fn passes(spec: &Spec, report: &GradReport) {
    let worst = report.worst();
    assert!(report.passed(), "{spec:?}: {worst:?}");
    assert_eq!(report.n_untried, 0);
}

#[test]
fn every_family_and_variant_agrees() {
    for spec in specs() {
        passes(
            &spec,
            &gradcheck(&spec, None, Options::plain(3), cpu()).unwrap(),
        );
    }
}

/// At the weights whose gradients the references computed too.
#[test]
fn every_golden_agrees() {
    for name in COMMITTED {
        let Folder {
            config, weights, ..
        } = golden(name);
        let report = gradcheck(&config.spec, Some(&weights), Options::plain(3), cpu()).unwrap();
        passes(&config.spec, &report);
        let zero = |t: &&TensorReport| t.verdict == Verdict::Zero;
        let zeros: Vec<_> = report
            .tensors
            .iter()
            .filter(zero)
            .map(|t| &t.name)
            .collect();
        assert!(
            zeros.iter().all(|zero| zero.ends_with("attn.k.bias")),
            "{name}: {zeros:?}"
        );
    }
}

#[test]
fn dropout_smoothing_and_z_loss_agree() {
    let loss = LossOptions {
        label_smoothing: 0.1,
        z_loss: 1e-2,
        rank: false,
        regularised: true,
    };
    let options = Options {
        loss,
        dropout: 0.2,
        ..Options::plain(5)
    };
    for spec in specs() {
        let report = gradcheck(&spec, None, options, cpu()).unwrap();
        passes(&spec, &report);
        let plain = gradcheck(&spec, None, Options::plain(5), cpu()).unwrap();
        assert_ne!(report.loss, plain.loss, "the options reach the loss");
    }
}

/// Without queries the scores are 0 whatever the keys are: a gradient that is zero by symmetry.
#[test]
fn symmetry_makes_no_false_alarm() {
    let spec = custom();
    let graph = spec.graph(&Outputs::judging());
    let mut weights = Weights::init(&graph, DType::F64, 1);
    for weight in weights
        .tensors
        .iter_mut()
        .filter(|w| w.name.ends_with("attn.q.weight"))
    {
        weight.bytes.fill(0);
    }
    let report = gradcheck(&spec, Some(&weights), Options::plain(3), cpu()).unwrap();
    passes(&spec, &report);
    let is_key = |t: &&TensorReport| t.name.ends_with("attn.k.weight");
    let keys: Vec<&TensorReport> = report.tensors.iter().filter(is_key).collect();
    assert_eq!(keys.len(), 2);
    assert!(
        keys.iter()
            .all(|t| t.verdict != Verdict::Differs && t.numeric.abs() < 1e-12)
    );
}

#[test]
fn fresh_weights_of_a_training_run_agree() {
    for spec in specs() {
        let graph = spec.graph(&Outputs::judging());
        let weights = Weights::init(&graph, DType::F32, 1);
        let report = gradcheck(&spec, Some(&weights), Options::plain(3), cpu()).unwrap();
        passes(&spec, &report);
    }
}

#[test]
fn fewer_tensors_are_counted() {
    let options = Options {
        tensors_max: Some(3),
        ..Options::plain(3)
    };
    let report = gradcheck(&custom(), None, options, cpu()).unwrap();
    let all = gradcheck(&custom(), None, Options::plain(3), cpu()).unwrap();
    assert_eq!(
        (report.tensors.len(), report.n_untried),
        (3, all.tensors.len() - 3)
    );
    assert!(report.tensors.iter().all(|t| all.tensors.contains(t)));
}

#[test]
fn a_proof_repeats_to_the_bit() {
    let run = |seed| gradcheck(&custom(), None, Options::plain(seed), cpu()).unwrap();
    assert_eq!(run(3), run(3));
    assert_ne!(run(3).loss, run(4).loss);
}

#[test]
fn weights_that_are_no_numbers_are_refused() {
    let spec = custom();
    let graph = spec.graph(&Outputs::judging());
    let mut weights = Weights::init(&graph, DType::F32, 1);
    let nan = f32::NAN.to_le_bytes();
    weights.tensors[2].bytes[..4].copy_from_slice(&nan);
    let error = gradcheck(&spec, Some(&weights), Options::plain(3), cpu()).unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert!(error.message().contains("NaN"), "{error}");
}
