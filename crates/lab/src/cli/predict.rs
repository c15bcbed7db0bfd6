//! Arguments of `tenon predict`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

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
    /// Run, model folder or hub folder
    #[arg(value_name = "MODEL")]
    pub model: PathBuf,
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
