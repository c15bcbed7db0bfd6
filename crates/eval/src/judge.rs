//! Loss, perplexity, accuracy and bits per byte over a split: sums over counted tokens, divided
//! once.

use std::ops::ControlFlow;

use tenon_base::{Error, Kind, Result};
use tenon_data::batch::{Batch, Cursor, Layout, Loader, Order, Partial, Sight};
use tenon_engine::graph::Part;
use tenon_engine::{Executor, Extent, Kernels, LossSum};
use tenon_models::net::{Outputs, feed, feed_targets};
use tenon_models::spec::Spec;
use tenon_models::weights::Weights;

use crate::scores::Scores;
use crate::subject;

/// Ranks below this count as hits of the wider accuracy.
const TOP: f64 = 5.0;

/// The verdict over a split. There is none without a counted token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    loss: LossSum,
    n_top1: usize,
    n_top5: usize,
    n_bytes: u64,
}

impl Judged {
    /// Adds what a batch's ranks say.
    fn add(&mut self, exec: &mut Executor, batch: &Batch) {
        let ranks = exec.read_output("rank").expect("a judging graph has ranks");
        let hits = |top: f64| {
            let hit = |rank: &&f64| (0.0..top).contains(*rank);
            ranks.iter().filter(hit).count()
        };
        self.n_top1 += hits(1.0);
        self.n_top5 += hits(TOP);
        self.n_bytes += batch.n_bytes;
    }

    /// Sum of the loss over the counted tokens, in nats.
    pub fn total_nats(&self) -> f64 {
        self.loss.total
    }

    /// Counted tokens; at least 1.
    pub fn n_tokens(&self) -> usize {
        self.loss.tokens
    }

    /// Bytes of text that the counted tokens stand for.
    pub fn n_bytes(&self) -> u64 {
        self.n_bytes
    }

    /// Nats for each counted token.
    pub fn loss(&self) -> f64 {
        self.loss.total / self.loss.tokens as f64
    }

    /// exp(loss); infinite where that does not fit an f64.
    pub fn perplexity(&self) -> f64 {
        libm::exp(self.loss())
    }

    /// Share of counted tokens with the largest logit; of equal logits the lower id goes first.
    pub fn top1_accuracy(&self) -> f64 {
        self.n_top1 as f64 / self.loss.tokens as f64
    }

    /// Share of counted tokens among the five largest logits.
    pub fn top5_accuracy(&self) -> f64 {
        self.n_top5 as f64 / self.loss.tokens as f64
    }

    /// Total nats / ln 2 / bytes of the counted tokens. `None` when they stand for no text, as
    /// special ids do.
    pub fn bits_per_byte(&self) -> Option<f64> {
        let bits = self.loss.total / std::f64::consts::LN_2;
        (self.n_bytes > 0).then(|| bits / self.n_bytes as f64)
    }
}

/// How far judging has come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Progress {
    /// Batches that are over.
    pub n_done: usize,
    /// Batches in all.
    pub n_batches: usize,
    /// The sum so far.
    pub loss: LossSum,
}

/// Room for the batches of a loader.
pub fn capacity(loader: &Loader) -> Extent {
    let tokens = loader.n_rows_max();
    let seqs = match loader.spec().layout {
        Layout::Packed {
            sight: Sight::Document,
            ..
        } => tokens,
        _ => loader.spec().batch_size,
    };
    Extent::new(tokens, seqs)
}

/// An executor that judges a model on batches of the loader. Data error when the weights are
/// another model's, usage error when the loader's sequences are longer than the model's context.
pub fn executor(
    spec: &Spec,
    weights: &Weights,
    loader: &Loader,
    device: Box<dyn Kernels>,
) -> Result<Executor> {
    let longest = loader.n_rows_max() / loader.spec().batch_size;
    let context = spec.context_len();
    if longest > context {
        return Err(Error::usage(format!(
            "sequences of {longest} tokens, the model's context has {context}"
        ))
        .hint(format!("judge with sequences of at most {context} tokens")));
    }
    let outputs = Outputs::judging_of(spec);
    let spec = spec.with_rotary_positions(longest);
    subject::executor(&spec, &outputs, weights, capacity(loader), device)
}

/// Judges the model in `exec`, whose active graph is a [`Outputs::judging`] one, on the first
/// `max_batches` batches of the loader or on all of them, each once.
///
/// `on_batch` is called after each batch; `Break` ends judging with an error of kind
/// `Interrupted`. The loader is moved to its start first, so its last position does not matter.
///
/// Usage error when the loader shuffles, leaves a remainder out or makes batches that the plan has
/// no room for; data error when an id is outside the vocabulary or no token is counted; judged bad
/// when a loss is not finite.
///
/// # Panics
/// When the active graph has no loss or no ranks.
pub fn judge(
    exec: &mut Executor,
    loader: &mut Loader,
    max_batches: Option<usize>,
    on_batch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Judged> {
    let mut sums = Judged {
        loss: LossSum::default(),
        n_top1: 0,
        n_top5: 0,
        n_bytes: 0,
    };
    sums.loss = each_batch(exec, loader, max_batches, on_batch, &mut |exec, batch| {
        sums.add(exec, batch);
    })?;
    Ok(sums)
}

/// What is known of a model after judging.
#[derive(Clone, Debug, PartialEq)]
pub enum Judgement {
    /// Of one that tells tokens.
    Tokens(Judged),
    /// Of one whose head tells something else: the loss and what was counted of its answers.
    Head(LossSum, Scores),
}

impl Judgement {
    /// Sum of the loss.
    pub fn loss(&self) -> LossSum {
        match self {
            Judgement::Tokens(judged) => judged.loss,
            Judgement::Head(loss, _) => *loss,
        }
    }
}

/// [`judge`] for any model; the active graph is a [`Outputs::judging_of`] one of `spec`.
///
/// # Errors
/// As [`judge`].
///
/// # Panics
/// When the active graph has no loss, or neither ranks nor the logits of a head.
pub fn judge_model(
    spec: &Spec,
    exec: &mut Executor,
    loader: &mut Loader,
    max_batches: Option<usize>,
    on_batch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Judgement> {
    let Some(mut scores) = Scores::of(spec) else {
        return judge(exec, loader, max_batches, on_batch).map(Judgement::Tokens);
    };
    let loss = each_batch(exec, loader, max_batches, on_batch, &mut |exec, batch| {
        let outputs = exec.read_output("logits").expect("a head's logits");
        scores.add(&outputs, batch);
    })?;
    Ok(Judgement::Head(loss, scores))
}

/// Runs the batches and adds their losses; `add` sees the executor after each.
fn each_batch(
    exec: &mut Executor,
    loader: &mut Loader,
    max_batches: Option<usize>,
    on_batch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    add: &mut dyn FnMut(&mut Executor, &Batch),
) -> Result<LossSum> {
    check_loader(exec, loader)?;
    loader.seek(Cursor {
        epoch: 0,
        position: 0,
    })?;
    let all = loader.n_batches();
    let n_batches = max_batches.map_or(all, |most| most.min(all));
    let has_ids = !loader.objective().needs_documents();
    let mut sum = LossSum::default();
    let mut batch = Batch::default();
    for i in 0..n_batches {
        loader.next(&mut batch);
        let loss = run_batch(exec, &batch, has_ids);
        sum.add(loss.map_err(|error| error.at(format!("batch {i}")))?);
        add(exec, &batch);
        let progress = Progress {
            n_done: i + 1,
            n_batches,
            loss: sum,
        };
        if on_batch(progress).is_break() {
            return Err(Error::new(Kind::Interrupted, "judging was interrupted"));
        }
    }
    match sum.tokens {
        0 => Err(
            Error::data(format!("no token counts in {n_batches} batches"))
                .hint("give a split with documents of at least 2 tokens"),
        ),
        _ => Ok(sum),
    }
}

fn check_loader(exec: &Executor, loader: &Loader) -> Result<()> {
    let spec = loader.spec();
    if spec.order != Order::InOrder || spec.partial != Partial::Keep {
        return Err(Error::usage(
            "judging needs every token once: an ordered loader that keeps the remainder",
        ));
    }
    let (needed, room) = (capacity(loader), exec.plan().options.capacity);
    if needed.tokens > room.tokens.min(room.counted) || needed.seqs > room.seqs {
        return Err(Error::usage(format!(
            "batches of {} tokens in {} sequences, the plan has room for {} in {}",
            needed.tokens, needed.seqs, room.tokens, room.seqs
        )));
    }
    Ok(())
}

/// Runs a batch, whose targets are ids or something else.
fn run_batch(exec: &mut Executor, batch: &Batch, has_ids: bool) -> Result<LossSum> {
    check_ids(exec, &batch.ids)?;
    if has_ids {
        check_ids(exec, &batch.targets)?;
    }
    set_batch(exec, batch);
    exec.forward();
    let loss = exec.loss();
    // A NaN logit is neither larger nor smaller than another, so ranks would praise it.
    match loss.total.is_finite() {
        true => Ok(loss),
        false => Err(Error::judged(format!("the loss is {}", loss.total))),
    }
}

/// Targets that are not counted are below 0 and pass.
fn check_ids(exec: &Executor, ids: &[i32]) -> Result<()> {
    let mut params = exec.graph().params.iter();
    let table = params.find(|p| p.role.part == Part::TokenEmbedding);
    let vocab_size = table.map_or(usize::MAX, |p| p.shape[0]);
    match ids.iter().max() {
        Some(&id) if id >= 0 && id as usize >= vocab_size => Err(Error::data(format!(
            "token id {id} is outside a vocabulary of {vocab_size} ids"
        ))
        .hint("the tokenizer and the model's `vocab_size` must agree")),
        _ => Ok(()),
    }
}

/// Gives an executor a batch with its targets.
fn set_batch(exec: &mut Executor, batch: &Batch) {
    feed(exec, &batch.ids, &batch.positions, &batch.cu_seqlens);
    feed_targets(exec, &batch.targets, &batch.given);
}

#[cfg(test)]
mod tests;
