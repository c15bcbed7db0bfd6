//! Parser events to a tree, with a stack of its own: depth costs no call stack.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError};

use super::{Key, Node, Value, scalar};
use crate::diag::{Diagnostic, Diagnostics, Place, Source, Span, shown};
use crate::limits::{CONFIG_DEPTH_MAX, CONFIG_NODES_MAX};

/// Parses a text. Problems are added to `problems`; `None` when there is no tree to go on with.
///
/// Duplicate keys and bad scalars do not end the parse, so that all of them are reported: the first
/// of two equal keys is kept, a bad scalar becomes `Null`.
pub fn parse(source: &Source, problems: &mut Diagnostics) -> Option<Node> {
    let mut options = granit_parser::Options::default();
    options.set_emit_comments(false);
    let mut tree = Tree {
        source,
        problems,
        open: Vec::new(),
        root: None,
        anchors: BTreeMap::new(),
        nodes: 0,
    };
    for event in Parser::new_from_str_with_options(source.text(), options) {
        let step = match event {
            Ok((event, span)) => tree.event(event, span),
            Err(error) => Err(syntax_problem(source, &error)),
        };
        if let Err(problem) = step {
            tree.problems.push(problem);
            return None;
        }
    }
    match tree.root {
        None
        | Some(Node {
            value: Value::Null, ..
        }) => {
            problems.push(Diagnostic::new(
                Place::Named(source.name().to_owned()),
                "the text is empty: it holds no value",
            ));
            None
        }
        root => root,
    }
}

/// A finished value, the number of values in it and the levels of collections in it.
#[derive(Clone)]
struct Finished {
    node: Node,
    size: u64,
    depth: u64,
}

/// A collection whose end has not come yet.
struct Open {
    span: Span,
    anchor: usize,
    size: u64,
    depth: u64,
    content: Content,
}

enum Content {
    Seq(Vec<Node>),
    Map {
        entries: Vec<(Key, Node)>,
        names: BTreeMap<String, Span>,
        key: Option<Key>,
    },
}

struct Tree<'s> {
    source: &'s Source,
    problems: &'s mut Diagnostics,
    open: Vec<Open>,
    root: Option<Node>,
    anchors: BTreeMap<usize, Finished>,
    nodes: u64,
}

type Step = Result<(), Diagnostic>;

impl Tree<'_> {
    fn event(&mut self, event: Event<'_>, span: granit_parser::Span) -> Step {
        let span = span_of(&span);
        if let Some(tag) = event.tag() {
            let message = format!("tag `{}` is not supported", shown(&tag.to_string()));
            return Err(self
                .problem(span, message)
                .hint("write the value without a tag"));
        }
        match event {
            Event::Scalar(text, style, anchor, _) => self.scalar(&text, style, anchor, span),
            Event::SequenceStart(_, anchor, _) => {
                self.start(span, anchor, Content::Seq(Vec::new()))
            }
            Event::MappingStart(_, anchor, _) => {
                let (entries, names) = (Vec::new(), BTreeMap::new());
                self.start(
                    span,
                    anchor,
                    Content::Map {
                        entries,
                        names,
                        key: None,
                    },
                )
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(),
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::DocumentStart(..) if self.root.is_some() => {
                Err(self.problem(span, "the file holds more than one document"))
            }
            _ => Ok(()),
        }
    }

    fn problem(&self, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic::new(Place::Text(self.source.clone(), span), message)
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, anchor: usize, span: Span) -> Step {
        if self.wants_key() {
            let is_merge = text == "<<" && style == ScalarStyle::Plain;
            if is_merge {
                let problem = self.problem(span, "merge key `<<` is not supported");
                return Err(problem.hint("write the keys out"));
            }
            return self.key(Key {
                span,
                name: text.to_owned(),
            });
        }
        self.count(1, span)?;
        let value = match style {
            ScalarStyle::Plain => scalar::resolve(text).unwrap_or_else(|reason| {
                self.problems
                    .push(self.problem(span, format!("{reason}: `{}`", shown(text))));
                Value::Null
            }),
            _ => Value::Str(text.to_owned()),
        };
        self.finish(
            Finished {
                node: Node { span, value },
                size: 1,
                depth: 0,
            },
            anchor,
        );
        Ok(())
    }

    fn wants_key(&self) -> bool {
        let top = self.open.last().map(|open| &open.content);
        matches!(top, Some(Content::Map { key: None, .. }))
    }

    fn key(&mut self, key: Key) -> Step {
        let Some(Open {
            content: Content::Map {
                names, key: slot, ..
            },
            ..
        }) = self.open.last_mut()
        else {
            return Ok(());
        };
        let first = names.get(&key.name).copied();
        names.entry(key.name.clone()).or_insert(key.span);
        *slot = Some(key.clone());
        if let Some(first) = first {
            let problem = self.problem(key.span, format!("duplicate key `{}`", shown(&key.name)));
            let label = format!("first set at line {}", first.line);
            self.problems
                .push(problem.label(label).hint("keep one of the two"));
        }
        Ok(())
    }

    fn start(&mut self, span: Span, anchor: usize, content: Content) -> Step {
        if self.wants_key() {
            return Err(self.problem(span, "a key has to be a scalar"));
        }
        self.count(1, span)?;
        self.fits_depth(1, span)?;
        self.open.push(Open {
            span,
            anchor,
            size: 1,
            depth: 1,
            content,
        });
        Ok(())
    }

    fn end(&mut self) -> Step {
        let Some(open) = self.open.pop() else {
            return Ok(());
        };
        let value = match open.content {
            Content::Seq(items) => Value::Seq(items),
            Content::Map { entries, .. } => Value::Map(entries),
        };
        let node = Node {
            span: open.span,
            value,
        };
        self.finish(
            Finished {
                node,
                size: open.size,
                depth: open.depth,
            },
            open.anchor,
        );
        Ok(())
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Step {
        if self.wants_key() {
            return Err(self
                .problem(span, "a key cannot be an alias")
                .hint("write the key out"));
        }
        let Some(known) = self.anchors.get(&anchor) else {
            return Err(self.problem(span, "the alias stands within its own anchor"));
        };
        // Both budgets are checked before the value is copied.
        let (size, depth) = (known.size, known.depth);
        self.count(size, span)?;
        self.fits_depth(depth, span)?;
        let value = self.anchors[&anchor].node.value.clone();
        self.finish(
            Finished {
                node: Node { span, value },
                size,
                depth,
            },
            0,
        );
        Ok(())
    }

    fn count(&mut self, values: u64, span: Span) -> Step {
        self.nodes += values;
        if self.nodes <= CONFIG_NODES_MAX {
            return Ok(());
        }
        let problem = self.problem(span, format!("more than {CONFIG_NODES_MAX} values"));
        Err(problem.hint("aliases count as what they stand for"))
    }

    fn fits_depth(&self, levels: u64, span: Span) -> Step {
        if self.open.len() as u64 + levels <= CONFIG_DEPTH_MAX {
            return Ok(());
        }
        Err(self.problem(
            span,
            format!("nested more than {CONFIG_DEPTH_MAX} levels deep"),
        ))
    }

    /// Puts a value into the collection around it, or makes it the root.
    fn finish(&mut self, finished: Finished, anchor: usize) {
        if anchor != 0 {
            self.anchors.insert(anchor, finished.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(finished.node);
            return;
        };
        open.size += finished.size;
        open.depth = open.depth.max(finished.depth + 1);
        match &mut open.content {
            Content::Seq(items) => items.push(finished.node),
            Content::Map {
                entries,
                names,
                key,
            } => {
                // A repeated key was reported when it was read; its first value stays.
                let key = key
                    .take()
                    .filter(|key| names.get(&key.name) == Some(&key.span));
                entries.extend(key.map(|key| (key, finished.node)));
            }
        }
    }
}

/// The parser counts columns from 0. A span over several lines is cut to its first character.
fn span_of(span: &granit_parser::Span) -> Span {
    let (line, column) = (span.start.line() as u32, span.start.col() as u32 + 1);
    let on_one_line = span.end.line() == span.start.line();
    let len = if on_one_line {
        (span.end.col() as u32 + 1).saturating_sub(column)
    } else {
        1
    };
    Span { line, column, len }
}

fn syntax_problem(source: &Source, error: &ScanError) -> Diagnostic {
    let reason = error.info();
    let mark = error.marker();
    let mut span = Span {
        line: mark.line() as u32,
        column: mark.col() as u32 + 1,
        len: 1,
    };
    let is_tab = reason.contains(" tab") || reason.starts_with("tab");
    if is_tab && let Some((line, column)) = indenting_tab(source, span.line) {
        (span.line, span.column) = (line, column);
    }
    let problem = Diagnostic::new(Place::Text(source.clone(), span), format!("YAML: {reason}"));
    if is_tab {
        problem.hint("indent with spaces, not tabs")
    } else {
        problem
    }
}

/// The first tab in the indentation of a line, from the given line on.
fn indenting_tab(source: &Source, from: u32) -> Option<(u32, u32)> {
    let lines = source
        .text()
        .lines()
        .enumerate()
        .skip(from.max(1) as usize - 1);
    lines.into_iter().find_map(|(row, line)| {
        let column = line
            .chars()
            .take_while(|c| c.is_whitespace())
            .position(|c| c == '\t')?;
        Some((row as u32 + 1, column as u32 + 1))
    })
}
