//! `tenon contacts`: which residues of proteins touch.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use tenon_base::Result;

use super::predict::DtypeName;
use super::subject::ModelArgs;
use super::{Outcome, Output};
use crate::contacts::{self, MAPS_FILE, Wanted, Written};
use crate::context::Context;
use crate::table;

/// Tell which residues of proteins touch, from the attention of an ESM-2 model
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
    DIR gets `contacts.safetensors`, a tensor of probabilities `[R,R]` under the id of each\n\
    sequence of R residues, and a picture `ID.png` of each. The checkpoint must have its head for\n\
    contacts, as published ones do. Letters that make no file name are written `%XX` there.\n\n\
    Example:\n  \
    tenon contacts facebook/esm2_t6_8M_UR50D --data proteins.fasta --out contacts")]
pub struct ContactsArgs {
    /// Which model
    #[command(flatten)]
    pub model: ModelArgs,
    /// FASTA file with the sequences
    #[arg(long, value_name = "FILE.fasta")]
    pub data: PathBuf,
    /// Folder to write
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Number format of the computation
    #[arg(long, value_enum, default_value_t = DtypeName::F32)]
    pub dtype: DtypeName,
}

/// Version of the JSON document.
const SCHEMA_VERSION: u32 = 1;

/// Does what the call asks for.
///
/// # Errors
/// As [`contacts::write`].
pub fn run(args: &ContactsArgs, context: &Context) -> Result<Outcome> {
    let place = args.model.find(context)?;
    let wanted = Wanted {
        model: &args.model.model.display().to_string(),
        data: &args.data,
        out: &args.out,
        dtype: args.dtype.float(),
    };
    let written = contacts::write(&place, &wanted, context)?;
    Ok(Outcome::of(match context.json {
        true => Output::Json(as_json(args, &written)),
        false => Output::Text(as_text(args, &written)),
    }))
}

fn as_json(args: &ContactsArgs, written: &[Written]) -> Value {
    let maps = written.iter().map(|map| {
        let picture = map.picture.display().to_string();
        json!({"id": map.id, "residues": map.n_residues, "picture": picture})
    });
    json!({
        "schema_version": SCHEMA_VERSION,
        "out": args.out.join(MAPS_FILE).display().to_string(),
        "dtype": args.dtype.float().name(),
        "maps": maps.collect::<Vec<Value>>(),
    })
}

fn as_text(args: &ContactsArgs, written: &[Written]) -> String {
    let rows = written.iter().map(|map| {
        let picture = map.picture.display().to_string();
        [map.id.clone(), map.n_residues.to_string(), picture]
    });
    let text = table::render(["sequence", "residues", "picture"], rows);
    let maps = args.out.join(MAPS_FILE);
    text + &format!(
        "\n{} maps; written to `{}`\n",
        written.len(),
        maps.display()
    )
}
