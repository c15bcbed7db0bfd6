//! Model families, parameter roles and checkpoints.
//!
//! A checkpoint is read as [`checkpoint::Checkpoint`] (a folder or a file, memory-mapped), its
//! `config.json` as [`hub::HubConfig`] (which holds a [`spec::Spec`]), and its tensor names are
//! matched with ours by a [`checkpoint::mapping::Table`], every key accounted for. [`folder`] does
//! all of that for a whole model, [`predict`] runs it, and [`gradcheck`] proves its
//! derivatives.

pub mod checkpoint;
pub mod convert;
pub mod family;
pub mod folder;
pub mod gradcheck;
pub mod hub;
pub mod inspect;
mod json;
pub mod net;
pub mod predict;
pub mod publish;
pub mod published;
pub mod spec;
pub mod weights;
