//! Training: settings, schedules, the loop, checkpoints and exact resume.
//!
//! [`train`] runs a [`Run`] to its end and tells an observer every [`Event`]. The one step counter,
//! the one denominator (counted tokens of the whole accumulation window) and the data cursor live
//! in [`State`]; together with weights and optimiser buffers they are a checkpoint, and enough to
//! continue to the same bits. Nothing here knows of SQL, pages, or how a model is judged.

mod checkpoint;
mod event;
mod run;
mod schedule;
mod settings;
mod state;
mod update;

pub use checkpoint::{Checkpoints, MODEL_FOLDER, ModelStore};
pub use event::{Ending, Event, StepStats, Validation};
pub use run::{Judge, Observer, Outcome, Run, train};
pub use schedule::{Curve, Schedule};
pub use settings::{EarlyStopping, Optimizer, Settings};
pub use state::State;
pub use update::update;
