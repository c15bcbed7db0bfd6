//! The operators, one file each.

mod activation;
mod add;
mod attention;
mod cached_attention;
mod dropout;
mod embedding;
mod layer_norm;
mod linear;
mod linear_xent;
mod qkv;
mod rms_norm;
mod rotary;
mod select_rows;
mod swiglu;

pub use activation::Activate;
pub use add::Add;
pub use attention::Attention;
pub use cached_attention::CachedAttention;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use layer_norm::LayerNorm;
pub use linear::{Linear, WeightLayout};
pub use linear_xent::LinearXent;
pub use qkv::AttentionLayout;
pub use rms_norm::RmsNorm;
pub use rotary::{Rotary, rotary_tables};
pub use select_rows::SelectRows;
pub use swiglu::SwiGlu;

use crate::check::Entry;

/// Every operator with its cases: the list that the proofs run over.
pub const OPS: &[Entry] = &[
    activation::ENTRY,
    add::ENTRY,
    attention::ENTRY,
    cached_attention::ENTRY,
    dropout::ENTRY,
    embedding::ENTRY,
    layer_norm::ENTRY,
    linear::ENTRY,
    linear_xent::ENTRY,
    rms_norm::ENTRY,
    rotary::ENTRY,
    select_rows::ENTRY,
    swiglu::ENTRY,
];
