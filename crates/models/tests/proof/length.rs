//! Memory of long sequences: it grows with the tokens, never with their square.

use crate::small::{families, training, training_graph};
use tenon_engine::cpu::{Cpu, Isa};
use tenon_engine::{DType, Extent, Graph, Plan, PlanOptions, Recompute};
use tenon_models::net::Outputs;
use tenon_models::spec::Spec;

/// Tokens of one sequence.
const LENGTHS: [usize; 5] = [2048, 4096, 8192, 16_384, 32_768];

/// The model with positions for the longest sequence.
fn long(mut spec: Spec) -> Spec {
    let longest = LENGTHS[LENGTHS.len() - 1];
    match &mut spec {
        Spec::Gpt2(spec) => spec.n_positions = longest,
        Spec::Decoder(spec) => spec.max_positions = longest,
        Spec::Encoder(spec) => spec.max_positions = longest,
        Spec::Custom(spec) => spec.max_seq_len = longest,
    }
    spec
}

/// Bytes that depend on the batch, for one sequence of each length.
fn transient_bytes(graph: &Graph, options: impl Fn(Extent) -> PlanOptions) -> Vec<usize> {
    let of_length = |tokens| {
        let options = options(Extent::new(tokens, 1));
        let plan = Plan::new(graph, options, &Cpu::new(2, Isa::detect()));
        plan.peak_bytes - plan.persistent_bytes
    };
    LENGTHS.map(of_length).to_vec()
}

#[track_caller]
fn assert_linear(bytes: &[usize], what: &str) {
    // What does not depend on the length, such as workspace, makes the growth smaller than twofold.
    for (pair, length) in bytes.windows(2).zip(LENGTHS) {
        assert!(pair[0] < pair[1], "{what} {length}: {pair:?}");
        assert!(pair[1] <= 2 * pair[0], "{what} {length}: {pair:?}");
    }
    let (longest, last) = (LENGTHS[LENGTHS.len() - 1], bytes[bytes.len() - 1]);
    let scores = longest * longest * size_of::<f32>();
    assert!(last < scores / 4, "{what}: {last} of {scores} bytes");
}

#[test]
fn memory_of_a_sequence_is_linear_in_its_length() {
    for spec in families().map(long) {
        let graph = training_graph(&spec, 0.1);
        for recompute in [Recompute::None, Recompute::Selective, Recompute::Full] {
            let bytes = transient_bytes(&graph, |extent| PlanOptions {
                recompute,
                ..training(DType::F32, extent)
            });
            assert_linear(&bytes, &format!("{} {recompute:?}", spec.family()));
        }
        let graph = spec.graph(&Outputs::judging());
        let judging = |extent| PlanOptions::inference(DType::F32, extent);
        assert_linear(&transient_bytes(&graph, judging), spec.family());
    }
}
