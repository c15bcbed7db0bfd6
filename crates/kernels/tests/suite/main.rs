//! Every kernel against its definition, on every path of this machine.

mod attention;
mod attention_cached;
mod columns;
mod common;
mod gemm;
mod norm;
mod packed;
mod paths;
mod pointwise;
mod probabilities;
mod rope;
mod route;
mod sequences;
mod values;
mod xent;
