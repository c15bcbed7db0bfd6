//! `model.safetensors.index.json` or `pytorch_model.bin.index.json`: which shard holds which
//! tensor.

use std::collections::BTreeMap;

use serde_json::Value;
use tenon_base::{Error, Result};

use crate::json;

/// The end of an index's name, after the ending of its shards.
const INDEX_END: &str = ".index.json";
/// Endings of shards; the first is that of an index with another name.
const SHARD_ENDS: &[&str] = &[".safetensors", ".bin"];

/// Tensor name → shard file name. Shards are plain names in the index's own folder, with the ending
/// that the index's name has before its own.
///
/// `metadata.total_size` is not compared with the files: writers in use disagree on whether shared
/// tensors count once, and nothing here relies on it.
pub(super) fn parse(text: &str, place: &str) -> Result<BTreeMap<String, String>> {
    let kind = place.strip_suffix(INDEX_END).unwrap_or_default();
    let end = SHARD_ENDS.iter().find(|end| kind.ends_with(**end));
    let end = end.unwrap_or(&SHARD_ENDS[0]);
    read(json::parse(text, place)?, end).map_err(|error| error.at(place))
}

fn read(value: Value, end: &str) -> Result<BTreeMap<String, String>> {
    let Value::Object(mut map) = value else {
        return Err(Error::data("the index is not a JSON object"));
    };
    map.remove("metadata");
    let shards = match map.remove("weight_map") {
        Some(Value::Object(shards)) => shards,
        Some(other) => {
            let kind = json::kind(&other);
            return Err(Error::data(format!(
                "`weight_map` is {kind}, expected an object"
            )));
        }
        None => return Err(Error::data("the index has no `weight_map`")),
    };
    if let Some(key) = map.keys().next() {
        return Err(Error::data(format!(
            "the index has the unknown key `{key}`"
        )));
    }
    if shards.is_empty() {
        return Err(Error::data("`weight_map` names no tensor"));
    }
    let places = shards.into_iter().map(|(tensor, value)| match value {
        Value::String(shard) if is_plain(&shard, end) => Ok((tensor, shard)),
        Value::String(shard) => Err(Error::data(format!(
            "tensor `{tensor}` is said to lie in `{shard}`, which is not a plain \
             `*{end}` file name"
        ))
        .hint("an index may only name files in its own folder")),
        other => {
            let kind = json::kind(&other);
            Err(Error::data(format!(
                "`weight_map.{tensor}` is {kind}, expected a file name"
            )))
        }
    });
    places.collect()
}

/// A file name without any path in it, on every system.
fn is_plain(name: &str, end: &str) -> bool {
    name.ends_with(end) && !name.starts_with('.') && !name.contains(['/', '\\', ':', '\0'])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn rejects(text: &str, message: &str) {
        let error = parse(text, "i.json").expect_err("a lie was accepted");
        assert!(
            error.message().contains(message),
            "`{}` lacks `{message}`",
            error.message()
        );
        assert!(error.place().unwrap().starts_with("i.json"));
    }

    #[test]
    fn shards_outside_the_folder() {
        for shard in [
            "../a.safetensors",
            "sub/a.safetensors",
            "/etc/a.safetensors",
            "..\\\\a.safetensors",
            "C:a.safetensors",
            "..safetensors",
            ".safetensors",
            "",
            "a.bin",
            "a\\u0000.safetensors",
        ] {
            rejects(
                &format!(r#"{{"weight_map":{{"w":"{shard}"}}}}"#),
                "not a plain `*.safetensors` file name",
            );
        }
    }

    #[test]
    fn shards_have_the_ending_of_their_index() {
        let of = |shard: &str| format!(r#"{{"weight_map":{{"w":"{shard}"}}}}"#);
        let place = "a/pytorch_model.bin.index.json";
        assert_eq!(parse(&of("b.bin"), place).unwrap()["w"], "b.bin");
        let error = parse(&of("b.safetensors"), place).unwrap_err();
        assert!(error.message().contains("not a plain `*.bin` file name"));
        let place = "a/model.safetensors.index.json";
        assert!(parse(&of("b.bin"), place).is_err());
    }

    #[test]
    fn keys_missing_unknown_or_twice() {
        rejects("{}", "has no `weight_map`");
        rejects(r#"{"weight_map":{}}"#, "names no tensor");
        rejects(r#"{"weight_map":[]}"#, "`weight_map` is a list");
        rejects(r#"{"weight_map":{"w":3}}"#, "`weight_map.w` is a number");
        rejects(
            r#"{"weight_map":{"w":"a.safetensors"},"x":0}"#,
            "unknown key `x`",
        );
        rejects(
            r#"{"weight_map":{"w":"a.safetensors","w":"b.safetensors"}}"#,
            "key `w` appears twice",
        );
        rejects("[]", "not a JSON object");
        rejects("{", "not valid JSON");
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(
            map in prop::collection::btree_map(any::<String>(), "[a-z0-9][a-z0-9.-]{0,9}", 1..9),
        ) {
            let map: BTreeMap<String, String> =
                map.into_iter().map(|(k, v)| (k, v + ".safetensors")).collect();
            let text = serde_json::json!({"metadata": {"total_size": 1}, "weight_map": map});
            prop_assert_eq!(parse(&text.to_string(), "i").unwrap(), map);
        }

        #[test]
        fn any_text_gives_an_index_or_an_error(text in any::<String>(), shard in any::<String>()) {
            let _ = parse(&text, "i");
            let json = serde_json::json!({"weight_map": {"w": shard}}).to_string();
            if let Ok(map) = parse(&json, "i") {
                prop_assert_eq!(std::path::Path::new(&map["w"]).components().count(), 1);
            }
        }
    }
}
