//! Model families, parameter roles and checkpoints
