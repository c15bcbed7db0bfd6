//! The commands around a trained model, through the program: a small run, and the small models that
//! the families are proved with.

mod contacts;
mod convert;
mod eval;
mod facts;
mod failures;
mod generate;
mod home;
mod predict;
