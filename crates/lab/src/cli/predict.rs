//! `tenon predict`: from tensors to tensors.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tenon_base::Result;
use tenon_engine::DType;
use tenon_models::predict::{Facts, Options, predict_files};
use tenon_models::spec::Objective;

use super::subject::ModelArgs;
use super::{Outcome, Output};
use crate::context::Context;
use crate::{subject, table};

/// Run a model on named tensors or sequences and write what it computes
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
    Inputs are `input_ids [B,T]` with optional `attention_mask`, `labels`, `position_ids` and\n\
    `token_type_ids`, or packed `input_ids [1,T]` with `cu_seqlens [n+1]`.\n\
    Outputs are `logits`, `hidden_states.N`, `loss` when labels are given, and with `--grads`\n\
    `grad.NAME` for each parameter by its name in the model's file.\n\
    A model of the class of a sequence takes `labels [B]`, or `[n]`, and gives `logits [B,C]`; of\n\
    numbers or several labels, `labels [B,C]` are floats. The loss is the one that `transformers`\n\
    has for the same `problem_type`.\n\
    Without `position_ids` a row's first token with mask 1 has the first position, in ESM-1b too,\n\
    whatever stands before it.\n\n\
    Other tasks read sequences from `--data` (FASTA, or any text that training reads):\n\
    `embed` writes `embeddings [n,D]`, `mutations` a table of how likely residues or the\n\
    `--mutations` are where the model cannot see them, `head` a table of what the model's head\n\
    tells, a row a sequence or token:\n  \
    classes     sequence, label, and a column of probabilities for each class\n  \
    of tokens   sequence, position (from 1), token, label, and the probabilities\n  \
    labels      sequence, labels (those above 0.5, between `;`), and the probabilities\n  \
    numbers     sequence, and a column for each number\n\
    A sequence without a name is called by its line or row in the file. A class or number with\n\
    the name of another column stands under `values.NAME`.\n\n\
    Examples:\n  \
    tenon predict model/ --inputs in.safetensors --out out.safetensors --grads --dtype f64\n  \
    tenon predict esm2/ --task embed --data proteins.fasta --out embeddings.safetensors\n  \
    tenon predict runs/helices --task head --data proteins.fasta --out helices.tsv\n  \
    tenon predict esm2/ --task mutations --data protein.fasta --mutations A4G,K7R:L9V \\\n    \
    --out scores.tsv")]
pub struct PredictArgs {
    /// Which model
    #[command(flatten)]
    pub model: ModelArgs,
    /// What to compute
    #[arg(long, value_enum, default_value_t = Task::Tensors)]
    pub task: Task,
    /// File with the input tensors
    #[arg(long, value_name = "IN.safetensors", required_if_eq("task", "tensors"))]
    pub inputs: Option<PathBuf>,
    /// File with the sequences of the other tasks
    #[arg(long, value_name = "FILE", conflicts_with = "inputs")]
    #[arg(required_if_eq_any([("task", "embed"), ("task", "mutations"), ("task", "head")]))]
    pub data: Option<PathBuf>,
    /// Column of its records that holds the text [default: the run's, else `text` or the only one]
    #[arg(long, value_name = "NAME", conflicts_with = "inputs")]
    pub text_column: Option<String>,
    /// File to write
    #[arg(long, value_name = "OUT")]
    pub out: PathBuf,
    /// How the rows of a sequence become its embedding
    #[arg(long, value_enum, default_value_t = PoolName::Mean)]
    pub pool: PoolName,
    /// Mutations to score, such as `A4G` or `A4G:K7R` [default: each residue as it is]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub mutations: Vec<String>,
    /// Also write the gradient of the loss for each parameter
    #[arg(long, requires = "inputs")]
    pub grads: bool,
    /// Number format of the computation
    #[arg(long, value_enum, default_value_t = DtypeName::F32)]
    pub dtype: DtypeName,
}

/// What is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Task {
    /// Logits, hidden states and gradients of named tensors
    Tensors,
    /// A vector for each sequence
    Embed,
    /// Masked marginals of residues or mutations
    Mutations,
    /// Classes with probabilities, labels or numbers, as the model's head tells them
    Head,
}

/// How the rows of a sequence become its embedding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PoolName {
    /// The mean over its tokens, special ones left out
    Mean,
    /// The row of its first token
    Cls,
}

/// A number format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DtypeName {
    /// 32 bits
    F32,
    /// 64 bits
    F64,
}

impl DtypeName {
    /// The engine's name.
    pub(super) fn float(self) -> DType {
        match self {
            DtypeName::F32 => DType::F32,
            DtypeName::F64 => DType::F64,
        }
    }
}

/// Version of the JSON document.
const SCHEMA_VERSION: u32 = 1;

/// Does what the call asks for.
///
/// # Errors
/// `Data` for a model or inputs that cannot be used, `Io` when the file cannot be written.
pub fn run(args: &PredictArgs, context: &Context) -> Result<Outcome> {
    let Some(inputs) = &args.inputs else {
        return super::sequences::run(args, context);
    };
    let place = args.model.find(context)?;
    let options = Options {
        dtype: args.dtype.float(),
        grads: args.grads,
    };
    let (disk, device) = (context.disk.as_ref(), subject::device(context));
    let facts = predict_files(disk, &place.model, inputs, &args.out, options, device)?;
    for note in subject::notes(&facts.dropped, &facts.widened) {
        context.say(&note);
    }
    Ok(Outcome::of(match context.json {
        true => Output::Json(as_json(args, &facts)),
        false => Output::Text(as_text(args, &facts)),
    }))
}

fn as_json(args: &PredictArgs, facts: &Facts) -> Value {
    let outputs = facts.outputs.iter();
    let outputs: Vec<Value> = outputs
        .map(|(name, shape)| json!({"name": name, "shape": shape}))
        .collect();
    json!({
        "schema_version": SCHEMA_VERSION,
        "out": args.out.display().to_string(),
        "dtype": args.dtype.float().name(),
        "tokens": facts.tokens,
        "sequences": facts.sequences,
        "loss": facts.loss.and_then(|loss| loss.mean()),
        "loss_tokens": facts.loss.map(|loss| loss.tokens),
        "outputs": outputs,
        "dropped": facts.dropped,
        "widened": facts.widened,
    })
}

fn as_text(args: &PredictArgs, facts: &Facts) -> String {
    let rows = facts
        .outputs
        .iter()
        .map(|(name, shape)| [name.clone(), format!("{shape:?}")]);
    let mut text = table::render(["output", "shape"], rows);
    let (tokens, sequences) = (facts.tokens, facts.sequences);
    text += &format!("\n{tokens} tokens in {sequences} sequences");
    if let Some((mean, loss)) = facts.loss.and_then(|loss| Some((loss.mean()?, loss))) {
        let counted = match facts.objective {
            Objective::Sequence { .. } => "sequences",
            Objective::Causal | Objective::Masked | Objective::Token { .. } => "tokens",
        };
        text += &format!(", loss {mean:.6} over {} {counted}", loss.tokens);
    }
    text + &format!("; written to `{}`\n", args.out.display())
}
