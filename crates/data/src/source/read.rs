//! Files to rows.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use tenon_base::{Error, Result};

use super::discover::{Format, Split, discover, format_of};
use super::fasta::each_fasta;
use super::records::{Cells, each_record};
use super::rows::Rows;

/// What is one document of a plain text file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Documents {
    /// The whole file.
    Whole,
    /// Each line, without its line end.
    Lines,
    /// Stretches between blank lines, without the line end of their last line.
    Paragraphs,
    /// Stretches between this text, trimmed of white space at both ends.
    Separated(String),
}

/// How files are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadOptions {
    /// Column of JSONL, CSV and Parquet (a FASTA file has none); without one, `text` or the only
    /// column.
    pub column: Option<String>,
    /// Documents of plain text.
    pub documents: Documents,
}

/// The rows of a data set: by split, or all together where nothing names a split.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataSet {
    /// Rows of the splits that the files name.
    pub splits: BTreeMap<Split, Rows>,
    /// Rows of files whose names tell no split; only when no file's name does.
    pub unsplit: Option<Rows>,
    /// Files in the folder that were not read.
    pub ignored: Vec<PathBuf>,
}

/// Reads a file or a folder. Data error when it holds no rows.
pub fn open(path: &Path, options: &ReadOptions) -> Result<DataSet> {
    let files = discover(path)?;
    let mut splits = BTreeMap::new();
    for (split, paths) in &files.splits {
        splits.insert(*split, read_files(paths, options)?);
    }
    let unsplit = match files.unsplit.is_empty() {
        true => None,
        false => Some(read_files(&files.unsplit, options)?),
    };
    Ok(DataSet {
        splits,
        unsplit,
        ignored: files.ignored,
    })
}

/// Reads files in the given order. Data error when one is empty, binary or malformed, or when all
/// together hold no text.
pub fn read_files(paths: &[PathBuf], options: &ReadOptions) -> Result<Rows> {
    let mut rows = Rows::new();
    for path in paths {
        rows.begin_file(path.clone());
        match format_of(path)? {
            Format::Text => push_documents(&read_text(path)?, &options.documents, &mut rows)?,
            Format::Fasta => {
                let changes =
                    each_fasta(path, &mut |record| rows.push(record.line, &record.sequence))?;
                for note in changes.notes(path) {
                    rows.note(note);
                }
            }
            format => {
                let wanted: Vec<&str> = options.column.as_deref().into_iter().collect();
                each_record(path, format, (&wanted, Cells::Text), &mut |line, texts| {
                    rows.push(line, &texts[0])
                })?;
            }
        }
    }
    match (rows.is_empty(), paths.first()) {
        (true, Some(path)) => Err(Error::data(format!(
            "no text: {} rows, all empty",
            rows.n_empty()
        ))
        .at(path.display().to_string())),
        _ => Ok(rows),
    }
}

fn push_documents(text: &str, documents: &Documents, rows: &mut Rows) -> Result<()> {
    match documents {
        Documents::Whole => rows.push(1, text),
        Documents::Lines => {
            for (index, line) in text.lines().enumerate() {
                rows.push(index as u64 + 1, line)?;
            }
            Ok(())
        }
        Documents::Paragraphs => push_paragraphs(text, rows),
        Documents::Separated(separator) if separator.is_empty() => {
            Err(Error::usage("the separator of documents is empty"))
        }
        Documents::Separated(separator) => {
            let mut line = 1;
            for part in text.split(separator.as_str()) {
                let trimmed = part.trim_start();
                let skipped = &part[..part.len() - trimmed.len()];
                rows.push(line + lines_in(skipped), trimmed.trim_end())?;
                line += lines_in(part) + lines_in(separator);
            }
            Ok(())
        }
    }
}

fn push_paragraphs(text: &str, rows: &mut Rows) -> Result<()> {
    let mut open: Option<(u64, usize, usize)> = None;
    let mut at = 0;
    for (index, line) in text.split_inclusive('\n').enumerate() {
        let content = line.trim_end_matches(['\n', '\r']);
        if !content.trim().is_empty() {
            let (first_line, start, _) = open.unwrap_or((index as u64 + 1, at, at));
            open = Some((first_line, start, at + content.len()));
        } else if let Some((first_line, start, end)) = open.take() {
            rows.push(first_line, &text[start..end])?;
        }
        at += line.len();
    }
    if let Some((first_line, start, end)) = open {
        rows.push(first_line, &text[start..end])?;
    }
    Ok(())
}

fn lines_in(text: &str) -> u64 {
    text.matches('\n').count() as u64
}

/// The content of a file, unpacked when its name ends in `.gz`.
pub(super) fn reader(path: &Path) -> Result<Box<dyn BufRead>> {
    let file = File::open(path).map_err(|reason| read_failed(path, &reason))?;
    let file = BufReader::new(file);
    let is_packed = path
        .extension()
        .is_some_and(|e| e.eq_ignore_ascii_case("gz"));
    Ok(match is_packed {
        true => Box::new(BufReader::new(MultiGzDecoder::new(file))),
        false => Box::new(file),
    })
}

/// Why reading failed: what is in the file, or the system.
pub(super) fn read_failed(path: &Path, reason: &io::Error) -> Error {
    match reason.kind() {
        io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
            Error::data(format!("not a whole gzip file: {reason}")).at(path.display().to_string())
        }
        _ => Error::io("cannot read", path, reason),
    }
}

/// The file as text without a byte order mark.
pub(crate) fn read_text(path: &Path) -> Result<String> {
    let mut bytes = Vec::new();
    reader(path)?
        .read_to_end(&mut bytes)
        .map_err(|reason| read_failed(path, &reason))?;
    let place = path.display().to_string();
    if bytes.is_empty() {
        return Err(Error::data("the file is empty").at(place));
    }
    if let Some(at) = bytes.iter().position(|&byte| byte == 0) {
        return Err(binary(path, at as u64, "a NUL byte"));
    }
    let mut text = String::from_utf8(bytes).map_err(|reason| {
        binary(
            path,
            reason.utf8_error().valid_up_to() as u64,
            "bytes that are not UTF-8",
        )
    })?;
    if text.starts_with('\u{FEFF}') {
        text.drain(..'\u{FEFF}'.len_utf8());
    }
    match text.is_empty() {
        true => Err(Error::data("the file is empty").at(place)),
        false => Ok(text),
    }
}

/// The error for a file that is not text.
pub(super) fn binary(path: &Path, at: u64, what: &str) -> Error {
    Error::data(format!("not a text file: {what} at byte {at}"))
        .at(path.display().to_string())
        .hint("text must be UTF-8; convert it or choose another file")
}
