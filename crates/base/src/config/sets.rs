//! `--set KEY=VALUE` on the command line.

use super::read::{Origin, Reader};
use super::values::Entry;
use super::{Key, Type, below};
use crate::diag::{Diagnostic, Diagnostics, Source, Span, shown};
use crate::suggest;
use crate::yaml::{self, Node, Value};

impl Reader<'_> {
    /// One `--set KEY=VALUE`.
    pub(super) fn set(&mut self, path: &str, text: &str) {
        let name = format!("--set {}={}", shown(path), shown(text));
        let text_origin = std::mem::replace(&mut self.origin, Origin::Named(name));
        match self.schema.find(path) {
            Some(key) => {
                self.seen.insert(key.path);
                if let Some(node) = self.set_value(key, text) {
                    self.value(key, path, &node);
                }
            }
            None => self.unknown_set(path),
        }
        self.origin = text_origin;
    }

    /// The value is YAML, except that a shell user does not have to quote what can only be text.
    fn set_value(&mut self, key: &Key, text: &str) -> Option<Node> {
        let span = Span {
            line: 1,
            column: 1,
            len: 0,
        };
        if matches!(text.trim(), "" | "~" | "null" | "Null" | "NULL") {
            return Some(Node {
                span,
                value: Value::Null,
            });
        }
        let raw = Node {
            span,
            value: Value::Str(text.to_owned()),
        };
        // Characters that mean something in YAML mean themselves where only text can be meant.
        if key.kind.all(Type::is_text) && !text.trim_start().starts_with(['"', '\'']) {
            return Some(raw);
        }
        let mut problems = Diagnostics::default();
        let parsed = yaml::parse(&Source::new("", text), &mut problems);
        let node = parsed.filter(|_| problems.is_empty());
        let fits = |node: &Node| node.value == Value::Null || key.kind.accept(node).is_ok();
        if node.as_ref().is_some_and(fits) {
            return node;
        }
        if key.kind.any(Type::is_text) && (node.is_none() || fits(&raw)) {
            return Some(raw);
        }
        if node.is_none() {
            let message = problems
                .iter()
                .next()
                .map_or("", Diagnostic::message)
                .to_owned();
            let problem = self.problem(span, message);
            self.problems
                .push(problem.label(format!("expected {}", key.kind.describe())));
            let place = self.origin.place(span);
            let entry = Entry {
                name: key.path.to_owned(),
                place,
                content: None,
            };
            self.entries.insert(key.path, entry);
        }
        node
    }

    fn unknown_set(&mut self, path: &str) {
        let span = Span {
            line: 1,
            column: 1,
            len: 0,
        };
        if self.schema.has_section(path) {
            let names = self.schema.children(path).join("`, `");
            let problem = self.problem(span, format!("`{path}` is a section, not a key"));
            self.problems
                .push(problem.hint(format!("its keys are `{names}`")));
            return;
        }
        let mut problem = self.problem(span, format!("unknown key `{}`", shown(path)));
        let paths = || self.schema.keys().flat_map(Key::paths);
        let with_this_end = paths().find(|known| {
            known
                .strip_suffix(path)
                .is_some_and(|rest| rest.ends_with('.'))
        });
        if let Some(near) = with_this_end.or_else(|| suggest::nearest(path, paths())) {
            problem = problem.label(format!("did you mean `{near}`?"));
        } else if let Some((section, name)) = path.rsplit_once('.') {
            let siblings = paths().filter_map(|known| below(known, section));
            if let Some(near) = suggest::nearest(name, siblings) {
                problem = problem.label(format!("did you mean `{section}.{near}`?"));
            }
        }
        let hint = format!("`tenon explain {}` lists every key", self.topic);
        self.problems.push(problem.hint(hint));
    }
}
