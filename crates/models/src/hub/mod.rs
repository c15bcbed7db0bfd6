//! Hub folders: `config.json` in the spellings that `transformers` 4 and 5 read and write.

mod activation;
mod config;
mod custom;
mod decoder;
mod encoder;
mod fields;
mod gpt2;
mod rope;

pub use config::{CONFIG_FILE, HubConfig, Naming};
