//! What `tenon runs` shows: tables for people, one JSON document for programs.
//!
//! Every function is pure: records in, text or JSON out.

pub mod best;
pub mod compare;
mod format;
pub mod ls;
pub mod show;
mod sketch;

/// Version of the JSON documents of `tenon runs`; grows when a key changes its meaning or goes.
pub const SCHEMA_VERSION: u32 = 1;
