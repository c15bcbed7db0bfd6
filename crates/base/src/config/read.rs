//! Reading a configuration: unknown keys, wrong types, ranges, words, duplicates, all in one run.

use std::collections::{BTreeMap, BTreeSet};

use super::types::{Mismatch, What};
use super::values::{Content, Entry, Values};
use super::{DefaultValue, Key, Schema, Type};
use crate::diag::{Diagnostic, Diagnostics, Place, Source, Span, shown};
use crate::yaml::{self, Node, Value};
use crate::{Result, suggest};

impl Schema {
    /// Reads a text, with `--set KEY=VALUE` pairs that override it (the last of equals wins).
    ///
    /// # Errors
    /// `Usage` that shows every problem.
    pub fn read(&'static self, source: &Source, sets: &[(String, String)]) -> Result<Values> {
        let mut problems = Diagnostics::default();
        let values = self.collect(source, sets, &mut problems);
        problems.into_result()?;
        Ok(values.expect("a text without problems has values"))
    }

    /// [`Schema::read`] for a caller that has checks of its own: problems are added to `problems`,
    /// keys with problems read as absent without default. `None` after a syntax error.
    pub fn collect(
        &'static self,
        source: &Source,
        sets: &[(String, String)],
        problems: &mut Diagnostics,
    ) -> Option<Values> {
        let root = yaml::parse(source, problems)?;
        let whole = Place::Named(source.name().to_owned());
        let mut reader = Reader::new(self, Origin::Text(source.clone()), whole, problems);
        reader.root(&root);
        for (path, value) in sets {
            reader.set(path, value);
        }
        reader.require();
        Some(reader.finish())
    }
}

/// Where values come from; turns spans into places.
#[derive(Clone)]
pub(super) enum Origin {
    Text(Source),
    Named(String),
}

impl Origin {
    pub(super) fn place(&self, span: Span) -> Place {
        match self {
            Origin::Text(source) => Place::Text(source.clone(), span),
            Origin::Named(name) => Place::Named(name.clone()),
        }
    }
}

pub(super) struct Reader<'p> {
    pub(super) schema: &'static Schema,
    /// The name of the outermost schema, which `tenon explain` knows.
    pub(super) topic: &'static str,
    pub(super) origin: Origin,
    whole: Place,
    pub(super) problems: &'p mut Diagnostics,
    pub(super) entries: BTreeMap<&'static str, Entry>,
    sections: BTreeMap<String, Place>,
    /// Keys that are written, even if as `null`.
    pub(super) seen: BTreeSet<&'static str>,
}

impl<'p> Reader<'p> {
    fn new(
        schema: &'static Schema,
        origin: Origin,
        whole: Place,
        problems: &'p mut Diagnostics,
    ) -> Reader<'p> {
        let (entries, sections, seen) = Default::default();
        Reader {
            schema,
            topic: schema.name,
            origin,
            whole,
            problems,
            entries,
            sections,
            seen,
        }
    }

    fn finish(self) -> Values {
        Values::new(self.schema, self.whole, self.entries, self.sections)
    }

    pub(super) fn problem(&self, span: Span, message: String) -> Diagnostic {
        Diagnostic::new(self.origin.place(span), message)
    }

    /// Everything below the root. Where that is no mapping, nothing more is said about its keys.
    fn root(&mut self, root: &Node) {
        match &root.value {
            Value::Map(entries) => self.section("", entries),
            other => {
                let message = format!("the {} is {}", self.schema.name, other.type_name());
                let names = self.schema.children("").join("`, `");
                let problem = self.problem(root.span, message).label("expected a mapping");
                self.problems
                    .push(problem.hint(format!("its keys are `{names}`")));
                self.seen.extend(self.schema.keys().map(|key| key.path));
            }
        }
    }

    fn section(&mut self, section: &str, entries: &[(yaml::Key, Node)]) {
        for (name, node) in entries {
            let path = match section {
                "" => name.name.clone(),
                _ => format!("{section}.{}", name.name),
            };
            let dotted = name.name.contains('.');
            if let Some(key) = self.schema.find(&path).filter(|_| !dotted) {
                self.entry(key, name, node);
            } else if self.schema.has_section(&path) && !dotted {
                self.sections
                    .insert(path.clone(), self.origin.place(name.span));
                match &node.value {
                    Value::Map(entries) => self.section(&path, entries),
                    Value::Null => {}
                    other => {
                        let message = format!("`{path}` is {}", other.type_name());
                        let names = self.schema.children(&path).join("`, `");
                        let problem = self.problem(node.span, message).label("expected a mapping");
                        self.problems
                            .push(problem.hint(format!("its keys are `{names}`")));
                    }
                }
            } else {
                self.unknown(section, name, &path);
            }
        }
    }

    fn unknown(&mut self, section: &str, name: &yaml::Key, path: &str) {
        let message = match section {
            "" => format!("unknown key `{}`", shown(&name.name)),
            _ => format!("unknown key `{}` in `{section}`", shown(&name.name)),
        };
        let mut problem = self.problem(name.span, message);
        let schema = self.schema;
        let elsewhere = schema
            .keys()
            .flat_map(Key::paths)
            .find(|known| known.rsplit('.').next() == Some(name.name.as_str()));
        if schema.find(path).is_some() || schema.has_section(path) {
            problem = problem.label("sections are nested, not joined by points");
        } else if let Some(known) = elsewhere {
            problem = problem.label(match known.rsplit_once('.') {
                Some((home, _)) => format!("this key belongs to `{home}`"),
                None => "this key belongs to the top level".to_owned(),
            });
        } else if let Some(near) = suggest::nearest(&name.name, schema.children(section)) {
            problem = problem.label(format!("did you mean `{near}`?"));
        }
        let hint = format!(
            "`tenon explain {}` lists every key with its default",
            self.topic
        );
        self.problems.push(problem.hint(hint));
    }

    fn entry(&mut self, key: &'static Key, name: &yaml::Key, node: &Node) {
        if let Some(first) = self.entries.get(key.path) {
            let (first_name, place) = (first.name.clone(), first.place.clone());
            let message = format!("`{}` and `{first_name}` are the same key", name.name);
            let mut problem = self.problem(name.span, message);
            if let Place::Text(_, span) = place {
                problem = problem.label(format!("first set at line {}", span.line));
            }
            self.problems.push(problem.hint("keep one of the two"));
            return;
        }
        self.seen.insert(key.path);
        self.value(key, &name.name, node);
    }

    /// Judges a value and keeps it; a bad one is kept as an entry without content.
    pub(super) fn value(&mut self, key: &'static Key, name: &str, node: &Node) {
        let place = self.origin.place(node.span);
        if node.value == Value::Null && !key.kind.any(|kind| matches!(kind, Type::Null)) {
            self.null(key, node.span);
            return;
        }
        let content = match key.kind.accept(node) {
            Ok(value) => self.content(key, node, value),
            Err(why) => {
                self.mismatch(key, why);
                None
            }
        };
        self.entries.insert(
            key.path,
            Entry {
                name: name.to_owned(),
                place,
                content,
            },
        );
    }

    fn null(&mut self, key: &'static Key, span: Span) {
        self.entries.remove(key.path);
        let hint = match key.default {
            // Nothing is what an absent optional key means.
            DefaultValue::Optional | DefaultValue::Derived(_) => return,
            DefaultValue::Required => "give it a value".to_owned(),
            literal => format!("leave the key out for its default {}", literal.text()),
        };
        let place = self.origin.place(span);
        // A scalar that could not be read is `Null` too, and its problem is known.
        if self.problems.iter().any(|known| *known.place() == place) {
            return;
        }
        let problem = Diagnostic::new(place, format!("`{}` is null", key.path));
        let expected = format!("expected {}", key.kind.describe());
        self.problems.push(problem.label(expected).hint(hint));
    }

    fn content(&mut self, key: &'static Key, node: &Node, value: Value) -> Option<Content> {
        let (Type::Tables(schema), Value::Seq(items)) = (key.kind, &node.value) else {
            return Some(Content::Value(value));
        };
        let mut tables = Vec::with_capacity(items.len());
        for item in items {
            let place = self.origin.place(item.span);
            let mut reader = Reader::new(schema, self.origin.clone(), place, self.problems);
            reader.topic = self.topic;
            reader.root(item);
            reader.require();
            tables.push(reader.finish());
        }
        Some(Content::Tables(tables))
    }

    fn mismatch(&mut self, key: &Key, why: Mismatch) {
        let message = match why.what {
            What::Is(what) => format!("`{}` is {what}", key.path),
            What::Unknown(word) => format!("unknown value `{word}` for `{}`", key.path),
        };
        let problem = self.problem(why.span, message).label(why.label);
        self.problems.push(match why.hint {
            Some(hint) => problem.hint(hint),
            None => problem,
        });
    }

    /// Keys that must be given, where none is written, not even a bad one.
    fn require(&mut self) {
        for key in self.schema.keys() {
            let absent = !self.seen.contains(key.path);
            if absent && key.default == DefaultValue::Required {
                let home = key
                    .path
                    .rsplit_once('.')
                    .and_then(|(home, _)| self.sections.get(home));
                let place = home.unwrap_or(&self.whole).clone();
                let problem = Diagnostic::new(place, format!("`{}` is missing", key.path));
                let expected = format!("expected {}", key.kind.describe());
                self.problems.push(problem.label(expected));
            }
        }
    }
}
