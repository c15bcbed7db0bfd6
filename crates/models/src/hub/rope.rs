//! Rotary angles in `config.json`: version 4 of `transformers` writes `rope_theta` and
//! `rope_scaling`, version 5 `rope_parameters`; they may stand together when they agree.

use serde_json::{Value, json};

use super::fields::Fields;
use crate::spec::{Rope, RopeScaling, Yarn};

/// What the keys say; `max_positions` is the model's context, which stands for one of pretraining
/// that is not given.
pub(super) fn read(fields: &mut Fields, default_theta: f64, max_positions: usize) -> Rope {
    let mut theta = fields.number_opt("rope_theta");
    let mut scaling: Option<Option<RopeScaling>> = None;
    for key in ["rope_parameters", "rope_scaling"] {
        let Some(mut rope) = fields.object(key) else {
            continue;
        };
        let found = read_scaling(&mut rope, max_positions);
        rope.only("partial_rotary_factor", &[json!(1.0), json!(1)]);
        let inner = rope.number_opt("rope_theta");
        fields.close(rope);
        if let (Some(theta), Some(inner)) = (theta, inner)
            && theta != inner
        {
            fields.problem(format!(
                "`rope_theta` is {theta}, `{key}.rope_theta` is {inner}"
            ));
        }
        if scaling.is_some_and(|before| before != found) {
            fields.problem("`rope_parameters` and `rope_scaling` differ".to_owned());
        }
        theta = theta.or(inner);
        scaling = Some(found);
    }
    Rope {
        theta: theta.unwrap_or(default_theta),
        scaling: scaling.flatten(),
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Default,
    Linear,
    Dynamic,
    Llama3,
    Yarn,
}

/// The context of pretraining.
const ORIGINAL: &str = "original_max_position_embeddings";

const KINDS: &[(&str, Kind)] = &[
    ("default", Kind::Default),
    ("linear", Kind::Linear),
    ("dynamic", Kind::Dynamic),
    ("llama3", Kind::Llama3),
    ("yarn", Kind::Yarn),
];

fn read_scaling(rope: &mut Fields, max_positions: usize) -> Option<RopeScaling> {
    let former = rope.choice_or("type", KINDS, Kind::Default);
    match rope.choice_or("rope_type", KINDS, former) {
        Kind::Default => {
            // Written by version 5 beside the kind, and without meaning there.
            rope.number_opt("factor");
            None
        }
        Kind::Linear => Some(RopeScaling::Linear {
            factor: rope.number("factor"),
        }),
        Kind::Dynamic => {
            // Another context than the model's is read in two ways by two versions.
            rope.only(ORIGINAL, &[json!(max_positions)]);
            Some(RopeScaling::Dynamic {
                factor: rope.number("factor"),
            })
        }
        Kind::Llama3 => Some(RopeScaling::Llama3 {
            factor: rope.number("factor"),
            low_freq_factor: rope.number("low_freq_factor"),
            high_freq_factor: rope.number("high_freq_factor"),
            original_max_positions: rope.size_or(ORIGINAL, max_positions),
        }),
        Kind::Yarn => Some(RopeScaling::Yarn(read_yarn(rope, max_positions))),
    }
}

fn read_yarn(rope: &mut Fields, max_positions: usize) -> Yarn {
    let original_max_positions = rope.size_or(ORIGINAL, max_positions);
    let ratio = max_positions as f64 / original_max_positions as f64;
    let factor = rope.number_or_null("factor").unwrap_or(ratio);
    // 0 means the same as nothing to the reference.
    let not_zero = |number: Option<f64>| number.filter(|&number| number != 0.0);
    let weights = ["mscale", "mscale_all_dim"].map(|key| not_zero(rope.number_or_null(key)));
    let attention_factor = rope.number_or_null("attention_factor");
    let weighed = match weights {
        [Some(one), Some(all)] => Some(Yarn::magnitude(factor, one) / Yarn::magnitude(factor, all)),
        _ => None,
    };
    // Some checkpoints say so of themselves; it changes nothing.
    rope.flag_or_null("finetuned");
    Yarn {
        factor,
        original_max_positions,
        beta_fast: not_zero(rope.number_or_null("beta_fast")).unwrap_or(32.0),
        beta_slow: not_zero(rope.number_or_null("beta_slow")).unwrap_or(1.0),
        attention_factor: attention_factor.or(weighed),
        truncate: rope.flag_or("truncate", true),
    }
}

fn write_yarn(yarn: &Yarn) -> Value {
    let mut scaling = json!({
        "rope_type": "yarn",
        "factor": yarn.factor,
        "original_max_position_embeddings": yarn.original_max_positions,
        "beta_fast": yarn.beta_fast,
        "beta_slow": yarn.beta_slow,
        "truncate": yarn.truncate,
    });
    if let Some(factor) = yarn.attention_factor {
        scaling["attention_factor"] = json!(factor);
    }
    scaling
}

pub(super) fn write(rope: &Rope) -> Vec<(&'static str, Value)> {
    let scaling = match rope.scaling {
        None => json!({"rope_type": "default"}),
        Some(RopeScaling::Linear { factor }) => json!({"rope_type": "linear", "factor": factor}),
        Some(RopeScaling::Dynamic { factor }) => json!({"rope_type": "dynamic", "factor": factor}),
        Some(RopeScaling::Yarn(yarn)) => write_yarn(&yarn),
        Some(RopeScaling::Llama3 {
            factor,
            low_freq_factor,
            high_freq_factor,
            original_max_positions,
        }) => json!({
            "rope_type": "llama3",
            "factor": factor,
            "low_freq_factor": low_freq_factor,
            "high_freq_factor": high_freq_factor,
            "original_max_position_embeddings": original_max_positions,
        }),
    };
    let mut parameters = scaling.clone();
    parameters["rope_theta"] = json!(rope.theta);
    parameters.sort_all_objects();
    let mut keys = vec![
        ("rope_theta", json!(rope.theta)),
        ("rope_parameters", parameters),
    ];
    if rope.scaling.is_some() {
        keys.push(("rope_scaling", scaling));
    }
    keys
}

#[cfg(test)]
#[path = "rope_tests.rs"]
mod tests;
