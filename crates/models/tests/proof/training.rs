//! What must not change a bit of training: recomputation, judging in between, threads, instruction
//! sets, frozen neighbours; and what accumulating gradients means.

use crate::small::{Batch, executor, step, trained, training, training_graph};
use std::sync::Arc;
use tenon_engine::check::values_gap;
use tenon_engine::cpu::{Cpu, Isa};
use tenon_engine::graph::Part;
use tenon_engine::plan::Call;
use tenon_engine::{DType, Executor, Graph, Plan, PlanOptions, Recompute};
use tenon_models::net::Outputs;
use tenon_models::spec::Spec;
use tenon_models::weights::{Source, Weights};

/// Bits of everything that a run of training leaves behind.
#[derive(PartialEq)]
struct Trace {
    losses: Vec<u64>,
    grads: Vec<Option<Vec<u64>>>,
    weights: Weights,
}

fn bits(values: Vec<f64>) -> Vec<u64> {
    values.into_iter().map(f64::to_bits).collect()
}

fn grads(exec: &mut Executor) -> Vec<Option<Vec<f64>>> {
    let graph = exec.graph().clone();
    graph.param_ids().map(|p| exec.read_grad(p)).collect()
}

fn trace(exec: &mut Executor, losses: Vec<u64>) -> Trace {
    let grads = grads(exec).into_iter().map(|g| g.map(bits)).collect();
    Trace {
        losses,
        grads,
        weights: Weights::read(exec),
    }
}

/// Batches of different sizes; none fills the capacity but the first.
fn batches() -> [Batch; 3] {
    [
        Batch::of_lengths(&[17, 1, 13, 30], 0),
        Batch::of_lengths(&[5, 9], 1),
        Batch::of_lengths(&[33], 2),
    ]
}

fn three_steps(exec: &mut Executor) -> Trace {
    let mut losses = Vec::new();
    for (i, batch) in batches().iter().enumerate() {
        losses.push(step(exec, batch, i as u64 + 1).total.to_bits());
    }
    trace(exec, losses)
}

#[test]
fn threads_and_instruction_sets_change_no_bit_of_training() {
    for spec in trained() {
        let run = |threads, isa| {
            let options = training(DType::F32, batches()[0].extent());
            three_steps(&mut executor(
                training_graph(&spec, 0.1),
                options,
                threads,
                isa,
            ))
        };
        let scalar = run(1, Isa::Scalar);
        for threads in [1, 2, 3, 8] {
            let same = run(threads, Isa::detect()) == scalar;
            assert!(
                same,
                "{}: {threads} threads, {:?}",
                spec.family(),
                Isa::detect()
            );
        }
        for isa in [Isa::Avx2, Isa::Avx512]
            .into_iter()
            .filter(|isa| isa.is_available())
        {
            assert!(run(2, isa) == scalar, "{}: {isa:?}", spec.family());
        }
    }
}

#[test]
fn computing_activations_again_changes_no_bit_and_saves_memory() {
    for spec in trained() {
        let with = |recompute| {
            let graph = training_graph(&spec, 0.1);
            let options = training(DType::F32, batches()[0].extent());
            let options = PlanOptions {
                recompute,
                ..options
            };
            let mut exec = executor(graph, options, 2, Isa::detect());
            (three_steps(&mut exec), activation_bytes(exec.plan()))
        };
        let (kept, all) = with(Recompute::None);
        let (selective, some) = with(Recompute::Selective);
        let (full, least) = with(Recompute::Full);
        assert!(selective == kept && full == kept, "{}", spec.family());
        let n_blocks = training_graph(&spec, 0.1).n_blocks();
        assert_eq!(n_blocks, 3);
        for n in 0..=n_blocks {
            let (blocks, _) = with(Recompute::Blocks(n));
            assert!(blocks == kept, "{}: {n} blocks", spec.family());
        }
        assert!(
            some * 100 <= all * 85,
            "{}: selective {some} of {all}",
            spec.family()
        );
        assert!(
            least * 100 <= all * 55,
            "{}: full {least} of {all}",
            spec.family()
        );
    }
}

/// Transient bytes beside the workspace of the products, which dwarfs models as small as these.
fn activation_bytes(plan: &Plan) -> usize {
    let is_scratch =
        |c: &tenon_engine::plan::Content| matches!(c, tenon_engine::plan::Content::Scratch(_));
    let scratch = plan
        .slots
        .iter()
        .filter(|s| is_scratch(&s.content))
        .map(|s| s.bytes)
        .max();
    plan.peak_bytes - plan.persistent_bytes - scratch.unwrap_or(0)
}

/// Gradients of micro-batches add up to the gradients of the batch that holds all of their
/// sequences.
#[test]
fn gradients_of_micro_batches_add_up() {
    let whole = Batch::of_lengths(&[9, 14, 1, 7], 0);
    let (first, second) = (
        Batch::of_lengths(&[9, 14], 0),
        Batch::of_lengths(&[1, 7], 2),
    );
    for spec in trained() {
        let options = training(DType::F64, whole.extent());
        let mut exec = executor(training_graph(&spec, 0.0), options, 2, Isa::detect());
        let mut run = |parts: &[&Batch]| {
            exec.zero_grads();
            let mut sum = tenon_engine::LossSum::default();
            for part in parts {
                part.feed(&mut exec);
                exec.forward();
                exec.backward();
                sum.add(exec.loss());
            }
            (sum, grads(&mut exec))
        };
        let (one, at_once) = run(&[&whole]);
        let (two, in_parts) = run(&[&first, &second]);
        assert_eq!(one.tokens, two.tokens);
        assert!(
            (one.total - two.total).abs() <= 1e-12 * one.total,
            "{}",
            spec.family()
        );
        for (x, y) in in_parts.iter().flatten().zip(at_once.iter().flatten()) {
            assert!(
                values_gap(x, y) <= 1e-12,
                "{}: {:e}",
                spec.family(),
                values_gap(x, y)
            );
        }
    }
}

#[test]
fn judging_between_steps_changes_no_bit_of_training() {
    let other = Batch::of_lengths(&[40, 3], 5);
    for spec in trained() {
        let capacity = batches()[0].extent();
        let options = training(DType::F32, capacity);
        let train = Arc::new(training_graph(&spec, 0.1));
        let judge = Arc::new(spec.graph(&Outputs::judging()));
        let judging = PlanOptions::inference(DType::F32, capacity);
        let programs = vec![(train.clone(), options), (judge, judging)];
        let device = Box::new(Cpu::new(2, Isa::detect()));
        let mut both = Executor::with_programs(programs, device);
        Weights::init(&train, DType::F32, 11).write(&mut both);
        let mut losses = Vec::new();
        let mut judged = Vec::new();
        for (i, batch) in batches().iter().enumerate() {
            losses.push(step(&mut both, batch, i as u64 + 1).total.to_bits());
            judged.push(judge_with(&mut both, &other));
        }
        let alone = Arc::unwrap_or_clone(train);
        let mut alone = executor(alone, options, 2, Isa::detect());
        assert!(
            trace(&mut both, losses) == three_steps(&mut alone),
            "{}",
            spec.family()
        );
        assert!(
            judged.windows(2).all(|w| w[0] != w[1]),
            "judging sees the trained parameters"
        );
    }
}

/// Loss of a batch under the second graph. Gradients and moments read the same through it.
fn judge_with(exec: &mut Executor, batch: &Batch) -> f64 {
    let owned = |exec: &mut Executor| {
        let graph = exec.graph().clone();
        let moments: Vec<Vec<u8>> = graph.param_ids().map(|p| exec.moment_bytes(p, 1)).collect();
        (grads(exec), moments)
    };
    let before = owned(exec);
    exec.activate(1);
    batch.feed(exec);
    exec.forward();
    let loss = exec.loss();
    let ranks = exec.read_output("rank").expect("judging gives ranks");
    assert_eq!(ranks.iter().filter(|&&r| r >= 0.0).count(), loss.tokens);
    assert!(
        owned(exec) == before,
        "judging left gradients and moments alone"
    );
    exec.activate(0);
    loss.total
}

fn freeze(graph: &mut Graph, is_frozen: impl Fn(usize, &tenon_engine::graph::Param) -> bool) {
    for (i, param) in graph.params.iter_mut().enumerate() {
        param.trainable = !is_frozen(i, param);
    }
}

fn backward_once(graph: Graph) -> (Executor, Vec<Option<Vec<u64>>>) {
    let [batch, ..] = batches();
    let mut exec = executor(
        graph,
        training(DType::F32, batch.extent()),
        2,
        Isa::detect(),
    );
    batch.feed(&mut exec);
    exec.forward();
    exec.backward();
    let grads = grads(&mut exec).into_iter().map(|g| g.map(bits)).collect();
    (exec, grads)
}

#[test]
fn frozen_parameters_have_no_gradient_and_leave_the_others_their_bits() {
    for spec in trained() {
        let (_, all) = backward_once(training_graph(&spec, 0.1));
        let mut subsets: Vec<Graph> = Vec::new();
        for salt in 0..12 {
            let mut graph = training_graph(&spec, 0.1);
            freeze(&mut graph, |i, _| {
                (i * 7 + salt * 5 + i * i * salt) % 3 != 0
            });
            subsets.push(graph);
        }
        for part in [
            Part::Value,
            Part::Query,
            Part::Gate,
            Part::Norm,
            Part::TokenEmbedding,
        ] {
            let mut graph = training_graph(&spec, 0.1);
            freeze(&mut graph, |_, p| p.role.part != part);
            subsets.push(graph);
        }
        for graph in subsets
            .into_iter()
            .filter(|g| g.params.iter().any(|p| p.trainable))
        {
            let (exec, some) = backward_once(graph);
            for ((param, have), want) in exec.graph().params.iter().zip(some).zip(&all) {
                let want = if param.trainable { want.clone() } else { None };
                assert!(
                    have == want,
                    "{}: gradient of {}",
                    spec.family(),
                    param.name
                );
            }
        }
    }
}

#[test]
fn nothing_below_the_lowest_trained_parameter_is_differentiated() {
    let vjp_blocks = |exec: &Executor| -> Vec<Option<usize>> {
        let of = |call: &Call| match call {
            Call::Vjp { node, .. } => Some(exec.graph().node(*node).block),
            Call::Forward { .. } | Call::PassGrad { .. } => None,
        };
        exec.plan().calls.iter().filter_map(of).collect()
    };
    for spec in trained() {
        let (all, _) = backward_once(training_graph(&spec, 0.0));
        let mut graph = training_graph(&spec, 0.0);
        freeze(&mut graph, |_, p| {
            p.role.layer != Some(2) || p.role.part != Part::FeedForwardOut
        });
        let (last, _) = backward_once(graph);
        assert!(vjp_blocks(&all).contains(&Some(0)) && vjp_blocks(&all).contains(&None));
        let below = |b: &Option<usize>| matches!(b, Some(0 | 1));
        assert!(!vjp_blocks(&last).iter().any(below), "{}", spec.family());
        let blocks = vjp_blocks(&last).iter().filter(|b| **b == Some(2)).count();
        let most = if matches!(spec, Spec::Custom(_)) {
            2
        } else {
            1
        };
        assert_eq!(
            blocks,
            most,
            "{}: the matrix and what follows it",
            spec.family()
        );
        let bytes = |exec: &Executor| [exec.plan().persistent_bytes, activation_bytes(exec.plan())];
        let ([p, a], [few, small]) = (bytes(&all), bytes(&last));
        assert!(
            few < p / 2 && small < a * 2 / 3,
            "{}: {few}/{p}, {small}/{a}",
            spec.family()
        );
    }
}

#[test]
fn a_model_without_trained_parameters_has_a_loss_and_no_backward_pass() {
    for spec in trained() {
        let mut graph = training_graph(&spec, 0.0);
        let (mut trained, _) = backward_once(graph.clone());
        freeze(&mut graph, |_, _| true);
        let (mut exec, grads) = backward_once(graph);
        assert!(grads.iter().all(Option::is_none));
        assert_eq!(exec.plan().calls.len(), exec.plan().backward_from);
        assert_eq!(exec.loss(), trained.loss(), "{}", spec.family());
    }
}

/// Parameters that never were on the host are those that were, on their way in and out.
#[test]
fn parameters_without_a_copy_on_the_host_have_the_same_bits() {
    for spec in trained() {
        for float in [DType::F32, DType::F64] {
            let options = training(float, batches()[0].extent());
            let graph = Arc::new(training_graph(&spec, 0.0));
            let device = Box::new(Cpu::new(1, Isa::detect()));
            let mut exec = Executor::new(graph.clone(), options, device);
            tenon_models::weights::init(&mut exec, 11);
            let expected = Weights::init(&graph, float, 11);
            assert!(Weights::read(&mut exec) == expected, "{}", spec.family());
            let (mut direct, mut copied) = (Vec::new(), Vec::new());
            let mut host = &expected;
            assert_eq!((exec.dtype(), exec.targets()), (host.dtype, host.targets()));
            for i in 0..expected.tensors.len() {
                exec.write_to(i, &mut direct).expect("a vector takes all");
                host.write_to(i, &mut copied).expect("a vector takes all");
            }
            assert!(direct == copied, "{}", spec.family());
        }
    }
}
