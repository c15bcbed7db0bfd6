//! The command line of the chores: `cargo xtask tidy`, `cargo xtask count LOG [STEP…]`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::ExitCode;

use tenon_base::{Error, Result};
use tenon_xtask::tree::{self, Tree};
use tenon_xtask::{ratchet, test_count, tidy, workspace_root};

const USAGE: &str = "\
usage: cargo xtask tidy             names every broken rule of the house
       cargo xtask tidy --update    lowers the listed lengths to today's
       cargo xtask tidy --accept    lists today's lengths, longer ones too; say why in the commit
       cargo xtask count LOG [failed:STEP|skipped:STEP]...
                                    the last line of a CI run
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["tidy"] => judge(),
        ["tidy", "--update"] => write_list(ratchet::lowered),
        ["tidy", "--accept"] => write_list(|tree| Ok(ratchet::accepted(tree))),
        ["count", log, ref steps @ ..] => count(log, steps),
        _ => Err(Error::usage("unknown chore").hint(USAGE)),
    };
    match done {
        Ok(code) => code,
        Err(error) => {
            // Nobody is left to tell when stderr is closed.
            let _ = writeln!(io::stderr(), "error: {error}");
            ExitCode::from(error.kind().exit_code())
        }
    }
}

/// Prints a line to stdout.
fn say(line: impl std::fmt::Display) -> Result<()> {
    let written = writeln!(io::stdout(), "{line}");
    written.map_err(|e| Error::io("cannot write", Path::new("stdout"), &e))
}

fn judge() -> Result<ExitCode> {
    let problems = tidy(&workspace_root())?;
    for problem in &problems {
        say(problem)?;
    }
    Ok(ExitCode::from(u8::from(!problems.is_empty())))
}

/// Writes the list of exceptions anew.
fn write_list(text: impl Fn(&Tree) -> Result<String>) -> Result<ExitCode> {
    let root = workspace_root();
    let text = text(&tree::read(&root)?)?;
    let list = root.join(ratchet::LIST);
    fs::write(&list, text).map_err(|e| Error::io("cannot write", &list, &e))?;
    Ok(ExitCode::SUCCESS)
}

/// Prints the counts of a test log together with the steps beside the tests. A failed test run
/// without a failed test (it did not build, or was killed) counts as one failure.
fn count(log: &str, steps: &[&str]) -> Result<ExitCode> {
    let path = Path::new(log);
    let bytes = fs::read(path).map_err(|e| Error::io("cannot read", path, &e))?;
    let mut counts = test_count::count(&String::from_utf8_lossy(&bytes));
    for step in steps {
        match step.split_once(':') {
            Some(("failed", "tests")) if counts.failed > 0 => {}
            Some(("failed", _)) => counts.failed += 1,
            Some(("skipped", _)) => counts.skipped += 1,
            _ => return Err(Error::usage(format!("`{step}` is no step")).hint(USAGE)),
        }
        say(step.replacen(':', ": ", 1))?;
    }
    if counts.passed == 0 && counts.failed == 0 {
        counts.failed = 1;
        say("failed: no test ran")?;
    }
    say(counts)?;
    Ok(ExitCode::from(u8::from(counts.failed > 0)))
}
