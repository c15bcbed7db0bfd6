//! Writes `configs/proteins.fasta`, the small set of the examples.
//!
//! Usage: `cargo run -p tenon-data --example make_proteins -- OUT_FILE`

use std::path::Path;

use tenon_base::files::{Disk, RealDisk};
use tenon_base::{Error, Result};
use tenon_data::source::{ProteinSpec, proteins};

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, out] = args.as_slice() else {
        return Err(Error::usage("expected OUT_FILE"));
    };
    let made = proteins(ProteinSpec::SMALL)?;
    RealDisk.write_atomic(Path::new(out), made.fasta().as_bytes())
}
