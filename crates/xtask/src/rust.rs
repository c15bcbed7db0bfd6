//! A Rust file as tokens and comments: enough to judge habits without understanding the program.

use std::ops::Range;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};
use tenon_base::{Error, Result};

/// A token, or a doc comment as a whole.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its spelling; `::` and `=>` are one token each, other punctuation is one character each.
    pub text: String,
    /// The line of its first character, counted from 1.
    pub line: usize,
    /// For a bracket the index of its partner, otherwise its own index.
    pub partner: usize,
    range: Range<usize>,
}

/// A comment, doc comments included.
#[derive(Clone, Debug)]
pub struct Comment {
    /// Its spelling, slashes included.
    pub text: String,
    /// The line of its first character, counted from 1.
    pub line: usize,
    start: usize,
}

/// A function that has a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name, without the module or type around it.
    pub name: String,
    /// The line of the word `fn`, counted from 1.
    pub line: usize,
    /// Lines from there to the closing brace.
    pub n_lines: usize,
}

/// A Rust file.
#[derive(Debug)]
pub struct Source {
    /// Its tokens without comments.
    pub tokens: Vec<Token>,
    /// Its comments, in order.
    pub comments: Vec<Comment>,
    test_lines: Vec<Range<usize>>,
}

impl Source {
    /// Reads a file. Fails when the text does not lex.
    pub fn new(path: &str, text: &str) -> Result<Self> {
        let stream: TokenStream = text.parse().map_err(|reason: proc_macro2::LexError| {
            let at = reason.span().start();
            Error::data("not Rust").at(format!("{path}:{}:{}", at.line, at.column + 1))
        })?;
        let mut reader = Reader {
            text,
            tokens: Vec::new(),
            docs: Vec::new(),
        };
        reader.stream(stream);
        let comments = comments(text, &reader.tokens, reader.docs);
        let mut source = Source {
            tokens: reader.tokens,
            comments,
            test_lines: Vec::new(),
        };
        source.test_lines = source.test_items();
        Ok(source)
    }

    /// Whether a line belongs to an item under `#[cfg(test)]`.
    pub fn is_test_line(&self, line: usize) -> bool {
        self.test_lines.iter().any(|lines| lines.contains(&line))
    }

    /// Whether the tokens from `start` on are spelled as in `words`.
    pub fn matches(&self, start: usize, words: &[&str]) -> bool {
        let rest = self.tokens[start..].iter().map(|token| token.text.as_str());
        rest.take(words.len()).eq(words.iter().copied())
    }

    /// The functions that have a body, nested ones included.
    pub fn functions(&self) -> Vec<Function> {
        let is_named = |i: &usize| self.tokens[*i].text == "fn" && self.is_word(i + 1);
        let named = (0..self.tokens.len()).filter(is_named);
        named.filter_map(|i| self.function(i)).collect()
    }

    fn function(&self, at: usize) -> Option<Function> {
        let end = self.item_end(at)?;
        (self.tokens[end].text == "}").then(|| Function {
            name: self.tokens[at + 1].text.clone(),
            line: self.tokens[at].line,
            n_lines: self.tokens[end].line - self.tokens[at].line + 1,
        })
    }

    /// Every path in code and in `use` trees, spelled with `::`, with the index of its first token.
    pub fn paths(&self) -> Vec<(String, usize)> {
        let mut paths = Vec::new();
        let mut i = 0;
        while i < self.tokens.len() {
            if self.is_word(i) {
                i = self.path("", i, &mut paths);
            } else {
                i += 1;
            }
        }
        paths
    }

    /// Reads a path from token `at` on and returns the index after it.
    fn path(&self, prefix: &str, at: usize, paths: &mut Vec<(String, usize)>) -> usize {
        let mut path = format!("{prefix}{}", self.tokens[at].text);
        let mut i = at + 1;
        while self.matches(i, &["::"]) {
            let Some(next) = self.tokens.get(i + 1) else {
                break;
            };
            match next.text.as_str() {
                "{" => {
                    let mut inner = i + 2;
                    while inner < next.partner {
                        let is_word = self.is_word(inner);
                        let prefix = format!("{path}::");
                        inner = match is_word {
                            true => self.path(&prefix, inner, paths),
                            false => inner + 1,
                        };
                    }
                    return next.partner + 1;
                }
                "*" => {
                    paths.push((format!("{path}::*"), at));
                    return i + 2;
                }
                _ if self.is_word(i + 1) => {
                    path = format!("{path}::{}", next.text);
                    i += 2;
                }
                _ => break,
            }
        }
        paths.push((path, at));
        i
    }

    /// The comments between the end of the statement or item before token `at` and that token.
    pub fn comments_before(&self, at: usize) -> impl Iterator<Item = &Comment> {
        let is_end = |i: &usize| [";", "{", "}"].contains(&self.tokens[*i].text.as_str());
        let since = (0..at).rev().find(is_end);
        let since = since.map_or(0, |i| self.tokens[i].range.end);
        let until = self.tokens[at].range.start;
        let is_between = move |comment: &&Comment| (since..until).contains(&comment.start);
        self.comments.iter().filter(is_between)
    }

    /// Whether token `i` is an identifier or keyword.
    pub fn is_word(&self, i: usize) -> bool {
        let first = self.tokens.get(i).and_then(|t| t.text.chars().next());
        first.is_some_and(|c| c == '_' || c.is_alphabetic()) && !self.is_literal(i)
    }

    /// Whether token `i` is a string, character or number.
    pub fn is_literal(&self, i: usize) -> bool {
        let text = &self.tokens[i].text;
        let is_quoted = text.len() > 1 && text.ends_with(['"', '\'', '#']);
        is_quoted || text.starts_with(|c: char| c.is_ascii_digit())
    }

    /// The index of the last token of the item that token `at` is in: its `;` or closing brace.
    fn item_end(&self, at: usize) -> Option<usize> {
        let mut i = at;
        while let Some(token) = self.tokens.get(i) {
            match token.text.as_str() {
                ";" => return Some(i),
                "{" => return Some(token.partner),
                "(" | "[" => i = token.partner + 1,
                ")" | "]" | "}" => return None,
                _ => i += 1,
            }
        }
        None
    }

    fn test_items(&self) -> Vec<Range<usize>> {
        let words = ["#", "[", "cfg", "(", "test", ")", "]"];
        let starts = (0..self.tokens.len()).filter(|i| self.matches(*i, &words));
        let item = |start: usize| {
            let end = self.item_end(start + words.len())?;
            Some(self.tokens[start].line..self.tokens[end].line + 1)
        };
        starts.filter_map(item).collect()
    }
}

struct Reader<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    docs: Vec<Comment>,
}

impl Reader<'_> {
    fn stream(&mut self, stream: TokenStream) {
        let mut trees = stream.into_iter().peekable();
        while let Some(tree) = trees.next() {
            let range = tree.span().byte_range();
            let line = tree.span().start().line;
            // A doc comment arrives as an attribute whose tokens all have the comment's span.
            let is_doc = matches!(&tree, TokenTree::Punct(_)) && range.len() > 1;
            if is_doc {
                while trees.next_if(|t| t.span().byte_range() == range).is_some() {}
                self.docs.push(Comment {
                    text: self.text[range.clone()].to_owned(),
                    line,
                    start: range.start,
                });
                continue;
            }
            match tree {
                TokenTree::Group(group) => self.group(&group),
                TokenTree::Punct(first) if first.spacing() == Spacing::Joint => {
                    let joins = |t: &TokenTree| match (first.as_char(), t) {
                        (':', TokenTree::Punct(p)) => p.as_char() == ':',
                        ('=', TokenTree::Punct(p)) => p.as_char() == '>',
                        _ => false,
                    };
                    let end = trees.next_if(joins).map(|t| t.span().byte_range().end);
                    self.push(range.start..end.unwrap_or(range.end), line);
                }
                _ => self.push(range, line),
            }
        }
    }

    fn group(&mut self, group: &proc_macro2::Group) {
        let is_visible = group.delimiter() != Delimiter::None;
        let open = self.tokens.len();
        if is_visible {
            let span = group.span_open();
            self.push(span.byte_range(), span.start().line);
        }
        self.stream(group.stream());
        if is_visible {
            let span = group.span_close();
            self.tokens[open].partner = self.tokens.len();
            self.push(span.byte_range(), span.start().line);
            self.tokens.last_mut().expect("just pushed").partner = open;
        }
    }

    fn push(&mut self, range: Range<usize>, line: usize) {
        self.tokens.push(Token {
            text: self.text[range.clone()].to_owned(),
            line,
            partner: self.tokens.len(),
            range,
        });
    }
}

/// The doc comments and those between the tokens, in order.
fn comments(text: &str, tokens: &[Token], docs: Vec<Comment>) -> Vec<Comment> {
    let mut covered: Vec<Range<usize>> = tokens.iter().map(|t| t.range.clone()).collect();
    covered.extend(docs.iter().map(|c| c.start..c.start + c.text.len()));
    covered.push(text.len()..text.len());
    covered.sort_by_key(|range| range.start);
    let mut comments = docs;
    let mut end = 0;
    for range in covered {
        gap_comments(text, end..range.start, &mut comments);
        end = range.end;
    }
    comments.sort_by_key(|comment| comment.start);
    comments
}

/// What no token covers is white space and comments.
fn gap_comments(text: &str, gap: Range<usize>, comments: &mut Vec<Comment>) {
    let mut at = gap.start;
    while let Some(found) = text[at..gap.end].find('/') {
        let start = at + found;
        let rest = &text[start..gap.end];
        let len = match rest.starts_with("/*") {
            // Block comments nest, so the last end in the gap closes the first.
            true => rest.rfind("*/").map_or(rest.len(), |end| end + 2),
            false => rest.find('\n').unwrap_or(rest.len()),
        };
        comments.push(Comment {
            text: rest[..len].to_owned(),
            line: text[..start].matches('\n').count() + 1,
            start,
        });
        at = start + len;
    }
}

#[cfg(test)]
#[path = "rust_tests.rs"]
mod tests;
