//! Rows of text with the place each came from.

use std::path::{Path, PathBuf};

use tenon_base::{Error, Result};

/// Row numbers are `u32` in shuffles and splits.
pub(super) const ROWS_MAX: usize = u32::MAX as usize;

/// Texts in one buffer, each with its file and line. Empty texts are counted, never kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rows {
    text: String,
    ends: Vec<usize>,
    places: Vec<(u32, u64)>,
    files: Vec<PathBuf>,
    n_empty: u64,
    notes: Vec<String>,
}

impl Rows {
    /// No rows.
    pub fn new() -> Self {
        Rows::default()
    }

    /// The rows that follow come from `file`.
    pub fn begin_file(&mut self, file: PathBuf) {
        self.files.push(file);
    }

    /// Adds a row that begins at `line` (from 1) of the current file; an empty text is counted and
    /// left out.
    ///
    /// # Panics
    /// Before the first `begin_file`.
    pub fn push(&mut self, line: u64, text: &str) -> Result<()> {
        assert!(!self.files.is_empty(), "a row needs a file");
        if text.is_empty() {
            self.n_empty += 1;
            return Ok(());
        }
        if self.ends.len() == ROWS_MAX {
            return Err(Error::data(format!("more than {ROWS_MAX} rows")));
        }
        self.text.push_str(text);
        self.ends.push(self.text.len());
        self.places.push((self.files.len() as u32 - 1, line));
        Ok(())
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Text of row `i`.
    pub fn text(&self, i: usize) -> &str {
        let start = if i == 0 { 0 } else { self.ends[i - 1] };
        &self.text[start..self.ends[i]]
    }

    /// `file:line` of row `i`.
    pub fn place(&self, i: usize) -> String {
        let (file, line) = self.places[i];
        format!("{}:{line}", self.files[file as usize].display())
    }

    /// File and line of row `i`.
    pub(super) fn record(&self, i: usize) -> (&Path, u64) {
        let (file, line) = self.places[i];
        (&self.files[file as usize], line)
    }

    /// All texts in order.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|i| self.text(i))
    }

    /// Bytes of all texts.
    pub fn n_bytes(&self) -> u64 {
        self.text.len() as u64
    }

    /// Rows of the source that had no text.
    pub fn n_empty(&self) -> u64 {
        self.n_empty
    }

    /// What reading changed; lower-case fragments.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    pub(super) fn note(&mut self, note: String) {
        self.notes.push(note);
    }

    /// Keeps the first `n` rows. Usage error when there are fewer.
    pub fn subset(mut self, n: usize) -> Result<Self> {
        if n == 0 || n > self.len() {
            return Err(Error::usage(format!(
                "a subset of {n} rows of a set of {} rows",
                self.len()
            ))
            .hint(format!("`subset_size` lies between 1 and {}", self.len())));
        }
        self.ends.truncate(n);
        self.places.truncate(n);
        self.text.truncate(self.ends[n - 1]);
        Ok(self)
    }

    /// The named rows in the given order.
    pub fn select(&self, indices: &[u32]) -> Self {
        let mut rows = Rows {
            files: self.files.clone(),
            notes: self.notes.clone(),
            ..Rows::default()
        };
        for &index in indices {
            let index = index as usize;
            rows.text.push_str(self.text(index));
            rows.ends.push(rows.text.len());
            rows.places.push(self.places[index]);
        }
        rows
    }

    /// The first row's text before and after byte `at`, each as a set of its own.
    pub(crate) fn split_first(&self, at: usize) -> (Self, Self) {
        let (head, tail) = self.text(0).split_at(at);
        let (file, line) = self.places[0];
        let tail_line = line + head.matches('\n').count() as u64;
        let of = |text: &str, line| Rows {
            text: text.to_owned(),
            ends: vec![text.len()],
            places: vec![(file, line)],
            files: self.files.clone(),
            n_empty: 0,
            notes: self.notes.clone(),
        };
        (of(head, line), of(tail, tail_line))
    }
}
