//! `tenon explain`: the built-in reference, generated from the tables that the program works with.

mod config;
mod topics;

use clap::Args;
use serde_json::{Value, json};
use tenon_base::{Error, Result, suggest};

use super::{Outcome, Output};
use crate::context::Context;
use crate::table;

/// Explain configuration, environment, limits, exit codes, metrics or formats
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    tenon explain config\n  \
    tenon explain config training\n  \
    tenon explain exit-codes\n  \
    tenon explain config --json > config.schema.json")]
pub struct ExplainArgs {
    /// What to explain; without it, the topics are listed
    #[arg(value_name = "TOPIC")]
    pub topic: Option<String>,
    /// In the topic `config`, a section or key
    #[arg(value_name = "KEY")]
    pub key: Option<String>,
}

/// Version of the JSON documents.
const SCHEMA_VERSION: u32 = 1;

/// Widest line of the reference in characters.
const WIDTH: usize = 90;

/// A part of the reference.
struct Topic {
    name: &'static str,
    about: &'static str,
    text: fn() -> String,
    json: fn() -> Value,
}

/// Every topic, in the order of the list.
const TOPICS: &[Topic] = &[
    Topic {
        name: "config",
        about: "every key of a training configuration",
        text: config::text,
        json: config::json_schema,
    },
    Topic {
        name: "environment",
        about: "environment variables",
        text: topics::environment,
        json: topics::environment_json,
    },
    Topic {
        name: "exit-codes",
        about: "what the exit code of a command means",
        text: topics::exit_codes,
        json: topics::exit_codes_json,
    },
    Topic {
        name: "json",
        about: "JSON documents and files that commands write",
        text: topics::formats,
        json: topics::formats_json,
    },
    Topic {
        name: "limits",
        about: "the largest inputs that are accepted",
        text: topics::limits,
        json: topics::limits_json,
    },
    Topic {
        name: "metrics",
        about: "what is measured, and which way it is better",
        text: topics::metrics,
        json: topics::metrics_json,
    },
];

/// Does what the call asks for.
///
/// # Errors
/// `Usage` for a topic or key that does not exist.
pub fn run(args: &ExplainArgs, context: &Context) -> Result<Outcome> {
    let Some(name) = &args.topic else {
        return Ok(Outcome::of(list(context.json)));
    };
    let Some(topic) = TOPICS.iter().find(|topic| topic.name == name) else {
        let error = Error::usage(format!("unknown topic `{name}`"));
        let names = TOPICS.iter().map(|topic| topic.name);
        return Err(match suggest::nearest(name, names.clone()) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(format!(
                "topics are {}",
                names.collect::<Vec<_>>().join(", ")
            )),
        });
    };
    let output = match (&args.key, topic.name) {
        (Some(_), name) if name != "config" => {
            return Err(Error::usage(format!("the topic `{name}` has no keys")));
        }
        (Some(_), _) if context.json => {
            let error = Error::usage("the JSON schema comes as a whole");
            return Err(error.hint("`tenon explain config --json`"));
        }
        (Some(key), _) => Output::Text(config::text_below(key)?),
        (None, _) if context.json => Output::Json((topic.json)()),
        (None, _) => Output::Text((topic.text)()),
    };
    Ok(Outcome::of(output))
}

fn list(json: bool) -> Output {
    if json {
        let topics: Vec<Value> = TOPICS
            .iter()
            .map(|topic| json!({"name": topic.name, "about": topic.about}))
            .collect();
        return Output::Json(json!({"schema_version": SCHEMA_VERSION, "topics": topics}));
    }
    let rows = TOPICS
        .iter()
        .map(|topic| [topic.name.to_owned(), topic.about.to_owned()]);
    Output::Text(table::render(["topic", "about"], rows))
}
