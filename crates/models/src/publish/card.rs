//! The model card: facts as text, no sentence that the facts do not fill.

use std::fmt::Write as _;

use super::code::auto_class;
use super::origin::origins;
use super::shards::WrittenFile;
use crate::checkpoint::Dtype;
use crate::spec::{Encoder, Objective, Spec};

/// What a card is made of. Absent facts leave their sentence out.
#[derive(Clone, Debug)]
pub struct CardFacts {
    /// The title, and the folder's name in examples.
    pub name: String,
    /// The model.
    pub spec: Spec,
    /// How many numbers its parameters are.
    pub n_parameters: u64,
    /// Their type.
    pub dtype: Option<Dtype>,
    /// The licence of the card's folder.
    pub license: String,
    /// The licence of what it was made from.
    pub source_license: Option<String>,
    /// The folder or hub id that it was made from.
    pub source: String,
    /// The revision of that.
    pub revision: Option<String>,
    /// The weights, with their hashes.
    pub files: Vec<WrittenFile>,
    /// Whether the classes lie in the folder.
    pub own_code: bool,
    /// Whether the layout is that of fused layers.
    pub fused: bool,
    /// Whether a tokenizer lies in the folder.
    pub has_tokenizer: bool,
    /// The run that trained it.
    pub run: Option<RunFacts>,
}

/// What is known of a training run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunFacts {
    /// The run's name.
    pub name: String,
    /// The data set, by its name on the hub or the name of its file.
    pub data: Option<String>,
    /// What was measured.
    pub metrics: Vec<Metric>,
}

/// A measured number.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// What it is, with its split.
    pub name: String,
    /// The number.
    pub value: f64,
    /// After how many steps.
    pub step: u64,
}

/// The text of `README.md`.
pub fn card(facts: &CardFacts) -> String {
    let parts = [
        front_matter(facts),
        summary(facts),
        sizes(facts),
        training(facts),
        loading(facts),
        uses(facts),
        lineage(facts),
        attribution(facts),
    ];
    let parts: Vec<&str> = parts
        .iter()
        .map(String::as_str)
        .filter(|part| !part.is_empty())
        .collect();
    parts.join("\n")
}

/// Text from outside in a line of Markdown: no line break, no markup, no braces.
fn plain(text: &str) -> String {
    let keep = |c: char| !c.is_control() && !"{}<>`|[]".contains(c);
    text.chars().filter(|&c| keep(c)).collect()
}

/// Whether a name is one of the hub: `owner/name`.
pub(crate) fn is_hub_id(name: &str) -> bool {
    let part = |part: &str| {
        let known = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        !part.is_empty() && part.chars().all(known) && part.starts_with(|c: char| c != '.')
    };
    let parts: Vec<&str> = name.split('/').collect();
    parts.len() == 2 && parts.into_iter().all(part)
}

/// A YAML string in double quotes, whose escapes are those of JSON.
fn quoted(text: &str) -> String {
    serde_json::Value::from(plain(text)).to_string()
}

fn front_matter(facts: &CardFacts) -> String {
    let task = match facts.spec.objective() {
        Objective::Causal => "text-generation",
        Objective::Masked => "fill-mask",
        Objective::Sequence { .. } => "text-classification",
        Objective::Token { .. } => "token-classification",
    };
    let library = match auto_loadable(facts) {
        true => "transformers",
        false => "tenon",
    };
    let mut text = format!(
        "---\nlicense: {}\nlibrary_name: {library}\npipeline_tag: {task}\ntags:\n- tenon\n- {}\n",
        quoted(&facts.license),
        facts.spec.family()
    );
    if is_hub_id(&facts.source) {
        let _ = writeln!(text, "base_model: {}", facts.source);
    }
    let data = facts.run.as_ref().and_then(|run| run.data.as_ref());
    if let Some(data) = data.filter(|data| is_hub_id(data)) {
        let _ = writeln!(text, "datasets:\n- {data}");
    }
    text + "---\n"
}

/// Whether `transformers` has, or is given, the classes.
fn auto_loadable(facts: &CardFacts) -> bool {
    !matches!(facts.spec, Spec::Custom(_))
}

fn summary(facts: &CardFacts) -> String {
    let origin = origins(&facts.spec)[0];
    let learns = match facts.spec.objective() {
        Objective::Causal => "predicts the next token from those before it",
        Objective::Masked => "predicts hidden tokens from those on both sides",
        Objective::Sequence { .. } => "tells the class of a sequence",
        Objective::Token { .. } => "tells the class of each token",
    };
    let layout = match facts.fused {
        true => {
            " Its weights are laid out for fused layers: query, key and value in one matrix, and \
             norms beside the matrices that read them."
        }
        false => "",
    };
    format!(
        "# {}\n\nA model with the architecture of {}. It {learns}.{layout}\n",
        plain(&facts.name),
        origin.name
    )
}

fn sizes(facts: &CardFacts) -> String {
    let (heads, d_model, d_ffn) = match &facts.spec {
        Spec::Custom(spec) => (spec.n_heads.to_string(), spec.d_model, spec.d_ffn),
        Spec::Gpt2(spec) => (spec.n_heads.to_string(), spec.d_model, spec.d_ffn),
        Spec::Encoder(spec) => (spec.n_heads.to_string(), spec.d_model, spec.d_ffn),
        Spec::Decoder(spec) => {
            let heads = match spec.n_kv_heads == spec.n_heads {
                true => spec.n_heads.to_string(),
                false => format!("{}, of keys and values {}", spec.n_heads, spec.n_kv_heads),
            };
            (heads, spec.d_model, spec.d_ffn)
        }
    };
    let mut rows = vec![
        ("parameters", power_of_ten(facts.n_parameters)),
        ("layers", facts.spec.n_layers().to_string()),
        ("width", d_model.to_string()),
        ("attention heads", heads),
        ("feed-forward width", d_ffn.to_string()),
        ("vocabulary", format!("{} tokens", facts.spec.vocab_size())),
        ("context", format!("{} tokens", facts.spec.context_len())),
    ];
    if let Spec::Decoder(spec) = &facts.spec
        && let Some(experts) = spec.experts
    {
        let count = format!(
            "{}, of which a token uses {}",
            experts.count, experts.per_token
        );
        rows.push(("experts", count));
    }
    if let Some(dtype) = facts.dtype {
        rows.push(("number format", dtype.to_string()));
    }
    let mut text = "## Architecture\n\n| | |\n|---|---|\n".to_owned();
    for (name, value) in rows {
        let _ = writeln!(text, "| {name} | {value} |");
    }
    text
}

/// A count in the form `7.5 x 10^6`.
pub(crate) fn power_of_ten(n: u64) -> String {
    format!("{:.1e}", n as f64).replace('e', " x 10^")
}

fn training(facts: &CardFacts) -> String {
    let Some(run) = &facts.run else {
        return String::new();
    };
    let mut text = format!("## Training\n\nTrained by the run {}", plain(&run.name));
    if let Some(data) = &run.data {
        let _ = write!(text, " on {}", plain(data));
    }
    text += ".\n";
    if !run.metrics.is_empty() {
        text += "\n| measure | value | step |\n|---|---|---|\n";
    }
    for Metric { name, value, step } in &run.metrics {
        let _ = writeln!(text, "| {} | {value:.4} | {step} |", plain(name));
    }
    text
}

fn loading(facts: &CardFacts) -> String {
    let folder = plain(&facts.name).replace('"', "");
    let mut text = "## How to load\n\n".to_owned();
    if auto_loadable(facts) {
        let class = auto_class(facts.spec.objective());
        let trust = match facts.own_code {
            true => ", trust_remote_code=True",
            false => "",
        };
        let (tokenizer, line) = match facts.has_tokenizer {
            true => (
                ", AutoTokenizer",
                format!("tokenizer = AutoTokenizer.from_pretrained(\"./{folder}\")\n"),
            ),
            false => ("", String::new()),
        };
        let _ = write!(
            text,
            "```python\nfrom transformers import {class}{tokenizer}\n\n{line}model = \
             {class}.from_pretrained(\"./{folder}\"{trust})\n```\n\n"
        );
        if facts.own_code {
            text += "The classes are plain PyTorch, in the Python file of this folder. \
                     `pip install -r requirements.txt` installs what they were tested with.\n\n";
        }
    }
    let _ = write!(
        text,
        "With Tenon:\n\n```sh\ntenon inspect \"./{folder}\"\ntenon predict \"./{folder}\" \
         --inputs inputs.safetensors --out outputs.safetensors\n```\n"
    );
    text
}

fn uses(facts: &CardFacts) -> String {
    let about = match &facts.spec {
        Spec::Encoder(spec) => match spec.family {
            Encoder::Esm { .. } | Encoder::Amplify { .. } => {
                "It is meant for research on protein sequences: scores of residues, features of \
                 sequences, fine-tuning. What it predicts is no measurement, and sequences unlike \
                 those of its training may be scored badly."
            }
            Encoder::Encodon { .. } | Encoder::PlainEncodon => {
                "It is meant for research on coding sequences: scores of codons, features of \
                 sequences, fine-tuning. What it predicts is no measurement, and organisms that \
                 its training did not have may be scored badly."
            }
            Encoder::Bert { .. } => {
                "It is meant for features of sequences and for fine-tuning. What it learned \
                 reflects its training data, with their gaps and biases."
            }
        },
        Spec::Custom(_) | Spec::Gpt2(_) | Spec::Decoder(_) => {
            "It is meant for text generation and for fine-tuning. What it writes may be wrong, \
             and reflects its training data, with their gaps and biases."
        }
    };
    format!(
        "## Intended use and limitations\n\n{about} Sequences longer than {} tokens are outside \
         of what it was made for. Test it on your own task before relying on it.\n",
        facts.spec.context_len()
    )
}

fn lineage(facts: &CardFacts) -> String {
    let mut text = format!("## Lineage\n\n- Made from: {}\n", plain(&facts.source));
    if let Some(revision) = &facts.revision {
        let _ = writeln!(text, "- Revision: {}", plain(revision));
    }
    if let Some(license) = &facts.source_license {
        let _ = writeln!(text, "- Licence of the source: {}", plain(license));
    }
    let _ = writeln!(
        text,
        "- Licence of this folder: {}, see LICENSE",
        plain(&facts.license)
    );
    for file in &facts.files {
        let _ = writeln!(text, "- SHA-256 of {}: {}", file.name, file.sha256);
    }
    text
}

fn attribution(facts: &CardFacts) -> String {
    let mut text = "## Attribution\n\nThe architecture is the work of:\n\n".to_owned();
    for origin in origins(&facts.spec) {
        let (authors, title) = (origin.authors, origin.title);
        let _ = writeln!(text, "- {authors}, \"{title}\", <{}>", origin.url);
    }
    if facts.run.is_none() {
        text += "\nThe weights are those of the source, in the layout and number format of this \
                 folder.\n";
    }
    text
}

#[cfg(test)]
#[path = "card_tests.rs"]
mod tests;
