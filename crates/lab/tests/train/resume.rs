//! Runs that are repeated, killed, interrupted and continued.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::place::{Place, steps};

#[test]
fn the_resolved_configuration_repeats_the_run() {
    let place = Place::new();
    place.succeed(&["train", "tiny.yaml"]);
    place.succeed(&["train", "runs/tiny/config.resolved.yaml", "--name", "again"]);
    assert_eq!(place.end("tiny").0, place.end("again").0);
}

#[test]
fn threads_change_no_bit_of_a_run() {
    let place = Place::new();
    place.succeed(&["train", "tiny.yaml"]);
    let mut command = place.command(&["train", "tiny.yaml", "--name", "wide"]);
    assert!(
        command
            .env("TENON_THREADS", "3")
            .output()
            .unwrap()
            .status
            .success()
    );
    assert_eq!(place.end("tiny"), place.end("wide"));
}

#[test]
fn d12_a_killed_run_resumes_to_the_same_bits() {
    let place = Place::new();
    place.succeed(&["train", "tiny.yaml", "--name", "calm"]);
    let calm = place.end("calm");
    for (i, wanted) in ["step-000002", "step-000006", "step-000010"]
        .iter()
        .enumerate()
    {
        let name = format!("killed{i}");
        let mut child = place
            .command(&["train", "tiny.yaml", "--name", &name])
            .stderr(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let checkpoints = place.path("runs").join(&name).join("checkpoints");
        while !steps(&checkpoints).iter().any(|s| s >= &wanted.to_string()) {
            if child.try_wait().unwrap().is_some() {
                break;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let _ = child.kill();
        child.wait().unwrap();
        place.succeed(&["train", "tiny.yaml", "--name", &name, "--resume", "latest"]);
        assert_eq!(place.end(&name), calm, "killed at {wanted}");
    }
}

#[test]
fn ctrl_c_saves_and_exits_130_and_the_run_resumes_to_the_same_bits() {
    let place = Place::new();
    let long = [
        "--set",
        "training.max_steps=400",
        "--set",
        "training.eval_every=100",
    ];
    let train = |name: &'static str| [&["train", "tiny.yaml", "--name", name][..], &long].concat();
    place.succeed(&train("calm"));
    let mut child = place
        .command(&train("stopped"))
        .stderr(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let checkpoints = place.path("runs/stopped/checkpoints");
    while steps(&checkpoints).is_empty() {
        std::thread::sleep(Duration::from_millis(1));
    }
    let interrupted = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status();
    assert!(interrupted.unwrap().success());
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130));
    assert!(!steps(&checkpoints).is_empty());
    let listed = place.succeed(&["runs", "ls"]);
    assert!(listed.contains("interrupted"), "{listed}");
    place.succeed(&[&train("stopped")[..], &["--resume", "latest"]].concat());
    assert_eq!(place.end("stopped"), place.end("calm"));
}

#[test]
fn a_run_does_not_resume_under_another_configuration() {
    let place = Place::new();
    place.succeed(&["train", "tiny.yaml"]);
    let resume = ["train", "tiny.yaml", "--resume", "latest", "--set"];
    let (code, said) = place.fail(&[&resume[..], &["training.learning_rate=0.5"]].concat());
    assert_eq!(code, 2);
    assert!(said.contains("`training.learning_rate`"), "{said}");
    place.succeed(&[&resume[..], &["training.max_steps=14"]].concat());
    let (_, lines) = place.end("tiny");
    assert!(lines.last().unwrap().contains("\"step\":14"), "{lines:?}");
}

#[test]
fn resuming_what_never_started_exits_2() {
    let (code, said) = Place::new().fail(&["train", "tiny.yaml", "--resume", "latest"]);
    assert_eq!(code, 2);
    assert!(said.contains("there is no run `tiny` to resume"), "{said}");
}
