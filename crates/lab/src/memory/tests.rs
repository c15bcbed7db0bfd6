use std::sync::Arc;

use tenon_base::diag::Source;
use tenon_engine::cpu::Cpu;
use tenon_engine::{DType, Extent, PlanOptions, Recompute};
use tenon_kernels::Isa;
use tenon_models::net::{LossOptions, Outputs};
use tenon_models::spec::{CustomSpec, Spec};

use super::{Fit, Level, Programs, choose};
use crate::config::{self, TrainingConfig};

const OTHER_BYTES: u64 = 5 << 20;
const BATCH: Extent = Extent::new(6 * 256, 6);

fn programs() -> Programs {
    let spec = Spec::Custom(CustomSpec {
        vocab_size: 300,
        max_seq_len: 256,
        n_blocks: 4,
        n_heads: 4,
        d_model: 64,
        d_ffn: 256,
    });
    let training = Outputs::training(LossOptions::PLAIN, 0.0);
    vec![
        (
            Arc::new(spec.graph(&training)),
            PlanOptions::training(DType::F32, BATCH, 2),
        ),
        (
            Arc::new(spec.graph(&Outputs::judging())),
            PlanOptions::inference(DType::F32, BATCH),
        ),
    ]
}

fn training(lines: &str) -> TrainingConfig {
    let text = format!(
        "data: {{dataset: corpus}}\ntraining: {{max_steps: 1, batch_size: {}, \
         gradient_accumulation_steps: 2{lines}}}\n",
        BATCH.seqs
    );
    let reading = config::read(&Source::new("t", text), &[]);
    reading.expect("a configuration").config.training
}

fn chosen(lines: &str) -> tenon_base::Result<Fit> {
    let device = Cpu::new(1, Isa::Scalar);
    choose(&programs(), Some(&training(lines)), &device, OTHER_BYTES)
}

fn with_budget(bytes: u64) -> tenon_base::Result<Fit> {
    chosen(&format!(", memory_budget: {bytes}"))
}

/// All levels with the sizes of their arenas.
fn levels() -> Vec<(Recompute, u64)> {
    let programs = programs();
    let device = Cpu::new(1, Isa::Scalar);
    let levels = Recompute::levels(&programs[0].0).into_iter();
    levels
        .map(|level| (level, Level::new(&programs, level, &device).planned_bytes()))
        .collect()
}

#[test]
fn without_a_budget_the_configured_level_is_planned() {
    let peaks = levels();
    for (line, level) in [
        ("", Recompute::Selective),
        (", recompute: selective", Recompute::Selective),
        (", recompute: none", Recompute::None),
        (", recompute: full", Recompute::Full),
    ] {
        let fit = chosen(line).unwrap();
        assert_eq!(fit.recompute, level, "{line}");
        assert!(
            peaks.contains(&(level, fit.planned_bytes)),
            "{line}: {fit:?}"
        );
        assert_eq!(fit.budget_bytes, None);
    }
}

#[test]
fn the_cheapest_level_that_fits_is_chosen() {
    let levels = levels();
    let mut used = Vec::new();
    let mut before = f64::INFINITY;
    let (least, most) = (
        levels.iter().map(|l| l.1).min().unwrap(),
        levels.iter().map(|l| l.1).max().unwrap(),
    );
    for budget in (least..=most + 4096).step_by(4096) {
        let fit = with_budget(budget + OTHER_BYTES).unwrap();
        assert!(fit.planned_bytes <= budget, "{fit:?} in {budget}");
        let first = levels.iter().find(|(_, bytes)| *bytes <= budget).unwrap();
        assert_eq!((fit.recompute, fit.planned_bytes), *first);
        assert!(fit.repeated_percent <= before, "more room, less to repeat");
        before = fit.repeated_percent;
        if used.last() != Some(&fit.recompute) {
            used.push(fit.recompute);
        }
    }
    assert!(used.contains(&Recompute::Blocks(2)), "{used:?}");
    assert_eq!(used.last(), Some(&Recompute::None));
    assert_eq!(before, 0.0);
}

#[test]
fn a_budget_that_is_too_small_is_refused_with_its_numbers() {
    let least = levels().iter().map(|l| l.1).min().unwrap();
    let refused = with_budget(least + OTHER_BYTES - 1).unwrap_err();
    assert_eq!(refused.kind(), tenon_base::Kind::Usage);
    let said = refused.to_string();
    for part in [
        "at least",
        "weights",
        "gradients",
        "moments",
        "the budget is",
    ] {
        assert!(said.contains(part), "{said}");
    }
    assert!(said.contains("`training.batch_size: 3`"), "{said}");
    assert!(
        said.contains("`training.gradient_accumulation_steps: 4`"),
        "{said}"
    );
    let hopeless = with_budget(1 << 20).unwrap_err().to_string();
    assert!(
        hopeless.contains("a batch of one sequence does not fit"),
        "{hopeless}"
    );
}

#[test]
fn a_budget_judges_a_level_that_is_given() {
    let bytes_of = |level| levels().iter().find(|l| l.0 == level).unwrap().1;
    let full = bytes_of(Recompute::Full) + OTHER_BYTES;
    let line = |word: &str| format!(", recompute: {word}, memory_budget: {full}");
    assert_eq!(chosen(&line("full")).unwrap().recompute, Recompute::Full);
    let refused = chosen(&line("none")).unwrap_err().to_string();
    assert!(refused.contains("`training.recompute: none`"), "{refused}");
    assert!(
        refused.contains("leave out `training.recompute`"),
        "{refused}"
    );
}
