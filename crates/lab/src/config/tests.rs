use proptest::prelude::*;
use tenon_base::Kind;
use tenon_base::knobs::Environment;
use tenon_data::source::Documents;
use tenon_data::vocab::Spec as VocabSpec;
use tenon_models::spec::Activation;

use super::*;

const CUSTOM: &str = include_str!("../../../../configs/custom_transformer.yaml");
const QUICKSTART: &str = include_str!("../../../../configs/quickstart.yaml");
const SHAKESPEARE: &str = include_str!("../../../../configs/shakespeare_char.yaml");

/// The least that a configuration has to say.
const LEAST: &str = "data: {dataset: corpus}\ntraining: {max_steps: 10}\n";

#[track_caller]
fn reading(text: &str) -> Reading {
    match read(&Source::new("run.yaml", text), &[]) {
        Ok(reading) => reading,
        Err(error) => panic!("error: {error}"),
    }
}

#[track_caller]
fn config(text: &str) -> Config {
    reading(text).config
}

/// [`LEAST`] with keys set on the command line.
fn set(pairs: &[(&str, &str)]) -> Result<Reading> {
    let sets: Vec<(String, String)> = pairs
        .iter()
        .map(|&(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    read(&Source::new("run.yaml", LEAST), &sets)
}

#[track_caller]
fn errors(text: &str) -> String {
    let error = read(&Source::new("run.yaml", text), &[]).expect_err("accepted");
    assert_eq!(error.kind(), Kind::Usage);
    format!("error: {error}\n")
}

#[test]
fn the_tables_have_no_faults() {
    assert_eq!(SCHEMA.faults(), Vec::<String>::new());
}

#[test]
fn the_source_configuration_is_read_as_its_plan_means_it() {
    let reading = reading(CUSTOM);
    assert_eq!(reading.notes, Vec::<String>::new());
    let config = reading.config;
    let sizes = config.model.architecture().expect("a fresh model");
    assert_eq!(sizes.family, Family::Custom);
    assert_eq!(
        (sizes.d_model, sizes.n_blocks, sizes.n_heads, sizes.d_ffn),
        (256, 4, 4, 512)
    );
    assert_eq!((sizes.max_seq_len, sizes.vocab_size), (256, None));
    let data = &config.data;
    assert_eq!(
        data.source,
        DataSource::Named("nampdn-ai/tiny-textbooks".to_owned())
    );
    assert_eq!(data.text_column.as_deref(), Some("textbook"));
    assert_eq!(data.tokenizer, TokenizerChoice::Gpt2);
    assert_eq!(data.layout, TextLayout::OnePerRow);
    assert_eq!((data.max_length, data.subset_size), (Some(256), Some(5000)));
    assert!(data.append_eos && data.shuffle);
    let training = &config.training;
    assert_eq!(training.end, End::Epochs(5));
    assert_eq!(training.optimizer, Optimizer::Sgd { momentum: 0.0 });
    assert_eq!(training.schedule.shape, ScheduleShape::Constant);
    assert_eq!(training.schedule.learning_rate, 1e-3);
    assert_eq!(training.max_grad_norm, Some(1.0));
    assert_eq!(
        (training.eval_every, training.save_every),
        (Some(500), Some(1))
    );
    assert_eq!((training.batch_size, training.log_every), (8, 100));
    assert_eq!(config.model.dtype, Dtype::F32);
}

#[test]
fn the_shipped_configurations_are_read_without_notes() {
    for (name, text) in [
        ("quickstart", QUICKSTART),
        ("shakespeare_char", SHAKESPEARE),
    ] {
        let reading = reading(text);
        assert_eq!(reading.notes, Vec::<String>::new(), "{name}");
        assert_eq!(reading.config.experiment_name, name);
        assert_eq!(config(&reading.config.to_yaml()), reading.config, "{name}");
    }
    let shakespeare = config(SHAKESPEARE);
    assert_eq!(
        shakespeare.data.tokenizer_spec().unwrap(),
        Some(VocabSpec::Char(tenon_data::vocab::Eos::Absent))
    );
    let sizes = shakespeare.model.architecture().unwrap();
    assert_eq!((sizes.n_blocks, sizes.d_ffn), (4, 512));
    assert_eq!(
        shakespeare.training.schedule.shape,
        ScheduleShape::Cosine {
            min_learning_rate: 1e-4
        }
    );
}

#[test]
fn json_is_read_like_yaml() {
    let text = r#"{"data": {"dataset": "corpus"}, "training": {"max_steps": 10}}"#;
    assert_eq!(config(text), config(LEAST));
}

#[test]
fn the_name_is_the_files_unless_given() {
    let named = |name: &str| {
        let reading = read(&Source::new(name, LEAST), &[]).unwrap();
        reading.config.experiment_name
    };
    assert_eq!(named("configs/tiny.yaml"), "tiny");
    assert_eq!(named("runs/a/config.resolved.yaml"), "config");
    for bad in ["a/b", "..", ".hidden", "", "a\\b", " a", "c:d"] {
        let error = set(&[(
            "experiment_name",
            &format!("\"{}\"", bad.replace('\\', "\\\\")),
        )]);
        let message = error.expect_err(bad).to_string();
        assert!(message.contains("`experiment_name`"), "{bad}: {message}");
    }
    let long = "a".repeat(129);
    assert!(set(&[("experiment_name", &long)]).is_err());
    assert!(set(&[("experiment_name", &long[1..])]).is_ok());
}

#[test]
fn sizes_follow_the_family() {
    let sizes = |family: &str| {
        let config = set(&[("model.family", family)]).unwrap().config;
        config.model.architecture().unwrap().clone()
    };
    let (custom, gpt2, llama) = (sizes("custom"), sizes("gpt2"), sizes("llama"));
    assert_eq!(
        (custom.d_model, custom.d_ffn, custom.max_seq_len),
        (128, 128, 128)
    );
    assert_eq!(
        (gpt2.d_model, gpt2.d_ffn, gpt2.max_seq_len),
        (768, 3072, 1024)
    );
    assert_eq!(
        (llama.d_model, llama.d_ffn, llama.max_seq_len),
        (768, 2048, 1024)
    );
    let Family::Gpt2(shape) = gpt2.family else {
        panic!("{gpt2:?}")
    };
    assert!(shape.tie_embeddings && shape.activation == Activation::GeluNew);
    let Family::Llama(shape) = llama.family else {
        panic!("{llama:?}")
    };
    assert_eq!((shape.n_kv_heads, shape.head_dim), (12, 64));
    let pairs = [
        ("model.family", "gpt2"),
        ("model.d_model", "96"),
        ("model.n_layers", "3"),
    ];
    let small = set(&pairs).unwrap().config;
    let small = small.model.architecture().unwrap();
    assert_eq!((small.d_ffn, small.n_blocks), (384, 3));
}

#[test]
fn a_family_may_be_told_what_it_decides_itself() {
    let agree = [
        ("model.dropout", "0"),
        ("model.activation", "gelu"),
        ("model.tie_embeddings", "false"),
        ("model.norm_eps", "1e-5"),
    ];
    set(&agree).unwrap();
    let contradict = [
        ("model.dropout", "0.1", "`model.dropout` is 0 in"),
        (
            "model.activation",
            "relu",
            "`model.activation` is `gelu` in",
        ),
        (
            "model.tie_embeddings",
            "true",
            "`model.tie_embeddings` is false in",
        ),
        (
            "model.rope_theta",
            "1e4",
            "`model.rope_theta` does not exist in",
        ),
    ];
    for (key, value, message) in contradict {
        let error = set(&[(key, value)]).expect_err(key);
        assert!(error.message().contains(message), "{error}");
    }
}

#[test]
fn formats_of_numbers_are_f32_and_f64() {
    let dtype = |name: &str| set(&[("model.dtype", name)]).map(|r| r.config.model.dtype);
    for name in ["f32", "float32", "torch.float32"] {
        assert_eq!(dtype(name).unwrap(), Dtype::F32);
    }
    assert_eq!(dtype("float64").unwrap(), Dtype::F64);
    for name in ["bf16", "bfloat16", "torch.bfloat16", "float16"] {
        let error = dtype(name).unwrap_err();
        assert!(
            error.message().contains("cannot be computed with yet"),
            "{error}"
        );
    }
    assert!(
        dtype("f23")
            .unwrap_err()
            .to_string()
            .contains("did you mean `f32`?")
    );
    assert!(set(&[("model.device", "cuda")]).is_err());
}

#[test]
fn a_model_to_start_from_says_its_own_sizes() {
    let config = set(&[("model.from", "runs/a/model")]).unwrap().config;
    assert_eq!(
        config.model.origin,
        ModelOrigin::From("runs/a/model".to_owned())
    );
    assert_eq!(config.data.tokenizer, TokenizerChoice::OfModel);
    assert_eq!(config.data.tokenizer_spec().unwrap(), None);
    assert_eq!(config.data.max_length, None);
    let pairs = [
        ("model.from", "runs/a/model"),
        ("model.d_model", "64"),
        ("model.family", "gpt2"),
    ];
    let error = set(&pairs).unwrap_err();
    let messages: Vec<&str> = error.all().map(Error::message).collect();
    assert_eq!(messages.len(), 2, "{error}");
    assert!(
        messages
            .iter()
            .all(|m| m.contains("is given beside `model.from`"))
    );
}

#[test]
fn what_the_model_decides_is_settled_once() {
    let spec = |vocab_size, max_seq_len| {
        Spec::Custom(tenon_models::spec::CustomSpec {
            vocab_size,
            max_seq_len,
            n_blocks: 1,
            n_heads: 1,
            d_model: 8,
            d_ffn: 8,
        })
    };
    let mut fresh = config(LEAST);
    fresh.settle(&spec(97, 128)).unwrap();
    assert_eq!(fresh.model.architecture().unwrap().vocab_size, Some(97));
    assert_eq!(config(&fresh.to_yaml()).model, fresh.model);
    let from = [("model.from", "m")];
    let mut from = set(&from).unwrap().config;
    from.settle(&spec(97, 64)).unwrap();
    assert_eq!(from.data.max_length, Some(64));
    from.data.max_length = Some(65);
    assert_eq!(from.settle(&spec(97, 64)).unwrap_err().kind(), Kind::Usage);
}

#[test]
fn a_vocabulary_holds_at_least_the_tokenizers_ids() {
    let sizes = |vocab_size: &str| {
        let pairs = [("model.family", "llama"), ("model.vocab_size", vocab_size)];
        let config = set(&pairs).unwrap().config;
        config.model.architecture().unwrap().clone()
    };
    let bytes = VocabSpec::Byte.build([]).unwrap();
    let n_ids = bytes.vocab_size();
    let spec = sizes(&n_ids.to_string()).spec(&*bytes).unwrap();
    assert_eq!(spec.vocab_size(), n_ids);
    let Spec::Llama(llama) = &spec else {
        panic!("{spec:?}")
    };
    assert_eq!(llama.eos_ids, Vec::from_iter(bytes.eos_id()));
    assert_eq!(sizes("512").spec(&*bytes).unwrap().vocab_size(), 512);
    let error = sizes("256").spec(&*bytes).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
}

#[test]
fn data_comes_from_one_place() {
    let source = |text: &str| config(text).data.source;
    let rest = "\ntraining: {num_epochs: 1}";
    for name in ["corpus", "built-in"] {
        let text = format!("data: {{dataset: {name}, corpus: {{persons: 7}}}}{rest}");
        let DataSource::Corpus(spec) = source(&text) else {
            panic!("{text}")
        };
        assert_eq!((spec.n_persons, spec.n_bytes), (7, 1_500_000));
    }
    let path = source(&format!("data: {{path: a/b.txt}}{rest}"));
    assert_eq!(path, DataSource::Path("a/b.txt".into()));
    let known = config(&format!("data: {{dataset: tiny-textbooks}}{rest}"));
    assert_eq!(known.data.text_column.as_deref(), Some("textbook"));
    let both = errors(&format!("data: {{path: a, dataset: b}}{rest}"));
    assert!(both.contains("`data.path` and `data.dataset` are both given"));
    let none = errors("training: {num_epochs: 1}");
    assert!(none.contains("neither `data.dataset` nor `data.path`"));
    for bad in ["/a/b", "./a", "a/b/c", "copus"] {
        let text = errors(&format!("data: {{dataset: {bad}}}{rest}"));
        assert!(text.contains(bad), "{text}");
    }
}

#[test]
fn named_data_is_looked_for_where_the_environment_says() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("tinyshakespeare.txt"), "To be").unwrap();
    let environment = |data: Option<&Path>| {
        Environment::read(&|name| {
            let data = data.filter(|_| name == "TENON_DATA");
            data.map(|data| data.as_os_str().to_owned())
        })
        .unwrap()
    };
    let source = config(SHAKESPEARE).data.source;
    let found = source.find(&environment(Some(folder.path()))).unwrap();
    assert_eq!(found, Some(folder.path().join("tinyshakespeare.txt")));
    let error = source.find(&environment(None)).unwrap_err();
    assert!(error.message().contains("assets/datasets"), "{error}");
    let corpus = config(LEAST).data.source;
    assert_eq!(corpus.find(&environment(None)).unwrap(), None);
}

#[test]
fn layouts_move_their_borders_only_in_a_shuffled_order() {
    use tenon_data::batch::{Borders, Layout, Sight};
    let layouts = |pairs: &[(&str, &str)]| {
        let data = set(pairs).unwrap().config.data;
        (data.training_layout(), data.validation_layout())
    };
    assert_eq!(layouts(&[]), (Layout::OnePerRow, Layout::OnePerRow));
    let packed = |sight, borders| Layout::Packed { sight, borders };
    assert_eq!(
        layouts(&[("data.layout", "packed")]),
        (
            packed(Sight::Document, Borders::MovedEachEpoch),
            packed(Sight::Document, Borders::Fixed)
        )
    );
    let pairs = [
        ("data.layout", "packed"),
        ("data.shuffle", "false"),
        ("data.document_boundaries", "false"),
    ];
    assert_eq!(layouts(&pairs).0, packed(Sight::Block, Borders::Fixed));
}

#[test]
fn a_subset_needs_its_size_and_can_be_switched_off() {
    let subset = |pairs: &[(&str, &str)]| set(pairs).map(|r| r.config.data.subset_size);
    assert_eq!(subset(&[("data.subset_size", "5")]).unwrap(), Some(5));
    let off = [("data.subset_size", "5"), ("data.use_subset", "false")];
    assert_eq!(subset(&off).unwrap(), None);
    assert!(subset(&[("data.use_subset", "true")]).is_err());
}

#[test]
fn training_ends_after_epochs_or_steps() {
    assert_eq!(config(LEAST).training.end, End::Steps(10));
    let both = set(&[("training.num_epochs", "3")]).unwrap();
    let end = both.config.training.end;
    assert_eq!(
        end,
        End::Earlier {
            epochs: 3,
            steps: 10
        }
    );
    assert_eq!((end.steps(2), end.steps(7)), (6, 10));
    assert!(
        both.notes[0].contains("whichever comes first"),
        "{:?}",
        both.notes
    );
    assert_eq!(End::Epochs(u64::MAX).steps(2), u64::MAX);
    let neither = errors("data: {dataset: corpus}");
    assert!(neither.contains("neither `training.max_steps` nor `training.num_epochs`"));
}

#[test]
fn warm_up_and_decay_fit_into_the_steps() {
    let warmup = |pairs: &[(&str, &str)]| set(pairs).map(|r| r.config.training.schedule);
    let steps = warmup(&[("training.warmup_steps", "10")]).unwrap();
    assert_eq!(steps.warmup.steps(1000), 10);
    let ratio = warmup(&[("training.warmup_ratio", "0.25")]).unwrap();
    assert_eq!(ratio.warmup.steps(1000), 250);
    assert!(warmup(&[("training.warmup_steps", "11")]).is_err());
    let both = [
        ("training.warmup_steps", "1"),
        ("training.warmup_ratio", "0.1"),
    ];
    assert!(warmup(&both).is_err());
    let wsd = |warmup_steps| {
        warmup(&[
            ("training.lr_schedule", "wsd"),
            ("training.decay_fraction", "0.5"),
            ("training.warmup_steps", warmup_steps),
        ])
    };
    assert!(wsd("5").is_ok());
    assert!(wsd("6").is_err());
}

#[test]
fn a_learning_rate_does_not_go_up_at_the_end() {
    let schedule = |pairs: &[(&str, &str)]| set(pairs).map(|r| r.config.training.schedule);
    let cosine = ("training.lr_decay", "cosine");
    let default = schedule(&[cosine, ("training.learning_rate", "0.5")]).unwrap();
    assert_eq!(
        default.shape,
        ScheduleShape::Cosine {
            min_learning_rate: 0.05
        }
    );
    assert!(schedule(&[cosine, ("training.min_learning_rate", "0.1")]).is_err());
    assert!(schedule(&[cosine, ("training.min_learning_rate", "0")]).is_ok());
}

#[test]
fn keys_without_effect_are_said() {
    let pairs = [
        ("training.beta1", "0.8"),
        ("training.min_learning_rate", "0.1"),
        ("data.document_boundaries", "false"),
        ("data.documents", "lines"),
    ];
    let notes = set(&pairs).unwrap().notes;
    assert_eq!(notes.len(), 4, "{notes:?}");
    for (key, _) in pairs {
        let said = notes
            .iter()
            .any(|note| note.contains(&format!("`{key}` has no effect")));
        assert!(said, "{key}: {notes:?}");
    }
    let file = "data: {path: a.txt, documents: lines}\ntraining: {max_steps: 1}";
    assert_eq!(config(file).data.documents, Documents::Lines);
}

#[test]
fn switching_off_is_null() {
    let pairs = [
        ("training.max_grad_norm", "null"),
        ("training.save_every", "null"),
        ("training.keep_checkpoints", "null"),
        ("training.eval_batches", "null"),
        ("evaluation.top_k", "null"),
    ];
    let config = set(&pairs).unwrap().config;
    let training = &config.training;
    assert_eq!(training.max_grad_norm, None);
    assert_eq!(
        (training.save_every, training.keep_checkpoints),
        (None, None)
    );
    assert_eq!(config.evaluation.top_k, None);
    assert_eq!(
        super::read(&Source::new("r", config.to_yaml()), &[])
            .unwrap()
            .config,
        config
    );
}

#[test]
fn early_stopping_needs_validations() {
    let patience = ("training.early_stopping.patience", "3");
    let error = set(&[patience]).unwrap_err();
    assert!(error.message().contains("counts validations"), "{error}");
    let config = set(&[patience, ("training.eval_every", "5")])
        .unwrap()
        .config;
    let stopping = config.training.early_stopping.unwrap();
    assert_eq!((stopping.patience, stopping.min_delta), (3, 0.0));
}

#[test]
fn a_refused_value_is_one_problem() {
    // Each of these keys takes part in checks with others.
    for key in [
        "model.d_model",
        "model.n_heads",
        "data.max_length",
        "model.max_seq_len",
    ] {
        for bad in ["abc", "-1", "1.5"] {
            let error = set(&[("model.n_heads", "4"), (key, bad)]).expect_err(key);
            assert_eq!(error.all().count(), 1, "{key}={bad}: {error}");
        }
    }
    for key in [
        "max_steps",
        "warmup_steps",
        "learning_rate",
        "min_learning_rate",
    ] {
        let key = format!("training.{key}");
        let schedule = ("training.lr_schedule", "wsd");
        let error = set(&[schedule, (&key, "abc")]).expect_err(&key);
        assert_eq!(error.all().count(), 1, "{key}: {error}");
    }
}

#[test]
fn pairs_of_the_command_line_are_split_at_the_first_sign() {
    let pair = parse_set("a.b=c=d").unwrap();
    assert_eq!(pair, ("a.b".to_owned(), "c=d".to_owned()));
    assert_eq!(parse_set("a=").unwrap().1, "");
    for bad in ["", "a", "=a", " =a"] {
        assert_eq!(parse_set(bad).unwrap_err().kind(), Kind::Usage, "{bad}");
    }
}

#[test]
fn problems_of_each_kind_read_well() {
    let cases = [
        (
            "unknown key",
            "model: {n_head: 4}\ntraining:\n  learning_rte: 0.1\n  max_steps: 1\n",
        ),
        (
            "wrong type",
            "training:\n  max_steps: ten\n  learning_rate: \"1e-3\"\n",
        ),
        (
            "unknown word",
            "model:\n  family: gpt3\ntraining:\n  optimizer: lion\n  max_steps: 1\n",
        ),
        (
            "values that do not fit together",
            "model:\n  d_model: 100\n  n_heads: 3\n  max_seq_len: 64\ntraining:\n  max_steps: 5\n  \
             warmup_steps: 9\n",
        ),
        (
            "not here yet",
            "model:\n  dtype: bfloat16\n  device: cuda\ntraining: {max_steps: 1}\n",
        ),
    ];
    let mut shown = String::new();
    for (title, text) in cases {
        let data = "data:\n  dataset: corpus\n  max_length: 128\n";
        shown += &format!("# {title}\n{}\n", errors(&format!("{data}{text}")));
    }
    insta::assert_snapshot!("problems", shown);
}

#[test]
fn problems_of_the_command_line_read_well() {
    let cases = [
        ("trainig.max_steps", "3"),
        ("max_steps", "3"),
        ("training", "3"),
        ("training.max_steps", "3.0"),
        ("model.family", "gpt"),
        ("data.tokenizer", "chars"),
        ("model.n_heads", "5"),
    ];
    let mut shown = String::new();
    for pair in cases {
        let error = set(&[pair]).expect_err(pair.0);
        shown += &format!("error: {error}\n\n");
    }
    insta::assert_snapshot!("set_problems", shown);
}

#[test]
fn the_resolved_text_of_the_source_configuration() {
    insta::assert_snapshot!("resolved_custom", config(CUSTOM).to_yaml());
}

/// A key with a few values that it takes.
fn any_key() -> impl Strategy<Value = (String, String)> {
    let key = |name: &'static str, values: &'static [&'static str]| {
        prop::sample::select(values).prop_map(move |value| (name.to_owned(), value.to_owned()))
    };
    prop_oneof![
        key("model.family", &["custom", "gpt2", "llama"]),
        key("model.n_heads", &["1", "2", "8"]),
        key("model.n_kv_heads", &["1", "2"]),
        key("model.d_model", &["64", "128", "96"]),
        key("model.activation", &["gelu", "relu", "silu"]),
        key("model.tie_embeddings", &["true", "false"]),
        key("model.from", &["org/name", "runs/a b/model"]),
        key("model.dtype", &["f64"]),
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
