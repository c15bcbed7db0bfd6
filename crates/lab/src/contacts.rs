//! Contact maps of the sequences of a FASTA file: one file of tensors, and a picture each.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tenon_base::files::Disk;
use tenon_base::hash::sha256;
use tenon_base::{Error, Result};
use tenon_data::Tokenizer;
use tenon_data::source::{FastaRecord, read_fasta};
use tenon_engine::DType;
use tenon_engine::cpu::Cpu;
use tenon_models::checkpoint::{self, Dtype, Order, Slot};
use tenon_models::folder::{self, Folder};
use tenon_models::predict::{ContactMaps, is_contact_head};
use tenon_models::weights::encode;

use crate::context::Context;
use crate::plots::heat_map::heat_map;
use crate::progress::{Progress, Standing};
use crate::subject::{self, Place};

/// The file of all maps.
pub const MAPS_FILE: &str = "contacts.safetensors";

/// Bytes of a file's name that are spelled out; file systems allow 255 with its ending.
const NAME_BYTES_MAX: usize = 200;
/// Digits of the hash that tells longer names apart.
const HASH_DIGITS: usize = 16;

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// What the pictures call the model.
    pub model: &'a str,
    /// The FASTA file.
    pub data: &'a Path,
    /// The folder to write into, which is created.
    pub out: &'a Path,
    /// The type of computation and tensors.
    pub dtype: DType,
}

/// A map that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// The sequence's id, and the tensor's name.
    pub id: String,
    /// Residues: the tensor is `[R, R]`.
    pub n_residues: usize,
    /// Its picture.
    pub picture: PathBuf,
}

/// A sequence that is ready to run.
struct Sequence {
    record: FastaRecord,
    ids: Vec<u32>,
}

/// Writes [`MAPS_FILE`], with a tensor `[R, R]` under the id of each sequence of R residues, and a
/// picture `ID.png` of each. Only one map is in memory at a time.
///
/// # Errors
/// `Data` for a model without a head for contacts, a file that is no FASTA file, and letters or
/// lengths that the model cannot read, before anything is written; `Judged` for maps that are no
/// numbers; `Io`.
pub fn write(place: &Place, wanted: &Wanted<'_>, context: &Context) -> Result<Vec<Written>> {
    let tokenizer = place.tokenizer()?;
    let folder = load(place, context)?;
    let sequences = sequences(wanted.data, tokenizer.as_ref(), &folder, context)?;
    let longest = sequences.iter().map(|sequence| sequence.ids.len()).max();
    let cpu = Cpu::new(context.threads.get(), context.isa);
    let device = subject::device(context);
    let longest = longest.unwrap_or_default();
    let maps = ContactMaps::new(&folder, longest, wanted.dtype, device, cpu)?;
    context.disk.create_dir_all(wanted.out)?;
    let mut writer = Writer {
        maps,
        wanted,
        disk: context.disk.as_ref(),
    };
    let counter = Counter::new(context, &sequences);
    let written = writer.write(&sequences, &mut |n_done| counter.tell(n_done));
    counter.progress.finish();
    written
}

/// The model; what else its checkpoint holds is said.
fn load(place: &Place, context: &Context) -> Result<Folder> {
    let folder = folder::load(context.disk.as_ref(), &place.model)?;
    let mut left_out = folder.left_out();
    left_out.retain(|name| !is_contact_head(name));
    for note in subject::notes(&left_out, &folder.widened) {
        context.say(&note);
    }
    Ok(folder)
}

/// Reads the sequences as tokens; every letter must have one of its own.
fn sequences(
    path: &Path,
    tokenizer: &dyn Tokenizer,
    folder: &Folder,
    context: &Context,
) -> Result<Vec<Sequence>> {
    let (records, changes) = read_fasta(path)?;
    for note in changes.notes(path) {
        context.say(&format!("note: {note}"));
    }
    let context_len = folder.config.spec.context_len();
    let tokens = |record: FastaRecord| {
        let id = &record.id;
        let at = |error: Error| error.at(format!("{}:{}", path.display(), record.line));
        let known = tokenizer.encode_known(&record.sequence)?;
        if known.n_unknown > 0 {
            let what = format!("sequence `{id}` has letters that the model's vocabulary lacks");
            return Err(at(
                Error::data(what).hint("`X` stands for an unknown residue")
            ));
        }
        let (n, ids) = (record.sequence.len(), known.ids);
        if ids.len() != n + 2 {
            let what = format!(
                "the {n} letters of sequence `{id}` are {} tokens",
                ids.len()
            );
            let hint = "the model's tokenizer must give each residue a token, between a first \
                        token and eos";
            return Err(at(Error::data(what).hint(hint)));
        }
        if ids.len() > context_len {
            let most = context_len.saturating_sub(2);
            let what = format!("sequence `{id}` has {n} residues; the model reads {most} at most");
            return Err(at(
                Error::data(what).hint("cut it into domains, or leave it out")
            ));
        }
        Ok(Sequence { record, ids })
    };
    records.into_iter().map(tokens).collect()
}

/// Computes maps and writes them as they come.
struct Writer<'a> {
    maps: ContactMaps,
    wanted: &'a Wanted<'a>,
    disk: &'a dyn Disk,
}

impl Writer<'_> {
    fn write(
        &mut self,
        sequences: &[Sequence],
        each: &mut dyn FnMut(usize),
    ) -> Result<Vec<Written>> {
        let dtype = match self.wanted.dtype {
            DType::F64 => Dtype::F64,
            _ => Dtype::F32,
        };
        let slot = |sequence: &Sequence| Slot {
            name: sequence.record.id.clone(),
            dtype,
            shape: vec![sequence.record.sequence.len(); 2],
        };
        let slots: Vec<Slot> = sequences.iter().map(slot).collect();
        let path = self.wanted.out.join(MAPS_FILE);
        let disk = self.disk;
        let mut written = Vec::new();
        // The file takes errors of the disk alone; any other stands here.
        let mut failed = None;
        let fill = &mut |_: &Slot, file: &mut dyn Write| {
            let map = self.map(&sequences[written.len()]);
            let (bytes, done) = map.map_err(|error| {
                failed = Some(error);
                io::Error::other("a map could not be made")
            })?;
            written.push(done);
            each(written.len());
            file.write_all(&bytes)
        };
        let order = Order::Given;
        let result = checkpoint::write(disk, &path, &slots, order, &Default::default(), fill);
        match failed {
            Some(error) => Err(error),
            None => result.map(|()| written),
        }
    }

    /// A map's bytes; its picture is written.
    fn map(&mut self, sequence: &Sequence) -> Result<(Vec<u8>, Written)> {
        let Sequence { record, ids } = sequence;
        let at = |error: Error| error.at(format!("sequence `{}`", record.id));
        let values = self.maps.map(ids).map_err(at)?;
        let n_residues = record.sequence.len();
        let title = format!("Contacts of {}", record.id);
        let subtitle = format!("probability, by {}", self.wanted.model);
        let png = heat_map(&title, &subtitle, &values, n_residues).map_err(at)?;
        let picture = self
            .wanted
            .out
            .join(format!("{}.png", file_name(&record.id)));
        self.disk.write_atomic(&picture, &png)?;
        let done = Written {
            id: record.id.clone(),
            n_residues,
            picture,
        };
        Ok((encode(self.wanted.dtype, values.into_iter()), done))
    }
}

/// The name of a file for an id, different for different ids: letters, digits, `-`, `_` and `.`
/// stay, but not a `.` that would hide the file; other bytes are `%` and two digits. What is too
/// long for a file system ends in `%+` and digits of its hash.
fn file_name(id: &str) -> String {
    let mut name = String::new();
    for (i, byte) in id.bytes().enumerate() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => name.push(byte.into()),
            b'.' if i > 0 => name.push('.'),
            _ => name += &format!("%{byte:02X}"),
        }
    }
    if name.len() > NAME_BYTES_MAX {
        name.truncate(NAME_BYTES_MAX - HASH_DIGITS - 2);
        name = format!("{name}%+{}", &sha256(id.as_bytes())[..HASH_DIGITS]);
    }
    name
}

/// Tells how many sequences are done, to a person who watches.
struct Counter<'c> {
    context: &'c Context,
    progress: Progress<'c>,
    /// Tokens of the first sequences, up to each.
    tokens: Vec<usize>,
    start: std::time::Duration,
}

impl<'c> Counter<'c> {
    fn new(context: &'c Context, sequences: &[Sequence]) -> Counter<'c> {
        let n = sequences.len() as u64;
        let sums = sequences.iter().scan(0, |sum, sequence| {
            *sum += sequence.ids.len();
            Some(*sum)
        });
        Counter {
            context,
            progress: Progress::new(context, n, n),
            tokens: sums.collect(),
            start: context.clock.elapsed(),
        }
    }

    fn tell(&self, n_done: usize) {
        if !self.context.stderr_is_terminal {
            return;
        }
        let elapsed = self.context.clock.elapsed().saturating_sub(self.start);
        let pace = self.tokens[n_done - 1] as f64 / elapsed.as_secs_f64();
        self.progress.step(&Standing {
            step: n_done as u64,
            steps: self.tokens.len() as u64,
            loss: None,
            val_loss: None,
            tokens_per_second: Some(pace).filter(|pace| pace.is_finite()),
            elapsed,
            steps_before: 0,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_become_names_that_stay_apart_and_in_their_folder() {
        for (id, name) in [
            ("P12345", "P12345"),
            ("sp|P1|X_Y-2.1", "sp%7CP1%7CX_Y-2.1"),
            ("../../etc/x", "%2E.%2F..%2Fetc%2Fx"),
            (".", "%2E"),
            ("a%7Cb", "a%257Cb"),
            ("é", "%C3%A9"),
        ] {
            assert_eq!(file_name(id), name, "{id}");
        }
    }

    #[test]
    fn long_ids_are_cut_and_stay_apart() {
        let long = "|".repeat(300);
        let [a, b] = ["a", "b"].map(|end| file_name(&format!("{long}{end}")));
        assert!(a.len() == NAME_BYTES_MAX && b.len() == NAME_BYTES_MAX);
        assert_ne!(a, b);
        let whole = "x".repeat(NAME_BYTES_MAX);
        assert_eq!(file_name(&whole), whole);
    }
}
