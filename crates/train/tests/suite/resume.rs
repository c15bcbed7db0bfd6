//! A run that was killed or interrupted, and resumed, ends with the bits of one that was not.

use crate::common::{Left, Options, executor, latest, run, settings};
use std::path::Path;
use tenon_base::files::{Disk, RealDisk};
use tenon_testkit::{Fault, FaultDisk};
use tenon_train::Ending;

const DROPOUT: f64 = 0.1;

fn options<'a>(disk: &'a dyn Disk, folder: &'a Path, interrupt_after: Option<u64>) -> Options<'a> {
    Options {
        disk,
        folder,
        settings: settings(),
        isa: "scalar",
        interrupt_after,
    }
}

fn calm() -> Left {
    let folder = tempfile::tempdir().unwrap();
    run(
        options(&RealDisk, folder.path(), None),
        &mut executor(1, 2, 2, DROPOUT),
        None,
    )
    .unwrap()
}

fn resume(folder: &Path) -> Left {
    let checkpoint = latest(&RealDisk, folder);
    // Another seed: everything must come from the checkpoint, or the run starts over.
    let seed = if checkpoint.is_some() { 99 } else { 1 };
    let mut exec = executor(seed, 2, 2, DROPOUT);
    run(
        options(&RealDisk, folder, None),
        &mut exec,
        checkpoint.as_deref(),
    )
    .unwrap()
}

#[track_caller]
fn assert_same_end(left: &Left, calm: &Left) {
    assert_eq!(left.weights, calm.weights);
    let (mut a, mut b) = (left.outcome.state.clone(), calm.outcome.state.clone());
    (a.seconds, b.seconds) = (0.0, 0.0);
    assert_eq!(a, b);
    let tail = &calm.lines[calm.lines.len() - left.lines.len()..];
    assert_eq!(left.lines, tail, "metrics after the checkpoint");
}

#[test]
fn two_runs_are_equal() {
    assert_same_end(&calm(), &calm());
}

#[test]
fn d12_interrupted_after_any_step() {
    let calm = calm();
    for step in 1..14 {
        let folder = tempfile::tempdir().unwrap();
        let mut exec = executor(1, 2, 2, DROPOUT);
        let first = run(
            options(&RealDisk, folder.path(), Some(step)),
            &mut exec,
            None,
        )
        .unwrap();
        assert_eq!(
            (first.outcome.ending, first.outcome.state.step),
            (Ending::Interrupted, step)
        );
        assert_same_end(&resume(folder.path()), &calm);
    }
}

#[test]
fn d12_killed_at_any_write() {
    let calm = calm();
    let mut n_killed = 0;
    for fault in [Fault::KillBefore, Fault::KillWithin, Fault::KillAfter] {
        for n in 0.. {
            let folder = tempfile::tempdir().unwrap();
            let disk = FaultDisk::at_write(n, fault);
            let mut exec = executor(1, 2, 2, DROPOUT);
            let first = run(options(&disk, folder.path(), None), &mut exec, None);
            if !disk.fault_reached() {
                assert_same_end(&first.expect("nothing failed"), &calm);
                break;
            }
            n_killed += 1;
            assert_same_end(&resume(folder.path()), &calm);
        }
    }
    assert!(n_killed > 100, "the run writes often, {n_killed} kills");
}

#[test]
fn a_full_disk_ends_the_run_with_an_io_error_and_loses_nothing() {
    let calm = calm();
    let folder = tempfile::tempdir().unwrap();
    let disk = FaultDisk::at_write(20, Fault::Fail);
    let failed = run(
        options(&disk, folder.path(), None),
        &mut executor(1, 2, 2, DROPOUT),
        None,
    );
    let error = failed.err().expect("the disk is full");
    assert_eq!(error.kind(), tenon_base::Kind::Io, "{error}");
    assert_same_end(&resume(folder.path()), &calm);
}

#[test]
fn resuming_with_another_optimizer_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let mut exec = executor(1, 2, 2, DROPOUT);
    run(options(&RealDisk, folder.path(), Some(3)), &mut exec, None).unwrap();
    let checkpoint = latest(&RealDisk, folder.path()).unwrap();
    let mut sgd = settings();
    sgd.optimizer = tenon_train::Optimizer::Sgd {
        momentum: 0.0,
        weight_decay: 0.0,
    };
    let options = Options {
        settings: sgd,
        ..options(&RealDisk, folder.path(), None)
    };
    let error = run(options, &mut executor(1, 2, 0, DROPOUT), Some(&checkpoint))
        .err()
        .unwrap();
    assert!(error.message().contains("optimiser buffers"), "{error}");
}

#[test]
fn truncated_checkpoints_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    run(
        options(&RealDisk, folder.path(), Some(3)),
        &mut executor(1, 2, 2, DROPOUT),
        None,
    )
    .unwrap();
    let checkpoint = latest(&RealDisk, folder.path()).unwrap();
    for file in [
        "state.json",
        "optimizer.safetensors",
        "model/model.safetensors",
    ] {
        let path = checkpoint.join(file);
        let whole = RealDisk.read(&path).unwrap();
        RealDisk.truncate_to(&path, whole.len() as u64 / 2).unwrap();
        let resumed = options(&RealDisk, folder.path(), None);
        let error = run(resumed, &mut executor(1, 2, 2, DROPOUT), Some(&checkpoint))
            .err()
            .unwrap();
        assert_eq!(error.kind(), tenon_base::Kind::Data, "{file}: {error}");
        assert!(
            error.to_string().contains(file.rsplit('/').next().unwrap()),
            "{error}"
        );
        RealDisk.write_atomic(&path, &whole).unwrap();
    }
}

/// All paths give the same bits, so the run goes on; but it says what it was computed with.
#[test]
fn continuing_on_another_instruction_set_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let first = options(&RealDisk, folder.path(), Some(3));
    run(first, &mut executor(1, 2, 2, DROPOUT), None).unwrap();
    let checkpoint = latest(&RealDisk, folder.path()).unwrap();
    let second = Options {
        isa: "avx2",
        ..options(&RealDisk, folder.path(), None)
    };
    let left = run(second, &mut executor(9, 2, 2, DROPOUT), Some(&checkpoint)).unwrap();
    assert_eq!(left.lines[0], "scalar to avx2");
    assert_eq!(left.outcome.state.isa, "avx2");
}
