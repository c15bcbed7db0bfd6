//! The reference of a configuration, in Markdown and as a JSON schema.

use std::fmt::Write;

use serde_json::{Map, Value as Json, json};

use super::{DefaultValue, Key, Schema, Type};

impl Schema {
    /// The reference: a table for each section, in the order of the keys.
    pub fn markdown(&self) -> String {
        let mut out = String::new();
        let mut done: Vec<&str> = Vec::new();
        for key in self.keys() {
            let section = section_of(key.path);
            if done.contains(&section) {
                continue;
            }
            done.push(section);
            let title = if section.is_empty() {
                self.name
            } else {
                section
            };
            let break_before = if out.is_empty() { "" } else { "\n" };
            let head = "| key | value | default | meaning |\n|---|---|---|---|";
            let _ = writeln!(out, "{break_before}## `{title}`\n\n{head}");
            for key in self.keys().filter(|key| section_of(key.path) == section) {
                rows(&mut out, "", key);
            }
        }
        out
    }

    /// JSON schema, draft 2020-12, with the `schema_version` of the configuration format.
    pub fn json_schema(&self) -> Json {
        let mut root = Map::new();
        root.insert(
            "$schema".into(),
            json!("https://json-schema.org/draft/2020-12/schema"),
        );
        root.insert("title".into(), json!(self.name));
        root.insert("schema_version".into(), json!(self.version));
        for (name, value) in object(self) {
            root.insert(name, value);
        }
        Json::Object(root)
    }
}

fn section_of(path: &str) -> &str {
    path.rsplit_once('.').map_or("", |(section, _)| section)
}

fn rows(out: &mut String, prefix: &str, key: &Key) {
    let mut meaning = key.doc.to_owned();
    if !key.aliases.is_empty() {
        meaning += &format!(" Also read as `{}`.", key.aliases.join("`, `"));
    }
    let cells = [
        format!("`{prefix}{}`", key.path),
        key.kind.describe(),
        key.default.text(),
        meaning,
    ];
    let cells = cells.map(|cell| cell.replace('|', "\\|").replace('\n', " "));
    let _ = writeln!(out, "| {} |", cells.join(" | "));
    if let Type::Tables(inner) = key.kind {
        for row in inner.keys() {
            rows(out, &format!("{prefix}{}[].", key.path), row);
        }
    }
}

/// An object with sections as nested objects.
fn object(schema: &Schema) -> Map<String, Json> {
    let mut root = empty_object();
    for key in schema.keys() {
        for path in key.paths() {
            let mut property = property(key);
            if path != key.path {
                property.insert(
                    "description".into(),
                    json!(format!("Same as `{}`.", key.path)),
                );
                property.remove("default");
            }
            // An alias may stand for its key, which a list of required names cannot say.
            let required = key.default == DefaultValue::Required && key.aliases.is_empty();
            place(&mut root, path, property, required);
        }
    }
    root
}

fn empty_object() -> Map<String, Json> {
    let mut object = Map::new();
    object.insert("type".into(), json!("object"));
    object.insert("additionalProperties".into(), json!(false));
    object.insert("properties".into(), json!({}));
    object
}

/// Puts a property at its path; what is required makes its sections required.
fn place(object: &mut Map<String, Json>, path: &str, property: Map<String, Json>, required: bool) {
    let name = path.split('.').next().unwrap_or(path);
    if required {
        let names = object.entry("required").or_insert_with(|| json!([]));
        if let Json::Array(names) = names
            && !names.contains(&json!(name))
        {
            names.push(json!(name));
        }
    }
    let properties = object.entry("properties").or_insert_with(|| json!({}));
    let Json::Object(properties) = properties else {
        return;
    };
    match path.split_once('.') {
        None => {
            properties.insert(path.to_owned(), Json::Object(property));
        }
        Some((section, rest)) => {
            let inner = properties
                .entry(section)
                .or_insert_with(|| Json::Object(empty_object()));
            if let Json::Object(inner) = inner {
                place(inner, rest, property, required);
            }
        }
    }
}

fn property(key: &Key) -> Map<String, Json> {
    let mut property = type_schema(&key.kind);
    if matches!(
        key.default,
        DefaultValue::Optional | DefaultValue::Derived(_)
    ) {
        property = or_null(property);
    }
    property.insert("description".into(), json!(key.doc));
    let default = match key.default {
        DefaultValue::Bool(value) => json!(value),
        DefaultValue::Int(value) => json!(value),
        DefaultValue::Float(value) => json!(value),
        DefaultValue::Str(value) => json!(value),
        DefaultValue::StrList(items) => json!(items),
        DefaultValue::Optional | DefaultValue::Required | DefaultValue::Derived(_) => Json::Null,
    };
    if !default.is_null() {
        property.insert("default".into(), default);
    }
    property
}

/// `null` stands for an absent key where nothing is what absence means.
fn or_null(mut schema: Map<String, Json>) -> Map<String, Json> {
    if let Some(Json::Array(words)) = schema.get_mut("enum") {
        words.push(Json::Null);
    } else if let Some(Json::Array(each)) = schema.get_mut("anyOf") {
        each.push(json!({"type": "null"}));
    } else if let Some(name) = schema.get_mut("type") {
        *name = json!([name.take(), "null"]);
    }
    schema
}

fn type_schema(kind: &Type) -> Map<String, Json> {
    let schema = match kind {
        Type::Null => json!({"type": "null"}),
        Type::Bool => json!({"type": "boolean"}),
        Type::Int { min, max } => {
            let mut schema = json!({"type": "integer"});
            if *min != i64::MIN {
                schema["minimum"] = json!(min);
            }
            if *max != i64::MAX {
                schema["maximum"] = json!(max);
            }
            schema
        }
        Type::Float(range) => {
            let mut schema = json!({"type": "number"});
            if range.min.is_finite() {
                let name = if range.min_exclusive {
                    "exclusiveMinimum"
                } else {
                    "minimum"
                };
                schema[name] = json!(range.min);
            }
            if range.max.is_finite() {
                let name = if range.max_exclusive {
                    "exclusiveMaximum"
                } else {
                    "maximum"
                };
                schema[name] = json!(range.max);
            }
            schema
        }
        Type::Str | Type::Path => json!({"type": "string"}),
        Type::Bytes => {
            json!({"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string"}]})
        }
        Type::Enum(words) => json!({"enum": words}),
        Type::List(item) => json!({"type": "array", "items": type_schema(item)}),
        Type::AnyOf(types) => {
            let each: Vec<Json> = types.iter().map(|t| Json::Object(type_schema(t))).collect();
            json!({"anyOf": each})
        }
        Type::Tables(inner) => json!({"type": "array", "items": object(inner)}),
        Type::Any => json!({}),
    };
    match schema {
        Json::Object(map) => map,
        _ => Map::new(),
    }
}
