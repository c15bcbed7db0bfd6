//! Whole models: read, written, run, and compared with what the references computed.

mod common;
mod contacts;
mod convert;
mod counted;
mod families;
mod folder;
mod fresh;
mod gradcheck;
mod lies;
mod mistakes;
mod mutants;
mod names;
mod packing;
mod positions;
mod predict;
mod publish;
mod published;
mod recorded;
