//! Facts of models against numbers known from elsewhere and against each other.

use crate::small::families;
use tenon_engine::cpu::{Cpu, Isa};
use tenon_engine::{DType, Extent, Recompute};
use tenon_models::inspect::{Facts, Purpose, Question};
use tenon_models::spec::{Decoder, DecoderSpec, Gpt2Spec, Spec};

fn facts(spec: &Spec, tokens: usize, seqs: usize) -> Facts {
    let device = Cpu::new(1, Isa::Scalar);
    let question = Question {
        float: DType::F32,
        batch: Extent::new(tokens, seqs),
        dropout: 0.1,
        moments: 2,
        recompute: Recompute::Selective,
        device: &device,
    };
    Facts::new(spec, &question)
}

fn gpt2_of_2019() -> Spec {
    let [Spec::Gpt2(small), ..] = families() else {
        panic!("the order of the families")
    };
    Spec::Gpt2(Gpt2Spec {
        vocab_size: 50_257,
        n_positions: 1024,
        d_model: 768,
        n_layers: 12,
        n_heads: 12,
        d_ffn: 3072,
        ..small
    })
}

fn llama_7b() -> Spec {
    let [_, Spec::Decoder(small), _] = families() else {
        panic!("the order of the families")
    };
    Spec::Decoder(DecoderSpec {
        family: Decoder::Llama,
        vocab_size: 32_000,
        max_positions: 4096,
        d_model: 4096,
        n_layers: 32,
        n_heads: 32,
        n_kv_heads: 32,
        head_dim: 128,
        d_ffn: 11_008,
        ..small
    })
}

/// The published sizes of both models.
#[test]
fn known_models_have_their_known_number_of_parameters() {
    assert_eq!(facts(&gpt2_of_2019(), 1024, 1).n_params, 124_439_808);
    assert_eq!(facts(&llama_7b(), 128, 1).n_params, 6_738_415_616);
}

#[test]
fn groups_and_layers_hold_every_parameter_once() {
    for spec in families().into_iter().chain([gpt2_of_2019()]) {
        let facts = facts(&spec, 60, 2);
        let sum: usize = facts.groups.iter().map(|g| g.n_params).sum();
        assert_eq!(sum, facts.n_params, "{}", facts.family);
        let percent: f64 = facts.groups.iter().map(|g| g.percent).sum();
        assert!((percent - 100.0).abs() < 1e-9, "{percent}");
        let in_layers = facts.layers.iter().map(|layer| {
            let n_blocks = layer.blocks.map_or(1, |[first, last]| last - first + 1);
            let elements = |(_, shape): &(String, Vec<usize>)| shape.iter().product::<usize>();
            n_blocks * layer.tensors.iter().map(elements).sum::<usize>()
        });
        assert_eq!(in_layers.sum::<usize>(), facts.n_params, "{}", facts.family);
        assert_eq!(facts.layers.len(), 2, "equal blocks are told once");
        let tied = facts.groups.iter().filter(|g| g.is_tied).count();
        assert_eq!(tied, usize::from(facts.family == "gpt2"));
    }
}

/// Two operations for each element of a matrix, `4·D·(T + 1)/2` a block for causal attention, and
/// little else.
#[test]
fn operations_follow_from_the_sizes() {
    let length = 1024;
    let facts = facts(&gpt2_of_2019(), 4 * length, 4);
    let (d, n_layers, d_ffn, vocab) = (768.0, 12.0, 3072.0, 50_257.0);
    let products = 2.0 * (n_layers * (4.0 * d * d + 2.0 * d * d_ffn) + d * vocab);
    let attention = n_layers * 4.0 * d * (length as f64 + 1.0) / 2.0;
    assert_eq!(facts.flops.attention_per_token, attention);
    let rest = facts.flops.forward_per_token - products - attention;
    assert!(rest > 0.0 && rest < 0.01 * products, "{rest} of {products}");
    assert_eq!(
        facts.flops.training_per_token,
        3.0 * facts.flops.forward_per_token
    );
}

#[test]
fn parts_of_memory_add_up_and_recomputation_saves() {
    for spec in families().into_iter().chain([gpt2_of_2019(), llama_7b()]) {
        let facts = facts(&spec, 256, 2);
        for memory in &facts.memory {
            assert_eq!(memory.parts().iter().sum::<usize>(), memory.peak_bytes);
            assert!(memory.gaps_bytes * 10 <= memory.peak_bytes, "{memory:?}");
            assert_eq!(memory.weights_bytes, 4 * facts.n_params);
            let is_training = memory.purpose != Purpose::Inference;
            let times = |n: usize| usize::from(is_training) * n * memory.weights_bytes;
            assert_eq!(
                [memory.gradients_bytes, memory.moments_bytes],
                [times(1), times(2)]
            );
        }
        let of = |purpose| {
            let mut all = facts.memory.iter().filter(|m| m.purpose == purpose);
            *all.next().expect("the facts have every purpose")
        };
        let inference = of(Purpose::Inference);
        let level = |recompute| of(Purpose::Training(recompute));
        let (kept, full) = (level(Recompute::None), level(Recompute::Full));
        let (selective, one) = (level(Recompute::Selective), level(Recompute::Blocks(1)));
        assert!(facts.memory[1..].is_sorted_by(|a, b| a.repeated_percent < b.repeated_percent));
        assert!(
            full.repeated_percent < 34.0,
            "a forward pass is a third of a step"
        );
        assert!(selective.repeated_percent < one.repeated_percent);
        assert_eq!(kept.purpose, Purpose::Training(Recompute::None));
        assert_eq!(kept.saved_bytes, 0);
        let peaks = [inference, full, one, selective, kept].map(|m| m.peak_bytes);
        assert!(
            peaks.is_sorted_by(|a, b| a < b),
            "{}: {peaks:?}",
            facts.family
        );
        assert_eq!(full.saved_bytes as usize, kept.peak_bytes - full.peak_bytes);
        let transient =
            selective.activations_bytes + selective.value_gradients_bytes + selective.scratch_bytes;
        let shown: usize = facts.tenants.iter().map(|t| t.bytes).sum();
        assert!(facts.tenants.len() <= 10 && shown <= transient && 2 * shown > transient);
        assert!(facts.tenants.is_sorted_by(|a, b| a.bytes >= b.bytes));
    }
}

#[test]
fn facts_as_text() {
    let text = facts(&gpt2_of_2019(), 2048, 2).to_text();
    assert!(
        text.lines().all(|line| line.chars().count() <= 120),
        "{text}"
    );
    insta::assert_snapshot!("gpt2_of_2019", text);
}

#[test]
fn facts_as_json_say_the_same() {
    let facts = facts(&gpt2_of_2019(), 2048, 2);
    let json = facts.to_json();
    assert_eq!(json["parameters"], facts.n_params);
    assert_eq!(json["groups"].as_array().unwrap().len(), facts.groups.len());
    assert_eq!(json["layers"][1]["blocks"], serde_json::json!([0, 11]));
    assert_eq!(
        json["flops"]["training_per_token"],
        facts.flops.training_per_token
    );
    for (row, memory) in json["memory"].as_array().unwrap().iter().zip(&facts.memory) {
        assert_eq!(row["purpose"], memory.purpose.name());
        let parts = row.as_object().unwrap().iter();
        let is_part = |name: &str| name.ends_with("_bytes") && !name.starts_with("saved");
        let sum: u64 = parts
            .filter(|(name, _)| is_part(name))
            .map(|(_, n)| n.as_u64().unwrap())
            .sum();
        assert_eq!(sum, 2 * memory.peak_bytes as u64, "the parts and their sum");
    }
}
