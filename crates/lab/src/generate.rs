//! Continuing prompts with a trained model.

use std::collections::BTreeSet;

use tenon_base::{Error, Result};
use tenon_data::Tokenizer;
use tenon_eval::{Flow, Generator, Reason, Sampling};
use tenon_models::spec::Spec;
use tenon_models::weights::Weights;

use crate::context::Context;
use crate::subject::device;

/// Most sequences that run side by side.
const SLOTS_MAX: usize = 16;

/// A prompt and what was added to it.
#[derive(Clone, Debug, PartialEq)]
pub struct Continuation {
    /// The prompt.
    pub prompt: String,
    /// The new text.
    pub text: String,
    /// The new tokens, the end-of-text id included.
    pub tokens: Vec<u32>,
    /// Why there are not more.
    pub reason: Reason,
    /// Log-probability of each token in nats, when asked for.
    pub logprobs: Option<Vec<f64>>,
}

/// Continues each prompt; `on_text` is given the number of the prompt and new text as it comes.
/// When it fails, nothing more is written.
///
/// # Errors
/// `Usage` for a prompt that is too long; `Data` for one that the tokenizer cannot express; whatever
/// `on_text` fails with.
pub fn continue_prompts(
    (spec, weights): (&Spec, &Weights),
    tokenizer: &dyn Tokenizer,
    prompts: &[String],
    sampling: Sampling,
    context: &Context,
    on_text: &mut dyn FnMut(usize, &str) -> Result<()>,
) -> Result<Vec<Continuation>> {
    let sampling = Sampling {
        eos_ids: eos_ids(spec, tokenizer),
        ..sampling
    };
    sampling.validate()?;
    let encode = |prompt: &String| encode(tokenizer, prompt);
    let ids: Vec<Vec<u32>> = prompts.iter().map(encode).collect::<Result<_>>()?;
    let Some(longest) = ids.iter().map(Vec::len).max() else {
        return Ok(Vec::new());
    };
    let wanted = longest.saturating_add(sampling.max_new_tokens);
    let (slots, capacity) = (prompts.len().min(SLOTS_MAX), wanted.min(spec.context_len()));
    let mut generator = Generator::new(spec, weights, device(context), slots, capacity)?;
    let mut streams: Vec<Stream> = ids.iter().map(|ids| Stream::new(tokenizer, ids)).collect();
    let mut failure = None;
    let generated = generator.generate(&ids, &sampling, &mut |i, token| {
        let told = match streams[i].push(tokenizer, token) {
            Some(new) => on_text(i, new),
            None => Ok(()),
        };
        match told {
            Ok(()) => Flow::Continue,
            Err(error) => {
                failure = Some(error);
                Flow::StopAll
            }
        }
    })?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    let mut continuations = Vec::new();
    for (i, (generated, stream)) in generated.into_iter().zip(&mut streams).enumerate() {
        if let Some(rest) = stream.finish() {
            on_text(i, rest)?;
        }
        continuations.push(Continuation {
            prompt: prompts[i].clone(),
            text: stream.text(),
            tokens: generated.tokens,
            reason: generated.reason,
            logprobs: generated.logprobs,
        });
    }
    Ok(continuations)
}

/// Ids that end a text: those of the model and that of the tokenizer.
fn eos_ids(spec: &Spec, tokenizer: &dyn Tokenizer) -> Vec<u32> {
    let own: &[u32] = match spec {
        Spec::Custom(_) => &[],
        Spec::Gpt2(spec) => &spec.eos_ids,
        Spec::Llama(spec) => &spec.eos_ids,
    };
    let all: BTreeSet<u32> = own.iter().copied().chain(tokenizer.eos_id()).collect();
    all.into_iter().collect()
}

/// The ids of a prompt. An empty one begins as a document does: with the id that begins a text, or
/// the one that ended the text before.
fn encode(tokenizer: &dyn Tokenizer, prompt: &str) -> Result<Vec<u32>> {
    let ids = tokenizer.encode(prompt)?;
    if !ids.is_empty() {
        return Ok(ids);
    }
    let specials = tokenizer.specials();
    let first = specials.bos.or(specials.eos);
    first.map(|id| vec![id]).ok_or_else(|| {
        Error::usage("the prompt is empty, and the tokenizer has no id that begins a text")
            .hint("give at least one character")
    })
}

/// Ids of the prompt that are decoded with the new ones.
const PROMPT_TAIL: usize = 8;

/// The text of one sequence as it grows. The end of the prompt is decoded with it, since some
/// vocabularies write the space before a word only behind another one.
struct Stream {
    ids: Vec<u32>,
    text: String,
    n_prompt: usize,
    n_told: usize,
}

impl Stream {
    fn new(tokenizer: &dyn Tokenizer, prompt: &[u32]) -> Stream {
        let ids = prompt[prompt.len().saturating_sub(PROMPT_TAIL)..].to_vec();
        let text = tokenizer.decode(&ids);
        Stream {
            n_prompt: text.len(),
            n_told: text.len(),
            ids,
            text,
        }
    }

    /// The text that a token adds; none while a character is not complete.
    fn push(&mut self, tokenizer: &dyn Tokenizer, token: u32) -> Option<&str> {
        self.ids.push(token);
        self.text = tokenizer.decode(&self.ids);
        match self.text.ends_with(char::REPLACEMENT_CHARACTER) {
            true => None,
            false => self.finish(),
        }
    }

    /// The text that is not told yet.
    fn finish(&mut self) -> Option<&str> {
        let new = self.text.get(self.n_told..).filter(|new| !new.is_empty())?;
        self.n_told = self.text.len();
        Some(new)
    }

    /// All that was added to the prompt.
    fn text(&self) -> String {
        self.text
            .get(self.n_prompt..)
            .unwrap_or_default()
            .to_owned()
    }
}
