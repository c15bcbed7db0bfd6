//! What the loop does beside stepping: clipping, accumulation, skipping, stopping, keeping
//! checkpoints.

use crate::common::{Left, Options, PlainStore, executor, loader, run, settings};
use tenon_base::files::RealDisk;
use tenon_data::Batch;
use tenon_data::batch::Order;
use tenon_engine::Executor;
use tenon_models::net::{feed, feed_targets};
use tenon_train::{Checkpoints, Curve, EarlyStopping, Ending, Optimizer, Settings};

fn train(settings: Settings, exec: &mut Executor) -> (Left, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let options = Options {
        disk: &RealDisk,
        folder: folder.path(),
        settings,
        isa: "scalar",
        interrupt_after: None,
    };
    (run(options, exec, None).unwrap(), folder)
}

#[test]
fn the_loss_falls() {
    let (left, _folder) = train(settings(), &mut executor(1, 2, 2, 0.0));
    let (_, best) = left.outcome.state.best.unwrap();
    let first = crate::common::judge(&mut executor(1, 2, 2, 0.0))
        .unwrap()
        .loss
        .mean()
        .unwrap();
    assert!(best < first - 0.3, "{first} to {best}");
    assert_eq!(left.outcome.ending, Ending::Finished);
}

#[test]
fn steps_that_are_not_finite_are_skipped_and_then_abort() {
    let mut exec = executor(1, 2, 2, 0.0);
    let p = exec.graph().find_param("head.weight").unwrap();
    let mut broken = exec.read_param(p);
    broken[3] = f64::NAN;
    exec.write_param(p, &broken);
    let before = tenon_models::weights::Weights::read(&mut exec);
    let settings = Settings {
        nan_steps_max: 4,
        eval_every: None,
        ..settings()
    };
    let (left, _folder) = train(settings, &mut exec);
    assert_eq!(left.outcome.ending, Ending::NotFinite);
    let state = left.outcome.state;
    assert_eq!((state.step, state.n_skipped, state.updates), (4, 4, 0));
    assert!(
        left.weights
            .tensors
            .iter()
            .zip(&before.tensors)
            .all(|(a, b)| a.bytes == b.bytes)
    );
}

#[test]
fn early_stopping_waits_for_its_patience() {
    let mut settings = settings();
    settings.schedule.curve = Curve::Constant;
    settings.schedule.base = 1e-12;
    settings.schedule.total_steps = 100;
    settings.early_stopping = Some(EarlyStopping {
        patience: 3,
        min_delta: 1e-3,
    });
    let (left, _folder) = train(settings, &mut executor(1, 2, 2, 0.0));
    assert_eq!(left.outcome.ending, Ending::Stopped);
    // The first validation is the best one; three more do not improve on it.
    assert_eq!(left.outcome.state.step, 16);
}

#[test]
fn only_the_latest_and_the_best_checkpoints_stay() {
    let (left, folder) = train(settings(), &mut executor(1, 2, 2, 0.0));
    let steps = Checkpoints::new(&RealDisk, folder.path().to_path_buf(), &PlainStore)
        .steps()
        .unwrap();
    let (best, _) = left.outcome.state.best.unwrap();
    assert!(steps.contains(&14) && steps.contains(&best), "{steps:?}");
    assert!(steps.len() <= 3, "{steps:?}");
}

/// Accumulating two batches gives the gradient of the one batch that holds both, divided by the
/// real number of tokens and not by the number of batches.
#[test]
fn accumulation_divides_by_counted_tokens() {
    let gradient = |batch_size: usize, n: usize| -> Vec<f64> {
        let mut exec = executor(1, 4, 0, 0.0);
        let mut data = loader(batch_size, Order::InOrder);
        let mut batch = Batch::default();
        exec.zero_grads();
        let mut tokens = 0;
        for i in 0..n {
            data.next(&mut batch);
            if i == n - 1 {
                // The last row counts half of its tokens: unequal batches.
                let at = batch.targets.len() - 8;
                batch.targets[at..].fill(-100);
            }
            feed(&mut exec, &batch.ids, &batch.positions, &batch.cu_seqlens);
            feed_targets(&mut exec, &batch.targets, &[]);
            exec.forward();
            exec.backward();
            tokens += exec.loss().tokens;
        }
        let p = exec.graph().find_param("head.weight").unwrap();
        exec.read_grad(p)
            .unwrap()
            .iter()
            .map(|g| g / tokens as f64)
            .collect()
    };
    let (one, two) = (gradient(4, 1), gradient(2, 2));
    let gap: f64 = one
        .iter()
        .zip(&two)
        .map(|(a, b)| (a - b) * (a - b))
        .sum::<f64>()
        .sqrt();
    let norm: f64 = one.iter().map(|a| a * a).sum::<f64>().sqrt();
    assert!(norm > 1e-3 && gap / norm < 1e-5, "{gap} of {norm}");
}

#[test]
fn clipping_limits_the_update() {
    let moved = |max_grad_norm: Option<f64>| -> f64 {
        let mut settings = settings();
        settings.optimizer = Optimizer::Sgd {
            momentum: 0.0,
            weight_decay: 0.0,
        };
        settings.schedule.curve = Curve::Constant;
        settings.schedule.base = 1.0;
        settings.schedule.warmup_steps = 0;
        settings.schedule.total_steps = 1;
        settings.eval_every = None;
        settings.max_grad_norm = max_grad_norm;
        let mut exec = executor(1, 2, 0, 0.0);
        let read = |exec: &mut Executor| -> Vec<f64> {
            let graph = exec.graph().clone();
            graph.param_ids().flat_map(|p| exec.read_param(p)).collect()
        };
        let before = read(&mut exec);
        train(settings, &mut exec);
        let after = read(&mut exec);
        before
            .iter()
            .zip(&after)
            .map(|(a, b)| (a - b) * (a - b))
            .sum::<f64>()
            .sqrt()
    };
    let free = moved(None);
    assert!(free > 0.02, "{free}");
    let clipped = moved(Some(0.01));
    assert!((clipped - 0.01).abs() < 1e-4, "{clipped}");
}
