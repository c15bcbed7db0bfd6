//! A model as a value: a static graph of fused operators with hand-written derivatives, the plan of
//! its memory, and the executor that runs it.
//!
//! Letters used for dimensions, here and in every operator: `N` tokens (rows) of a batch, `S`
//! sequences, `D` model width, `E` experts, `H` heads, `G` key/value heads, `K` head width, `F`
//! feed-forward width, `V` vocabulary.
//!
//! A batch is always *packed*: the rows of all its sequences one after the other, with the bounds
//! `cu_seqlens [S+1]`. Padding never enters a graph, so it cannot change a bit of anything.
//!
//! This crate opens no file, reads no clock and draws no randomness (dropout takes a counter key).

pub mod check;
pub mod cpu;
pub mod exec;
pub mod graph;
pub mod meaning;
pub mod op;
pub mod ops;
pub mod plan;
pub mod shape;
pub mod table;

pub use exec::{CallInfo, Executor, LossSum, Pass};
pub use graph::{Const, Graph, GraphBuilder, Init, NodeId, ParamId, Role, ValueId};
pub use op::{Cost, Grad, Op, Saves};
pub use plan::{Plan, PlanOptions, Recompute};
pub use shape::{DType, Dim, Elem, Extent, Shape, Ty};
pub use table::{Buf, Kernels};
pub use tenon_kernels::Isa;
