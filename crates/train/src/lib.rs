//! Training: optimisers, schedules, the loop, checkpoints and exact resume
