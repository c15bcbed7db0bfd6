//! Proof of planner and executor on whole models.

mod inspect;
mod length;
mod plan;
mod sequences;
mod small;
mod training;
mod watched;
