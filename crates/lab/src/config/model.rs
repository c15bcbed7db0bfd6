//! Section `model`: which model is trained, fresh or from a checkpoint.

mod family;
mod info;
mod keys;

use tenon_base::suggest;
use tenon_models::spec::Problem;

use super::judge::Judge;
use super::section::Section;

pub use family::{Architecture, DecoderShape, EncoderShape, Family, Gpt2Shape};
pub use info::FamilyInfo;
pub(super) use keys::KEYS;

/// What is trained.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    /// Where the weights come from.
    pub origin: ModelOrigin,
    /// Number format of weights, gradients and activations.
    pub dtype: Dtype,
    /// Probability of dropping an activation in training, at least 0 and below 1.
    pub dropout: f64,
    /// What it is to tell instead of tokens; a model that training starts from may do so anyway.
    pub head: Option<HeadConfig>,
}

/// What a head is to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HeadConfig {
    /// Of what.
    pub of: HeadOf,
    /// What of a sequence; `None` for one class, or as the model has it that training starts from.
    pub problem: Option<Problem>,
    /// Names of the outputs; `None` for all that occur.
    pub labels: Option<Vec<String>>,
}

/// What a head tells something of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadOf {
    /// A text.
    Sequence,
    /// Each token of a text.
    Token,
}

/// Where the weights of a run come from.
#[derive(Clone, Debug, PartialEq)]
pub enum ModelOrigin {
    /// A run, a model folder or a name at the hub; its files say the sizes.
    From(String),
    /// Fresh weights.
    Fresh(Architecture),
}

/// Number format of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dtype {
    /// 32 bits.
    F32,
    /// 64 bits, for proofs.
    F64,
}

impl Dtype {
    /// The name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Dtype::F32 => "f32",
            Dtype::F64 => "f64",
        }
    }

    /// The format of this name or of one that Python tools write.
    pub fn parse(name: &str) -> Option<Dtype> {
        match name.strip_prefix("torch.").unwrap_or(name) {
            "f32" | "float32" => Some(Dtype::F32),
            "f64" | "float64" => Some(Dtype::F64),
            _ => None,
        }
    }
}

/// Names of formats that others have.
const NOT_HERE: &[&str] = &["bf16", "bfloat16", "f16", "float16", "half", "fp8"];

pub(super) fn resolve(judge: &mut Judge) -> ModelConfig {
    let origin = match judge.text("model.from") {
        Some(from) => ModelOrigin::From(checked_from(judge, from)),
        None => ModelOrigin::Fresh(family::resolve(judge)),
    };
    ModelConfig {
        origin,
        dtype: dtype(judge),
        dropout: judge.float("model.dropout"),
        head: head(judge),
    }
}

fn head(judge: &mut Judge) -> Option<HeadConfig> {
    let of = match judge.values.str("model.head") {
        Some("token") => HeadOf::Token,
        Some(_) => HeadOf::Sequence,
        None => {
            judge.no_effect(
                &["model.problem_type", "model.labels"],
                "without `model.head`",
            );
            return None;
        }
    };
    if of == HeadOf::Token {
        judge.no_effect(
            &["model.problem_type"],
            "with `model.head: token`, one class a token",
        );
    }
    let labels = judge.values.strs("model.labels");
    let twice = |labels: &Vec<String>| {
        let mut sorted = labels.clone();
        sorted.sort();
        sorted
            .windows(2)
            .find(|pair| pair[0] == pair[1])
            .map(|pair| pair[0].clone())
    };
    if let Some(label) = labels.as_ref().and_then(twice) {
        let message = format!("`model.labels` names `{label}` twice");
        judge.fault("model.labels", message, "", "name each label once");
    }
    let problem = judge
        .values
        .str("model.problem_type")
        .and_then(Problem::parse);
    Some(HeadConfig {
        of,
        problem: problem.filter(|_| of == HeadOf::Sequence),
        labels,
    })
}

/// A model that exists says its own sizes.
fn checked_from(judge: &mut Judge, from: String) -> String {
    if from.trim().is_empty() {
        let label = "expected a folder or `organisation/name`";
        judge.fault("model.from", "`model.from` is empty".to_owned(), label, "");
    }
    for key in keys::SHAPE {
        if judge.values.is_set(key) {
            let message = format!("`{key}` is given beside `model.from`");
            let hint = "the model in `model.from` says it: remove one of the two";
            judge.fault(key, message, "", hint);
        }
    }
    from
}

fn dtype(judge: &mut Judge) -> Dtype {
    const KEY: &str = "model.dtype";
    let Some(name) = judge.text(KEY) else {
        return Dtype::F32;
    };
    if let Some(dtype) = Dtype::parse(&name) {
        return dtype;
    }
    let bare = name.strip_prefix("torch.").unwrap_or(&name);
    if NOT_HERE.contains(&bare) {
        let message = format!("`{KEY}` is `{name}`, which cannot be computed with yet");
        judge.fault(KEY, message, "expected `f32` or `f64`", "use `f32`");
    } else {
        let message = format!("unknown value `{name}` for `{KEY}`");
        let near = suggest::nearest(bare, ["f32", "f64", "float32", "float64"]);
        let label = match near {
            Some(near) => format!("did you mean `{near}`?"),
            None => "expected `f32` or `f64`".to_owned(),
        };
        judge.fault(KEY, message, &label, "");
    }
    Dtype::F32
}

impl ModelConfig {
    /// The sizes of a fresh model; `None` when they are those of an existing one.
    pub fn architecture(&self) -> Option<&Architecture> {
        match &self.origin {
            ModelOrigin::From(_) => None,
            ModelOrigin::Fresh(architecture) => Some(architecture),
        }
    }

    pub(super) fn to_section(&self) -> Section {
        let mut section = Section::default();
        match &self.origin {
            ModelOrigin::From(from) => section.text("from", from),
            ModelOrigin::Fresh(architecture) => architecture.write(&mut section),
        }
        if let Some(head) = &self.head {
            section.text(
                "head",
                match head.of {
                    HeadOf::Sequence => "sequence",
                    HeadOf::Token => "token",
                },
            );
            if let Some(problem) = head.problem {
                section.text("problem_type", problem.name());
            }
            if let Some(labels) = &head.labels {
                section.texts("labels", labels);
            }
        }
        section.float("dropout", self.dropout);
        section.text("dtype", self.dtype.name());
        section
    }
}
