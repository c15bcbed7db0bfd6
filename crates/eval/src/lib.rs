//! Judging a model: losses and metrics, text generation
