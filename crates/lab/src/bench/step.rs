//! A step of training, or a forward pass with its loss: how long it takes, where the time goes, the
//! time that the machine would allow, and what more threads gain.

mod report;

use std::num::NonZeroUsize;
use std::sync::Arc;

use tenon_base::clock::Clock;
use tenon_base::memory::peak_resident_bytes;
use tenon_base::rng::{Key, Stream};
use tenon_engine::cpu::Cpu;
use tenon_engine::exec::IGNORE;
use tenon_engine::{Executor, Extent, Graph, PlanOptions};
use tenon_models::net::{LossOptions, Outputs};
use tenon_models::weights;
use tenon_train::{Optimizer, update};

use super::case::Case;
use super::ops::{OpTime, Readings};
use super::products::of_step;
use super::yardstick::Yardstick;
use super::{Times, WorkClock, least};
use crate::context::Context;

pub use report::{Scaling, StepReport};

/// Steps before the first that is watched.
const WARM_STEPS: usize = 2;
/// Steps that are watched call by call.
const OBSERVED_STEPS: usize = 3;
/// Parts of the steps; the rates of the machine are measured after each.
const ROUNDS: usize = 3;
/// Of the update: how fast it goes does not depend on them.
const LEARNING_RATE: f64 = 3e-4;
const ADAMW: Optimizer = Optimizer::AdamW {
    beta1: 0.9,
    beta2: 0.95,
    eps: 1e-8,
    weight_decay: 0.1,
};
/// AdamW reads parameter, gradient and both moments, and writes all but the gradient, which zeroing
/// writes.
const WORDS_OF_UPDATE: usize = 8;

/// The program that trains, or the only one.
const STEP: usize = 0;

/// What one step is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Gradients set to zero, forward, backward, one update of all parameters by AdamW. A masked
    /// model is asked for some tokens.
    Train,
    /// The forward pass with the loss of all tokens.
    Forward,
}

impl Work {
    /// The name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Work::Train => "train",
            Work::Forward => "forward",
        }
    }

    /// What is asked for of each token.
    fn targets(self, case: &Case) -> Vec<i32> {
        match self {
            Work::Train => case.training_targets(),
            Work::Forward => case.targets(),
        }
    }

    /// The batch, with the tokens that count.
    fn batch(self, case: &Case) -> Extent {
        let targets = self.targets(case).into_iter();
        Extent {
            counted: targets.filter(|&target| target != IGNORE).count(),
            ..case.batch
        }
    }
}

/// Measures `steps` steps of a model.
pub fn measure(
    case: &Case,
    work: Work,
    steps: NonZeroUsize,
    threads: NonZeroUsize,
    context: &Context,
) -> StepReport {
    let clock = context.clock.as_ref();
    let mut bench = Bench::new(case, work, threads, context);
    let graph = bench.exec.graph();
    let (n_params, flops) = (graph.n_params(), flops(graph, case, work));
    let shapes = of_step(graph, work.batch(case), case.float, work == Work::Train);
    let work_clock = WorkClock::new(clock, threads);
    let new_yardstick = |threads: NonZeroUsize, clock| {
        let device = Cpu::new(threads.get(), context.isa);
        Yardstick::new(&shapes, case.float, device, clock)
    };
    let mut yardstick = new_yardstick(threads, &work_clock);
    let mut parts = parts(steps.get()).into_iter();
    let first = parts.next().unwrap_or_default();
    let mut step = Times::of(clock, WARM_STEPS, first, || bench.step());
    // Before anything is measured that a step does not need.
    let peak_rss_bytes = peak_resident_bytes(context.disk.as_ref());
    yardstick.measure();
    let mut alone = (threads.get() > 1).then(|| Alone {
        bench: Bench::new(case, work, NonZeroUsize::MIN, context),
        yardstick: new_yardstick(NonZeroUsize::MIN, clock),
        step: Times::default(),
    });
    for n in parts {
        (0..n).for_each(|_| step.add(clock, || bench.step()));
        yardstick.measure();
        if let Some(alone) = &mut alone {
            alone.measure(clock);
        }
    }
    let scaling = alone.map(|alone| alone.scaling(&yardstick, &step));
    let (sgemm_gflops, bandwidth) = (yardstick.sgemm_gflops, yardstick.bandwidth);
    let update_bytes = match work {
        Work::Train => n_params * WORDS_OF_UPDATE * case.float.bytes(),
        Work::Forward => 0,
    };
    StepReport {
        roofline_ms: (flops / sgemm_gflops + update_bytes as f64 / bandwidth) / 1e6,
        step,
        ops: bench.observed(&work_clock),
        forward: bench.forward_times(clock, steps),
        planned_peak_bytes: bench.planned_peak_bytes,
        peak_rss_bytes,
        n_params,
        flops,
        sgemm_gflops,
        bandwidth,
        scaling,
    }
}

/// `n` steps in parts, the larger ones first; a part may be empty.
fn parts(n: usize) -> [usize; ROUNDS] {
    std::array::from_fn(|i| (n + ROUNDS - 1 - i) / ROUNDS)
}

/// The same with one thread.
struct Alone<'a> {
    bench: Bench<'a>,
    yardstick: Yardstick<'a>,
    step: Times,
}

impl Alone<'_> {
    fn measure(&mut self, clock: &dyn Clock) {
        let step = Times::of(clock, 1, 1, || self.bench.step());
        self.step.wall_ms.extend(step.wall_ms);
        self.yardstick.measure_products();
    }

    fn scaling(&self, together: &Yardstick<'_>, step: &Times) -> Scaling {
        let best = |times: &Times| least(&times.wall_ms).unwrap_or(f64::NAN);
        Scaling {
            sgemm: together.sgemm_gflops / self.yardstick.sgemm_gflops,
            step: best(&self.step) / best(step),
        }
    }
}

/// The derivative of a product is two products, so a step has three times the operations of its
/// forward pass; what is computed again is no work of the model.
fn flops(graph: &Graph, case: &Case, work: Work) -> f64 {
    let forward = graph.forward_flops(work.batch(case));
    match work {
        Work::Train => 3.0 * forward,
        Work::Forward => forward,
    }
}

/// A model that takes steps.
struct Bench<'a> {
    case: &'a Case,
    work: Work,
    exec: Executor,
    planned_peak_bytes: usize,
    n_steps: u64,
}

impl<'a> Bench<'a> {
    fn new(case: &'a Case, work: Work, threads: NonZeroUsize, context: &Context) -> Bench<'a> {
        // No more rotary angles than sequences have positions.
        let spec = case.spec.with_rotary_positions(case.length());
        let graph = |dropout| {
            let outputs = Outputs::training(LossOptions::PLAIN, dropout);
            Arc::new(spec.graph(&outputs))
        };
        let judging = (graph(0.0), PlanOptions::inference(case.float, case.batch));
        let training = PlanOptions {
            recompute: case.recompute,
            ..PlanOptions::training(case.float, case.batch, ADAMW.n_moments())
        };
        let programs = match work {
            Work::Train => vec![(graph(case.dropout), training), judging],
            Work::Forward => vec![judging],
        };
        let device = Box::new(Cpu::new(threads.get(), context.isa));
        let mut exec = Executor::with_programs(programs, device);
        weights::init(&mut exec, 0);
        let mut bench = Bench {
            planned_peak_bytes: exec.plan().peak_bytes,
            case,
            work,
            exec,
            n_steps: 0,
        };
        bench.activate(STEP);
        bench
    }

    fn activate(&mut self, program: usize) {
        self.exec.activate(program);
        let work = match program {
            STEP => self.work,
            _ => Work::Forward,
        };
        self.case.feed(&mut self.exec, &work.targets(self.case));
    }

    fn step(&mut self) {
        match self.work {
            Work::Train => {
                self.begin();
                self.exec.forward();
                self.exec.backward();
                self.update();
            }
            Work::Forward => self.exec.forward(),
        }
    }

    fn begin(&mut self) {
        self.n_steps += 1;
        self.exec
            .set_key(Key::new(0, Stream::Dropout).words(self.n_steps));
        self.exec.zero_grads();
    }

    fn update(&mut self) {
        let per_token = 1.0 / self.exec.extent().counted as f64;
        let exec = &mut self.exec;
        update(exec, &ADAMW, LEARNING_RATE, per_token, self.n_steps);
    }

    /// Forward passes alone, with the loss and without anything kept for derivatives.
    fn forward_times(&mut self, clock: &dyn Clock, steps: NonZeroUsize) -> Times {
        if self.work == Work::Train {
            self.activate(STEP + 1);
        }
        let n = (steps.get() / 2).max(3);
        Times::of(clock, 1, n, || self.exec.forward())
    }

    /// A few steps call by call.
    fn observed(&mut self, clock: &dyn Clock) -> Vec<OpTime> {
        let mut readings = Readings::default();
        let (mut zeroing, mut updates) = (Times::default(), Times::default());
        for _ in 0..OBSERVED_STEPS {
            if self.work == Work::Train {
                zeroing.add(clock, || self.begin());
            }
            readings.step(&mut self.exec, clock);
            if self.work == Work::Train {
                updates.add(clock, || self.update());
            }
        }
        readings.add("zero_gradients", zeroing);
        readings.add("adamw", updates);
        readings.by_operator()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_all_steps_and_the_first_is_never_empty() {
        assert_eq!(parts(1), [1, 0, 0]);
        assert_eq!(parts(5), [2, 2, 1]);
        for n in 1..20 {
            assert_eq!(parts(n).iter().sum::<usize>(), n);
            assert!(parts(n)[0] > 0);
        }
    }
}
