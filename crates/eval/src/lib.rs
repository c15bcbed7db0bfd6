//! Judging a model and letting it write: losses and accuracies over a split, generation with cached
//! keys and values, and plain statistics of what was written.
//!
//! This crate does not know how a model was trained nor where results are stored.

#[cfg(test)]
mod fixture;
pub mod generate;
pub mod judge;
pub mod samples;
pub mod scores;
mod subject;

pub use generate::{Flow, Generated, Generator, Reason, Sampling};
pub use judge::{Judged, Judgement, judge, judge_model};
pub use scores::Scores;
