//! Tensors of fused layers: query, key and value in one, gate and up in one, norms beside the
//! matrix that reads them; a vocabulary may be padded.

mod amplify;
mod bert;
mod decoder;
mod encodon;
mod esm;
mod gpt2;

pub(crate) use amplify::AMPLIFY;
pub(crate) use bert::BERT;
pub(crate) use decoder::{LLAMA, MIXTRAL};
pub(crate) use encodon::ENCODON;
pub(crate) use esm::ESM;
pub(crate) use gpt2::GPT2;
