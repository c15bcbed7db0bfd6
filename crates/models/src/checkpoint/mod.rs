//! Weights on disk: safetensors files and PyTorch's checkpoints read through a memory map,
//! safetensors written atomically, the index of sharded checkpoints, and the mapping between a
//! hub's tensor names and ours.

mod bytes;
pub mod convert;
mod header;
mod index;
mod map;
pub mod mapping;
mod pattern;
mod pickle;
mod read;
mod torch;
mod write;

pub use bytes::Bytes;
pub use header::HEADER_BYTES_MAX;
pub use pickle::{PlainValue, read_plain};
pub use read::{Checkpoint, INDEX_FILE, SINGLE_FILE, TORCH_FILE, TORCH_INDEX_FILE, TensorView};
pub use safetensors::Dtype;
pub use write::{FillTensor, Order, Slot, write, write_to};
