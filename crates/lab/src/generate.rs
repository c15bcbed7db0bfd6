//! Continuing prompts with a trained model.

use std::collections::BTreeSet;

use tenon_base::Result;
use tenon_data::Tokenizer;
use tenon_eval::generate::text::{Written, prompt_ids, write};
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

/// How prompts are continued.
#[derive(Clone, Debug, PartialEq)]
pub struct Manner {
    /// How tokens are chosen. Ids that end a text are those of model and tokenizer.
    pub sampling: Sampling,
    /// Texts before which a continuation ends.
    pub stops: Vec<String>,
}

/// Continues each prompt; `on_text` is given the number of the prompt and new text as it comes.
/// When it fails, nothing more is written.
///
/// # Errors
/// `Usage` for a prompt that is too long; `Data` for one that the tokenizer cannot express;
/// whatever `on_text` fails with.
pub fn continue_prompts(
    (spec, weights): (&Spec, &Weights),
    tokenizer: &dyn Tokenizer,
    prompts: &[String],
    manner: Manner,
    context: &Context,
    on_text: &mut dyn FnMut(usize, &str) -> Result<()>,
) -> Result<Vec<Continuation>> {
    let Manner { sampling, stops } = manner;
    let sampling = Sampling {
        eos_ids: eos_ids(spec, tokenizer),
        ..sampling
    };
    sampling.validate()?;
    let mut longest = 0;
    for (i, prompt) in prompts.iter().enumerate() {
        let ids = prompt_ids(tokenizer, prompt);
        let ids = ids.map_err(|error| error.at(format!("prompt {i}")))?;
        longest = longest.max(ids.len());
    }
    if longest == 0 {
        return Ok(Vec::new());
    }
    let wanted = longest.saturating_add(sampling.max_new_tokens);
    let (slots, capacity) = (prompts.len().min(SLOTS_MAX), wanted.min(spec.context_len()));
    let mut generator = Generator::new(spec, weights, device(context), slots, capacity)?;
    let mut failure = None;
    let tell = &mut |i: usize, text: &str| match on_text(i, text) {
        Ok(()) => Flow::Continue,
        Err(error) => {
            failure.get_or_insert(error);
            Flow::StopAll
        }
    };
    let written = write(&mut generator, tokenizer, prompts, &sampling, &stops, tell)?;
    if let Some(failure) = failure {
        return Err(failure);
    }
    let pairs = prompts.iter().zip(written);
    Ok(pairs
        .map(|(prompt, done)| continuation(prompt, done))
        .collect())
}

fn continuation(prompt: &str, done: Written) -> Continuation {
    Continuation {
        prompt: prompt.to_owned(),
        text: done.text,
        tokens: done.generated.tokens,
        reason: done.generated.reason,
        logprobs: done.generated.logprobs,
    }
}

/// Ids that end a text: those of the model and that of the tokenizer.
fn eos_ids(spec: &Spec, tokenizer: &dyn Tokenizer) -> Vec<u32> {
    let all: BTreeSet<u32> = spec
        .eos_ids()
        .iter()
        .copied()
        .chain(tokenizer.eos_id())
        .collect();
    all.into_iter().collect()
}
