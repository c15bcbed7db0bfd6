//! Tokenizers: ids that other tools record, round trips, streaming, files that lie.

use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tenon_base::Kind;
use tenon_base::files::RealDisk;
use tenon_data::vocab::{
    self, ByteTokenizer, CharTokenizer, Eos, HubTokenizer, Spec, StreamDecoder, Tokenizer,
};

static GPT2: LazyLock<HubTokenizer> = LazyLock::new(vocab::gpt2);

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/tokenizers.json")).unwrap()
}

fn build(name: &str, char_text: &str) -> Box<dyn Tokenizer> {
    let spec = match name {
        "byte" => Spec::Byte,
        "char" => Spec::Char(Eos::Added),
        "char_without_eos" => Spec::Char(Eos::Absent),
        "gpt2" => Spec::Gpt2,
        other => panic!("no tokenizer {other}"),
    };
    spec.build([char_text]).unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// `scripts/tokenizer_reference.py` loaded these files with `transformers` and recorded its ids;
/// for GPT-2 it also compared them with tiktoken's.
#[test]
fn python_reads_the_same_ids_from_our_files() {
    let golden = golden();
    for (name, recorded) in golden["tokenizers"].as_object().unwrap() {
        let tokenizer = build(name, golden["char_text"].as_str().unwrap());
        for (file, content) in tokenizer.files() {
            assert_eq!(
                recorded["files"][file],
                json!(sha256(&content)),
                "{name}/{file} changed: run scripts/tokenizer_reference.py again"
            );
        }
        assert_eq!(
            recorded["vocab_size"],
            json!(tokenizer.vocab_size()),
            "{name}"
        );
        assert_eq!(recorded["eos_id"], json!(tokenizer.eos_id()), "{name}");
        assert_eq!(
            recorded["pad_id"],
            json!(tokenizer.specials().pad),
            "{name}"
        );
        let cases = recorded["cases"].as_array().unwrap();
        assert!(cases.len() > 10);
        for case in cases {
            let text = case["text"].as_str().unwrap();
            let ids = tokenizer.encode(text).unwrap();
            assert_eq!(case["ids"], json!(ids), "{name}: {text:?}");
            let bytes: usize = ids.iter().map(|&id| tokenizer.token_len_bytes(id)).sum();
            let text_only = if name == "gpt2" {
                text.replace("<|endoftext|>", "")
            } else {
                text.into()
            };
            assert_eq!(bytes, text_only.len(), "{name}: {text:?}");
            assert_eq!(tokenizer.decode(&ids), text_only, "{name}");
        }
    }
}

#[test]
fn a_saved_tokenizer_loads_as_the_same() {
    let golden = golden();
    for name in ["byte", "char", "char_without_eos", "gpt2"] {
        let saved = build(name, golden["char_text"].as_str().unwrap());
        let folder = tempfile::tempdir().unwrap();
        saved.save(&RealDisk, folder.path()).unwrap();
        let loaded = vocab::load(folder.path()).unwrap();
        assert_eq!(loaded.spec_name(), saved.spec_name());
        assert_eq!(loaded.specials(), saved.specials());
        assert_eq!(loaded.vocab_size(), saved.vocab_size());
        assert_eq!(loaded.files(), saved.files());
        for case in golden["tokenizers"][name]["cases"].as_array().unwrap() {
            let text = case["text"].as_str().unwrap();
            assert_eq!(loaded.encode(text).unwrap(), saved.encode(text).unwrap());
        }
        let by_file = vocab::load(&folder.path().join("tokenizer.json")).unwrap();
        assert_eq!(by_file.files(), saved.files());
    }
}

#[test]
fn gpt2_ids_are_the_well_known_ones() {
    assert_eq!(GPT2.encode("Hello, world!").unwrap(), [15496, 11, 995, 0]);
    assert_eq!(GPT2.encode("<|endoftext|>").unwrap(), [50256]);
    assert_eq!((GPT2.vocab_size(), GPT2.eos_id()), (50257, Some(50256)));
    assert_eq!(GPT2.token_len_bytes(50256), 0);
    assert_eq!(GPT2.token_len_bytes(50257), 0);
}

/// 301,966 + 36,059 tokens are what nanoGPT reports for its two parts of this text.
#[test]
fn gpt2_counts_real_text_as_others_do() {
    let Some(path) = tenon_testkit::shared_data("tinyshakespeare.txt") else {
        return;
    };
    let text = std::fs::read_to_string(path).unwrap();
    let ids = GPT2.encode(&text).unwrap();
    assert_eq!(ids.len(), 301_966 + 36_059);
    assert_eq!(GPT2.decode(&ids), text);
}

#[test]
fn a_document_ends_with_one_eos() {
    assert_eq!(ByteTokenizer.encode_document("a").unwrap(), [97, 256]);
    assert_eq!(GPT2.encode_document("a<|endoftext|>").unwrap(), [64, 50256]);
    let no_eos = CharTokenizer::fit(["ab"], Eos::Absent).unwrap();
    assert_eq!(no_eos.encode_document("ba").unwrap(), [1, 0]);
}

#[test]
fn char_ids_follow_code_points_and_eos_comes_last() {
    let tokenizer = CharTokenizer::fit(["zé", "a\nz"], Eos::Added).unwrap();
    assert_eq!(tokenizer.chars(), ['\n', 'a', 'z', 'é']);
    assert_eq!(tokenizer.encode("éa").unwrap(), [3, 1]);
    assert_eq!(tokenizer.eos_id(), Some(4));
    assert_eq!(tokenizer.decode(&[3, 4, 1, 99]), "éa");
    assert_eq!(tokenizer.token_len_bytes(3), 2);
}

#[test]
fn an_unknown_character_is_named_with_its_position() {
    let tokenizer = CharTokenizer::fit(["ab\né"], Eos::Added).unwrap();
    let error = tokenizer.encode("aé\nb?a").unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert!(
        error
            .message()
            .contains("'?' (U+003F) at byte 5, line 2, column 2"),
        "{error}"
    );
    let known = tokenizer.encode_known("aé\nb?a!").unwrap();
    assert_eq!(
        (known.n_unknown, tokenizer.decode(&known.ids).as_str()),
        (2, "aé\nba")
    );
}

#[test]
fn an_empty_text_has_no_character_vocabulary() {
    assert_eq!(
        CharTokenizer::fit([""], Eos::Added).unwrap_err().kind(),
        Kind::Data
    );
}

#[test]
fn an_unknown_name_says_what_is_possible() {
    let error = Spec::parse("gpt-5").unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(error.hint_text().unwrap().contains("`gpt2`"));
}

fn write(folder: &Path, name: &str, json: &Value) {
    std::fs::write(folder.join(name), json.to_string()).unwrap();
}

/// A tokenizer of another tool: words, its own padding and truncation, pad named as eos.
fn word_level() -> Value {
    json!({
        "version": "1.0",
        "truncation": {
            "direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0
        },
        "padding": {
            "strategy": {"Fixed": 8}, "direction": "Right", "pad_to_multiple_of": null,
            "pad_id": 0, "pad_type_id": 0, "pad_token": "<end>"
        },
        "added_tokens": [{
            "id": 0, "content": "<end>", "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": true
        }],
        "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null,
        "decoder": null,
        "model": {
            "type": "WordLevel", "unk_token": "<unk>",
            "vocab": {"<end>": 0, "a": 1, "b": 2, "<unk>": 3}
        }
    })
}

/// D18: a tokenizer that names eos as pad made evaluation and training mask eos.
#[test]
fn d18_eos_stays_eos_when_it_is_also_pad() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "tokenizer.json", &word_level());
    let config =
        json!({"eos_token": {"content": "<end>"}, "pad_token": "<end>", "unk_token": "<unk>"});
    write(folder.path(), "tokenizer_config.json", &config);
    let tokenizer = vocab::load(folder.path()).unwrap();
    assert_eq!(
        (tokenizer.eos_id(), tokenizer.specials().pad),
        (Some(0), Some(0))
    );
    assert_eq!(tokenizer.encode_document("a b a").unwrap(), [1, 2, 1, 0]);
    assert_eq!(tokenizer.encode_known("a what").unwrap().n_unknown, 1);
}

#[test]
fn padding_and_truncation_of_the_file_are_off() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "tokenizer.json", &word_level());
    let tokenizer = vocab::load(folder.path()).unwrap();
    assert_eq!(tokenizer.encode("a b a b").unwrap(), [1, 2, 1, 2]);
    assert_eq!(tokenizer.encode("").unwrap(), [0u32; 0]);
}

#[test]
fn the_models_config_names_eos_where_the_tokenizer_does_not() {
    let folder = tempfile::tempdir().unwrap();
    write(folder.path(), "tokenizer.json", &word_level());
    assert_eq!(vocab::load(folder.path()).unwrap().eos_id(), None);
    write(
        folder.path(),
        "config.json",
        &json!({"eos_token_id": [2, 0], "pad_token_id": 99}),
    );
    let tokenizer = vocab::load(folder.path()).unwrap();
    assert_eq!(
        (tokenizer.eos_id(), tokenizer.specials().pad),
        (Some(2), None)
    );
    let again = tempfile::tempdir().unwrap();
    tokenizer.save(&RealDisk, again.path()).unwrap();
    assert_eq!(vocab::load(again.path()).unwrap().eos_id(), Some(2));
}

#[track_caller]
fn rejects(tokenizer_json: &str, config: &str, message: &str) {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tokenizer.json"), tokenizer_json).unwrap();
    std::fs::write(folder.path().join("tokenizer_config.json"), config).unwrap();
    let error = vocab::load(folder.path()).err().expect("an error");
    assert_eq!(error.kind(), Kind::Data, "{error}");
    assert!(error.to_string().contains(message), "{error}");
}

#[test]
fn a_tokenizer_file_that_is_not_json() {
    rejects("{\"version\": }", "{}", "tokenizer.json:1:13");
    rejects("", "{}", "bad JSON");
    rejects(&word_level().to_string(), "{", "tokenizer_config.json:1:1");
}

#[test]
fn a_tokenizer_file_of_another_schema() {
    rejects("{}", "{}", "cannot use the tokenizer");
    rejects("[]", "{}", "cannot use the tokenizer");
    rejects(
        "{\"model\": {\"type\": \"Magic\"}}",
        "{}",
        "cannot use the tokenizer",
    );
}

#[test]
fn an_id_beyond_the_limit() {
    let mut json = word_level();
    json["model"]["vocab"]["b"] = json!(4_000_000_000_u32);
    rejects(&json.to_string(), "{}", "id 4000000000 is above the limit");
}

#[test]
fn an_eos_token_that_the_vocabulary_lacks() {
    rejects(
        &word_level().to_string(),
        "{\"eos_token\": \"<no>\"}",
        "`<no>` is not in the vocabulary",
    );
}

#[test]
fn a_tokenizer_that_calls_itself_byte_or_char_and_is_not() {
    let config = |name: &str| json!({"tenon_tokenizer": name}).to_string();
    rejects(
        &word_level().to_string(),
        &config("byte"),
        "its vocabulary differs",
    );
    rejects(
        &word_level().to_string(),
        &config("char"),
        "is not one character",
    );
    let swapped = json!({"model": {"vocab": {"b": 0, "a": 1}}});
    rejects(
        &swapped.to_string(),
        &config("char"),
        "not its sorted place",
    );
    rejects("{\"model\": {\"vocab\": {}}}", &config("char"), "empty");
    rejects("{}", &config("char"), "no `model.vocab`");
}

#[test]
fn a_folder_without_tokenizer_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let error = vocab::load(folder.path()).err().unwrap();
    assert!(error.message().contains("no `tokenizer.json`"));
    assert!(error.hint_text().is_some());
}

fn streamed(tokenizer: &dyn Tokenizer, ids: &[u32]) -> String {
    let mut decoder = StreamDecoder::new(tokenizer);
    let mut text = String::new();
    for &id in ids {
        text += &decoder.push(id);
    }
    text + &decoder.finish()
}

#[test]
fn streaming_holds_an_incomplete_character_back() {
    let mut decoder = StreamDecoder::new(&ByteTokenizer);
    let pieces: Vec<String> = "a€b"
        .bytes()
        .map(|byte| decoder.push(byte.into()))
        .collect();
    assert_eq!(pieces, ["a", "", "", "€", "b"]);
    assert_eq!(decoder.push(0xE2), "");
    assert_eq!(decoder.finish(), "\u{FFFD}");
}

#[test]
fn streaming_bytes_that_never_become_characters_still_shows_them() {
    let mut decoder = StreamDecoder::new(&ByteTokenizer);
    let shown: String = (0..100).map(|_| decoder.push(0xFF)).collect();
    assert_eq!(shown.chars().count(), 97);
    assert_eq!(decoder.finish().chars().count(), 3);
}

/// A valid `tokenizer.json` with one value replaced, so that hostile files get past the JSON
/// parser.
fn mutated(path: &[usize], with: Value) -> String {
    let mut json = word_level();
    let mut node = &mut json;
    for &step in path {
        let n = match &*node {
            Value::Object(map) => map.len(),
            Value::Array(list) => list.len(),
            _ => 0,
        };
        if n == 0 {
            break;
        }
        node = match node {
            Value::Object(map) => map.values_mut().nth(step % n).unwrap(),
            Value::Array(list) => &mut list[step % n],
            _ => unreachable!("a leaf has no children"),
        };
    }
    *node = with;
    json.to_string()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn byte_round_trips(text in any::<String>()) {
        let ids = ByteTokenizer.encode(&text).unwrap();
        prop_assert_eq!(ByteTokenizer.decode(&ids), text.as_str());
        prop_assert_eq!(streamed(&ByteTokenizer, &ids), text);
    }

    #[test]
    fn gpt2_round_trips(text in "(?s)[ -~\\n\\t]{0,40}|.{0,200}") {
        prop_assume!(!text.contains("<|endoftext|>"));
        let ids = GPT2.encode(&text).unwrap();
        prop_assert_eq!(GPT2.decode(&ids), text.as_str());
        prop_assert_eq!(streamed(&*GPT2, &ids), text.as_str());
        let bytes: usize = ids.iter().map(|&id| GPT2.token_len_bytes(id)).sum();
        prop_assert_eq!(bytes, text.len());
    }

    #[test]
    fn char_round_trips_its_own_text(text in ".{1,100}") {
        let tokenizer = CharTokenizer::fit([text.as_str()], Eos::Added).unwrap();
        let ids = tokenizer.encode(&text).unwrap();
        prop_assert!(ids.iter().all(|&id| (id as usize) < tokenizer.vocab_size() - 1));
        prop_assert_eq!(tokenizer.decode(&ids), text);
    }

    #[test]
    fn streaming_any_ids_equals_decoding_them(
        ids in prop::collection::vec(0u32..50_300, 0..200),
        bytes in prop::collection::vec(0u32..260, 0..300),
    ) {
        prop_assert_eq!(streamed(&*GPT2, &ids), GPT2.decode(&ids));
        prop_assert_eq!(streamed(&ByteTokenizer, &bytes), ByteTokenizer.decode(&bytes));
    }

    #[test]
    fn a_mutated_tokenizer_file_never_panics(
        path in prop::collection::vec(0usize..8, 0..5),
        with in prop_oneof![
            Just(Value::Null), Just(json!(-1)), Just(json!(1_000_000)), Just(json!("")),
            Just(json!([])), Just(json!({})), Just(json!({"<end>": 7})), Just(json!(true)),
        ],
    ) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tokenizer.json"), mutated(&path, with)).unwrap();
        if let Ok(tokenizer) = vocab::load(folder.path()) {
            let ids = tokenizer.encode("a <end> b c").unwrap_or_default();
            prop_assert!(ids.iter().all(|&id| (id as usize) < tokenizer.vocab_size()));
            tokenizer.decode(&[0, 1, 2, 3, 4, u32::MAX]);
        }
    }

    #[test]
    fn any_bytes_as_a_tokenizer_file_never_panic(
        content in prop::collection::vec(any::<u8>(), 0..64),
    ) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("tokenizer.json"), content).unwrap();
        prop_assert!(vocab::load(folder.path()).is_err());
    }
}
