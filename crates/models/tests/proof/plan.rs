//! Memory of plans: sound, tight, smaller with recomputation and with frozen parameters.

use crate::small::{families, training, training_graph};
use tenon_engine::check::check_placement;
use tenon_engine::cpu::{Cpu, Isa};
use tenon_engine::graph::Origin;
use tenon_engine::plan::Content;
use tenon_engine::{DType, Extent, Graph, Plan, PlanOptions, Recompute};
use tenon_models::net::{CacheOptions, Outputs};
use tenon_models::spec::{Decoder, DecoderSpec, Gpt2Spec, Spec};

fn plan(graph: &Graph, options: PlanOptions) -> Plan {
    Plan::new(graph, options, &Cpu::new(2, Isa::detect()))
}

/// The small models, and shapes of real ones; planning touches no memory of theirs.
fn models() -> Vec<(Spec, Extent)> {
    let [gpt2, llama, custom] = families();
    let (Spec::Gpt2(g), Spec::Decoder(l)) = (gpt2.clone(), llama.clone()) else {
        panic!("the order of the families")
    };
    let wide = Spec::Gpt2(Gpt2Spec {
        vocab_size: 50_257,
        n_positions: 256,
        d_model: 256,
        n_layers: 6,
        n_heads: 8,
        d_ffn: 1024,
        ..g
    });
    let deep = Spec::Decoder(DecoderSpec {
        family: Decoder::Llama,
        vocab_size: 4096,
        max_positions: 512,
        d_model: 512,
        n_layers: 16,
        n_heads: 8,
        n_kv_heads: 4,
        head_dim: 64,
        d_ffn: 1408,
        ..l
    });
    let extent = |tokens, seqs| Extent::new(tokens, seqs);
    vec![
        (gpt2, extent(31, 3)),
        (llama.clone(), extent(31, 3)),
        (llama, extent(1, 1)),
        (custom, extent(64, 2)),
        (wide, extent(2048, 8)),
        (deep.clone(), extent(2048, 4)),
        (deep, extent(128, 1)),
    ]
}

#[test]
fn no_two_living_buffers_share_a_byte() {
    for (spec, capacity) in models() {
        for dropout in [0.0, 0.1] {
            let graph = training_graph(&spec, dropout);
            for recompute in Recompute::levels(&graph) {
                let options = PlanOptions {
                    recompute,
                    ..training(DType::F32, capacity)
                };
                let plan = plan(&graph, options);
                check_placement(&plan, &graph)
                    .unwrap_or_else(|e| panic!("{} {recompute:?}: {e}", spec.family()));
            }
        }
        let cache = CacheOptions {
            slots: 2,
            capacity: 40,
        };
        for outputs in [
            Outputs::inspecting(true),
            Outputs::judging(),
            Outputs::generating(cache),
        ] {
            let graph = spec.graph(&outputs);
            let plan = plan(&graph, PlanOptions::inference(DType::F32, capacity));
            check_placement(&plan, &graph).unwrap_or_else(|e| panic!("{}: {e}", spec.family()));
        }
    }
}

#[test]
fn peaks_are_within_a_tenth_of_the_floor() {
    for (spec, capacity) in models() {
        let graph = training_graph(&spec, 0.1);
        for recompute in Recompute::levels(&graph) {
            let options = PlanOptions {
                recompute,
                ..training(DType::F32, capacity)
            };
            let plan = plan(&graph, options);
            let floor = plan.transient_floor_bytes();
            let transient = plan.peak_bytes - plan.persistent_bytes;
            assert!(transient >= floor, "the floor is one");
            assert!(
                transient * 10 <= floor * 11,
                "{} {capacity:?} {recompute:?}",
                spec.family()
            );
        }
    }
}

/// The more is computed again, the less memory. Full recomputation, which brings the last block
/// back right away, may take more than that of all blocks but the last.
#[test]
fn each_level_costs_more_and_takes_less() {
    for (spec, capacity) in models() {
        let graph = training_graph(&spec, 0.1);
        let levels = Recompute::levels(&graph).into_iter();
        let plans: Vec<Plan> = levels
            .map(|recompute| {
                let options = training(DType::F32, capacity);
                let options = PlanOptions {
                    recompute,
                    ..options
                };
                plan(&graph, options)
            })
            .collect();
        let costs: Vec<f64> = plans.iter().map(|p| p.repeated_percent(&graph)).collect();
        assert_eq!(costs[0], 0.0);
        assert!(costs.is_sorted_by(|a, b| a < b), "{costs:?}");
        let (full, others) = plans.split_last().expect("there are levels");
        let peaks: Vec<usize> = others.iter().map(|p| p.peak_bytes).collect();
        let name = spec.family();
        assert!(
            peaks.is_sorted_by(|a, b| a >= b),
            "{name} {capacity:?}: {peaks:?}"
        );
        assert!(full.peak_bytes <= peaks[1], "{name} {capacity:?}");
    }
}

/// What is computed again is there for the call that reads it and gone soon after: at no time are
/// the values of two blocks there.
#[test]
fn what_is_computed_again_does_not_stay() {
    for (spec, capacity) in models() {
        let graph = training_graph(&spec, 0.1);
        for recompute in [Recompute::Selective, Recompute::Full] {
            let options = PlanOptions {
                recompute,
                ..training(DType::F32, capacity)
            };
            let plan = plan(&graph, options);
            let block_of = |slot: &tenon_engine::plan::Slot| match slot.content {
                Content::Again(v) => match graph.value(v).origin {
                    Origin::Node(node, _) => graph.node(node).block,
                    _ => None,
                },
                _ => None,
            };
            let mut blocks = 0;
            for call in plan.backward_from..plan.calls.len() {
                let mut alive: Vec<usize> = plan.transient_at(call).filter_map(block_of).collect();
                alive.dedup();
                assert!(
                    alive.len() <= 1,
                    "{recompute:?} call {call}: blocks {alive:?}"
                );
                blocks = blocks.max(alive.len());
            }
            assert_eq!(blocks, 1, "{recompute:?} repeats something");
        }
    }
}

/// Rotated queries are not worth it: what they are rotated from would have to be kept instead.
#[test]
fn nothing_is_kept_only_to_compute_something_else_again() {
    for (spec, capacity) in models() {
        let graph = training_graph(&spec, 0.1);
        let kept = |recompute| {
            let options = training(DType::F32, capacity);
            let options = PlanOptions {
                recompute,
                ..options
            };
            let plan = plan(&graph, options);
            let at = plan.backward_from;
            let is_kept = |s: &&tenon_engine::plan::Slot| {
                matches!(s.content, Content::Value(_)) && s.first < at && s.last >= at
            };
            let slots = plan.slots.iter().filter(is_kept);
            slots.map(|s| s.content.clone()).collect::<Vec<_>>()
        };
        let all = kept(Recompute::None);
        let some = kept(Recompute::Selective);
        assert!(some.len() < all.len());
        assert!(some.iter().all(|c| all.contains(c)), "{}", spec.family());
    }
}

#[test]
fn listings_of_one_block() {
    let [mut gpt2, mut llama, _] = families();
    if let (Spec::Gpt2(gpt2), Spec::Decoder(llama)) = (&mut gpt2, &mut llama) {
        (gpt2.n_layers, llama.n_layers) = (1, 1);
    }
    for (spec, recompute) in [(gpt2, Recompute::None), (llama, Recompute::Full)] {
        let graph = training_graph(&spec, 0.1);
        let options = training(DType::F32, Extent::new(64, 2));
        let options = PlanOptions {
            recompute,
            ..options
        };
        // Workspace depends on the machine, so the snapshot is taken for one thread without
        // vectors.
        let plan = Plan::new(&graph, options, &Cpu::new(1, Isa::Scalar));
        let listing = plan.listing(&graph);
        assert!(
            listing.lines().all(|line| line.chars().count() <= 120),
            "{listing}"
        );
        insta::assert_snapshot!(spec.family(), listing);
    }
}
