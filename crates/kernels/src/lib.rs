//! Numeric kernels on slices: all unsafe code, every fast function beside its scalar twin.
//!
//! Every function gives the same bits for every number of threads, every batch neighbour and every
//! instruction set: sums run in one written order, products are fused multiply-adds on every path,
//! and elementary functions are our own. Shapes are asserted at entry; nothing here allocates after
//! [`Pool::new`] and [`Arena::new`].
//!
//! Letters in shapes: `N` rows, `D` width, `H` heads, `G` key-value heads, `K` head width, `F` hidden
//! width, `V` vocabulary, `R` rows of a loss.

mod arena;
mod float;
mod gemm;
mod isa;
mod pool;

pub use arena::{Arena, Lend, Pod, Region};
pub use float::Float;
pub use gemm::{Gemm, Mat, gemm, gemm_work_len};
pub use isa::Isa;
pub use pool::{Cx, Pool};
