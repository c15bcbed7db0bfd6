//! Writing a tree as block YAML that this reader, YAML 1.2 and YAML 1.1 readers understand alike.

use std::fmt::Write;

use super::{Value, scalar};

/// The text of a value, with a line end; [`super::read`] gives the value back.
pub fn emit(value: &Value) -> String {
    let mut out = String::new();
    match value {
        Value::Map(entries) if !entries.is_empty() => block(&mut out, value, 0),
        Value::Seq(items) if !items.is_empty() => block(&mut out, value, 0),
        _ => {
            inline(&mut out, value);
            out.push('\n');
        }
    }
    out
}

/// A number that reads back as the same float, and as a float: `0.001`, `1.0e-8`, `3.0`.
pub fn number(x: f64) -> String {
    if x.is_nan() {
        return ".nan".to_owned();
    }
    if x.is_infinite() {
        return if x > 0.0 { ".inf" } else { "-.inf" }.to_owned();
    }
    let shortest = format!("{x:?}");
    let Some((mantissa, exponent)) = shortest.split_once('e') else {
        return shortest;
    };
    // YAML 1.1 readers want a point and a signed exponent, or they see a string.
    let point = if mantissa.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with('-') { "" } else { "+" };
    format!("{mantissa}{point}e{sign}{exponent}")
}

fn block(out: &mut String, value: &Value, indent: usize) {
    match value {
        Value::Map(entries) => {
            for (row, (key, node)) in entries.iter().enumerate() {
                // The first row of a mapping in a list stands behind the dash.
                pad(out, if row == 0 { 0 } else { indent });
                string(out, &key.name);
                out.push(':');
                after_key(out, &node.value, indent);
            }
        }
        Value::Seq(items) => {
            for (row, node) in items.iter().enumerate() {
                pad(out, if row == 0 { 0 } else { indent });
                out.push_str("- ");
                if is_block(&node.value) {
                    block(out, &node.value, indent + 2);
                } else {
                    inline(out, &node.value);
                    out.push('\n');
                }
            }
        }
        scalar => inline(out, scalar),
    }
}

fn after_key(out: &mut String, value: &Value, indent: usize) {
    if is_block(value) {
        out.push('\n');
        pad(out, indent + 2);
        block(out, value, indent + 2);
    } else {
        out.push(' ');
        inline(out, value);
        out.push('\n');
    }
}

fn pad(out: &mut String, columns: usize) {
    out.extend(std::iter::repeat_n(' ', columns));
}

/// Lists of scalars are short and read better on one line; everything else nested is a block.
fn is_block(value: &Value) -> bool {
    match value {
        Value::Map(entries) => !entries.is_empty(),
        Value::Seq(items) => items
            .iter()
            .any(|node| matches!(node.value, Value::Map(_) | Value::Seq(_))),
        _ => false,
    }
}

fn inline(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Int(n) => write!(out, "{n}").expect("a string takes any text"),
        Value::Float(x) => out.push_str(&number(*x)),
        Value::Str(text) => string(out, text),
        Value::Seq(items) => {
            out.push('[');
            for (row, node) in items.iter().enumerate() {
                out.push_str(if row == 0 { "" } else { ", " });
                inline(out, &node.value);
            }
            out.push(']');
        }
        Value::Map(entries) => {
            out.push('{');
            for (row, (key, node)) in entries.iter().enumerate() {
                out.push_str(if row == 0 { "" } else { ", " });
                string(out, &key.name);
                out.push_str(": ");
                inline(out, &node.value);
            }
            out.push('}');
        }
    }
}

fn string(out: &mut String, text: &str) {
    if is_plain(text) {
        out.push_str(text);
    } else {
        quoted(out, text);
    }
}

/// Whether a string means itself without quotes, for readers of YAML 1.1 too.
fn is_plain(text: &str) -> bool {
    const WORDS_OF_YAML_1_1: [&str; 6] = ["y", "n", "yes", "no", "on", "off"];
    let starts_well = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '/');
    let inside = |c: char| c.is_ascii_alphanumeric() || "_/.+-@".contains(c);
    let is_word = WORDS_OF_YAML_1_1
        .iter()
        .any(|word| word.eq_ignore_ascii_case(text));
    starts_well
        && text.chars().all(inside)
        && !is_word
        && matches!(scalar::resolve(text), Ok(Value::Str(_)))
}

fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            '\r' => out.push_str("\\r"),
            // Invisible characters and those that YAML or a terminal treats as line ends.
            c if c.is_control()
                || matches!(u32::from(c), 0x2000..=0x206f | 0xfeff | 0xfff0..=0xffff) =>
            {
                let code = u32::from(c);
                let width = if code > 0xffff { 8 } else { 4 };
                let letter = if width == 8 { 'U' } else { 'u' };
                write!(out, "\\{letter}{code:0width$x}").expect("a string takes any text");
            }
            c => out.push(c),
        }
    }
    out.push('"');
}
