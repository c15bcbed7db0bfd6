//! Rotary angles in `config.json`: version 4 of `transformers` writes `rope_theta` and
//! `rope_scaling`, version 5 `rope_parameters`; they may stand together when they agree.

use serde_json::{Value, json};

use super::fields::Fields;
use crate::spec::{Rope, RopeScaling};

pub(super) fn read(fields: &mut Fields, default_theta: f64) -> Rope {
    let mut theta = fields.number_opt("rope_theta");
    let mut scaling: Option<Option<RopeScaling>> = None;
    for key in ["rope_parameters", "rope_scaling"] {
        let Some(mut rope) = fields.object(key) else {
            continue;
        };
        let found = read_scaling(&mut rope);
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
    Llama3,
}

const KINDS: &[(&str, Kind)] = &[
    ("default", Kind::Default),
    ("linear", Kind::Linear),
    ("llama3", Kind::Llama3),
];

fn read_scaling(rope: &mut Fields) -> Option<RopeScaling> {
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
        Kind::Llama3 => Some(RopeScaling::Llama3 {
            factor: rope.number("factor"),
            low_freq_factor: rope.number("low_freq_factor"),
            high_freq_factor: rope.number("high_freq_factor"),
            original_max_positions: rope.size("original_max_position_embeddings"),
        }),
    }
}

pub(super) fn write(rope: &Rope) -> Vec<(&'static str, Value)> {
    let scaling = match rope.scaling {
        None => json!({"rope_type": "default"}),
        Some(RopeScaling::Linear { factor }) => json!({"rope_type": "linear", "factor": factor}),
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
