//! FASTA: sequences under headers.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;

use tenon_base::{Error, Result};

use super::read::{read_failed, reader};

/// One sequence of a FASTA file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FastaRecord {
    /// The header's first word, distinct in its file.
    pub id: String,
    /// The rest of the header.
    pub description: String,
    /// Upper-case letters, `-` and `.`, of all lines; without a last `*`.
    pub sequence: String,
    /// Line of the header, from 1.
    pub line: u64,
}

/// What reading changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FastaChanges {
    /// Lower-case letters (soft-masked regions) that were read as upper case.
    pub n_lowered: u64,
    /// Sequences whose last `*`, the stop of a translation, was left out.
    pub n_stops: u64,
}

impl FastaChanges {
    /// A sentence about each change that happened; lower-case fragments.
    pub fn notes(&self, path: &Path) -> Vec<String> {
        let path = path.display();
        let mut notes = Vec::new();
        if self.n_lowered > 0 {
            let n = self.n_lowered;
            notes.push(format!(
                "`{path}`: {n} lower-case letters are read as upper case"
            ));
        }
        if self.n_stops > 0 {
            let n = self.n_stops;
            notes.push(format!(
                "`{path}`: the last `*` of {n} sequences is left out"
            ));
        }
        notes
    }
}

/// All records of a FASTA file, also a `.gz` of one.
///
/// A record is a line `>id description` and the lines of letters after it; white space in them and
/// lines that begin with `;` are left out. Data errors with `file:line:column`: text before the
/// first header, a header without an id, an id twice, a record without a sequence, anything but
/// letters, `-`, `.` in a sequence, and a `*` that is not at its end.
pub fn read_fasta(path: &Path) -> Result<(Vec<FastaRecord>, FastaChanges)> {
    let mut records = Vec::new();
    let changes = each_fasta(path, &mut |record| {
        records.push(record.clone());
        Ok(())
    })?;
    Ok((records, changes))
}

/// Visits the records in order; see `read_fasta`.
pub(super) fn each_fasta(
    path: &Path,
    each: &mut dyn FnMut(&FastaRecord) -> Result<()>,
) -> Result<FastaChanges> {
    let mut file = reader(path)?;
    let mut state = State {
        path,
        line: 0,
        record: None,
        stop: None,
        lines_by_id: BTreeMap::new(),
        changes: FastaChanges::default(),
    };
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        let n = file
            .read_until(b'\n', &mut bytes)
            .map_err(|reason| read_failed(path, &reason))?;
        if n == 0 {
            break;
        }
        state.line += 1;
        let mut line = bytes.as_slice();
        if state.line == 1 {
            line = line.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(line);
        }
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        match line.first() {
            Some(b'>') => {
                state.close(each)?;
                state.open(&line[1..])?;
            }
            Some(b';') | None => {}
            Some(_) => state.letters(line)?,
        }
    }
    state.close(each)?;
    match (state.line, state.lines_by_id.is_empty()) {
        (0, _) => Err(Error::data("the file is empty").at(path.display().to_string())),
        (_, true) => Err(Error::data("the file holds no records").at(path.display().to_string())),
        _ => Ok(state.changes),
    }
}

struct State<'a> {
    path: &'a Path,
    line: u64,
    record: Option<FastaRecord>,
    /// Line and column of a `*` after which the record may only end.
    stop: Option<(u64, usize)>,
    lines_by_id: BTreeMap<String, u64>,
    changes: FastaChanges,
}

impl State<'_> {
    fn error(&self, line: u64, column: usize, what: impl Into<String>) -> Error {
        Error::data(what).at(format!("{}:{line}:{column}", self.path.display()))
    }

    fn open(&mut self, header: &[u8]) -> Result<()> {
        let header = std::str::from_utf8(header).map_err(|reason| {
            let column = reason.valid_up_to() + 2;
            self.error(self.line, column, "a header that is not UTF-8")
        })?;
        let header = header.trim();
        let (id, description) = header
            .split_once(char::is_whitespace)
            .unwrap_or((header, ""));
        if id.is_empty() {
            return Err(self.error(self.line, 2, "a header without an id"));
        }
        if let Some(first) = self.lines_by_id.insert(id.to_owned(), self.line) {
            let what = format!("id `{id}` is already that of the record in line {first}");
            return Err(self.error(self.line, 2, what));
        }
        self.record = Some(FastaRecord {
            id: id.to_owned(),
            description: description.trim().to_owned(),
            sequence: String::new(),
            line: self.line,
        });
        Ok(())
    }

    fn letters(&mut self, line: &[u8]) -> Result<()> {
        let Some(mut record) = self.record.take() else {
            return match line.iter().position(|byte| !byte.is_ascii_whitespace()) {
                None => Ok(()),
                Some(at) => Err(self
                    .error(self.line, at + 1, "text before the first header")
                    .hint("a FASTA file begins with `>` and an id")),
            };
        };
        for (at, &byte) in line.iter().enumerate() {
            if matches!(byte, b' ' | b'\t') {
                continue;
            }
            if let Some((line, column)) = self.stop {
                let what = format!("a stop `*` inside the sequence of `{}`", record.id);
                return Err(self
                    .error(line, column, what)
                    .hint("cut the sequence there, or leave the record out"));
            }
            match byte {
                b'*' => self.stop = Some((self.line, at + 1)),
                b'A'..=b'Z' | b'-' | b'.' => record.sequence.push(byte.into()),
                b'a'..=b'z' => {
                    self.changes.n_lowered += 1;
                    record.sequence.push(byte.to_ascii_uppercase().into());
                }
                _ => {
                    let shown = String::from_utf8_lossy(&line[at..]);
                    let c = shown.chars().next().unwrap_or_default();
                    let what = format!("character {c:?} in the sequence of `{}`", record.id);
                    return Err(self
                        .error(self.line, at + 1, what)
                        .hint("a sequence has letters, `-`, `.`, and `*` only at its end"));
                }
            }
        }
        self.record = Some(record);
        Ok(())
    }

    fn close(&mut self, each: &mut dyn FnMut(&FastaRecord) -> Result<()>) -> Result<()> {
        self.changes.n_stops += u64::from(self.stop.take().is_some());
        let Some(record) = self.record.take() else {
            return Ok(());
        };
        if record.sequence.is_empty() {
            let what = format!("record `{}` has no sequence", record.id);
            return Err(self.error(record.line, 1, what));
        }
        each(&record)
    }
}
