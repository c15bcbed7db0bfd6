//! Pickles read as plain values. Nothing is ever imported, created from a class or called: the few
//! globals that are known are constants, and what they would make is worked out here. Everything
//! else is refused with its name and its byte.
//!
//! Source of the format: the comments of CPython's `Lib/pickletools.py`, protocols 0 to 5.

mod fault;
mod globals;
mod heap;
mod machine;
mod numpy;
mod ops;
mod plain;
mod reduce;
mod stack;
mod stream;

pub(super) use globals::Scope;
pub(super) use heap::{Heap, Node, Storage, Tensor, Value};
pub(super) use machine::{Loaded, load};
pub use plain::{PlainValue, read_plain};
