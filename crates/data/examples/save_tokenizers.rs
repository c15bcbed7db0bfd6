//! Saves one tokenizer of each kind, for `scripts/tokenizer_reference.py` and
//! `tests/golden/encoders.py` to read with `transformers`.
//!
//! Usage: `cargo run -p tenon-data --example save_tokenizers -- OUT_DIR CHAR_TEXT_FILE`

use std::path::Path;

use tenon_base::files::RealDisk;
use tenon_base::{Error, Result};
use tenon_data::Tokenizer;
use tenon_data::cells::GeneVocabulary;
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
        ("esm", Spec::Esm),
        ("amplify", Spec::Amplify),
        ("codon", Spec::Codon),
    ];
    for (name, spec) in specs {
        spec.build([text.as_str()])?
            .save(&RealDisk, &Path::new(out).join(name))?;
    }
    genes()?.save(&RealDisk, &Path::new(out).join("genes"))
}

/// Three genes; the largest id that is used leaves one unused below it.
fn genes() -> Result<GeneVocabulary> {
    let medians = [("ENSG01", 1.5), ("ENSG02", 0.25), ("ENSG03", 3.0)];
    let special = ["<pad>", "<mask>", "<cls>", "<eos>"].into_iter().zip(0..);
    let genes = [("ENSG01", 4), ("ENSG02", 6), ("ENSG03", 7)];
    GeneVocabulary::from_maps(
        &medians.map(|(name, m)| (name.to_owned(), m)).into(),
        &special
            .chain(genes)
            .map(|(name, id)| (name.to_owned(), id))
            .collect(),
    )
}
