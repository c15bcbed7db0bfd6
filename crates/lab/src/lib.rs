//! One binary for the whole life of a model: the command line and the library behind it

pub mod cli;
pub mod config;
pub mod context;
pub mod describe;
pub mod evaluate;
pub mod generate;
pub mod plots;
pub mod prepare;
pub mod progress;
pub mod report;
pub mod runs;
pub mod subject;
pub mod table;
pub mod train;
