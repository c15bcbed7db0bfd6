//! From logits to the next token: pure functions, applied in the order penalty, temperature, top-k,
//! top-p, draw.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use tenon_base::{Error, Result};

/// How tokens are chosen and when a sequence ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampling {
    /// Most tokens that are added to a prompt; at least 1.
    pub max_new_tokens: usize,
    /// Divides the logits; 0 means greedy.
    pub temperature: f64,
    /// Tokens with the largest logits among which is drawn; 0 means all.
    pub top_k: usize,
    /// Mass, from 0 to 1, of the smallest set of likeliest tokens among which is drawn; at least
    /// one token is kept, and 1 means all.
    pub top_p: f64,
    /// Logits of tokens that the sequence holds, prompt included, are divided by it when positive
    /// and multiplied when negative (Keskar et al. 2019, CTRL); 1 means none.
    pub repetition_penalty: f64,
    /// Take the largest logit after the penalty.
    pub greedy: bool,
    /// The seed of the draws. A draw is a function of the seed, the number of the sequence and the
    /// position of the token alone.
    pub seed: u64,
    /// Each of these ids ends its sequence, and is the last of its tokens.
    pub eos_ids: Vec<u32>,
    /// Each of these runs of ids ends the sequence that has just written it.
    pub stop: Vec<Vec<u32>>,
    /// Whether the log-probability of each chosen token is wanted.
    pub logprobs: bool,
}

impl Sampling {
    /// The likeliest token each time; no end but the length.
    pub fn greedy(max_new_tokens: usize) -> Self {
        Sampling {
            greedy: true,
            ..Self::drawn(max_new_tokens, 0)
        }
    }

    /// Draws from the model's own distribution; no end but the length.
    pub fn drawn(max_new_tokens: usize, seed: u64) -> Self {
        Sampling {
            max_new_tokens,
            temperature: 1.0,
            top_k: 0,
            top_p: 1.0,
            repetition_penalty: 1.0,
            greedy: false,
            seed,
            eos_ids: Vec::new(),
            stop: Vec::new(),
            logprobs: false,
        }
    }

    /// Usage error that names the range of the first value outside it.
    pub fn validate(&self) -> Result<()> {
        let Sampling {
            max_new_tokens,
            temperature,
            top_p,
            repetition_penalty,
            ..
        } = *self;
        let wrong = |what: String| Err(Error::usage(what));
        if max_new_tokens == 0 {
            return wrong("`max_new_tokens` is 0, it must be at least 1".into());
        }
        if !(temperature >= 0.0 && temperature.is_finite()) {
            return wrong(format!(
                "`temperature` is {temperature}, it must be a number from 0 up; 0 means greedy"
            ));
        }
        if !(0.0..=1.0).contains(&top_p) {
            return wrong(format!("`top_p` is {top_p}, it must be from 0 to 1"));
        }
        if !(repetition_penalty > 0.0 && repetition_penalty.is_finite()) {
            return wrong(format!(
                "`repetition_penalty` is {repetition_penalty}, it must be a number above 0"
            ));
        }
        if self.stop.iter().any(Vec::is_empty) {
            return wrong("a `stop` sequence is empty, it must have at least 1 token".into());
        }
        Ok(())
    }

    /// Whether nothing is drawn.
    pub fn is_greedy(&self) -> bool {
        self.greedy || self.temperature == 0.0
    }
}

/// A token that may be drawn.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The token.
    pub id: u32,
    /// Logarithm of its weight; 0 for the likeliest, −∞ for what cannot be drawn.
    pub score: f64,
}

/// Larger scores first, of equal ones the lower id.
fn by_rank(a: &Candidate, b: &Candidate) -> Ordering {
    b.score.total_cmp(&a.score).then(a.id.cmp(&b.id))
}

/// Error when the logits are no distribution: NaN, +∞, or −∞ everywhere. −∞ is a logit of weight 0.
pub fn check_logits(logits: &[f64]) -> Result<()> {
    if let Some(id) = logits
        .iter()
        .position(|&x| x.is_nan() || x == f64::INFINITY)
    {
        return Err(Error::judged(format!(
            "the logit of token {id} is {}",
            logits[id]
        )));
    }
    match logits.iter().any(|x| x.is_finite()) {
        true => Ok(()),
        false => Err(Error::judged("no token has a finite logit")),
    }
}

/// Makes the tokens in `seen` less likely when `penalty` is above 1, as [`Sampling`] says. Ids
/// outside the vocabulary are passed over.
pub fn penalize(logits: &mut [f64], seen: &BTreeSet<u32>, penalty: f64) {
    for &id in seen {
        if let Some(x) = logits.get_mut(id as usize) {
            *x = if *x < 0.0 { *x * penalty } else { *x / penalty };
        }
    }
}

/// The token with the largest logit; of equal ones the lower id.
///
/// # Panics
/// When there are no logits.
pub fn argmax(logits: &[f64]) -> u32 {
    assert!(!logits.is_empty(), "no logits");
    let mut best = 0;
    for (id, x) in logits.iter().enumerate() {
        if *x > logits[best] {
            best = id;
        }
    }
    best as u32
}

/// All tokens with `(logit − largest) / temperature`, by id. The difference is taken first, so that no
/// temperature overflows. `temperature` is above 0.
pub fn candidates(logits: &[f64], temperature: f64, out: &mut Vec<Candidate>) {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let scored = (0u32..).zip(logits).map(|(id, x)| Candidate {
        id,
        score: (x - top) / temperature,
    });
    out.clear();
    out.extend(scored);
}

/// Keeps the `k` first by score, of equal scores the lower ids, ordered by id. 0 keeps all.
pub fn keep_top_k(candidates: &mut Vec<Candidate>, k: usize) {
    if k == 0 || k >= candidates.len() {
        return;
    }
    candidates.select_nth_unstable_by(k - 1, by_rank);
    candidates.truncate(k);
    candidates.sort_unstable_by_key(|c| c.id);
}

/// Keeps the smallest set of the likeliest tokens whose share of the mass is at least `p`, and at
/// least one, ordered by id. 1 keeps all.
pub fn keep_top_p(candidates: &mut Vec<Candidate>, p: f64) {
    if p >= 1.0 || candidates.is_empty() {
        return;
    }
    let wanted = p * total_weight(candidates);
    candidates.sort_unstable_by(by_rank);
    let mut mass = 0.0;
    let reaches = |c: &Candidate| {
        mass += libm::exp(c.score);
        mass >= wanted
    };
    let n = candidates
        .iter()
        .position(reaches)
        .map_or(candidates.len(), |i| i + 1);
    candidates.truncate(n);
    candidates.sort_unstable_by_key(|c| c.id);
}

/// The token at share `u`, in `[0, 1)`, of the summed weights in the given order.
///
/// # Panics
/// When there are no candidates.
pub fn draw(candidates: &[Candidate], u: f64) -> u32 {
    let wanted = u * total_weight(candidates);
    let mut mass = 0.0;
    let mut last = candidates.first().expect("candidates").id;
    for c in candidates {
        let weight = libm::exp(c.score);
        if weight > 0.0 {
            last = c.id;
        }
        mass += weight;
        if wanted < mass {
            break;
        }
    }
    last
}

fn total_weight(candidates: &[Candidate]) -> f64 {
    candidates.iter().map(|c| libm::exp(c.score)).sum()
}

/// log softmax of one logit, in nats.
pub fn log_prob(logits: &[f64], id: u32) -> f64 {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let total: f64 = logits.iter().map(|x| libm::exp(x - top)).sum();
    logits[id as usize] - top - libm::log(total)
}

/// Chooses tokens, with a buffer that stays.
#[derive(Debug)]
pub struct Sampler<'a> {
    settings: &'a Sampling,
    candidates: Vec<Candidate>,
}

impl<'a> Sampler<'a> {
    /// A sampler; usage error when a setting is outside its range.
    pub fn new(settings: &'a Sampling) -> Result<Self> {
        settings.validate()?;
        Ok(Sampler {
            settings,
            candidates: Vec::new(),
        })
    }

    /// Chooses a token, given the ids that the sequence holds and a uniform number in `[0, 1)`,
    /// which greedy choices do not use. The logits are left as the penalty changes them. Judged bad
    /// when they are no distribution.
    pub fn choose(&mut self, logits: &mut [f64], seen: &BTreeSet<u32>, u: f64) -> Result<u32> {
        check_logits(logits)?;
        let settings = self.settings;
        if settings.repetition_penalty != 1.0 {
            penalize(logits, seen, settings.repetition_penalty);
        }
        if settings.is_greedy() {
            return Ok(argmax(logits));
        }
        candidates(logits, settings.temperature, &mut self.candidates);
        keep_top_k(&mut self.candidates, settings.top_k);
        keep_top_p(&mut self.candidates, settings.top_p);
        Ok(draw(&self.candidates, u))
    }
}

#[cfg(test)]
mod tests;
