//! Section `evaluation`: texts that the model writes at the end of training.

use tenon_base::config::{DefaultValue, Key, Range, Type};
use tenon_base::limits::SEQUENCE_MAX;

use super::judge::Judge;
use super::section::Section;

const TOP_P: Type = Type::Float(Range {
    min: 0.0,
    max: 1.0,
    min_exclusive: true,
    max_exclusive: false,
});

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "evaluation.generation_prompts",
        Type::STR_LIST,
        DefaultValue::StrList(&[]),
        "Beginnings that the trained model continues, for the report.",
    ),
    Key::new(
        "evaluation.max_new_tokens",
        Type::int(1, SEQUENCE_MAX as i64),
        DefaultValue::Int(100),
        "Most tokens of a continuation.",
    )
    .aliases(&["evaluation.max_generation_length"]),
    Key::new(
        "evaluation.temperature",
        Type::NON_NEGATIVE,
        DefaultValue::Float(0.8),
        "Divides the logits before sampling; 0 takes the likeliest token.",
    ),
    Key::new(
        "evaluation.top_k",
        Type::AnyOf(&[Type::Null, Type::int(0, i64::MAX)]),
        DefaultValue::Int(50),
        "Samples among the k likeliest tokens; 0 or `null` among all.",
    ),
    Key::new(
        "evaluation.top_p",
        TOP_P,
        DefaultValue::Float(1.0),
        "Samples among the likeliest tokens that together have this probability.",
    ),
    Key::new(
        "evaluation.seed",
        Type::int(0, i64::MAX),
        DefaultValue::Int(0),
        "Seed of the sampling.",
    ),
];

/// What is written with the model at the end of training.
#[derive(Clone, Debug, PartialEq)]
pub struct EvaluationConfig {
    /// Beginnings to continue.
    pub generation_prompts: Vec<String>,
    /// Most tokens of a continuation, at least 1.
    pub max_new_tokens: usize,
    /// Divides the logits; 0 takes the likeliest token.
    pub temperature: f64,
    /// Number of likeliest tokens to sample among; `None` for all.
    pub top_k: Option<usize>,
    /// Probability of the likeliest tokens to sample among; 1 for all.
    pub top_p: f64,
    /// Seed of the sampling.
    pub seed: u64,
}

pub(super) fn resolve(judge: &Judge) -> EvaluationConfig {
    let prompts = judge.values.strs("evaluation.generation_prompts");
    EvaluationConfig {
        generation_prompts: prompts.unwrap_or_default(),
        max_new_tokens: judge.size("evaluation.max_new_tokens"),
        temperature: judge.float("evaluation.temperature"),
        top_k: judge.values.size("evaluation.top_k").filter(|&k| k > 0),
        top_p: judge.float("evaluation.top_p"),
        seed: judge.int("evaluation.seed"),
    }
}

impl EvaluationConfig {
    pub(super) fn to_section(&self) -> Section {
        let mut section = Section::default();
        section.texts("generation_prompts", &self.generation_prompts);
        section.int("max_new_tokens", self.max_new_tokens);
        section.float("temperature", self.temperature);
        section.int("top_k", self.top_k.unwrap_or(0));
        section.float("top_p", self.top_p);
        section.int("seed", self.seed);
        section
    }
}
