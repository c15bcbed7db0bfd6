//! What the standard library lacks: errors, diagnostics, spanned configuration, atomic files,
//! clock, counter-based randomness. Anything that knows of tensors or models does not belong here.

pub mod clock;
pub mod error;
pub mod files;
pub mod rng;
pub mod suggest;

pub use error::{Error, Kind, Result};
