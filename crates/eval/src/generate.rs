//! Generation with cached keys and values. Sequences of any length run in one packed batch; what a
//! sequence writes does not depend, to the bit, on which others run beside it.

mod queue;
pub mod sampler;
mod stop;
#[cfg(test)]
mod tests;
pub mod text;

use std::sync::Arc;

use tenon_base::rng::{Key, Stream};
use tenon_base::{Error, Result};
use tenon_data::batch::check_ids;
use tenon_engine::{DType, Executor, Extent, Kernels, PlanOptions};
use tenon_models::net::{CacheOptions, Outputs, feed};
use tenon_models::spec::{Objective, Spec};
use tenon_models::weights::Weights;

use self::queue::{Queue, Rows, Sequence, share_rows};
pub use self::sampler::Sampling;
use self::sampler::{Sampler, log_prob};
use crate::subject;

/// Most rows of one run: prompts are read in chunks of at most so many tokens.
const ROWS_MAX: usize = 512;

/// What a generator has room for.
#[derive(Clone, Copy)]
struct Room {
    slots: usize,
    capacity: usize,
    rows_max: usize,
}

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
        let room = Room {
            slots,
            capacity,
            rows_max,
        };
        let mut generator = Self::planned(spec, weights.dtype, device, room)?;
        subject::check_weights(generator.exec.graph(), weights)?;
        weights.write(&mut generator.exec);
        Ok(generator)
    }

    /// A generator whose parameters are 0: `fill` gives the executor others. For models that nobody
    /// holds, as in measurements. Errors as of [`Generator::new`].
    pub fn filled(
        spec: &Spec,
        float: DType,
        device: Box<dyn Kernels>,
        (slots, capacity): (usize, usize),
        fill: &mut dyn FnMut(&mut Executor),
    ) -> Result<Generator> {
        let room = Room {
            slots,
            capacity,
            rows_max: ROWS_MAX,
        };
        let mut generator = Self::planned(spec, float, device, room)?;
        fill(&mut generator.exec);
        Ok(generator)
    }

    fn planned(
        spec: &Spec,
        float: DType,
        device: Box<dyn Kernels>,
        room: Room,
    ) -> Result<Generator> {
        if spec.objective() != Objective::Causal {
            let message = format!(
                "a model of the family `{}` does not continue texts",
                spec.family()
            );
            return Err(Error::data(message).hint("`tenon predict` tells what it computes"));
        }
        let Room {
            slots,
            capacity,
            rows_max,
        } = room;
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
        let extent = Extent::new(n_rows_max, slots);
        spec.validate()?;
        let short = spec.with_rotary_positions(capacity);
        let graph = Arc::new(short.graph(&Outputs::generating(cache)));
        let options = PlanOptions::generating(float, extent);
        Ok(Generator {
            exec: Executor::new(graph, options, device),
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

    /// What runs the model, for those who watch it. Its caches hold what was generated last.
    pub fn executor(&mut self) -> &mut Executor {
        &mut self.exec
    }

    /// Continues each prompt. `on_token` is called with the number of the prompt for each new token
    /// as it comes; sequences take turns, and a free slot goes to the next prompt.
    ///
    /// Usage error when a setting is outside its range, or a prompt is empty or longer than the
    /// capacity; data error when an id is outside the vocabulary; judged bad when the model gives
    /// no distribution.
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
        feed(exec, &rows.ids, &rows.positions, &rows.bounds);
        exec.set_input("past", &rows.past);
        exec.set_input("slots", &rows.slots);
        exec.set_input("last_rows", &rows.last);
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
