//! `tenon predict`: from tensors to tensors.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tenon_base::Result;
use tenon_engine::DType;
use tenon_models::predict::{Facts, Options, predict_files};

use super::subject::ModelArgs;
use super::{Outcome, Output};
use crate::context::Context;
use crate::{subject, table};

/// Run a model on named tensors and write logits, hidden states and gradients
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
    Inputs are `input_ids [B,T]` with optional `attention_mask`, `labels`, `position_ids` and\n\
    `token_type_ids`, or packed `input_ids [1,T]` with `cu_seqlens [n+1]`.\n\
    Outputs are `logits`, `hidden_states.N`, `loss` when labels are given, and with `--grads`\n\
    `grad.NAME` for each parameter by its name in the hub file.\n\n\
    Example:\n  \
    tenon predict model/ --inputs in.safetensors --out out.safetensors --grads --dtype f64")]
pub struct PredictArgs {
    /// Which model
    #[command(flatten)]
    pub model: ModelArgs,
    /// File with the input tensors
    #[arg(long, value_name = "IN.safetensors")]
    pub inputs: PathBuf,
    /// File to write
    #[arg(long, value_name = "OUT.safetensors")]
    pub out: PathBuf,
    /// Also write the gradient of the loss for each parameter
    #[arg(long)]
    pub grads: bool,
    /// Number format of the computation
    #[arg(long, value_enum, default_value_t = DtypeName::F32)]
    pub dtype: DtypeName,
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
    let place = args.model.find(context)?;
    let options = Options {
        dtype: args.dtype.float(),
        grads: args.grads,
    };
    let (disk, device) = (context.disk.as_ref(), subject::device(context));
    let facts = predict_files(disk, &place.model, &args.inputs, &args.out, options, device)?;
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
        text += &format!(", loss {mean:.6} over {} tokens", loss.tokens);
    }
    text + &format!("; written to `{}`\n", args.out.display())
}
