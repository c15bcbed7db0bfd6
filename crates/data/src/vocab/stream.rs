//! Decoding while ids arrive, without ever splitting a character.

use super::Tokenizer;

/// Ids kept for context after their text is out, so that a decoder which looks back still can.
const CONTEXT: usize = 8;
/// Ids after which the context is cut down.
const WINDOW: usize = 64;
/// Replacement characters at the end that later ids may still complete: a character has 4 bytes.
const PENDING_MAX: usize = 3;

/// Turns ids into text as they come. Joined, the pieces are the text of all ids.
pub struct StreamDecoder<'a> {
    tokenizer: &'a dyn Tokenizer,
    ids: Vec<u32>,
    shown: String,
}

impl<'a> StreamDecoder<'a> {
    /// A decoder at the start of a text.
    pub fn new(tokenizer: &'a dyn Tokenizer) -> Self {
        StreamDecoder {
            tokenizer,
            ids: Vec::new(),
            shown: String::new(),
        }
    }

    /// Takes one id and returns the text that is now certain; empty while a character is
    /// incomplete.
    pub fn push(&mut self, id: u32) -> String {
        self.ids.push(id);
        let text = self.tokenizer.decode(&self.ids);
        let mut certain = text.as_str();
        for _ in 0..PENDING_MAX {
            certain = certain
                .strip_suffix(char::REPLACEMENT_CHARACTER)
                .unwrap_or(certain);
        }
        let Some(new) = certain.strip_prefix(self.shown.as_str()) else {
            return String::new();
        };
        let new = new.to_owned();
        self.shown.push_str(&new);
        if self.ids.len() > WINDOW && self.shown == text {
            self.ids.drain(..self.ids.len() - CONTEXT);
            self.shown = self.tokenizer.decode(&self.ids);
        }
        new
    }

    /// What is left when no more ids come: an incomplete character as U+FFFD.
    pub fn finish(self) -> String {
        let text = self.tokenizer.decode(&self.ids);
        text.strip_prefix(self.shown.as_str())
            .unwrap_or_default()
            .to_owned()
    }
}
