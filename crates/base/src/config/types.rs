//! What a key may hold, and whether a value fits.

use super::{Range, Schema, values};
use crate::diag::{Span, shown};
use crate::suggest;
use crate::units;
use crate::yaml::{self, Node, Value};

/// The type of a key.
#[derive(Clone, Copy, Debug)]
pub enum Type {
    /// `null` as a value of its own (elsewhere, `null` means that the key is absent).
    Null,
    /// `true` or `false`.
    Bool,
    /// An integer from `min` to `max`.
    Int {
        /// The smallest.
        min: i64,
        /// The largest.
        max: i64,
    },
    /// A finite number in a range; an integer is taken as a number.
    Float(Range),
    /// Any text.
    Str,
    /// A file or folder.
    Path,
    /// An amount of memory of at least one byte: an integer, or a text such as `1.5GiB` (see
    /// [`units::parse_bytes`]). Kept as an integer.
    Bytes,
    /// One of these words.
    Enum(&'static [&'static str]),
    /// A list whose items are of one type.
    List(&'static Type),
    /// Any of these types; the first that fits decides.
    AnyOf(&'static [Type]),
    /// A list of mappings, each with a schema of its own.
    Tables(&'static Schema),
    /// Any value, judged by whoever reads it.
    Any,
}

/// Why a value does not fit. The caller knows the key and the place.
pub(super) struct Mismatch {
    pub(super) span: Span,
    pub(super) what: What,
    /// Written after the carets.
    pub(super) label: String,
    pub(super) hint: Option<String>,
}

/// What the message says about the value.
pub(super) enum What {
    /// "`key` is …".
    Is(String),
    /// "unknown value `…` for `key`".
    Unknown(String),
}

impl Type {
    /// A finite number.
    pub const NUMBER: Type = Type::Float(Range::closed(f64::NEG_INFINITY, f64::INFINITY));
    /// A number above 0.
    pub const POSITIVE: Type = Type::Float(Range {
        min: 0.0,
        max: f64::INFINITY,
        min_exclusive: true,
        max_exclusive: false,
    });
    /// A number of at least 0.
    pub const NON_NEGATIVE: Type = Type::Float(Range::closed(0.0, f64::INFINITY));
    /// A number from 0 to 1.
    pub const FRACTION: Type = Type::Float(Range::closed(0.0, 1.0));
    /// A number of at least 0 and below 1, such as a dropout probability or a decay.
    pub const BELOW_ONE: Type = Type::Float(Range {
        min: 0.0,
        max: 1.0,
        min_exclusive: false,
        max_exclusive: true,
    });
    /// An integer of at least 1.
    pub const COUNT: Type = Type::int(1, i64::MAX);
    /// A list of strings.
    pub const STR_LIST: Type = Type::List(&Type::Str);

    /// An integer from `min` to `max`.
    pub const fn int(min: i64, max: i64) -> Type {
        Type::Int { min, max }
    }

    /// What the documentation calls it: `an integer from 1 to 8`.
    pub fn describe(&self) -> String {
        match self {
            Type::Null => "null".to_owned(),
            Type::Bool => "`true` or `false`".to_owned(),
            Type::Int {
                min: i64::MIN,
                max: i64::MAX,
            } => "an integer".to_owned(),
            Type::Int { min, max: i64::MAX } => format!("an integer of at least {min}"),
            Type::Int { min: i64::MIN, max } => format!("an integer of at most {max}"),
            Type::Int { min, max } => format!("an integer from {min} to {max}"),
            Type::Float(range) => range.describe(),
            Type::Str => "a string".to_owned(),
            Type::Path => "a path".to_owned(),
            Type::Bytes => "bytes, or a size such as `800MB` or `1.5GiB`".to_owned(),
            Type::Enum(words) => match words {
                [word] => format!("`{word}`"),
                _ => format!("one of {}", listed(words)),
            },
            Type::List(item) => format!("a list, each item {}", item.describe()),
            Type::AnyOf(types) => {
                let each: Vec<String> = types.iter().map(Type::describe).collect();
                each.join(", or ")
            }
            Type::Tables(_) => "a list of mappings".to_owned(),
            Type::Any => "any value".to_owned(),
        }
    }

    /// Whether this or one of its alternatives has the property.
    pub(super) fn any(&self, property: fn(&Type) -> bool) -> bool {
        match self {
            Type::AnyOf(types) => types.iter().any(|alternative| alternative.any(property)),
            other => property(other),
        }
    }

    /// Whether this or each of its alternatives, `null` aside, has the property.
    pub(super) fn all(&self, property: fn(&Type) -> bool) -> bool {
        match self {
            Type::AnyOf(types) => types.iter().all(|alternative| alternative.all(property)),
            Type::Null => true,
            other => property(other),
        }
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self, Type::Str | Type::Path | Type::Enum(_))
    }

    pub(super) fn takes(&self, value: &Value) -> bool {
        self.accept(&values::node(value.clone())).is_ok()
    }

    /// The value in the form in which it is kept: integers become numbers where numbers are asked.
    ///
    /// The items of [`Type::Tables`] are not looked at.
    pub(super) fn accept(&self, node: &Node) -> Result<Value, Mismatch> {
        let value = &node.value;
        match (self, value) {
            (Type::Any, _) | (Type::Null, Value::Null) | (Type::Bool, Value::Bool(_)) => {}
            (Type::Str | Type::Path, Value::Str(_)) | (Type::Tables(_), Value::Seq(_)) => {}
            (Type::Int { min, max }, Value::Int(n)) => {
                if n < min || n > max {
                    return Err(self.out_of_range(node));
                }
            }
            (Type::Bytes, Value::Int(n)) => {
                if *n < 1 {
                    return Err(self.out_of_range(node));
                }
            }
            (Type::Bytes, Value::Str(text)) => {
                let n = units::parse_bytes(text).and_then(|n| i64::try_from(n).ok());
                return n
                    .map(Value::Int)
                    .ok_or_else(|| self.no_size(node.span, text));
            }
            (Type::Float(range), Value::Int(_) | Value::Float(_)) => {
                let x = match value {
                    Value::Int(n) => *n as f64,
                    Value::Float(x) => *x,
                    _ => f64::NAN,
                };
                if !range.contains(x) {
                    return Err(self.out_of_range(node));
                }
                return Ok(Value::Float(x));
            }
            (Type::Enum(words), Value::Str(word)) => {
                if !words.contains(&word.as_str()) {
                    return Err(unknown_word(node.span, word, words));
                }
            }
            (Type::List(item), Value::Seq(nodes)) => {
                let items: Result<Vec<Value>, Mismatch> =
                    nodes.iter().map(|node| item.accept(node)).collect();
                return Ok(values::seq(items?.into_iter()));
            }
            (Type::AnyOf(types), _) => return self.accept_any(types, node),
            _ => return Err(self.wrong_type(node)),
        }
        Ok(value.clone())
    }

    fn accept_any(&self, types: &[Type], node: &Node) -> Result<Value, Mismatch> {
        let mut nearest = None;
        for alternative in types {
            match alternative.accept(node) {
                Ok(value) => return Ok(value),
                // An alternative of the right type has more to say than "wrong type".
                Err(why) if nearest.is_none() && alternative.is_type_of(&node.value) => {
                    nearest = Some(why);
                }
                Err(_) => {}
            }
        }
        let Some(mut why) = nearest else {
            return Err(self.wrong_type(node));
        };
        if matches!(why.what, What::Is(_)) && why.span == node.span {
            why.label = format!("expected {}", self.describe());
        }
        Err(why)
    }

    fn is_type_of(&self, value: &Value) -> bool {
        match value {
            Value::Int(_) => matches!(self, Type::Int { .. } | Type::Float(_) | Type::Bytes),
            Value::Float(_) => matches!(self, Type::Float(_)),
            Value::Str(_) => self.is_text() || matches!(self, Type::Bytes),
            Value::Seq(_) => matches!(self, Type::List(_) | Type::Tables(_)),
            _ => false,
        }
    }

    fn no_size(&self, span: Span, text: &str) -> Mismatch {
        let units: Vec<&str> = units::SIZES.iter().map(|(name, _)| *name).collect();
        Mismatch {
            span,
            what: What::Unknown(shown(text)),
            label: format!("expected {}", self.describe()),
            hint: Some(format!("the units are {}", listed(&units))),
        }
    }

    fn out_of_range(&self, node: &Node) -> Mismatch {
        let text = match &node.value {
            Value::Float(x) => yaml::number(*x),
            other => yaml::emit(other).trim_end().to_owned(),
        };
        Mismatch {
            span: node.span,
            what: What::Is(format!("out of range: {text}")),
            label: format!("expected {}", self.describe()),
            hint: None,
        }
    }

    fn wrong_type(&self, node: &Node) -> Mismatch {
        Mismatch {
            span: node.span,
            what: What::Is(node.value.type_name().to_owned()),
            label: format!("expected {}", self.describe()),
            hint: self.type_hint(&node.value),
        }
    }

    /// What was probably meant by a value of another type.
    fn type_hint(&self, value: &Value) -> Option<String> {
        match value {
            Value::Float(x) if x.fract() == 0.0 && x.abs() < 1e15 => {
                let takes = self.takes(&Value::Int(*x as i64));
                takes.then(|| format!("write `{}`", *x as i64))
            }
            Value::Str(text) => self.hint_for_text(text),
            Value::Int(_) | Value::Float(_) | Value::Bool(_) if self.any(Type::is_text) => {
                Some("put the value in quotes".to_owned())
            }
            Value::Seq(_) | Value::Map(_) => None,
            scalar => match self {
                Type::List(item) if item.takes(scalar) => {
                    Some(format!("write `[{}]`", yaml::emit(scalar).trim_end()))
                }
                _ => None,
            },
        }
    }

    fn hint_for_text(&self, text: &str) -> Option<String> {
        if self.any(|kind| matches!(kind, Type::Bool)) {
            let word = match text.to_lowercase().as_str() {
                "yes" | "on" | "y" | "true" => "true",
                "no" | "off" | "n" | "false" => "false",
                _ => return None,
            };
            return Some(format!("write `{word}`"));
        }
        if let Type::List(item) = self {
            let takes = item.takes(&Value::Str(text.to_owned()));
            return takes.then(|| format!("write `[{}]`", shown(text)));
        }
        // A number in quotes, or with separators that YAML does not know.
        let bare: String = text
            .chars()
            .filter(|c| !matches!(c, '_' | ',' | ' '))
            .collect();
        let source = crate::diag::Source::new("", bare.clone());
        let value = yaml::read(&source).ok()?.value;
        let is_number = matches!(value, Value::Int(_) | Value::Float(_));
        (is_number && self.takes(&value)).then(|| format!("write `{}`", shown(&bare)))
    }
}

fn unknown_word(span: Span, word: &str, words: &'static [&'static str]) -> Mismatch {
    let all = format!("one of {}", listed(words));
    let near = suggest::nearest(word, words.iter().copied());
    let (label, hint) = match near {
        Some(near) => (format!("did you mean `{near}`?"), Some(all)),
        None => (format!("expected {all}"), None),
    };
    Mismatch {
        span,
        what: What::Unknown(shown(word)),
        label,
        hint,
    }
}

fn listed(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("`{word}`")).collect();
    quoted.join(", ")
}
