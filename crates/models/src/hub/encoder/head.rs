//! The keys of `config.json` that say which head an encoder has: the class in `architectures`, and
//! the number of classes in `id2label` or `num_labels`. Names of classes change no number; they
//! stay among the extra keys.

use serde_json::{Value, json};

use super::super::fields::Fields;
use crate::spec::{Encoder, EncoderSpec, Head, Problem};

/// What `transformers` takes for a configuration that says nothing.
const N_CLASSES: usize = 2;

/// The names of a family's classes, before `ForSequenceClassification`.
fn stem(family: Encoder) -> Option<&'static str> {
    match family {
        Encoder::Bert { .. } => Some("Bert"),
        Encoder::Esm { .. } => Some("Esm"),
        Encoder::Amplify { .. } | Encoder::Encodon { .. } | Encoder::PlainEncodon => None,
    }
}

fn class(family: Encoder, head: Head) -> Option<String> {
    let stem = stem(family)?;
    match head {
        Head::Masked => None,
        Head::Sequence { .. } => Some(format!("{stem}ForSequenceClassification")),
        Head::Token { .. } => Some(format!("{stem}ForTokenClassification")),
    }
}

/// The head that the architecture names. The keys of a head without classes stay where they are.
pub(super) fn read(fields: &mut Fields, family: Encoder) -> Head {
    let n_classes = N_CLASSES;
    let problem = Problem::SingleLabel;
    let heads = [
        Head::Sequence { n_classes, problem },
        Head::Token { n_classes },
    ];
    let named = |fields: &Fields, head: &Head| {
        let architectures = fields.look("architectures").and_then(Value::as_array);
        let class = class(family, *head);
        architectures.is_some_and(|list| list.iter().any(|name| name.as_str() == class.as_deref()))
    };
    let Some(head) = heads.into_iter().find(|head| named(fields, head)) else {
        return Head::Masked;
    };
    // With a second class beside it, which head is meant would be a guess.
    fields.only("architectures", &[json!([class(family, head)])]);
    let n_classes = n_classes_of(fields);
    match head {
        Head::Token { .. } | Head::Masked => {
            let plain = Problem::SingleLabel;
            let said = fields.look("problem_type").cloned().unwrap_or_default();
            if !said.is_null() && said != json!(plain.name()) {
                let message = "a token has one class: only null or";
                fields.problem(format!(
                    "`problem_type` is {said}, {message} `{}`",
                    plain.name()
                ));
            }
            Head::Token { n_classes }
        }
        Head::Sequence { .. } => {
            let problem = problem_of(fields, n_classes);
            Head::Sequence { n_classes, problem }
        }
    }
}

/// What the outputs are; as `transformers` has it, a single one that nothing is said of is a
/// number. The plain kind stays an extra key, as it was said or not.
fn problem_of(fields: &mut Fields, n_classes: usize) -> Problem {
    let said = fields.look("problem_type").cloned().unwrap_or_default();
    let problem = match &said {
        Value::Null if n_classes == 1 => Problem::Regression,
        Value::Null => Problem::SingleLabel,
        said => match said.as_str().and_then(Problem::parse) {
            Some(problem) => problem,
            None => {
                let names = Problem::ALL.map(Problem::name).join("`, `");
                fields.problem(format!(
                    "`problem_type` is {said}, supported: `{names}` or null"
                ));
                return Problem::SingleLabel;
            }
        },
    };
    if problem != Problem::SingleLabel {
        fields.only("problem_type", &[said]);
    }
    problem
}

fn n_classes_of(fields: &mut Fields) -> usize {
    let said = fields.size_opt("num_labels");
    let named = match fields.look("id2label") {
        None | Some(Value::Null) => return said.unwrap_or(N_CLASSES),
        Some(Value::Object(names))
            if (0..names.len()).all(|i| names.contains_key(&i.to_string())) =>
        {
            names.len()
        }
        Some(_) => {
            fields
                .problem("`id2label` names the classes 0, 1, and so on, without a gap".to_owned());
            return N_CLASSES;
        }
    };
    if let Some(said) = said
        && said != named
    {
        fields.problem(format!(
            "`num_labels` is {said}, `id2label` names {named} classes"
        ));
    }
    named
}

/// What a head with classes says of itself.
pub(super) fn keys(spec: &EncoderSpec) -> Vec<(&'static str, Value)> {
    let n_classes = match spec.head {
        Head::Masked => return Vec::new(),
        Head::Sequence { n_classes, .. } | Head::Token { n_classes } => n_classes,
    };
    let mut keys = vec![
        ("architectures", json!([class(spec.family, spec.head)])),
        ("num_labels", json!(n_classes)),
    ];
    if let Head::Sequence { problem, .. } = spec.head
        && problem != Problem::SingleLabel
    {
        keys.push(("problem_type", json!(problem.name())));
    }
    keys
}
