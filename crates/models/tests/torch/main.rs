//! Checkpoints of PyTorch and pickles: what PyTorch wrote is read with its exact values, and what
//! would run, lies or never ends is refused.

mod archives;
mod asm;
mod bombs;
mod calls;
mod damaged;
mod folder;
mod mutations;
mod recorded;
mod tensors;
