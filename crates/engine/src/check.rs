//! Proof of operators: the cases that each operator states, and the questions asked of all of them.

mod case;
mod harness;

pub use case::{Case, CaseInput, Entry, Reject};
pub use harness::{Ran, Single, adjoint_gap, values_gap};
