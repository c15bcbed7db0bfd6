//! Generation from text to text: prompts to ids, ids to text as they come, stop texts.

use std::path::{Path, PathBuf};

use tenon_base::{Error, Result};
use tenon_data::source::{Documents, ReadOptions, read_columns, read_files};
use tenon_data::vocab::{StreamDecoder, Tokenizer};

use super::stop::StopText;
use super::{Flow, Generated, Generator, Sampling};

/// The column of a file of prompts.
const PROMPT_COLUMN: &str = "prompt";

/// Ids of a prompt's end that are decoded with the new ones: whether a word begins with a space may
/// depend on what stands before it.
const CONTEXT: usize = 8;

/// What was written after a prompt.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// The prompt's tokens.
    pub prompt: Vec<u32>,
    /// The new text, without prompt, special ids and stop text.
    pub text: String,
    /// The new tokens. When a stop text ended the sequence, they include its tokens, and the reason
    /// is [`Reason::Stopped`](super::Reason::Stopped).
    pub generated: Generated,
}

/// Ids from which a model goes on after `text`. An end-of-text id that the tokenizer puts after
/// every text is left out. An empty text begins with the begin-of-text id, or else the end-of-text
/// id; usage error when the tokenizer has neither.
pub fn prompt_ids(tokenizer: &dyn Tokenizer, text: &str) -> Result<Vec<u32>> {
    let mut ids = tokenizer.encode(text)?;
    let specials = tokenizer.specials();
    let ends = |ids: &[u32]| ids.len() > 1 && specials.eos.is_some_and(|e| ids.ends_with(&[e]));
    if ends(&ids) && ends(&tokenizer.encode_known("a")?.ids) {
        ids.pop();
    }
    if !ids.is_empty() {
        return Ok(ids);
    }
    let first = specials.bos.or(specials.eos).ok_or_else(|| {
        Error::usage("the prompt is empty and the tokenizer has no id that begins a text")
            .hint("give a prompt of at least one character")
    })?;
    Ok(vec![first])
}

/// Prompts of a file: the column `prompt` of JSONL, JSON, CSV or Parquet, else each line that is
/// not empty.
pub fn read_prompts(path: &Path) -> Result<Vec<String>> {
    let extension = path
        .extension()
        .and_then(|e| e.to_str())
        .unwrap_or_default();
    let has_columns = ["jsonl", "ndjson", "json", "csv", "tsv", "parquet"]
        .contains(&extension.to_ascii_lowercase().as_str());
    if has_columns {
        let records = read_columns(path, &[PROMPT_COLUMN])?;
        return Ok(records.into_iter().flat_map(|(_, texts)| texts).collect());
    }
    let options = ReadOptions {
        column: None,
        documents: Documents::Lines,
    };
    let rows = read_files(&[PathBuf::from(path)], &options)?;
    Ok(rows.texts().map(str::to_owned).collect())
}

/// One sequence's text so far.
struct Stream<'a> {
    decoder: StreamDecoder<'a>,
    stop: StopText<'a>,
    text: String,
}

impl<'a> Stream<'a> {
    fn new(tokenizer: &'a dyn Tokenizer, prompt: &[u32], stops: &'a [String]) -> Self {
        let mut decoder = StreamDecoder::new(tokenizer);
        for &id in &prompt[prompt.len().saturating_sub(CONTEXT)..] {
            decoder.push(id);
        }
        Stream {
            decoder,
            stop: StopText::new(stops),
            text: String::new(),
        }
    }

    fn push(&mut self, id: u32) -> String {
        let shown = self.stop.push(&self.decoder.push(id));
        self.text.push_str(&shown);
        shown
    }

    /// The whole text, and the part of it that was not shown yet.
    fn finish(mut self) -> (String, String) {
        let mut rest = self.stop.push(&self.decoder.finish());
        rest.push_str(&self.stop.finish());
        self.text.push_str(&rest);
        (self.text, rest)
    }
}

/// Continues each prompt as [`Generator::generate`] does, with its errors. `on_text` is called with
/// the number of the prompt and new text as soon as it is certain; joined, the pieces are the text.
/// A sequence ends where one of `stops` begins.
pub fn write(
    generator: &mut Generator,
    tokenizer: &dyn Tokenizer,
    prompts: &[String],
    settings: &Sampling,
    stops: &[String],
    on_text: &mut dyn FnMut(usize, &str) -> Flow,
) -> Result<Vec<Written>> {
    if stops.iter().any(String::is_empty) {
        return Err(Error::usage(
            "a `stop` text is empty, it must have at least 1 character",
        ));
    }
    let mut ids = Vec::with_capacity(prompts.len());
    for (i, prompt) in prompts.iter().enumerate() {
        let place = |error: Error| error.at(format!("prompt {i}"));
        ids.push(prompt_ids(tokenizer, prompt).map_err(place)?);
    }
    let streams = ids
        .iter()
        .map(|prompt| Stream::new(tokenizer, prompt, stops));
    let mut streams: Vec<Stream<'_>> = streams.collect();
    let mut on_token = |i: usize, id: u32| {
        let text = streams[i].push(id);
        let flow = match text.is_empty() {
            true => Flow::Continue,
            false => on_text(i, &text),
        };
        match flow {
            Flow::Continue if streams[i].stop.is_hit() => Flow::Stop,
            flow => flow,
        }
    };
    let all = generator.generate(&ids, settings, &mut on_token)?;
    let finish = |(i, (stream, generated)): (usize, (Stream<'_>, Generated))| {
        let (text, rest) = stream.finish();
        if !rest.is_empty() {
            on_text(i, &rest);
        }
        (text, generated)
    };
    let texts: Vec<(String, Generated)> = streams
        .into_iter()
        .zip(all)
        .enumerate()
        .map(finish)
        .collect();
    let written = |(prompt, (text, generated))| Written {
        prompt,
        text,
        generated,
    };
    Ok(ids.into_iter().zip(texts).map(written).collect())
}

#[cfg(test)]
mod tests;
