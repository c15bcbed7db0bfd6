//! Generation with cached keys and values. Sequences of any length run in one packed batch; what a
//! sequence writes does not depend, to the bit, on which others run beside it.

pub mod sampler;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use tenon_base::rng::{Key, Stream};
use tenon_base::{Error, Result};
use tenon_data::batch::check_ids;
use tenon_engine::{DType, Executor, Extent, Kernels};
use tenon_models::net::{CacheOptions, Outputs};
use tenon_models::spec::Spec;
use tenon_models::weights::Weights;

pub use self::sampler::Sampling;
use self::sampler::{Sampler, log_prob};
use crate::subject;

/// Most rows of one run: prompts are read in chunks of at most so many tokens.
const ROWS_MAX: usize = 512;

/// What goes on after a token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// Everything.
    Continue,
    /// Every sequence but this one.
    Stop,
    /// Nothing: all sequences keep what they have.
    StopAll,
}

/// Why a sequence ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It wrote an end-of-text id.
    Eos,
    /// It wrote a stop sequence, or the caller stopped it.
    Stopped,
    /// It wrote as many tokens as were wanted.
    Length,
    /// Prompt and new tokens fill the context.
    ContextFull,
}

impl Reason {
    /// The name used in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Eos => "eos",
            Reason::Stopped => "stopped",
            Reason::Length => "length",
            Reason::ContextFull => "context_full",
        }
    }
}

/// What was added to a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Generated {
    /// The new tokens, the end-of-text id included.
    pub tokens: Vec<u32>,
    /// Why there are not more.
    pub reason: Reason,
    /// Log-probability of each token, in nats, under the model's own distribution, before penalty,
    /// temperature and filters; when asked for.
    pub logprobs: Option<Vec<f64>>,
}

/// A model with room for the keys and values of a few sequences.
pub struct Generator {
    exec: Executor,
    cache: CacheOptions,
    vocab_size: usize,
    n_rows_max: usize,
    rows: Rows,
    narrow: Vec<f32>,
    logits: Vec<f64>,
}

/// The inputs of one run.
#[derive(Default)]
struct Rows {
    ids: Vec<i32>,
    positions: Vec<i32>,
    bounds: Vec<i32>,
    past: Vec<i32>,
    slots: Vec<i32>,
    last: Vec<i32>,
}

/// A sequence that has a slot.
struct Sequence {
    /// Number of its prompt.
    index: usize,
    slot: usize,
    /// Prompt and new tokens.
    tokens: Vec<u32>,
    n_prompt: usize,
    /// Tokens whose keys and values are cached.
    n_cached: usize,
    seen: BTreeSet<u32>,
    logprobs: Vec<f64>,
}

impl Sequence {
    fn n_pending(&self) -> usize {
        self.tokens.len() - self.n_cached
    }

    fn generated(self, reason: Reason, settings: &Sampling) -> Generated {
        Generated {
            tokens: self.tokens[self.n_prompt..].to_vec(),
            reason,
            logprobs: settings.logprobs.then_some(self.logprobs),
        }
    }
}

impl Generator {
    /// A generator that runs `slots` sequences at a time, each of at most `capacity` tokens, prompt
    /// included. Usage error when one is 0 or the model's context is shorter; data error when the
    /// weights are another model's.
    pub fn new(
        spec: &Spec,
        weights: &Weights,
        device: Box<dyn Kernels>,
        slots: usize,
        capacity: usize,
    ) -> Result<Generator> {
        Self::with_rows(spec, weights, device, slots, capacity, ROWS_MAX)
    }

    fn with_rows(
        spec: &Spec,
        weights: &Weights,
        device: Box<dyn Kernels>,
        slots: usize,
        capacity: usize,
        rows_max: usize,
    ) -> Result<Generator> {
        let context = spec.context_len();
        if slots == 0 || capacity == 0 {
            return Err(Error::usage(format!(
                "room for {slots} sequences of {capacity} tokens; both must be at least 1"
            )));
        }
        if capacity > context {
            return Err(Error::usage(format!(
                "room for sequences of {capacity} tokens, the model's context has {context}"
            )));
        }
        let cache = CacheOptions { slots, capacity };
        // Every sequence that is past its prompt has one row in each run.
        let n_rows_max = rows_max.min(slots.saturating_mul(capacity)).max(slots);
        let extent = Extent {
            tokens: n_rows_max,
            seqs: slots,
        };
        let outputs = Outputs::generating(cache);
        let exec = subject::executor(spec, &outputs, weights, extent, device)?;
        Ok(Generator {
            exec,
            cache,
            vocab_size: spec.vocab_size(),
            n_rows_max,
            rows: Rows::default(),
            narrow: Vec::new(),
            logits: Vec::new(),
        })
    }

    /// Most tokens of a sequence, prompt included.
    pub fn capacity(&self) -> usize {
        self.cache.capacity
    }

    /// Bytes of the arena.
    pub fn peak_bytes(&self) -> usize {
        self.exec.peak_bytes()
    }

    /// Continues each prompt. `on_token` is called with the number of the prompt for each new token
    /// as it comes; sequences take turns, and a free slot goes to the next prompt.
    ///
    /// Usage error when a setting is outside its range, or a prompt is empty or longer than the
    /// capacity; data error when an id is outside the vocabulary; judged bad when the model gives no
    /// distribution.
    pub fn generate(
        &mut self,
        prompts: &[Vec<u32>],
        settings: &Sampling,
        on_token: &mut dyn FnMut(usize, u32) -> Flow,
    ) -> Result<Vec<Generated>> {
        let mut sampler = Sampler::new(settings)?;
        for (i, prompt) in prompts.iter().enumerate() {
            self.check_prompt(prompt)
                .map_err(|error| error.at(format!("prompt {i}")))?;
        }
        let mut queue = Queue::new(prompts, settings, self.cache);
        'steps: while queue.admit() {
            let takes = self.run(&queue.active);
            let with_rows = takes.into_iter().enumerate().filter(|(_, take)| *take > 0);
            for (row, (i, take)) in with_rows.enumerate() {
                let sequence = &mut queue.active[i];
                sequence.n_cached += take;
                if sequence.n_pending() > 0 {
                    continue;
                }
                let token = self.choose(&mut sampler, settings, row, sequence)?;
                let flow = on_token(sequence.index, token);
                queue.after_token(i, flow);
                if flow == Flow::StopAll {
                    break 'steps;
                }
            }
            queue.retire();
        }
        Ok(queue.finish_all())
    }

    fn check_prompt(&self, prompt: &[u32]) -> Result<()> {
        if prompt.is_empty() {
            return Err(Error::usage("the prompt has no token")
                .hint("begin with the tokenizer's begin-of-text or end-of-text id"));
        }
        let CacheOptions { capacity, .. } = self.cache;
        if prompt.len() > capacity {
            return Err(Error::usage(format!(
                "the prompt has {} tokens, the context has room for {capacity}",
                prompt.len()
            ))
            .hint("shorten the prompt; nothing is cut off silently"));
        }
        check_ids(prompt, self.vocab_size)
    }

    /// Runs the next rows of the sequences and returns how many each had.
    fn run(&mut self, active: &[Sequence]) -> Vec<usize> {
        let takes = share_rows(active, self.n_rows_max);
        self.rows.fill(active, &takes);
        let (rows, exec) = (&self.rows, &mut self.exec);
        let n_seqs = rows.past.len();
        exec.set_extent(Extent {
            tokens: rows.ids.len(),
            seqs: n_seqs,
        });
        exec.set_input("input_ids", &rows.ids);
        exec.set_input("cu_seqlens", &rows.bounds);
        exec.set_input("past", &rows.past);
        exec.set_input("slots", &rows.slots);
        exec.set_input("last_rows", &rows.last);
        if exec.has_input("positions") {
            exec.set_input("positions", &rows.positions);
        }
        exec.forward();
        if exec.plan().options.float == DType::F32 {
            self.narrow.resize(n_seqs * self.vocab_size, 0.0);
            exec.copy_output_f32("logits", &mut self.narrow);
            self.logits.clear();
            self.logits
                .extend(self.narrow.iter().map(|&x| f64::from(x)));
        } else {
            self.logits = exec
                .read_output("logits")
                .expect("a generating graph has logits");
        }
        takes
    }

    /// Chooses the next token of a sequence from row `row` of the logits.
    fn choose(
        &mut self,
        sampler: &mut Sampler<'_>,
        settings: &Sampling,
        row: usize,
        sequence: &mut Sequence,
    ) -> Result<u32> {
        let logits = &mut self.logits[row * self.vocab_size..][..self.vocab_size];
        let position = sequence.tokens.len() as u64;
        let key = Key::new(settings.seed, Stream::Sample);
        let u = key.at(position, sequence.index as u64).uniform_f64();
        let raw = settings.logprobs.then(|| logits.to_vec());
        let token = sampler
            .choose(logits, &sequence.seen, u)
            .map_err(|error| error.at(format!("prompt {}, token {position}", sequence.index)))?;
        if let Some(raw) = raw {
            sequence.logprobs.push(log_prob(&raw, token));
        }
        if settings.repetition_penalty != 1.0 {
            sequence.seen.insert(token);
        }
        sequence.tokens.push(token);
        Ok(token)
    }
}

/// How many pending tokens each sequence runs: one for those past their prompt, and the prompts
/// share what is left in their order.
fn share_rows(active: &[Sequence], n_rows_max: usize) -> Vec<usize> {
    let n_decoding = active.iter().filter(|s| s.n_pending() == 1).count();
    let mut left = n_rows_max - n_decoding;
    let share = |sequence: &Sequence| {
        if sequence.n_pending() == 1 {
            return 1;
        }
        let take = sequence.n_pending().min(left);
        left -= take;
        take
    };
    active.iter().map(share).collect()
}

impl Rows {
    fn fill(&mut self, active: &[Sequence], takes: &[usize]) {
        for list in [
            &mut self.ids,
            &mut self.positions,
            &mut self.bounds,
            &mut self.past,
            &mut self.slots,
            &mut self.last,
        ] {
            list.clear();
        }
        self.bounds.push(0);
        for (sequence, &take) in active.iter().zip(takes).filter(|(_, take)| **take > 0) {
            let at = sequence.n_cached;
            let ids = &sequence.tokens[at..at + take];
            self.ids.extend(ids.iter().map(|&id| id as i32));
            self.positions.extend(at as i32..(at + take) as i32);
            self.bounds.push(self.ids.len() as i32);
            self.past.push(at as i32);
            self.slots.push(sequence.slot as i32);
            self.last.push(self.ids.len() as i32 - 1);
        }
    }
}

/// Prompts that wait, sequences that run, and what has come of the others.
struct Queue<'a> {
    prompts: &'a [Vec<u32>],
    settings: &'a Sampling,
    cache: CacheOptions,
    next: usize,
    free: Vec<usize>,
    active: Vec<Sequence>,
    /// Sequences of `active` that have ended, with the reason.
    ended: Vec<(usize, Reason)>,
    done: Vec<Option<Generated>>,
}

impl<'a> Queue<'a> {
    fn new(prompts: &'a [Vec<u32>], settings: &'a Sampling, cache: CacheOptions) -> Self {
        Queue {
            prompts,
            settings,
            cache,
            next: 0,
            free: (0..cache.slots).rev().collect(),
            active: Vec::new(),
            ended: Vec::new(),
            done: vec![None; prompts.len()],
        }
    }

    /// Gives free slots to waiting prompts. False when nothing is left to run.
    fn admit(&mut self) -> bool {
        while self.next < self.prompts.len() {
            let prompt = &self.prompts[self.next];
            if prompt.len() == self.cache.capacity {
                let sequence = self.sequence(0);
                self.finish(sequence, Reason::ContextFull);
            } else if let Some(slot) = self.free.pop() {
                let sequence = self.sequence(slot);
                self.active.push(sequence);
            } else {
                break;
            }
            self.next += 1;
        }
        !self.active.is_empty()
    }

    fn sequence(&self, slot: usize) -> Sequence {
        let prompt = &self.prompts[self.next];
        let seen = match self.settings.repetition_penalty == 1.0 {
            true => BTreeSet::new(),
            false => prompt.iter().copied().collect(),
        };
        Sequence {
            index: self.next,
            slot,
            tokens: prompt.clone(),
            n_prompt: prompt.len(),
            n_cached: 0,
            seen,
            logprobs: Vec::new(),
        }
    }

    fn finish(&mut self, sequence: Sequence, reason: Reason) {
        let index = sequence.index;
        self.done[index] = Some(sequence.generated(reason, self.settings));
    }

    /// Notes whether the `i`-th running sequence ends with its newest token.
    fn after_token(&mut self, i: usize, flow: Flow) {
        let Sequence {
            tokens, n_prompt, ..
        } = &self.active[i];
        let new = &tokens[*n_prompt..];
        let eos = new
            .last()
            .is_some_and(|id| self.settings.eos_ids.contains(id));
        let stopped = flow != Flow::Continue || self.settings.stop.iter().any(|s| new.ends_with(s));
        let reason = match () {
            () if eos => Some(Reason::Eos),
            () if stopped => Some(Reason::Stopped),
            () if new.len() == self.settings.max_new_tokens => Some(Reason::Length),
            () if tokens.len() == self.cache.capacity => Some(Reason::ContextFull),
            () => None,
        };
        self.ended.extend(reason.map(|reason| (i, reason)));
    }

    /// Takes the ended sequences out of the batch.
    fn retire(&mut self) {
        while let Some((i, reason)) = self.ended.pop() {
            let sequence = self.active.remove(i);
            self.free.push(sequence.slot);
            self.finish(sequence, reason);
        }
    }

    /// The results in the order of the prompts; what has not ended is stopped.
    fn finish_all(mut self) -> Vec<Generated> {
        self.retire();
        for sequence in std::mem::take(&mut self.active) {
            self.finish(sequence, Reason::Stopped);
        }
        while self.next < self.prompts.len() {
            let sequence = self.sequence(0);
            self.finish(sequence, Reason::Stopped);
            self.next += 1;
        }
        let ended = self.done.into_iter().flatten();
        ended.collect()
    }
}
