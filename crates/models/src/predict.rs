//! Running a model once on given tokens: logits, hidden states, loss and gradients under the names
//! of the model's file, and contact maps.

mod contacts;
mod files;
mod pack;
mod run;
mod sequences;

pub(crate) use run::set_batch;

pub use contacts::{ContactMaps, is_contact_head};
pub use files::{Facts, Inputs, predict_files, read_inputs};
pub use pack::classes::FloatTensor;
pub use pack::{Bounds, IntTensor, Packed, pack};
pub use run::{Model, Options, Output, Prediction, predict, predict_packed, run};
pub use sequences::{Pool, Sequences};
