//! The embedded store of runs, metrics, artifacts and lineage.
//!
//! Two homes hold what a run reports: [`Store`], one SQLite file for all runs, answers questions
//! about many of them; [`log::MetricsLog`], one JSON-lines file in the folder of each run, is for
//! scripts and for continuing after a crash.
//!
//! The crate reads no clock: every time arrives as RFC 3339 text in UTC. A value that is not there
//! is `None`, never zero.

pub mod compare;
pub mod direction;
pub mod lineage;
pub mod log;
pub mod metric;
pub mod process;
pub mod run;
mod schema;
pub mod store;
pub mod sweep;

pub use compare::{Comparison, ConfigRow, Divergence, SeriesRow};
pub use direction::Direction;
pub use lineage::{Artifact, Input, InputKind, Lineage};
pub use metric::{At, Best, Metric, Point, Split, Summary};
pub use process::{Life, Process};
pub use run::{NewRun, Run, RunFilter, RunId, RunSort, SortKey, Status};
pub use store::Store;
pub use sweep::{Sweep, SweepId, Trial};
