//! How a run fits into memory: what it computes again, and what to do when nothing is enough.

use std::sync::Arc;

use serde_json::{Value, json};
use tenon_base::memory::resident_bytes;
use tenon_base::{Error, Result, units};
use tenon_engine::plan::Content;
use tenon_engine::{Extent, Graph, Kernels, Plan, PlanOptions, Recompute};

use crate::config::{self, TrainingConfig};
use crate::context::Context;

/// What a run takes beside its arena and what the program had resident before it: buffers of files,
/// the store of runs, plots. Measured on runs of the configurations in `configs/`, generously.
const OTHER_BYTES: u64 = 8 << 20;

/// Graphs of one model with the options of their plans; the first one trains.
pub type Programs = Vec<(Arc<Graph>, PlanOptions)>;

/// What was chosen for a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// What the backward pass computes again.
    pub recompute: Recompute,
    /// Operations that this repeats, in percent of those of a step.
    pub repeated_percent: f64,
    /// The arena.
    pub planned_bytes: u64,
    /// Beside the arena, as far as it is known: what the program has resident already, and room for
    /// what a run takes on the host.
    pub other_bytes: u64,
    /// Most bytes that the run may take.
    pub budget_bytes: Option<u64>,
}

/// Plans of all graphs at one level of recomputation.
struct Level {
    recompute: Recompute,
    plans: Vec<Plan>,
}

impl Level {
    fn new(programs: &Programs, recompute: Recompute, device: &dyn Kernels) -> Level {
        let mut programs = programs.clone();
        if let Some((_, options)) = programs.first_mut() {
            options.recompute = recompute;
        }
        Level {
            recompute,
            plans: Plan::together(&programs, device),
        }
    }

    fn planned_bytes(&self) -> u64 {
        let peaks = self.plans.iter().map(|plan| plan.peak_bytes as u64);
        peaks.max().unwrap_or(0)
    }
}

/// Chooses what a run computes again: as configured, or the cheapest that its budget has room for.
/// `released_bytes` of what is resident now are given back before the first step.
///
/// # Errors
/// `Usage` when the budget is too small, with the least that the run needs, where it goes, and what
/// would help.
pub fn fit(
    programs: &Programs,
    training: Option<&TrainingConfig>,
    device: &dyn Kernels,
    released_bytes: u64,
    context: &Context,
) -> Result<Fit> {
    let resident = resident_bytes(context.disk.as_ref());
    let kept = resident.unwrap_or(0).saturating_sub(released_bytes);
    choose(programs, training, device, kept + OTHER_BYTES)
}

fn choose(
    programs: &Programs,
    training: Option<&TrainingConfig>,
    device: &dyn Kernels,
    other_bytes: u64,
) -> Result<Fit> {
    let budget_bytes = training.and_then(|t| t.memory_budget);
    let mut least: Option<Level> = None;
    for recompute in levels(programs, training) {
        let level = Level::new(programs, recompute, device);
        let planned_bytes = level.planned_bytes();
        if budget_bytes.is_none_or(|budget| planned_bytes + other_bytes <= budget) {
            let trained = programs.iter().zip(&level.plans).next();
            let percent = trained.map(|((graph, _), plan)| plan.repeated_percent(graph));
            return Ok(Fit {
                recompute,
                repeated_percent: percent.unwrap_or(0.0),
                planned_bytes,
                other_bytes,
                budget_bytes,
            });
        }
        if least
            .as_ref()
            .is_none_or(|l| planned_bytes < l.planned_bytes())
        {
            least = Some(level);
        }
    }
    match (least, training) {
        (Some(least), Some(training)) => {
            Err(refusal(&least, other_bytes, programs, training, device))
        }
        _ => unreachable!("there is a level, and only a configuration has a budget"),
    }
}

/// The levels that may be chosen, by rising cost.
fn levels(programs: &Programs, training: Option<&TrainingConfig>) -> Vec<Recompute> {
    let graph = programs.first().map(|(graph, _)| graph);
    let Some(training) = training else {
        return vec![Recompute::Selective];
    };
    match (training.recompute, training.memory_budget) {
        (config::Recompute::Auto, Some(_)) => graph.map_or(Vec::new(), |g| Recompute::levels(g)),
        (config::Recompute::Auto | config::Recompute::Selective, _) => vec![Recompute::Selective],
        (config::Recompute::None, _) => vec![Recompute::None],
        (config::Recompute::Full, _) => vec![Recompute::Full],
    }
}

fn refusal(
    least: &Level,
    other_bytes: u64,
    programs: &Programs,
    training: &TrainingConfig,
    device: &dyn Kernels,
) -> Error {
    let size = |bytes: u64| units::bytes(bytes);
    let sum = |of: fn(&Content) -> bool| -> u64 {
        let first = least.plans.first();
        first.map_or(0, |plan| plan.bytes_of(of) as u64)
    };
    let weights = sum(|c| matches!(c, Content::Param(_)));
    let gradients = sum(|c| matches!(c, Content::ParamGrad(_)));
    let moments = sum(|c| matches!(c, Content::Moment(..)));
    let planned = least.planned_bytes();
    let rest = planned - weights - gradients - moments;
    let budget = training.memory_budget.unwrap_or(0);
    let at_least = match training.recompute {
        config::Recompute::Auto => "at least ".to_owned(),
        explicit => format!("with `training.recompute: {}` ", explicit.name()),
    };
    let message = format!(
        "the run takes {at_least}{} of memory (weights {}, gradients {}, moments {}, activations \
         and workspace {}, the program itself {}), the budget is {}",
        size(planned + other_bytes),
        size(weights),
        size(gradients),
        size(moments),
        size(rest),
        size(other_bytes),
        size(budget),
    );
    let fits = |programs: &Programs, recompute| {
        Level::new(programs, recompute, device).planned_bytes() + other_bytes <= budget
    };
    let hint = advice(programs, training, least.recompute, &fits);
    Error::usage(message)
        .at("training.memory_budget")
        .hint(hint)
}

/// What would make the run fit.
fn advice(
    programs: &Programs,
    training: &TrainingConfig,
    least: Recompute,
    fits: &dyn Fn(&Programs, Recompute) -> bool,
) -> String {
    let full = Recompute::Full;
    if training.recompute != config::Recompute::Auto && fits(programs, full) {
        return "leave out `training.recompute`: more can be computed again".to_owned();
    }
    let whole = training.batch_size;
    let parts = (1..whole).rev().filter(|&n| whole.is_multiple_of(n));
    let some = parts.into_iter().find(|&n| {
        let smaller = scaled(programs, n, whole);
        fits(&smaller, least) || fits(&smaller, full)
    });
    match some {
        Some(n) => {
            let batches = training.gradient_accumulation_steps * (whole / n);
            format!(
                "`training.batch_size: {n}` with `training.gradient_accumulation_steps: {batches}` \
                 fits, and a step sees as much as before"
            )
        }
        None => {
            "a batch of one sequence does not fit either: shorten `data.max_length`, choose an \
                 optimizer with fewer moments or a smaller model, or raise the budget"
                .to_owned()
        }
    }
}

/// The same graphs for batches of `n` of `whole` sequences.
fn scaled(programs: &Programs, n: usize, whole: usize) -> Programs {
    let part = |size: usize| (size * n).div_ceil(whole.max(1));
    let mut programs = programs.clone();
    for (_, options) in &mut programs {
        let Extent { tokens, seqs, .. } = options.capacity;
        options.capacity = Extent::new(part(tokens), part(seqs));
    }
    programs
}

impl Fit {
    /// What is computed again, in words.
    fn level(&self) -> String {
        match self.recompute {
            Recompute::None => "nothing".to_owned(),
            Recompute::Selective => "norms and activations".to_owned(),
            Recompute::Blocks(1) => "the first block".to_owned(),
            Recompute::Blocks(n) => format!("the first {n} blocks"),
            Recompute::Full => "all blocks".to_owned(),
        }
    }

    /// A sentence on the plan; a lower-case fragment.
    pub fn text(&self) -> String {
        let size = units::bytes;
        let mut text = format!(
            "{} planned; {} computed again, {:.1} % of the operations of a step",
            size(self.planned_bytes),
            self.level(),
            self.repeated_percent
        );
        if let Some(budget) = self.budget_bytes {
            let (other, budget) = (size(self.other_bytes), size(budget));
            text += &format!("; with {other} for the program itself within the budget of {budget}");
        }
        text
    }

    /// The same for programs; sizes in bytes.
    pub fn to_json(&self) -> Value {
        let (name, n_blocks) = match self.recompute {
            Recompute::None => ("none", 0),
            Recompute::Selective => ("selective", 0),
            Recompute::Blocks(n) => ("blocks", n),
            Recompute::Full => ("full", 0),
        };
        json!({
            "recompute": name,
            "recomputed_blocks": (n_blocks > 0).then_some(n_blocks),
            "repeated_percent": self.repeated_percent,
            "planned_bytes": self.planned_bytes,
            "program_bytes": self.budget_bytes.map(|_| self.other_bytes),
            "budget_bytes": self.budget_bytes,
        })
    }
}

#[cfg(test)]
mod tests;
