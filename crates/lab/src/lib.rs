//! One binary for the whole life of a model: the command line and the library behind it

pub mod config;
pub mod plots;
pub mod report;
pub mod runs;
