//! Hub folders: `config.json` in the spellings that `transformers` 4 and 5 read and write.

mod config;
mod custom;
mod fields;
mod gpt2;
mod llama;

pub use config::{CONFIG_FILE, HubConfig};
