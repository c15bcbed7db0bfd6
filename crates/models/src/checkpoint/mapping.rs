//! Mapping between hub names and ours.
