//! `tenon models`: what can be trained and read.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{Outcome, Output};
use crate::config::FamilyInfo;
use crate::context::Context;
use crate::table;
use tenon_base::Result;

/// List the model families
#[derive(Clone, Debug, Args)]
pub struct ModelsArgs {
    /// What to do
    #[command(subcommand)]
    pub command: ModelsCommand,
}

/// What to do with the families.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum ModelsCommand {
    /// List the families with their `model_type` and default sizes
    Ls,
}

/// Version of the JSON document.
const SCHEMA_VERSION: u32 = 1;

/// Does what the call asks for.
///
/// # Errors
/// None.
pub fn run(args: &ModelsArgs, context: &Context) -> Result<Outcome> {
    let ModelsCommand::Ls = args.command;
    if context.json {
        let families: Vec<_> = FamilyInfo::ALL
            .iter()
            .map(|family| {
                json!({
                    "name": family.name,
                    "model_type": family.model_type,
                    "about": family.doc,
                    "defaults": {
                        "max_seq_len": family.max_seq_len,
                        "n_blocks": family.n_blocks,
                        "n_heads": family.n_heads,
                        "d_model": family.d_model,
                    },
                })
            })
            .collect();
        let document = json!({"schema_version": SCHEMA_VERSION, "families": families});
        return Ok(Outcome::of(Output::Json(document)));
    }
    let head = ["family", "model_type", "default size", "about"];
    let rows = FamilyInfo::ALL.iter().map(|family| {
        let size = format!(
            "{} blocks, {} heads, width {}, {} tokens",
            family.n_blocks, family.n_heads, family.d_model, family.max_seq_len
        );
        [
            family.name.to_owned(),
            family.model_type.to_owned(),
            size,
            family.doc.to_owned(),
        ]
    });
    Ok(Outcome::of(Output::Text(table::render(head, rows))))
}
