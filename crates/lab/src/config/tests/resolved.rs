use proptest::prelude::*;

use super::*;

/// A key with a few values that it takes.
fn any_key() -> impl Strategy<Value = (String, String)> {
    let key = |name: &'static str, values: &'static [&'static str]| {
        prop::sample::select(values).prop_map(move |value| (name.to_owned(), value.to_owned()))
    };
    prop_oneof![
        key(
            "model.family",
            &["custom", "gpt2", "llama", "esm2", "codonfm"]
        ),
        key("model.position_embedding_type", &["rotary", "absolute"]),
        key("model.inner_norms", &["true", "false"]),
        key("model.n_heads", &["1", "2", "8"]),
        key("model.n_kv_heads", &["1", "2"]),
        key("model.d_model", &["64", "128", "96"]),
        key("model.activation", &["gelu", "relu", "silu"]),
        key("model.tie_embeddings", &["true", "false"]),
        key("model.from", &["org/name", "runs/a b/model"]),
        key("model.dtype", &["f64"]),
        key("model.head", &["sequence", "token"]),
        key(
            "model.problem_type",
            &["regression", "multi_label_classification"]
        ),
        key("model.labels", &["[a, \"1\", \"x: y\"]"]),
        key("data.dataset", &["null", "tinystories", "org/name"]),
        key("data.path", &["a b.txt", "./#x"]),
        key("data.documents", &["lines", "paragraphs"]),
        key("data.layout", &["packed"]),
        key("data.tokenizer", &["byte", "char", "a: b/#x", "./1"]),
        key("data.text_column", &["null", "true", "1", "a\"b"]),
        key("data.max_length", &["2", "64"]),
        key("data.subset_size", &["7"]),
        key("data.corpus.seed", &["0", "9223372036854775807"]),
        key("training.num_epochs", &["1", "3"]),
        key("training.optimizer", &["adamw", "sgd"]),
        key("training.lr_schedule", &["none", "linear", "cosine", "wsd"]),
        key("training.learning_rate", &["3e-4", "0.1", "1e-300"]),
        key("training.warmup_ratio", &["0.1", "0"]),
        key("training.max_grad_norm", &["null", "0.5"]),
        key("training.eval_every", &["5"]),
        key("training.early_stopping.patience", &["2"]),
        key("training.keep_checkpoints", &["null", "1"]),
        key(
            "evaluation.generation_prompts",
            &["[]", "[\"a\\n\", \"- b\", \"\"]"]
        ),
        key("evaluation.top_k", &["0", "3", "null"]),
        key("evaluation.top_p", &["0.9"]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_resolved_text_is_the_configuration(sets in prop::collection::vec(any_key(), 0..10)) {
        // Keys that contradict each other are refused; whatever is accepted reads back.
        if let Ok(reading) = read(&Source::new("run.yaml", LEAST), &sets) {
            let text = reading.config.to_yaml();
            let again = read(&Source::new("other.yaml", text.as_str()), &[]);
            let again = match again {
                Ok(again) => again,
                Err(error) => panic!("{error}\n{text}"),
            };
            prop_assert_eq!(&again.config, &reading.config, "{}", text);
            prop_assert_eq!(again.config.to_yaml(), text);
            let json = reading.config.to_json().to_string();
            prop_assert_eq!(&config(&json), &reading.config, "{}", json);
            let both_ends = matches!(reading.config.training.end, End::Earlier { .. });
            prop_assert_eq!(again.notes.len(), usize::from(both_ends), "{:?}", again.notes);
        }
    }

    #[test]
    fn no_text_panics(text in "(?s).{0,200}", key in "[a-z_.]{0,30}", value in ".{0,20}") {
        let _ = read(&Source::new("run.yaml", text.as_str()), &[]);
        let _ = set(&[(&key, &value)]);
        let _ = parse_set(&text);
    }
}
