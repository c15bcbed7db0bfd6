//! The Python module of a model whose classes `transformers` lacks: pieces of plain PyTorch, put
//! together for one family and layout.

use serde_json::{Value, json};

use crate::hub::Naming;
use crate::spec::{Decoder, Encoder, Objective, Spec};

const COMMON: &str = include_str!("python/common.py");
const ENCODER: &str = include_str!("python/encoder.py");
const CAUSAL: &str = include_str!("python/causal.py");
const DECODER: &str = include_str!("python/decoder.py");
const ESM2: &str = include_str!("python/esm2.py");
const BERT: &str = include_str!("python/bert.py");
const AMPLIFY_CONFIG: &str = include_str!("python/amplify_config.py");
const AMPLIFY: &str = include_str!("python/amplify.py");
const AMPLIFY_FUSED: &str = include_str!("python/amplify_fused.py");
const CODON: &str = include_str!("python/codon.py");
const ENCODON_CONFIG: &str = include_str!("python/encodon_config.py");
const ENCODON: &str = include_str!("python/encodon.py");
const ENCODON_FUSED: &str = include_str!("python/encodon_fused.py");
const CODONFM: &str = include_str!("python/codonfm.py");
const GPT2: &str = include_str!("python/gpt2.py");

/// How the names of all modules begin.
pub(crate) const MODULE_PREFIX: &str = "modeling_tenon_";

/// The parts of a module, and the name that its classes have.
type Pieces = (&'static str, &'static [&'static str]);

/// A Python module and the classes that a configuration has to name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    /// The name of the module.
    pub(crate) module: String,
    /// Its text.
    pub(crate) text: String,
    /// The class of the configuration.
    pub(crate) config_class: String,
    /// The class of the model with its head.
    pub(crate) model_class: String,
    /// The class without the head, where there is one.
    base_class: Option<String>,
    /// How `transformers` loads the model.
    pub(crate) auto_class: &'static str,
}

impl Code {
    /// The name of the module's file.
    pub(crate) fn file(&self) -> String {
        format!("{}.py", self.module)
    }

    /// The value of `auto_map`.
    pub(crate) fn auto_map(&self) -> Value {
        let of = |class: &str| format!("{}.{class}", self.module);
        let base = self.base_class.as_ref().unwrap_or(&self.model_class);
        let mut map = json!({"AutoConfig": of(&self.config_class), "AutoModel": of(base)});
        map[self.auto_class] = json!(of(&self.model_class));
        map
    }
}

/// How `transformers` loads models of an objective.
pub(crate) fn auto_class(objective: Objective) -> &'static str {
    match objective {
        Objective::Causal => "AutoModelForCausalLM",
        Objective::Masked => "AutoModelForMaskedLM",
        Objective::Sequence { .. } => "AutoModelForSequenceClassification",
        Objective::Token { .. } => "AutoModelForTokenClassification",
    }
}

/// The module of a model, `None` where `transformers` has its class, or where there is none.
pub(crate) fn code_of(spec: &Spec, naming: Naming) -> Option<Code> {
    let (name, pieces) = match naming {
        Naming::Hub => hub(spec)?,
        Naming::Fused { .. } => fused(spec)?,
    };
    let mut text = [&[COMMON], pieces].concat().concat();
    if let Spec::Decoder(spec) = spec {
        // One text serves all decoders; classes and configurations are told apart by name.
        text = text.replace("TenonDecoder", &format!("Tenon{name}"));
        text = text.replace("tenon_decoder", spec.family.name());
    }
    let head = match spec.objective() {
        Objective::Causal => "ForCausalLM",
        Objective::Masked => "ForMaskedLM",
        Objective::Sequence { .. } => "ForSequenceClassification",
        Objective::Token { .. } => "ForTokenClassification",
    };
    let base_class = format!("Tenon{name}Model");
    let has_base = text.contains(&format!("class {base_class}("));
    Some(Code {
        module: format!("{MODULE_PREFIX}{}", name.to_lowercase()),
        config_class: format!("Tenon{name}Config"),
        model_class: format!("Tenon{name}{head}"),
        base_class: has_base.then_some(base_class),
        auto_class: auto_class(spec.objective()),
        text,
    })
}

/// Of families that `transformers` does not have.
fn hub(spec: &Spec) -> Option<Pieces> {
    let Spec::Encoder(spec) = spec else {
        return None;
    };
    match spec.family {
        Encoder::Amplify { .. } => Some(("Amplify", &[ENCODER, AMPLIFY_CONFIG, AMPLIFY])),
        Encoder::Encodon { .. } => Some(("Encodon", &[ENCODER, CODON, ENCODON_CONFIG, ENCODON])),
        Encoder::PlainEncodon => Some(("Codonfm", &[ENCODER, CODON, CODONFM])),
        Encoder::Bert { .. } | Encoder::Esm { .. } => None,
    }
}

fn fused(spec: &Spec) -> Option<Pieces> {
    let pieces: Pieces = match spec {
        Spec::Custom(_) => return None,
        Spec::Gpt2(_) => ("Gpt2", &[CAUSAL, GPT2]),
        Spec::Encoder(spec) => match spec.family {
            Encoder::Bert { .. } => ("Bert", &[ENCODER, BERT]),
            Encoder::Esm { .. } => ("Esm2", &[ENCODER, ESM2]),
            Encoder::Amplify { .. } => ("Amplify", &[ENCODER, AMPLIFY_CONFIG, AMPLIFY_FUSED]),
            Encoder::Encodon { .. } => {
                ("Encodon", &[ENCODER, CODON, ENCODON_CONFIG, ENCODON_FUSED])
            }
            Encoder::PlainEncodon => return None,
        },
        Spec::Decoder(spec) => {
            let name = match spec.family {
                Decoder::Llama => "Llama",
                Decoder::Mistral => "Mistral",
                Decoder::Qwen2 => "Qwen2",
                Decoder::Qwen3 => "Qwen3",
                Decoder::Mixtral => "Mixtral",
            };
            (name, &[CAUSAL, DECODER])
        }
    };
    Some(pieces)
}
