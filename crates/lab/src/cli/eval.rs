//! `tenon eval`: a verdict over a data set.

mod head;

use std::num::NonZeroU64;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use tenon_base::Result;
use tenon_data::batch::{Layout, Sight};
use tenon_data::source::Split;
use tenon_eval::judge::Progress as Judging;
use tenon_eval::{Judged, Judgement, Sampling};

use super::subject::ModelArgs;
use super::{Outcome, Output};
use crate::context::Context;
use crate::evaluate::{self, Part, Subject, Verdict, Wanted};
use crate::generate::{self, Continuation, Manner};
use crate::progress::{Progress, Standing};
use crate::table;

/// Measure a model's loss and metrics on a data set
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    tenon eval runs/quickstart\n  \
    tenon eval runs/quickstart --data held_out.jsonl --text-column body --json\n\n\
    A run's model reads data in the layout of its run. Of a model without a run, documents are\n\
    laid end to end, each seeing itself alone, so that every token counts.\n\n\
    A head of classes is measured by accuracy, macro F1 and Matthews' correlation, one of labels\n\
    by micro and macro F1, one of numbers by squared error and correlations.")]
pub struct EvalArgs {
    /// Which model
    #[command(flatten)]
    pub model: ModelArgs,
    /// File, folder or name of a data set instead of the run's own
    #[arg(long, value_name = "SPEC")]
    pub data: Option<String>,
    /// Column of records that holds the text
    #[arg(long, value_name = "NAME")]
    pub text_column: Option<String>,
    /// Columns of records that hold what the head tells [default: the run's; else of numbers those
    /// that the model names, or `label`]
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub label_column: Vec<String>,
    /// Part of the data set; without it, validation, or all where no file's name tells a split
    #[arg(long, value_enum)]
    pub split: Option<SplitName>,
    /// Most batches that are read
    #[arg(long, value_name = "N")]
    pub max_batches: Option<NonZeroU64>,
    /// Also continue the configuration's prompts
    #[arg(long)]
    pub generate: bool,
}

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SplitName {
    /// Learned from
    Train,
    /// Looked at while training
    Validation,
    /// Looked at once
    Test,
    /// Everything
    All,
}

impl SplitName {
    fn part(self) -> Part {
        match self {
            SplitName::Train => Part::Of(Split::Train),
            SplitName::Validation => Part::Of(Split::Validation),
            SplitName::Test => Part::Of(Split::Test),
            SplitName::All => Part::All,
        }
    }
}

/// Version of the JSON document.
const SCHEMA_VERSION: u32 = 1;

/// Prompts that are taken from the data when the configuration has none.
const PROMPTS_FROM_DATA: usize = 3;
/// Words of such a prompt.
const PROMPT_WORDS: usize = 4;

/// Does what the call asks for.
///
/// # Errors
/// `Usage` for data that is asked for in vain, `Data` for a model or data that cannot be used,
/// `Judged` for a loss that is not finite.
pub fn run(args: &EvalArgs, context: &Context) -> Result<Outcome> {
    let place = args.model.find(context)?;
    let wanted = Wanted {
        data: args.data.clone(),
        text_column: args.text_column.clone(),
        label_columns: Some(args.label_column.clone()).filter(|columns| !columns.is_empty()),
        part: args.split.map(SplitName::part),
        batches_max: args.max_batches.map(|n| n.get() as usize),
    };
    let mut subject = evaluate::subject(&place, &wanted, context)?;
    let verdict = judge(&mut subject, &wanted, context)?;
    let samples = match args.generate {
        true => Some(samples(&mut subject, context)?),
        false => None,
    };
    let model = place.model.display().to_string();
    let samples = samples.as_deref();
    Ok(Outcome::of(match context.json {
        true => Output::Json(as_json(&model, &subject, &verdict, samples)),
        false => Output::Text(as_text(&model, &subject, &verdict, samples)),
    }))
}

/// Judges, with progress for a person who watches.
fn judge(subject: &mut Subject, wanted: &Wanted, context: &Context) -> Result<Verdict> {
    let start = context.clock.elapsed();
    let mut progress: Option<Progress<'_>> = None;
    let verdict = evaluate::judge(subject, wanted.batches_max, context, &mut |now: Judging| {
        if !context.stderr_is_terminal {
            return;
        }
        let elapsed = context.clock.elapsed().saturating_sub(start);
        let steps = now.n_batches as u64;
        let progress = progress.get_or_insert_with(|| Progress::new(context, steps, steps));
        progress.step(&Standing {
            step: now.n_done as u64,
            steps,
            loss: now.loss.mean(),
            val_loss: None,
            tokens_per_second: Some(now.loss.tokens as f64 / elapsed.as_secs_f64())
                .filter(|pace| pace.is_finite()),
            elapsed,
            steps_before: 0,
        });
    });
    if let Some(progress) = progress {
        progress.finish();
    }
    verdict
}

/// Continues the configuration's prompts, or the first words of the data.
fn samples(subject: &mut Subject, context: &Context) -> Result<Vec<Continuation>> {
    let evaluation = subject.config.as_ref().map(|config| &config.evaluation);
    let sampling = match evaluation {
        Some(evaluation) => Sampling {
            temperature: evaluation.temperature,
            top_k: evaluation.top_k.unwrap_or(0),
            top_p: evaluation.top_p,
            ..Sampling::drawn(evaluation.max_new_tokens, evaluation.seed)
        },
        None => Sampling {
            temperature: 0.8,
            top_k: 50,
            ..Sampling::drawn(100, 0)
        },
    };
    let own = evaluation.map(|evaluation| evaluation.generation_prompts.clone());
    let prompts = match own.filter(|prompts| !prompts.is_empty()) {
        Some(prompts) => prompts,
        None => evaluate::first_words(subject, PROMPTS_FROM_DATA, PROMPT_WORDS)?,
    };
    let manner = Manner {
        sampling,
        stops: Vec::new(),
    };
    let model = (&subject.spec, &subject.weights);
    let tokenizer = subject.tokenizer.as_ref();
    generate::continue_prompts(model, tokenizer, &prompts, manner, context, &mut |_, _| {
        Ok(())
    })
}

/// What the sequences are, in a word of the configuration.
fn layout_name(layout: Layout) -> &'static str {
    match layout {
        Layout::OnePerRow => "one_per_row",
        Layout::Packed {
            sight: Sight::Document,
            ..
        } => "packed, documents apart",
        Layout::Packed {
            sight: Sight::Block,
            ..
        } => "packed",
    }
}

fn as_json(
    model: &str,
    subject: &Subject,
    verdict: &Verdict,
    samples: Option<&[Continuation]>,
) -> Value {
    let spec = subject.loader.spec();
    let facts = subject.loader.facts();
    let mut document = json!({
        "schema_version": SCHEMA_VERSION,
        "model": model,
        "data": {
            "source": subject.source,
            "split": subject.part,
            "documents": facts.n_documents,
            "layout": layout_name(spec.layout),
            "max_length": spec.length_max,
            "batch_size": spec.batch_size,
            "tokenizer": subject.tokenizer.spec_name(),
        },
    });
    let measured = match &verdict.judgement {
        Judgement::Tokens(judged) => json!({
            "loss": judged.loss(),
            "perplexity": judged.perplexity(),
            "top1_accuracy": judged.top1_accuracy(),
            "top5_accuracy": judged.top5_accuracy(),
            "bits_per_byte": judged.bits_per_byte(),
            "tokens": judged.n_tokens(),
            "bytes": judged.n_bytes(),
        }),
        Judgement::Head(loss, scores) => head::json(*loss, scores, &subject.labels),
    };
    if let (Some(document), Value::Object(measured)) = (document.as_object_mut(), measured) {
        document.extend(measured);
    }
    document["batches"] = json!(verdict.batches);
    if let Some(samples) = samples {
        let samples = samples.iter().map(super::generate::continuation_json);
        document["samples"] = samples.collect();
    }
    document
}

fn as_text(
    model: &str,
    subject: &Subject,
    verdict: &Verdict,
    samples: Option<&[Continuation]>,
) -> String {
    let spec = subject.loader.spec();
    let layout = layout_name(spec.layout);
    let mut rows = vec![
        ("model", model.to_owned()),
        ("data", format!("{}, {}", subject.source, subject.part)),
        (
            "layout",
            format!("{layout}, at most {} tokens", spec.length_max),
        ),
    ];
    rows.extend(match &verdict.judgement {
        Judgement::Tokens(judged) => measures(judged),
        Judgement::Head(loss, scores) => head::rows(*loss, scores),
    });
    rows.push(("batches", verdict.batches.to_string()));
    let rows = rows.into_iter();
    let rows = rows.map(|(name, value)| [name.to_owned(), value]);
    let mut text = table::render(["measure", "value"], rows);
    if let Judgement::Head(_, scores) = &verdict.judgement {
        text += &head::of_each(scores, &subject.labels);
    }
    for sample in samples.unwrap_or_default() {
        text.push('\n');
        text.push_str(&super::generate::continuation_text(sample));
    }
    text
}

/// What is measured of a model of tokens.
fn measures(judged: &Judged) -> Vec<(&'static str, String)> {
    let bits = judged.bits_per_byte();
    vec![
        ("loss", format!("{:.4}", judged.loss())),
        ("perplexity", format!("{:.4}", judged.perplexity())),
        ("top-1 accuracy", percent(judged.top1_accuracy())),
        ("top-5 accuracy", percent(judged.top5_accuracy())),
        (
            "bits per byte",
            bits.map_or_else(|| "–".to_owned(), |bits| format!("{bits:.4}")),
        ),
        ("tokens", judged.n_tokens().to_string()),
        ("bytes", judged.n_bytes().to_string()),
    ]
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}
