//! The planner on random graphs: gradients through its plans are the derivatives of what the graphs
//! mean.

mod graphs;
mod oracle;

use graphs::{Sketch, sketches};
use oracle::Problem;
use proptest::prelude::*;
use tenon_engine::check::{check_placement, values_gap};
use tenon_engine::cpu::{Cpu, Isa};
use tenon_engine::{DType, Executor, PlanOptions, Recompute};

/// Values up to here leave room for rounding within the limits below.
const LARGEST: f64 = 100.0;

fn executor(problem: &Problem, recompute: Recompute, float: DType) -> Executor {
    let options = PlanOptions::training(float, problem.extent, 0);
    let options = PlanOptions {
        recompute,
        ..options
    };
    let device = Box::new(Cpu::new(1, Isa::detect()));
    Executor::new(problem.graph.clone(), options, device)
}

/// Forward and backward. What derivatives do not declare is poisoned in between.
fn run(problem: &Problem, exec: &mut Executor) -> Vec<Option<Vec<f64>>> {
    problem.feed(exec);
    exec.forward();
    exec.poison();
    problem.seed(exec);
    exec.backward();
    problem.grads(exec)
}

fn prove(sketch: &Sketch) -> Result<(), TestCaseError> {
    let problem = Problem::new(sketch);
    // Sums and products of products grow without bound; where differences of large numbers
    // decide, rounding would be judged and not the plan.
    prop_assume!(problem.magnitude() <= LARGEST);
    let mut exec = executor(&problem, Recompute::None, DType::F64);
    let sound = check_placement(exec.plan(), &problem.graph);
    prop_assert!(sound.is_ok(), "{sound:?}");
    let grads = run(&problem, &mut exec);
    let listing = || exec.plan().listing(&problem.graph);
    let [meant, have, size] = problem.directional(&grads);
    prop_assert!(
        (meant - have).abs() <= 1e-10 * size.max(1.0),
        "{meant} is {have}\n{}",
        listing()
    );
    for (name, want) in problem.outputs() {
        let have = exec.read_output(&name).expect("outputs are kept");
        let gap = values_gap(&have, &want);
        prop_assert!(gap <= 1e-11, "{name} misses its meaning by {gap:e}");
    }
    for recompute in [Recompute::Selective, Recompute::Blocks(1), Recompute::Full] {
        let mut again = executor(&problem, recompute, DType::F64);
        let sound = check_placement(again.plan(), &problem.graph);
        prop_assert!(sound.is_ok(), "{recompute:?}: {sound:?}");
        prop_assert!(
            run(&problem, &mut again) == grads,
            "{recompute:?} changes gradients"
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1500,
        max_global_rejects: 60_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn gradients_are_the_derivatives_of_the_meaning(sketch in sketches()) {
        prove(&sketch)?;
    }

    /// Two runs without clearing in between leave twice the gradient on parameters.
    #[test]
    fn gradients_accumulate_over_runs(sketch in sketches()) {
        let problem = Problem::new(&sketch);
        prop_assume!(problem.magnitude() <= LARGEST);
        let mut exec = executor(&problem, Recompute::None, DType::F64);
        run(&problem, &mut exec);
        let once = problem.param_grads(&mut exec);
        run(&problem, &mut exec);
        for (once, twice) in once.iter().zip(problem.param_grads(&mut exec)) {
            let (Some(once), Some(twice)) = (once, &twice) else { continue };
            let doubled: Vec<f64> = once.iter().map(|g| 2.0 * g).collect();
            prop_assert!(values_gap(twice, &doubled) <= 1e-9);
        }
    }
}
