//! A vocabulary that is a list of tokens, some of them special.

use std::collections::BTreeMap;

use tenon_base::{Error, Result};

use super::Specials;
use super::files::Folder;

/// Tokens by id and ids by token.
#[derive(Clone, Debug)]
pub(super) struct Table {
    tokens: Vec<String>,
    ids: BTreeMap<String, u32>,
    /// Lengths in bytes of the tokens that begin with each byte, longest first.
    lens: Vec<Vec<usize>>,
    pub(super) specials: Specials,
    /// By id: stands for no text.
    is_silent: Vec<bool>,
}

impl Table {
    /// `tokens` are distinct and not empty; `silent` stand for no text without being named.
    pub(super) fn new(tokens: Vec<String>, specials: Specials, silent: &[&str]) -> Self {
        let ids = tokens.iter().cloned().zip(0..).collect();
        let mut lens = vec![Vec::new(); 256];
        for token in &tokens {
            let of_byte: &mut Vec<usize> = &mut lens[usize::from(token.as_bytes()[0])];
            if !of_byte.contains(&token.len()) {
                of_byte.push(token.len());
            }
        }
        for of_byte in &mut lens {
            of_byte.sort_unstable_by(|a, b| b.cmp(a));
        }
        let mut is_silent: Vec<bool> = tokens
            .iter()
            .map(|token| silent.contains(&token.as_str()))
            .collect();
        for id in specials.ids() {
            is_silent[id as usize] = true;
        }
        Table {
            tokens,
            ids,
            lens,
            specials,
            is_silent,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.tokens.len()
    }

    pub(super) fn tokens(&self) -> &[String] {
        &self.tokens
    }

    pub(super) fn id(&self, token: &str) -> Option<u32> {
        self.ids.get(token).copied()
    }

    /// Id and length of the longest token with which `text`, not empty, begins.
    pub(super) fn longest(&self, text: &str) -> Option<(u32, usize)> {
        let lens = &self.lens[usize::from(text.as_bytes()[0])];
        lens.iter()
            .find_map(|&len| Some((self.id(text.get(..len)?)?, len)))
    }

    /// As `longest`, among the ids that stand for no text.
    pub(super) fn longest_silent(&self, text: &str) -> Option<(u32, usize)> {
        let found = self.longest(text);
        found.filter(|&(id, _)| self.is_silent[id as usize])
    }

    /// The tokens of `ids` end to end, without silent ones and ids outside the table.
    pub(super) fn decode(&self, ids: &[u32]) -> String {
        let spoken = ids.iter().map(|&id| id as usize);
        spoken
            .filter(|&id| id < self.tokens.len() && !self.is_silent[id])
            .map(|id| self.tokens[id].as_str())
            .collect()
    }

    pub(super) fn len_bytes(&self, id: u32) -> usize {
        match self.is_silent.get(id as usize) {
            Some(false) => self.tokens[id as usize].len(),
            _ => 0,
        }
    }

    pub(super) fn special_ids(&self) -> Vec<u32> {
        (0..self.tokens.len() as u32)
            .filter(|&id| self.is_silent[id as usize])
            .collect()
    }
}

/// Data error unless the folder's `tokenizer.json` is `ours`.
pub(super) fn check_own(folder: &Folder, name: &str, ours: &[u8]) -> Result<()> {
    if folder.file("tokenizer.json") == Some(ours) {
        return Ok(());
    }
    Err(Error::data(format!(
        "the tokenizer calls itself `{name}` but its vocabulary differs"
    ))
    .at(folder.place("tokenizer.json"))
    .hint("remove `tenon_tokenizer` from `tokenizer_config.json` to read it as it is"))
}
