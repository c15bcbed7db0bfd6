//! Saves one tokenizer of each kind, for `scripts/tokenizer_reference.py` to read with
//! `transformers`.
//!
//! Usage: `cargo run -p tenon-data --example save_tokenizers -- OUT_DIR CHAR_TEXT_FILE`

use std::path::Path;

use tenon_base::files::RealDisk;
use tenon_base::{Error, Result};
use tenon_data::vocab::{Eos, Spec};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, out, text] = args.as_slice() else {
        return Err(Error::usage("expected OUT_DIR and CHAR_TEXT_FILE"));
    };
    let text = std::fs::read_to_string(text)
        .map_err(|reason| Error::io("cannot read", Path::new(text), &reason))?;
    let specs = [
        ("byte", Spec::Byte),
        ("char", Spec::Char(Eos::Added)),
        ("char_without_eos", Spec::Char(Eos::Absent)),
        ("gpt2", Spec::Gpt2),
    ];
    for (name, spec) in specs {
        spec.build([text.as_str()])?
            .save(&RealDisk, &Path::new(out).join(name))?;
    }
    Ok(())
}
