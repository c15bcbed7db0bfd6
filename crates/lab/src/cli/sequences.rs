//! `tenon predict --task embed|mutations|head`: what an encoder says of sequences.

mod head;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write;
use std::path::Path;

use serde_json::json;
use tenon_base::{Error, Result};
use tenon_data::Tokenizer;
use tenon_data::source::{self, Documents, ReadOptions, Rows, is_fasta, read_fasta};
use tenon_data::vocab::text_ids;
use tenon_engine::DType;
use tenon_models::checkpoint::{self, Dtype, Order, Slot};
use tenon_models::predict::{Model, Pool, Sequences};
use tenon_models::weights::encode;

use super::predict::{PoolName, PredictArgs, Task};
use super::{Outcome, Output};
use crate::context::Context;
use crate::progress::Counter;
use crate::subject;

/// Version of the JSON document.
const SCHEMA_VERSION: u32 = 1;

/// A sequence to run.
struct Sequence {
    /// From its header, or the number that its source gives it.
    name: String,
    text: String,
    ids: Vec<u32>,
}

/// Does what the call asks for.
///
/// # Errors
/// `Data` for a model or sequences that cannot be used, or a mutation that does not fit; `Io` when
/// the file cannot be written.
pub(super) fn run(args: &PredictArgs, context: &Context) -> Result<Outcome> {
    let place = args.model.find(context)?;
    let folder = place.load(context)?;
    let tokenizer = place.tokenizer()?;
    let data = args.data.as_deref().expect("the command line asks for it");
    let of_run = place.config(context.disk.as_ref())?;
    let of_run = of_run.and_then(|config| config.data.text_column);
    let column = args.text_column.clone().or(of_run);
    let sequences = read(data, column, tokenizer.as_ref())?;
    let device = || -> Box<dyn tenon_engine::Kernels> { subject::device(context) };
    let of = Sequences {
        model: Model::of(&folder),
        dtype: args.dtype.float(),
        device: &device,
    };
    let facts = match args.task {
        Task::Head => head::tell(
            args,
            context,
            &of,
            (&folder, tokenizer.as_ref()),
            &sequences,
        )?,
        Task::Mutations => mutations(args, context, &of, tokenizer.as_ref(), &sequences)?,
        Task::Embed | Task::Tensors => embed(args, context, &of, tokenizer.as_ref(), &sequences)?,
    };
    let text = format!(
        "{} sequences; written to `{}`\n",
        sequences.len(),
        args.out.display()
    );
    Ok(Outcome::of(match context.json {
        true => Output::Json(facts),
        false => Output::Text(text),
    }))
}

fn read(path: &Path, column: Option<String>, tokenizer: &dyn Tokenizer) -> Result<Vec<Sequence>> {
    let named: Vec<(String, String)> = match is_fasta(path) {
        true => {
            let (records, _) = read_fasta(path)?;
            records
                .into_iter()
                .map(|record| (record.id, record.sequence))
                .collect()
        }
        false => {
            let options = ReadOptions {
                column,
                documents: Documents::Lines,
            };
            let rows = source::read_files(&[path.to_owned()], &options)?;
            let texts = rows.texts().enumerate();
            texts
                .map(|(i, text)| (record_number(&rows, i), text.to_owned()))
                .collect()
        }
    };
    let sequence = |(name, text): (String, String)| {
        let ids = tokenizer.encode(&text);
        let ids = ids.map_err(|error| error.at(format!("{}: `{name}`", path.display())))?;
        Ok(Sequence { name, text, ids })
    };
    named.into_iter().map(sequence).collect()
}

/// The line or row that its source gives it, so that records without text are counted.
fn record_number(rows: &Rows, i: usize) -> String {
    let place = rows.place(i);
    let (_, number) = place.rsplit_once(':').expect("a place is `file:line`");
    number.to_owned()
}

fn embed(
    args: &PredictArgs,
    context: &Context,
    of: &Sequences<'_>,
    tokenizer: &dyn Tokenizer,
    sequences: &[Sequence],
) -> Result<serde_json::Value> {
    let pool = match args.pool {
        PoolName::Mean => Pool::Mean,
        PoolName::Cls => Pool::First,
    };
    let ids: Vec<Vec<u32>> = sequences
        .iter()
        .map(|sequence| sequence.ids.clone())
        .collect();
    let progress = Counter::new(context, "sequences", ids.len());
    let vectors = of.embed(&ids, &tokenizer.special_ids(), pool, &mut |n| {
        progress.to(n)
    })?;
    let width = vectors.first().map_or(0, Vec::len);
    let dtype = match of.dtype {
        DType::F64 => Dtype::F64,
        _ => Dtype::F32,
    };
    let slot = Slot {
        name: "embeddings".to_owned(),
        dtype,
        shape: vec![vectors.len(), width],
    };
    let names: Vec<&str> = sequences.iter().map(|sequence| &*sequence.name).collect();
    let metadata = BTreeMap::from([("ids".to_owned(), json!(names).to_string())]);
    let fill = &mut |_: &Slot, file: &mut dyn Write| {
        file.write_all(&encode(of.dtype, vectors.iter().flatten().copied()))
    };
    let disk = context.disk.as_ref();
    checkpoint::write(disk, &args.out, &[slot], Order::Given, &metadata, fill)?;
    Ok(json!({
        "schema_version": SCHEMA_VERSION,
        "out": args.out.display().to_string(),
        "task": "embed",
        "sequences": vectors.len(),
        "width": width,
        "ids": names,
    }))
}

/// A substitution: the residue that is there, its number from 1, and the residue instead.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Substitution {
    from: char,
    position: usize,
    to: char,
}

impl Substitution {
    fn parse(text: &str) -> Result<Substitution> {
        let wrong = || {
            let hint = "write the residue, its number from 1 and the new residue: `A4G`";
            Error::usage(format!("`{text}` is no mutation")).hint(hint)
        };
        let mut letters = text.chars();
        let (from, to) = (letters.next(), letters.next_back());
        match (from, letters.as_str().parse(), to) {
            (Some(from), Ok(position), Some(to)) if position > 0 => {
                Ok(Substitution { from, position, to })
            }
            _ => Err(wrong()),
        }
    }
}

fn mutations(
    args: &PredictArgs,
    context: &Context,
    of: &Sequences<'_>,
    tokenizer: &dyn Tokenizer,
    sequences: &[Sequence],
) -> Result<serde_json::Value> {
    let mask = tokenizer.specials().mask.ok_or_else(|| {
        Error::data("the tokenizer has no mask token").hint("name a model of masked tokens")
    })?;
    let parse = |text: &String| text.split(':').map(Substitution::parse).collect();
    let wanted: Vec<Vec<Substitution>> = args.mutations.iter().map(parse).collect::<Result<_>>()?;
    let mut table = String::from(match wanted.is_empty() {
        true => "sequence\tposition\tresidue\tlog_prob\n",
        false => "sequence\tmutation\tscore\n",
    });
    let mut rows = Vec::new();
    for sequence in sequences {
        let residues: Vec<char> = sequence.text.chars().collect();
        let places = residue_places(sequence, &residues, tokenizer)?;
        let numbers: Vec<usize> = match wanted.is_empty() {
            true => (0..residues.len()).collect(),
            false => {
                let mut numbers = numbers_of(sequence, &residues, &wanted)?;
                numbers.sort_unstable();
                numbers.dedup();
                numbers
            }
        };
        let at: Vec<usize> = numbers.iter().map(|&number| places[number]).collect();
        let progress = Counter::new(context, "residues", at.len());
        let probs = of.masked_log_probs(&sequence.ids, &at, mask, &mut |n| progress.to(n))?;
        let probs: BTreeMap<usize, Vec<f64>> = numbers.iter().copied().zip(probs).collect();
        if wanted.is_empty() {
            for (number, row) in &probs {
                let value = row[sequence.ids[places[*number]] as usize];
                let (name, residue) = (&sequence.name, residues[*number]);
                writeln!(table, "{name}\t{}\t{residue}\t{value}", number + 1).expect("a string");
                rows.push(json!({"sequence": name, "position": number + 1,
                    "residue": residue.to_string(), "log_prob": value}));
            }
        }
        for (mutation, text) in wanted.iter().zip(&args.mutations) {
            let score = score(mutation, &probs, tokenizer)?;
            writeln!(table, "{}\t{text}\t{score}", sequence.name).expect("a string");
            rows.push(json!({"sequence": sequence.name, "mutation": text, "score": score}));
        }
    }
    context.disk.write_atomic(&args.out, table.as_bytes())?;
    Ok(json!({
        "schema_version": SCHEMA_VERSION,
        "out": args.out.display().to_string(),
        "task": "mutations",
        "sequences": sequences.len(),
        "rows": rows,
    }))
}

/// The place of each residue among the ids of its sequence.
fn residue_places(
    sequence: &Sequence,
    residues: &[char],
    tokenizer: &dyn Tokenizer,
) -> Result<Vec<usize>> {
    let is_text = text_ids(tokenizer);
    let ids = sequence.ids.iter().enumerate();
    let places: Vec<usize> = ids
        .filter(|(_, id)| is_text(**id))
        .map(|(place, _)| place)
        .collect();
    match places.len() == residues.len() {
        true => Ok(places),
        false => {
            let message = format!("`{}` has not one token a residue", sequence.name);
            Err(Error::data(message).hint("residues are scored with a tokenizer of residues"))
        }
    }
}

/// The residues that the mutations change, counted from 0.
fn numbers_of(
    sequence: &Sequence,
    residues: &[char],
    wanted: &[Vec<Substitution>],
) -> Result<Vec<usize>> {
    let number = |change: &Substitution| match residues.get(change.position - 1) {
        Some(found) if *found == change.from => Ok(change.position - 1),
        Some(found) => {
            let (name, from) = (&sequence.name, change.from);
            let at = change.position;
            Err(Error::data(format!(
                "residue {at} of `{name}` is `{found}`, not `{from}`"
            )))
        }
        None => {
            let (name, n) = (&sequence.name, residues.len());
            Err(Error::data(format!(
                "`{name}` has {n} residues, no {}",
                change.position
            )))
        }
    };
    wanted.iter().flatten().map(number).collect()
}

/// Σ log p(new) − log p(old), each residue masked for itself.
fn score(
    mutation: &[Substitution],
    probs: &BTreeMap<usize, Vec<f64>>,
    tokenizer: &dyn Tokenizer,
) -> Result<f64> {
    let is_text = text_ids(tokenizer);
    let unk = tokenizer.specials().unk;
    let id = |residue: char| {
        let ids = tokenizer.encode(&residue.to_string())?;
        let mut text = ids.into_iter().filter(|&id| is_text(id));
        // What the vocabulary lacks shares one id, whose probability is that of no residue.
        text.next()
            .filter(|&id| Some(id) != unk)
            .ok_or_else(|| Error::data(format!("`{residue}` is no residue of the model")))
    };
    let mut total = 0.0;
    for change in mutation {
        let row = &probs[&(change.position - 1)];
        total += row[id(change.to)? as usize] - row[id(change.from)? as usize];
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    use super::Substitution;

    #[test]
    fn mutations_are_read() {
        let change = Substitution::parse("A24G").unwrap();
        assert_eq!((change.from, change.position, change.to), ('A', 24, 'G'));
        for wrong in ["", "A", "AG", "A0G", "24", "A2", "A-1G", "A1.5G"] {
            let error = Substitution::parse(wrong).unwrap_err();
            assert_eq!(error.kind(), tenon_base::Kind::Usage, "{wrong}");
        }
    }
}
