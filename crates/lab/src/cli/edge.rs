//! The outermost layer: arguments in, exit code out, and every failure told in the way that was
//! asked for.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Write};
use std::panic::{self, AssertUnwindSafe, PanicHookInfo};
use std::process::ExitCode;

use clap::Parser;
use clap::error::ErrorKind;
use serde_json::{Map, Value, json};
use tenon_base::{Error, Kind, Result};

use super::{Cli, Outcome, Output};
use crate::context::Context;

/// Version of the document that tells a failure.
pub const SCHEMA_VERSION: u32 = 1;

/// Exit code of a bug in the program.
pub const BUG: u8 = 101;

/// Runs the program with the process's arguments and surroundings.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let args: Vec<OsString> = args.into_iter().collect();
    panic::set_hook(Box::new(|info| {
        let _ = write!(io::stderr(), "{}", bug_text(info));
    }));
    let json = wants_json(&args);
    ExitCode::from(guarded(json, &mut io::stdout(), || run(&args, json)))
}

/// The exit code of `work`; a panic in it becomes [`BUG`] with a document that says so.
fn guarded(json: bool, stdout: &mut dyn Write, work: impl FnOnce() -> u8) -> u8 {
    let code = panic::catch_unwind(AssertUnwindSafe(work));
    code.unwrap_or_else(|_| {
        if json {
            let error = json!({
                "kind": "bug",
                "message": "the program has a bug; stderr says where",
                "where": null,
                "hint": null,
            });
            let document = json!({"schema_version": SCHEMA_VERSION, "error": error});
            let _ = writeln!(stdout, "{document:#}");
        }
        BUG
    })
}

/// What is said of a panic: a sentence, not a backtrace.
fn bug_text(info: &PanicHookInfo<'_>) -> String {
    let message = info.payload_as_str().unwrap_or("no message");
    let place = info.location().map(|at| format!("\n  --> {at}"));
    format!(
        "error: a bug in tenon: {message}{}\nhint: report it with the command that you ran\n",
        place.unwrap_or_default()
    )
}

fn run(args: &[OsString], json: bool) -> u8 {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(refusal) => return refuse(&refusal, json),
    };
    let context = match Context::of_process(cli.json) {
        Ok(context) => context,
        Err(error) => return report(&error, cli.json, true),
    };
    let done = cli.command.run(&context);
    match done.and_then(|outcome| deliver(&outcome, &context)) {
        Ok(code) => code,
        Err(_) if context.reader_is_gone() => 0,
        Err(error) => report(&error, cli.json, !context.environment.no_color),
    }
}

/// Whether `--json` stands among the arguments, for failures before they are understood.
fn wants_json(args: &[OsString]) -> bool {
    let own = args.iter().take_while(|arg| *arg != "--");
    own.into_iter().any(|arg| arg == "--json")
}

fn deliver(outcome: &Outcome, context: &Context) -> Result<u8> {
    match &outcome.output {
        Output::Nothing => {}
        Output::Text(text) => context.print(text)?,
        Output::Json(document) => context.print(&format!("{document:#}\n"))?,
    }
    Ok(match outcome.judged_bad {
        true => Kind::Judged.exit_code(),
        false => 0,
    })
}

/// Help and version, or arguments that make no call.
fn refuse(refusal: &clap::Error, json: bool) -> u8 {
    let is_help = matches!(
        refusal.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    );
    if is_help || !json {
        // Nobody is left to tell that this could not be written.
        let _ = refusal.print();
    } else {
        print_document(&usage_error(&refusal.to_string()));
    }
    match is_help {
        true => 0,
        false => Kind::Usage.exit_code(),
    }
}

/// The parser's text as an error: what stands before the usage, its tip as the hint.
fn usage_error(text: &str) -> Error {
    let said = text.split("\n\nUsage:").next().unwrap_or(text);
    let said = said
        .split("\n\nFor more information")
        .next()
        .unwrap_or(said);
    let (message, tips): (Vec<&str>, Vec<&str>) = said
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .partition(|line| !line.starts_with("tip:"));
    let message = message.join(" ");
    let error = Error::usage(message.strip_prefix("error: ").unwrap_or(&message));
    match tips.first() {
        Some(tip) => error.hint(tip.trim_start_matches("tip:").trim()),
        None => error.hint("`tenon --help` lists commands and options"),
    }
}

/// Tells a failure on stderr, and with `json` as the document on stdout; gives the exit code.
fn report(error: &Error, json: bool, color: bool) -> u8 {
    let color = color && io::stderr().is_terminal();
    let _ = writeln!(io::stderr(), "{}", text(error, color));
    if json {
        print_document(error);
    }
    error.kind().exit_code()
}

fn print_document(error: &Error) {
    let _ = writeln!(io::stdout(), "{:#}", document(error));
}

/// The failure for people.
pub fn text(error: &Error, color: bool) -> String {
    let label = match error.kind() {
        Kind::Interrupted => "interrupted:",
        _ => "error:",
    };
    let plain = format!("{label} {error}");
    if !color {
        return plain;
    }
    // Messages and excerpts hold no such line beginnings: control characters are replaced in them.
    let lines = plain.lines().map(|line| match line.split_once(' ') {
        Some((word @ ("error:" | "interrupted:"), rest)) => {
            format!("\u{1b}[1;31m{word}\u{1b}[0m {rest}")
        }
        Some((word @ "hint:", rest)) => format!("\u{1b}[1;36m{word}\u{1b}[0m {rest}"),
        _ => line.to_owned(),
    });
    lines.collect::<Vec<String>>().join("\n")
}

/// The failure for programs: `{"schema_version", "error": {"kind", "message", "where", "hint"}}`.
/// Further problems of the same run stand in `error.others`, which is absent without any.
pub fn document(error: &Error) -> Value {
    let mut all = error.all().map(|error| {
        let mut fields = Map::new();
        fields.insert("kind".to_owned(), json!(error.kind().name()));
        fields.insert("message".to_owned(), json!(error.message()));
        fields.insert("where".to_owned(), json!(error.place()));
        fields.insert("hint".to_owned(), json!(error.hint_text()));
        fields
    });
    let mut first = all.next().unwrap_or_default();
    let others: Vec<Value> = all.map(Value::Object).collect();
    if !others.is_empty() {
        first.insert("others".to_owned(), Value::Array(others));
    }
    json!({"schema_version": SCHEMA_VERSION, "error": first})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> Vec<OsString> {
        text.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn json_is_asked_for_before_the_double_dash() {
        assert!(wants_json(&words("tenon runs --json ls")));
        assert!(!wants_json(&words("tenon generate m --prompt -- --json")));
        assert!(!wants_json(&words("tenon runs ls --jsonl")));
    }

    #[test]
    fn a_panic_becomes_a_document_and_its_own_exit_code() {
        let mut stdout = Vec::new();
        let code = guarded(true, &mut stdout, || panic!("on purpose"));
        assert_eq!(code, BUG);
        let document: Value = serde_json::from_slice(&stdout).unwrap();
        assert_eq!(document["error"]["kind"], "bug");
        let mut stdout = Vec::new();
        assert_eq!(guarded(false, &mut stdout, || panic!("on purpose")), BUG);
        assert!(stdout.is_empty());
        assert_eq!(guarded(true, &mut stdout, || 3), 3);
        assert!(stdout.is_empty());
    }

    #[test]
    fn colour_marks_labels_and_changes_no_words() {
        let error = Error::usage("one")
            .hint("do this")
            .with_others(vec![Error::usage("two").at("x.yaml:1:1")]);
        let plain = text(&error, false);
        let colored = text(&error, true);
        assert_eq!(
            colored.matches("\u{1b}[1;31merror:").count(),
            2,
            "{colored}"
        );
        let mut bare = colored;
        for code in ["\u{1b}[1;31m", "\u{1b}[1;36m", "\u{1b}[0m"] {
            bare = bare.replace(code, "");
        }
        assert_eq!(bare, plain);
    }

    #[test]
    fn the_document_names_every_problem() {
        let one = document(&Error::data("bad").at("f.csv"));
        assert_eq!(
            one,
            json!({"schema_version": 1, "error": {
                "kind": "data", "message": "bad", "where": "f.csv", "hint": null
            }})
        );
        let two = Error::usage("a").with_others(vec![Error::usage("b")]);
        assert_eq!(document(&two)["error"]["others"][0]["message"], "b");
    }

    #[test]
    fn the_parsers_text_becomes_message_and_hint() {
        let error = usage_error(
            "error: unexpected argument '--promt' found\n\n  tip: a similar argument exists: \
             '--prompt'\n\nUsage: tenon generate <MODEL>\n\nFor more information, try '--help'.\n",
        );
        assert_eq!(error.message(), "unexpected argument '--promt' found");
        assert_eq!(
            error.hint_text(),
            Some("a similar argument exists: '--prompt'")
        );
        let missing = usage_error(
            "error: the following required arguments were not provided:\n  <CONFIG>\n\nUsage: x",
        );
        assert!(missing.message().ends_with("were not provided: <CONFIG>"));
    }
}
