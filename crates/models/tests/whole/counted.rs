//! Rows of the last block that nobody reads: they are not computed, and nothing else changes.

use std::sync::Arc;

use tenon_base::files::RealDisk;
use tenon_engine::exec::IGNORE;
use tenon_engine::{DType, Dim, Executor, Extent, Graph, PlanOptions};
use tenon_models::folder;
use tenon_models::net::{CacheOptions, LossOptions, Outputs, feed, feed_targets};
use tenon_models::spec::{Head, Objective, Problem, Spec};
use tenon_models::weights::Weights;

use crate::common::{COMMITTED, committed, cpu};

const BOUNDS: [i32; 4] = [0, 5, 6, 13];

fn spec(name: &str) -> Spec {
    let folder = folder::load(&RealDisk, &committed(name).join("model")).unwrap();
    folder.config.spec
}

/// The kinds of rows of what is computed behind the last attention, from its output's rows on.
fn behind_attention(graph: &Graph) -> Vec<Dim> {
    let attends = |path: &str| path.ends_with("attn.attend");
    let last = graph.nodes.iter().rposition(|n| attends(&n.path));
    let rest = &graph.nodes[last.expect("a model with attention") + 1..];
    rest.iter()
        .map(|n| graph.ty(n.outs[0]).shape.lead())
        .collect()
}

/// The loss and all gradients over a batch of which every third token counts, or none.
fn run(graph: Graph, weights: &Weights, some: bool) -> (f64, usize, Vec<Vec<f64>>) {
    let n = BOUNDS[3] as usize;
    let options = PlanOptions::training(DType::F64, Extent::new(n, 3), 0);
    let mut exec = Executor::new(Arc::new(graph), options, cpu());
    weights.write(&mut exec);
    let vocab_size = exec.graph().params[0].shape[0] as i32;
    let ids: Vec<i32> = (0..n as i32).map(|t| (t * 7 + 5) % vocab_size).collect();
    let lengths = BOUNDS.windows(2).map(|pair| pair[1] - pair[0]);
    let positions: Vec<i32> = lengths.flat_map(|length| 0..length).collect();
    let asked = |t: &i32| {
        if some && t % 3 == 1 {
            ids[*t as usize]
        } else {
            IGNORE
        }
    };
    let targets: Vec<i32> = (0..n as i32).map(|t| asked(&t)).collect();
    feed(&mut exec, &ids, &positions, &BOUNDS);
    feed_targets(&mut exec, &targets, &[]);
    exec.zero_grads();
    exec.forward();
    exec.backward();
    let loss = exec.loss();
    let params: Vec<_> = exec.graph().param_ids().collect();
    let grads = params
        .into_iter()
        .map(|p| exec.read_grad(p).expect("none is frozen"));
    (loss.total, loss.tokens, grads.collect())
}

fn norm(x: impl IntoIterator<Item = f64>) -> f64 {
    x.into_iter().map(|x| x * x).sum::<f64>().sqrt()
}

#[test]
fn a_masked_model_learns_the_same_from_the_rows_that_count_alone() {
    let mut n_masked = 0;
    for name in COMMITTED {
        let spec = spec(name);
        let training = spec.graph(&Outputs::training(LossOptions::PLAIN, 0.0));
        let is_masked = spec.objective() == Objective::Masked;
        assert_eq!(
            training.input("counted_rows").is_some(),
            is_masked,
            "{name}"
        );
        if !is_masked {
            continue;
        }
        n_masked += 1;
        let rows = behind_attention(&training);
        assert!(
            rows.iter().all(|&dim| dim == Dim::Counted),
            "{name} {rows:?}"
        );

        let all = spec.graph(&Outputs::inspecting(true));
        let weights = Weights::init(&all, DType::F64, 1);
        let (loss, tokens, grads) = run(training.clone(), &weights, true);
        let (wanted, wanted_tokens, wanted_grads) = run(all, &weights, true);
        assert_eq!((tokens, wanted_tokens), (4, 4), "{name}");
        assert!(
            (loss / wanted - 1.0).abs() < 1e-14,
            "{name} {loss} {wanted}"
        );
        let largest = wanted_grads.iter().map(|g| norm(g.iter().copied()));
        let largest = largest.fold(0.0, f64::max);
        for (i, (grad, wanted)) in grads.iter().zip(&wanted_grads).enumerate() {
            let gap = norm(grad.iter().zip(wanted).map(|(a, b)| a - b));
            assert!(gap <= 1e-13 * largest, "{name} {i} {gap} of {largest}");
        }

        let (loss, tokens, grads) = run(training, &weights, false);
        assert_eq!((loss, tokens), (0.0, 0), "{name}");
        assert!(grads.iter().flatten().all(|&g| g == 0.0), "{name}");
    }
    assert_eq!(n_masked, 8);
}

#[test]
fn a_model_that_tells_of_sequences_computes_their_first_rows() {
    for name in ["bert_small", "esm2_small", "esm1b_small"] {
        let Spec::Encoder(mut encoder) = spec(name) else {
            panic!("{name} is an encoder");
        };
        for problem in Problem::ALL {
            let n_classes = 3;
            encoder.head = Head::Sequence { n_classes, problem };
            let spec = Spec::Encoder(encoder.clone());
            let training = spec.graph(&Outputs::training(LossOptions::PLAIN, 0.1));
            let rows = behind_attention(&training);
            assert!(rows.iter().all(|&dim| dim == Dim::Seqs), "{name} {rows:?}");
        }
    }
}

#[test]
fn a_prompt_computes_its_last_row() {
    let cache = CacheOptions {
        slots: 2,
        capacity: 16,
    };
    let mut n_causal = 0;
    for name in COMMITTED {
        let spec = spec(name);
        if spec.objective() == Objective::Causal {
            n_causal += 1;
            let rows = behind_attention(&spec.graph(&Outputs::generating(cache)));
            assert!(rows.iter().all(|&dim| dim == Dim::Seqs), "{name} {rows:?}");
        }
    }
    assert_eq!(n_causal, 12);
}
