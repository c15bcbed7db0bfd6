//! What the standard library lacks: errors, diagnostics, spanned configuration, atomic files, clock,
//! counter-based randomness. Anything that knows of tensors or models does not belong here.

pub mod error;

pub use error::{Error, Kind, Result};
