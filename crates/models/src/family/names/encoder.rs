//! Tensors of encoders.

mod amplify;
mod bert;
mod encodon;
mod esm;
mod plain_encodon;

pub(crate) use amplify::AMPLIFY;
pub(crate) use bert::{BERT, BERT_UNTIED};
pub(crate) use encodon::ENCODON;
pub(crate) use esm::ESM;
pub(crate) use plain_encodon::PLAIN_ENCODON;
