//! The operators, one file each.
//!
//! Each states its floor: what an element (or a row, or a call) costs at least, forward and in the
//! derivative, in bytes read and written in f32, operations of products (a multiply-add is two) and
//! exponentials. `tenon_kernels::Pointwise` has the numbers that benchmarks hold kernels against.

mod activation;
mod add;
mod attention;
mod cached_attention;
mod dropout;
mod embedding;
mod experts;
mod layer_norm;
mod linear;
mod linear_xent;
mod pool_mean;
mod qkv;
mod rms_norm;
mod rotary;
mod router_balance;
mod select_rows;
mod swiglu;
mod token_dropout;
mod value_loss;

pub use activation::Activate;
pub use add::Add;
pub use attention::Attention;
pub use cached_attention::CachedAttention;
pub use dropout::Dropout;
pub use embedding::Embedding;
pub use experts::Experts;
pub use layer_norm::LayerNorm;
pub use linear::{Linear, WeightLayout};
pub use linear_xent::LinearXent;
pub use pool_mean::PoolMean;
pub use qkv::AttentionLayout;
pub use rms_norm::RmsNorm;
pub use rotary::{Rotary, rotary_tables};
pub use router_balance::RouterBalance;
pub use select_rows::SelectRows;
pub use swiglu::SwiGlu;
pub use token_dropout::TokenDropout;
pub use value_loss::RowValueLoss;

use crate::check::Entry;

/// Every operator with its cases: the list that the proofs run over.
pub const OPS: &[Entry] = &[
    activation::ENTRY,
    add::ENTRY,
    attention::ENTRY,
    cached_attention::ENTRY,
    dropout::ENTRY,
    embedding::ENTRY,
    experts::ENTRY,
    layer_norm::ENTRY,
    linear::ENTRY,
    linear_xent::ENTRY,
    pool_mean::ENTRY,
    rms_norm::ENTRY,
    rotary::ENTRY,
    router_balance::ENTRY,
    select_rows::ENTRY,
    swiglu::ENTRY,
    token_dropout::ENTRY,
    value_loss::ENTRY,
];
