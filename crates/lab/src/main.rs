//! The command line program; everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    tenon::cli::edge::main(std::env::args_os())
}
