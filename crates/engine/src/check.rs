//! Proof of operators and plans: the cases that each operator states, the questions asked of all of
//! them, and the rules of sound memory.

mod case;
mod harness;
mod placement;

pub use case::{Case, CaseInput, Entry, Reject};
pub use harness::{Ran, Single, adjoint_gap, values_gap};
pub use placement::check_placement;
