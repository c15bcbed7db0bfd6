//! What the standard library lacks: errors, diagnostics, spanned configuration, atomic files,
//! clock, counter-based randomness. Anything that knows of tensors or models does not belong here.

pub mod clock;
pub mod config;
pub mod diag;
pub mod error;
pub mod files;
pub mod hash;
pub mod knobs;
pub mod limits;
pub mod memory;
pub mod rng;
pub mod suggest;
pub mod units;
pub mod yaml;

pub use error::{Error, Kind, Result};
