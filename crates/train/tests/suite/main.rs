//! The training loop on a tiny run.

mod common;
mod policy;
mod resume;
