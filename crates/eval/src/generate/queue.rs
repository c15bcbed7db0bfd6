//! Who runs next: sequences with a slot, prompts that wait for one, and the rows of a run.

use std::collections::BTreeSet;

use tenon_models::net::CacheOptions;

use super::{Flow, Generated, Reason, Sampling};

/// The inputs of one run.
#[derive(Default)]
pub(super) struct Rows {
    pub(super) ids: Vec<i32>,
    pub(super) positions: Vec<i32>,
    pub(super) bounds: Vec<i32>,
    pub(super) past: Vec<i32>,
    pub(super) slots: Vec<i32>,
    pub(super) last: Vec<i32>,
}

/// A sequence that has a slot.
pub(super) struct Sequence {
    /// Number of its prompt.
    pub(super) index: usize,
    slot: usize,
    /// Prompt and new tokens.
    pub(super) tokens: Vec<u32>,
    n_prompt: usize,
    /// Tokens whose keys and values are cached.
    pub(super) n_cached: usize,
    pub(super) seen: BTreeSet<u32>,
    pub(super) logprobs: Vec<f64>,
}

impl Sequence {
    pub(super) fn n_pending(&self) -> usize {
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

/// How many pending tokens each sequence runs: one for those past their prompt, and the prompts
/// share what is left in their order.
pub(super) fn share_rows(active: &[Sequence], n_rows_max: usize) -> Vec<usize> {
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
    pub(super) fn fill(&mut self, active: &[Sequence], takes: &[usize]) {
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
pub(super) struct Queue<'a> {
    prompts: &'a [Vec<u32>],
    settings: &'a Sampling,
    cache: CacheOptions,
    next: usize,
    free: Vec<usize>,
    pub(super) active: Vec<Sequence>,
    /// Sequences of `active` that have ended, with the reason.
    ended: Vec<(usize, Reason)>,
    done: Vec<Option<Generated>>,
}

impl<'a> Queue<'a> {
    pub(super) fn new(
        prompts: &'a [Vec<u32>],
        settings: &'a Sampling,
        cache: CacheOptions,
    ) -> Self {
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
    pub(super) fn admit(&mut self) -> bool {
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
    pub(super) fn after_token(&mut self, i: usize, flow: Flow) {
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
    pub(super) fn retire(&mut self) {
        while let Some((i, reason)) = self.ended.pop() {
            let sequence = self.active.remove(i);
            self.free.push(sequence.slot);
            self.finish(sequence, reason);
        }
    }

    /// The results in the order of the prompts; what has not ended is stopped.
    pub(super) fn finish_all(mut self) -> Vec<Generated> {
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
