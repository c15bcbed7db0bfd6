//! `tenon convert`: between the layouts of checkpoints.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tenon_base::files::Disk;
use tenon_base::{Result, units};
use tenon_models::checkpoint::Dtype;
use tenon_models::convert::{Facts, Options, convert};
use tenon_models::hub::Naming;
use tenon_models::publish::{Metric, RunFacts};

use super::{Outcome, Output};
use crate::config::DataSource;
use crate::context::Context;
use crate::subject::{self, Place};

/// The log of a run's measures.
const METRICS_FILE: &str = "metrics.jsonl";

/// Convert a checkpoint between the hub's layout and that of fused layers
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "\
    Every tensor of the source is converted, carried along or named; the model computes the same.\n\
    What fused layers have no place for waits in `hub_only.safetensors` and comes back with\n\
    `--to hub`, so that there and back gives every byte.\n\n\
    The result loads with `transformers`: classes that it lacks are written beside the weights\n\
    (`modeling_tenon_*.py`, loaded with `trust_remote_code=True`).\n\n\
    A card, a licence and requirements are written too (README.md, LICENSE, requirements.txt)\n\
    when the licence is known: the one of `--license`, or else the source's, as its README.md,\n\
    config.json or LICENSE says, if that is MIT, Apache-2.0, BSD-3-Clause, CC-BY-4.0 or CC0-1.0.\n\
    Otherwise they are left out, with a note; with `--card` that is an error (exit 2).\n\
    `--license` must be one of these five and allowed by the source's licence, or the source's\n\
    own. A model under MIT may become MIT, Apache-2.0 or BSD-3-Clause, one under CC0-1.0 any;\n\
    the others stay what they are.\n\n\
    Examples:\n  \
    tenon convert esm2/ esm2-fused/ --to fused --padded-vocab 64\n  \
    tenon convert runs/stories/ stories/ --to hub --license Apache-2.0 --max-shard-size 2GB")]
pub struct ConvertArgs {
    /// Model folder, run or checkpoint to read, or the name of a run
    #[arg(value_name = "SRC")]
    pub source: PathBuf,
    /// Model folder to write
    #[arg(value_name = "DST")]
    pub target: PathBuf,
    /// Layout to write
    #[arg(long, value_enum)]
    pub to: LayoutName,
    /// Number format of the parameters [default: that of the source]
    #[arg(long, value_enum)]
    pub dtype: Option<WeightDtype>,
    /// Rows of the fused embedding and head, at least the vocabulary
    #[arg(long, value_name = "N")]
    pub padded_vocab: Option<usize>,
    /// Largest file of weights; larger ones are split, with an index
    #[arg(long, value_name = "SIZE", default_value = "5GB", value_parser = size)]
    pub max_shard_size: u64,
    /// Licence of the result [default: the source's, if approved]
    #[arg(long, value_name = "SPDX")]
    pub license: Option<String>,
    /// Fail when the licence is not known, instead of leaving card and licence out
    #[arg(long)]
    pub card: bool,
    /// Folder that holds the runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,
}

fn size(text: &str) -> std::result::Result<u64, String> {
    units::parse_bytes(text)
        .ok_or_else(|| "no size; write for example `5GB` or `500MiB`".to_owned())
}

/// A layout of checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LayoutName {
    /// Names and shapes of the family's reference
    Hub,
    /// Query, key and value in one tensor, gate and up in one, norms beside their matrices
    Fused,
}

/// A number format of parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WeightDtype {
    /// 64 bits
    F64,
    /// 32 bits
    F32,
    /// 16 bits, IEEE 754
    F16,
    /// 16 bits, the upper half of `f32`
    Bf16,
}

impl WeightDtype {
    fn dtype(self) -> Dtype {
        match self {
            WeightDtype::F64 => Dtype::F64,
            WeightDtype::F32 => Dtype::F32,
            WeightDtype::F16 => Dtype::F16,
            WeightDtype::Bf16 => Dtype::BF16,
        }
    }
}

/// Version of the JSON document.
const SCHEMA_VERSION: u32 = 1;

/// Does what the call asks for.
///
/// # Errors
/// `Data` for a folder that is no model, or a family without that layout; `Usage` when source and
/// target are one; `Io` when the target cannot be written.
pub fn run(args: &ConvertArgs, context: &Context) -> Result<Outcome> {
    let disk = context.disk.as_ref();
    let place = subject::find(context, &args.runs, &args.source)?;
    let options = Options {
        naming: match args.to {
            LayoutName::Hub => Naming::Hub,
            LayoutName::Fused => Naming::Fused {
                padded_vocab: args.padded_vocab,
            },
        },
        dtype: args.dtype.map(WeightDtype::dtype),
        max_shard_bytes: args.max_shard_size,
        license: args.license.clone(),
        card: args.card,
        run: run_facts(disk, &place)?,
    };
    let facts = convert(disk, &place.model, &args.target, &options)?;
    for name in &facts.dropped {
        context.say(&format!(
            "note: `{name}` has no place there and was left out"
        ));
    }
    if let Err(reason) = &facts.license {
        context.say(&format!(
            "note: no card, licence and requirements were written: {reason}; `--license` names one"
        ));
    }
    Ok(Outcome::of(match context.json {
        true => Output::Json(as_json(args, &facts)),
        false => Output::Text(as_text(args, &facts)),
    }))
}

/// What a run says of its model; `None` for a model that belongs to none.
fn run_facts(disk: &dyn Disk, place: &Place) -> Result<Option<RunFacts>> {
    let (Some(run), Some(config)) = (&place.run, place.config(disk)?) else {
        return Ok(None);
    };
    let data = match &config.data.source {
        DataSource::Corpus(_) => Some("the corpus of Tenon".to_owned()),
        DataSource::Named(name) => Some(name.clone()),
        // Where it lay is nobody's business.
        DataSource::Path(path) => path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned()),
    };
    let log = run.join(METRICS_FILE);
    let rows = match disk.exists(&log)? {
        true => String::from_utf8_lossy(&disk.read(&log)?).into_owned(),
        false => String::new(),
    };
    Ok(Some(RunFacts {
        name: config.experiment_name,
        data,
        metrics: validation(&rows, step_of(&place.model))
            .into_iter()
            .collect(),
    }))
}

/// The step of a checkpoint's model: `checkpoints/step-N/model`.
fn step_of(model: &Path) -> Option<u64> {
    let folder = model.parent()?.file_name()?.to_str()?;
    folder.strip_prefix("step-")?.parse().ok()
}

/// The validation loss of a checkpoint, or the best one, whose model a run keeps.
fn validation(rows: &str, step: Option<u64>) -> Option<Metric> {
    let rows = rows.lines().filter_map(|line| {
        let row: Value = serde_json::from_str(line).ok()?;
        let is_validation = row["split"] == "validation";
        let found = (row["step"].as_u64()?, row["loss"].as_f64()?);
        is_validation.then_some(found)
    });
    let rows = rows.filter(|(at, _)| step.is_none_or(|step| *at == step));
    let (step, value) = rows.min_by(|a, b| a.1.total_cmp(&b.1))?;
    Some(Metric {
        name: "validation loss".to_owned(),
        value,
        step,
    })
}

fn layout(naming: Naming) -> &'static str {
    match naming {
        Naming::Hub => "hub",
        Naming::Fused { .. } => "fused",
    }
}

fn as_json(args: &ConvertArgs, facts: &Facts) -> Value {
    json!({
        "schema_version": SCHEMA_VERSION,
        "out": args.target.display().to_string(),
        "family": facts.config.spec.family(),
        "from": layout(facts.from),
        "to": layout(facts.config.naming),
        "tensors": facts.n_tensors,
        "kept": facts.kept,
        "dropped": facts.dropped,
        "files": facts.files.iter().map(|file| &file.name).collect::<Vec<_>>(),
        "license": facts.license.as_ref().ok(),
    })
}

fn as_text(args: &ConvertArgs, facts: &Facts) -> String {
    let mut text = format!(
        "{} from the {} layout to {}: {} tensors",
        facts.config.spec.family(),
        layout(facts.from),
        layout(facts.config.naming),
        facts.n_tensors
    );
    if !facts.kept.is_empty() {
        text += &format!(", {} of them no parameters", facts.kept.len());
    }
    text + &format!("; written to `{}`\n", args.target.display())
}
