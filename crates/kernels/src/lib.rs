//! Numeric kernels on slices: all unsafe code, every fast function beside its scalar twin.
//!
//! Every function gives the same bits for every number of threads, every batch neighbour and every
//! instruction set: sums run in one written order, products are fused multiply-adds on every path,
//! and elementary functions are our own. Shapes are asserted at entry; nothing here allocates after
//! [`Pool::new`] and [`Arena::new`].
//!
//! Letters in shapes: `N` rows, `D` width, `E` experts, `H` heads, `G` key-value heads, `K` head
//! width, `F` hidden width, `V` vocabulary, `R` rows of a loss.

mod activation;
mod arena;
mod attention;
mod balance;
mod bytes;
mod cols;
mod columns;
mod dropout;
mod elementwise;
mod float;
mod floor;
mod gather_rows;
mod gemm;
mod isa;
mod lanes;
mod norm;
mod optim;
mod pool;
mod reduce;
mod rope;
mod route;
mod sequences;
mod turns;
mod values;
mod xent;

pub use activation::{Activation, activation, activation_vjp, swiglu, swiglu_vjp};
pub use arena::{Arena, Lend, Pod, Region};
pub use attention::{
    Attention, AttentionGrads, AttentionHead, Cache, CachedAttention, attention, attention_cached,
    attention_probabilities, attention_vjp, attention_vjp_work_len, attention_work_len,
    cache_append,
};
pub use balance::{Balance, balance_add, balance_rows, balance_vjp};
pub use bytes::{bytes_of, bytes_of_mut};
pub use cols::{Cols, ColsMut, split_cols};
pub use columns::column_sums;
pub use dropout::{Dropout, dropout};
pub use elementwise::{add, add_assign, axpy, copy, fill, mul, scale};
pub use float::Float;
pub use floor::{Floor, Pointwise, bare_exps, bare_random_words};
pub use gather_rows::{gather_rows, scatter_add_rows};
pub use gemm::{Gemm, Mat, PackedGemm, gemm, gemm_packed, gemm_work_len};
pub use gemm::{gather_panel_columns, pack_panels, unpack_panels};
pub use isa::Isa;
pub use norm::{NormGrads, NormSaved, layer_norm, layer_norm_vjp, rms_norm, rms_norm_vjp};
pub use optim::{AdamW, Sgd, adamw, sgd};
pub use pool::{Cx, Pool};
pub use reduce::{dot, has_nonfinite, sum, sum_sq};
pub use rope::{Rope, RopeStyle, rope, rope_in_place};
pub use route::{Routes, route, route_vjp, weigh_rows, weigh_rows_vjp};
pub use sequences::{MeanPool, TokenDropout, mean_pool, mean_pool_vjp, token_dropout};
pub use values::{ValueLoss, value_rows, value_rows_vjp};
pub use xent::{IGNORED, Xent, counted_rows, xent_rows};
