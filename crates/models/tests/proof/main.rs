//! Proof of planner and executor on whole models.

mod plan;
mod sequences;
mod small;
mod training;
mod watched;
