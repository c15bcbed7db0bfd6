mod data;
mod model;
mod problems;
mod resolved;
mod training;

use tenon_base::Kind;
use tenon_base::knobs::Environment;
use tenon_data::source::Documents;
use tenon_data::vocab::Spec as VocabSpec;
use tenon_models::spec::{Activation, Problem};

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
    let schedule = shakespeare.training.schedule;
    let min_learning_rate = 1e-4;
    assert_eq!(schedule.shape, ScheduleShape::Cosine { min_learning_rate });
    assert_eq!(schedule.warmup.steps(2000), 100);
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
fn the_resolved_text_of_the_source_configuration() {
    insta::assert_snapshot!("resolved_custom", config(CUSTOM).to_yaml());
}
