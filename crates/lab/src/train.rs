//! `tenon train`: a run from its configuration to its report.

pub mod settings;
pub mod store;
