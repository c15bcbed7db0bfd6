//! Wrong models that must be noticed: mistakes in the graph, the batch and the weights, each run
//! against the goldens, and wrong derivatives against differences of the loss.

use std::collections::BTreeSet;

use tenon_engine::{DType, Graph};
use tenon_models::gradcheck::{self, gradcheck_rewritten};
use tenon_models::net::Outputs;
use tenon_models::predict::{Bounds, Model, Options, Packed, pack, run};
use tenon_models::spec::{self, Spec};
use tenon_models::weights::Weights;
use tenon_testkit::rel_err;

use crate::common::{Golden, Inputs, committed, cpu};
use crate::gradcheck::{custom, gpt2, llama};
use crate::mistakes::{
    attention_to_itself, gate_and_up_swapped, gelu_of_another_form, in_place_residual,
    interleaved_rotary, keys_as_values, keys_rotated_apart, labels_across_boundaries,
    labels_not_shifted, labels_shifted_twice, no_attention, no_boundaries, no_causal_mask,
    no_feed_forward, no_padding_mask, other_gelu_derivative, qkv_rotated, queries_as_keys,
    scores_unscaled,
};

enum Mutant {
    Graph(fn(&mut Graph)),
    Batch(fn(&Inputs, &mut Packed)),
    Weights(fn(&mut Weights)),
}
use Mutant::{Batch, Graph as Rewrite, Weights as Reorder};

const ALL: &[&str] = &["logits", "loss", "grads"];
const TRAINED: &[&str] = &["loss", "grads"];
const GRADS: &[&str] = &["grads"];

/// Golden, mutant, and exactly what must miss; everything else must not.
const MUTANTS: &[(&str, &str, Mutant, &[&str])] = &[
    (
        "custom_small",
        "in-place residual",
        Rewrite(in_place_residual),
        GRADS,
    ),
    (
        "gpt2_small",
        "in-place residual",
        Rewrite(in_place_residual),
        GRADS,
    ),
    (
        "llama_small",
        "in-place residual",
        Rewrite(in_place_residual),
        GRADS,
    ),
    (
        "custom_small",
        "tanh derivative of erf",
        Rewrite(other_gelu_derivative),
        GRADS,
    ),
    (
        "gpt2_small",
        "erf derivative of tanh",
        Rewrite(other_gelu_derivative),
        GRADS,
    ),
    (
        "custom_small",
        "tanh for erf",
        Rewrite(gelu_of_another_form),
        ALL,
    ),
    (
        "gpt2_small",
        "erf for tanh",
        Rewrite(gelu_of_another_form),
        ALL,
    ),
    (
        "llama_small",
        "gate and up swapped",
        Rewrite(gate_and_up_swapped),
        ALL,
    ),
    (
        "custom_small",
        "no causal mask",
        Rewrite(no_causal_mask),
        ALL,
    ),
    ("gpt2_small", "no causal mask", Rewrite(no_causal_mask), ALL),
    (
        "llama_small",
        "no causal mask",
        Rewrite(no_causal_mask),
        ALL,
    ),
    (
        "custom_small",
        "no padding mask",
        Batch(no_padding_mask),
        ALL,
    ),
    ("gpt2_small", "no padding mask", Batch(no_padding_mask), ALL),
    (
        "llama_small",
        "no padding mask",
        Batch(no_padding_mask),
        ALL,
    ),
    ("custom_small", "no boundaries", Batch(no_boundaries), ALL),
    ("gpt2_small", "no boundaries", Batch(no_boundaries), ALL),
    ("llama_small", "no boundaries", Batch(no_boundaries), ALL),
    (
        "custom_small",
        "labels not shifted",
        Batch(labels_not_shifted),
        TRAINED,
    ),
    (
        "gpt2_small",
        "labels not shifted",
        Batch(labels_not_shifted),
        TRAINED,
    ),
    (
        "llama_small",
        "labels not shifted",
        Batch(labels_not_shifted),
        TRAINED,
    ),
    (
        "gpt2_small",
        "labels shifted twice",
        Batch(labels_shifted_twice),
        TRAINED,
    ),
    (
        "gpt2_small",
        "labels across boundaries",
        Batch(labels_across_boundaries),
        TRAINED,
    ),
    (
        "llama_small",
        "interleaved rotary",
        Rewrite(interleaved_rotary),
        ALL,
    ),
    (
        "llama_small",
        "keys rotated apart",
        Rewrite(keys_rotated_apart),
        ALL,
    ),
    ("custom_small", "no attention", Rewrite(no_attention), ALL),
    ("gpt2_small", "no attention", Rewrite(no_attention), ALL),
    ("llama_small", "no attention", Rewrite(no_attention), ALL),
    (
        "custom_small",
        "attention to itself",
        Rewrite(attention_to_itself),
        ALL,
    ),
    (
        "gpt2_small",
        "attention to itself",
        Rewrite(attention_to_itself),
        ALL,
    ),
    (
        "llama_small",
        "attention to itself",
        Rewrite(attention_to_itself),
        ALL,
    ),
    (
        "gpt2_small",
        "no feed-forward",
        Rewrite(no_feed_forward),
        ALL,
    ),
    (
        "custom_small",
        "scores unscaled",
        Rewrite(scores_unscaled),
        ALL,
    ),
    (
        "gpt2_small",
        "scores unscaled",
        Rewrite(scores_unscaled),
        ALL,
    ),
    (
        "llama_small",
        "scores unscaled",
        Rewrite(scores_unscaled),
        ALL,
    ),
    (
        "custom_small",
        "queries for values",
        Rewrite(queries_as_keys),
        ALL,
    ),
    (
        "custom_small",
        "keys for values",
        Rewrite(keys_as_values),
        ALL,
    ),
    (
        "llama_small",
        "keys for values",
        Rewrite(keys_as_values),
        ALL,
    ),
    ("gpt2_small", "value, query, key", Reorder(qkv_rotated), ALL),
];

const TOLERANCES: [(DType, f64); 2] = [(DType::F64, 1e-9), (DType::F32, 3e-6)];

/// The relative errors of logits, loss and the worst gradient.
fn errors(golden: &Golden, mutant: Option<&Mutant>, dtype: DType) -> [(&'static str, f64); 3] {
    let mut weights = golden.folder.weights.clone();
    let spec = &golden.folder.config.spec;
    let mut graph = spec.graph(&Outputs::inspecting(true));
    let bounds = Bounds {
        vocab_size: spec.vocab_size(),
        context_len: spec.context_len(),
    };
    let mut packed = pack(&golden.inputs, bounds).unwrap();
    match mutant {
        Some(Mutant::Graph(change)) => change(&mut graph),
        Some(Mutant::Batch(change)) => change(&golden.inputs, &mut packed),
        Some(Mutant::Weights(change)) => change(&mut weights),
        None => {}
    }
    let options = Options { dtype, grads: true };
    let prediction = run(Model::new(spec, &weights), graph, &packed, options, cpu()).unwrap();
    let mut worst = [("logits", 0.0f64), ("loss", 0.0), ("grads", 0.0)];
    for tensor in golden.expected.tensors() {
        let is_grad = tensor.name.starts_with("grad.");
        let class = if is_grad { "grads" } else { tensor.name };
        if let Some((_, error)) = worst.iter_mut().find(|(name, _)| *name == class) {
            let ours = prediction.values(tensor.name).unwrap();
            let (ours, theirs) = golden.pair(tensor, ours);
            *error = error.max(rel_err(&ours, &theirs));
        }
    }
    worst
}

/// In f64 every named output misses; in f32, where a mean may hide a small change, at least one.
#[test]
fn every_mutant_is_noticed_where_it_acts() {
    for &(name, mutant, ref change, missing) in MUTANTS {
        let golden = Golden::open(&committed(name));
        for (dtype, tolerance) in TOLERANCES {
            let errors = errors(&golden, Some(change), dtype);
            let place = format!("{name}, {mutant}, {}: {errors:?}", dtype.name());
            let (wrong, right): (Vec<_>, Vec<_>) = errors
                .iter()
                .partition(|(class, _)| missing.contains(class));
            let mut noticed = wrong.iter().map(|(_, error)| *error >= 10.0 * tolerance);
            match dtype {
                DType::F64 => assert!(noticed.all(|yes| yes), "{place}"),
                _ => assert!(noticed.any(|yes| yes), "{place}"),
            }
            assert!(
                right.iter().all(|(_, error)| *error <= tolerance),
                "{place}"
            );
        }
    }
}

#[test]
fn without_a_mutation_nothing_misses() {
    let names: BTreeSet<&str> = MUTANTS.iter().map(|mutant| mutant.0).collect();
    for name in names {
        for (dtype, tolerance) in TOLERANCES {
            let errors = errors(&Golden::open(&committed(name)), None, dtype);
            assert!(
                errors.iter().all(|(_, error)| *error <= tolerance),
                "{name}: {errors:?}"
            );
        }
    }
}

/// The tensors whose derivative a proof refuses after a rewrite.
fn refused(spec: &Spec, change: fn(&mut Graph)) -> Vec<String> {
    let options = gradcheck::Options::plain(3);
    let report = gradcheck_rewritten(spec, None, change, options, cpu()).unwrap();
    let bad = report
        .tensors
        .iter()
        .filter(|t| t.verdict == gradcheck::Verdict::Differs);
    let names: Vec<String> = bad.map(|t| t.name.clone()).collect();
    names
}

#[test]
fn a_corrupted_cache_is_refused_without_a_reference() {
    let gpt2 = Spec::Gpt2(gpt2(spec::Activation::GeluNew));
    let specs = [custom(), gpt2, Spec::Llama(llama(false, false))];
    for spec in specs {
        let names = refused(&spec, in_place_residual);
        assert!(names.len() >= 4, "{spec:?}: {names:?}");
    }
    let names = refused(&custom(), in_place_residual);
    for part in ["attn.q", "attn.k", "attn.v", "mlp.in"] {
        let name = format!("blocks.1.{part}.weight");
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
}

#[test]
fn a_derivative_of_another_gelu_is_refused_without_a_reference() {
    let erf = Spec::Gpt2(gpt2(spec::Activation::Gelu));
    let tanh = Spec::Gpt2(gpt2(spec::Activation::GeluNew));
    for spec in [custom(), erf, tanh] {
        let names = refused(&spec, other_gelu_derivative);
        assert!(
            names.contains(&"blocks.0.mlp.in.weight".to_owned()),
            "{names:?}"
        );
        assert!(
            !names.contains(&"blocks.1.mlp.out.weight".to_owned()),
            "{names:?}"
        );
    }
}

/// A rewrite that changes forward and derivative alike is another model, and its derivatives are
/// right.
#[test]
fn another_model_is_not_refused() {
    let spec = Spec::Llama(llama(true, false));
    for change in [
        no_causal_mask,
        attention_to_itself,
        gate_and_up_swapped,
        interleaved_rotary,
    ] {
        assert_eq!(refused(&spec, change), Vec::<String>::new());
    }
}
