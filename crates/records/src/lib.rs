//! The embedded store of runs, metrics, artifacts and lineage
