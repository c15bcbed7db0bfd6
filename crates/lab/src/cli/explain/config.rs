//! The topic `config`.

use serde_json::Value;
use tenon_base::config::{DefaultValue, Key};
use tenon_base::yaml;
use tenon_base::{Error, Result, suggest};

use super::WIDTH;
use crate::config::SCHEMA;
use crate::table::wrap;

pub(super) fn json_schema() -> Value {
    SCHEMA.json_schema()
}

pub(super) fn text() -> String {
    let mut out = String::from(
        "A configuration is YAML or JSON. `--set KEY=VALUE` overrides a key; unknown keys are errors.\n",
    );
    SCHEMA.keys().for_each(|key| write(&mut out, key));
    out
}

/// The keys of a section, or one key.
pub(super) fn text_below(name: &str) -> Result<String> {
    let one = SCHEMA.find(name).map(|key| key.path);
    let below = |key: &&Key| {
        let rest = key.path.strip_prefix(name);
        one == Some(key.path) || rest.is_some_and(|rest| rest.starts_with('.'))
    };
    let mut out = String::new();
    let keys = SCHEMA.keys().filter(|key| below(&&**key));
    keys.for_each(|key| write(&mut out, key));
    if !out.is_empty() {
        return Ok(out.trim_start().to_owned());
    }
    let error = Error::usage(format!("unknown key `{name}`"));
    let last_part = |path: &&str| path.rsplit('.').next() == Some(name);
    let paths = || SCHEMA.keys().map(|key| key.path);
    let near = paths()
        .find(last_part)
        .or_else(|| suggest::nearest(name, paths()));
    Err(match near {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`tenon explain config` lists every key"),
    })
}

fn write(out: &mut String, key: &Key) {
    *out += &format!("\n{}\n", key.path);
    *out += &wrap(key.doc, "    ", WIDTH);
    let value = format!("{}; default: {}", key.kind.describe(), default(key));
    *out += &wrap(&value, "    ", WIDTH);
    if !key.aliases.is_empty() {
        *out += &format!("    also read as `{}`\n", key.aliases.join("`, `"));
    }
}

fn default(key: &Key) -> String {
    match key.default {
        DefaultValue::Optional => "none".to_owned(),
        DefaultValue::Required => "required".to_owned(),
        DefaultValue::Derived(words) => words.to_owned(),
        DefaultValue::Bool(value) => format!("`{value}`"),
        DefaultValue::Int(value) => format!("`{value}`"),
        DefaultValue::Float(value) => format!("`{}`", yaml::number(value)),
        DefaultValue::Str(value) => format!("`{value}`"),
        DefaultValue::StrList(items) => format!("`[{}]`", items.join(", ")),
    }
}
