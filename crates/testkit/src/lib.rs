//! Test tools: a disk that fails on demand, shared data and goldens, relative errors.
//!
//! A development dependency only; nothing here reaches the binary.

mod compare;
mod fault_disk;
mod shared;

pub use compare::{assert_rel, rel_err};
pub use fault_disk::{Fault, FaultDisk};
pub use shared::{shared_data, shared_goldens};
