//! Test tools: a disk and a model hub that fail on demand, shared data and goldens, relative
//! errors.
//!
//! A development dependency only; nothing here reaches the binary.

mod compare;
mod fault_disk;
mod hub_server;
mod shared;

pub use compare::{assert_rel, rel_err};
pub use fault_disk::{Fault, FaultDisk};
pub use hub_server::{HubServer, Kept, Mishap, Seen};
pub use shared::{shared_data, shared_goldens};
