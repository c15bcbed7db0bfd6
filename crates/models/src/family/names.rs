//! The names of tensors in hub checkpoints.

pub(super) mod classes;
pub(super) mod decoder;
pub(super) mod encoder;
pub(super) mod fused;
