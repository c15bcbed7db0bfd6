//! Running a model once on given tokens: logits, hidden states, loss and gradients under the hub's
//! names.

mod files;
mod pack;
mod run;

pub(crate) use run::set_batch;

pub use files::{Facts, predict_files, read_inputs};
pub use pack::{Bounds, IntTensor, Packed, pack};
pub use run::{Model, Options, Output, Prediction, predict, run};
