//! `tenon fetch`: the one command that loads something from a network.

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tenon_base::{Result, units};
use tenon_data::hub::{self, Access, Event, Repo, Request, Selection, Snapshot};

use super::{Outcome, Output};
use crate::context::Context;
use crate::progress::Transfer;

/// Load a model from a hub, once
#[derive(Clone, Debug, Args)]
pub struct FetchArgs {
    /// From where
    #[command(subcommand)]
    pub command: FetchCommand,
}

/// Where something is loaded from.
#[derive(Clone, Debug, Subcommand)]
pub enum FetchCommand {
    /// Load a repository of the Hugging Face hub into the cache that its own tools share
    Hub(HubArgs),
}

/// Load a repository of the Hugging Face hub into the cache that its own tools share
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
    Without `--include` and `--all`, it is what a model needs: configuration, tokenizer, card,\n\
    licence, and the weights as safetensors; PyTorch's own only where there are no others.\n\
    Contents are compared with the hashes that the hub tells. A download that broke off goes on\n\
    where it stopped, and what is there is not loaded again. stdout is the folder's path;\n\
    commands take it, and `ORG/NAME` from then on too.\n\n\
    `tenon explain environment` lists the variables: HF_TOKEN, HF_HOME, HF_ENDPOINT and more.\n\n\
    Examples:\n  \
    tenon fetch hub HuggingFaceTB/SmolLM2-135M\n  \
    tenon fetch hub openai-community/gpt2@main --include '*.json' --include model.safetensors\n  \
    tenon generate openai-community/gpt2 --prompt 'Once upon a time'")]
pub struct HubArgs {
    /// Repository, with a branch, tag or commit other than `main` after an `@`
    #[arg(value_name = "ORG/NAME[@REV]")]
    pub repo: String,
    /// Load the files that fit this pattern instead of what a model needs; may be repeated
    #[arg(long, value_name = "GLOB", conflicts_with = "all")]
    pub include: Vec<String>,
    /// Load every file
    #[arg(long)]
    pub all: bool,
}

/// Version of the JSON document.
const SCHEMA_VERSION: u32 = 1;

impl HubArgs {
    /// What is asked for.
    ///
    /// # Errors
    /// `Usage` for a name that the hub does not allow.
    pub fn request(&self) -> Result<Request> {
        let (repo, revision) = Repo::parse_with_revision(&self.repo)?;
        let selection = match (self.all, self.include.is_empty()) {
            (true, _) => Selection::All,
            (false, true) => Selection::Model,
            (false, false) => Selection::Include(self.include.clone()),
        };
        Ok(Request {
            repo,
            revision,
            selection,
        })
    }
}

/// Does what the call asks for.
///
/// # Errors
/// As [`hub::fetch`].
pub fn run(args: &FetchArgs, context: &Context) -> Result<Outcome> {
    let FetchCommand::Hub(args) = &args.command;
    let request = args.request()?;
    let disk = context.disk.as_ref();
    let access = Access::of(&context.environment, disk)?;
    let mut transfer = Transfer::new(context);
    let snapshot = hub::fetch(disk, &access, &request, &mut |event| {
        tell(&event, &request, &mut transfer);
    });
    transfer.finish();
    let snapshot = snapshot?;
    Ok(Outcome::of(match context.json {
        true => Output::Json(document(&request, &snapshot)),
        false => Output::Text(format!("{}\n", snapshot.path.display())),
    }))
}

fn tell(event: &Event<'_>, request: &Request, transfer: &mut Transfer<'_>) {
    match event {
        Event::Listed {
            commit,
            n_files,
            bytes,
        } => {
            let size = bytes.map(|bytes| format!(", {}", units::bytes(bytes)));
            let size = size.unwrap_or_default();
            let (repo, revision) = (&request.repo, &request.revision);
            transfer.say(&format!(
                "{repo}@{revision} is {commit}: {n_files} files{size}"
            ));
            transfer.expect(*bytes);
        }
        Event::Waiting { name } => {
            transfer.say(&format!("waiting for another program that loads `{name}`"));
        }
        Event::Progress { name, done, bytes } => transfer.within(name, *done, *bytes),
        Event::Done(file) => {
            let size = units::bytes(file.bytes);
            let how = match (file.reused, file.is_verified()) {
                (true, _) => "in the cache",
                (false, true) => "loaded, hash compared",
                (false, false) => "loaded, size compared: the hub tells no hash",
            };
            transfer.done(file.bytes);
            transfer.say(&format!("{}  {size}  {how}", file.name));
        }
    }
}

fn document(request: &Request, snapshot: &Snapshot) -> Value {
    let files = snapshot.files.iter().map(|file| {
        json!({
            "name": file.name,
            "bytes": file.bytes,
            "etag": file.etag,
            "sha256": file.sha256(),
            "reused": file.reused,
        })
    });
    json!({
        "schema_version": SCHEMA_VERSION,
        "repo": request.repo.name(),
        "revision": request.revision,
        "commit": snapshot.commit,
        "path": snapshot.path,
        "files": files.collect::<Vec<Value>>(),
    })
}
