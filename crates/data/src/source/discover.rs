//! Which files make a data set, and which split each belongs to.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tenon_base::{Error, Result};

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Split {
    /// Learned from.
    Train,
    /// Looked at while training.
    Validation,
    /// Looked at once.
    Test,
}

impl Split {
    /// `train`, `validation` or `test`.
    pub fn name(self) -> &'static str {
        match self {
            Split::Train => "train",
            Split::Validation => "validation",
            Split::Test => "test",
        }
    }

    /// The split that a file or folder name tells: one of its words is a known name of a split.
    fn of_name(name: &str) -> Option<Split> {
        name.split(|c: char| !c.is_ascii_alphanumeric())
            .find_map(|word| match word.to_ascii_lowercase().as_str() {
                "train" | "training" => Some(Split::Train),
                "validation" | "valid" | "val" | "dev" => Some(Split::Validation),
                "test" | "testing" | "eval" | "evaluation" => Some(Split::Test),
                _ => None,
            })
    }
}

/// The files of a data set, sorted by path, with numbers in names by their values: `part-2` comes
/// before `part-10`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataFiles {
    /// Files whose names tell a split.
    pub splits: BTreeMap<Split, Vec<PathBuf>>,
    /// The data files of a folder in which no name tells a split, or the one file that was asked
    /// for.
    pub unsplit: Vec<PathBuf>,
    /// Files that are not data, or tell no split where others do.
    pub ignored: Vec<PathBuf>,
}

/// How a file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Text,
    Fasta,
    JsonLines,
    Json,
    Csv(u8),
    Parquet,
}

fn lower_extension(path: &Path) -> String {
    let extension = path.extension().and_then(|e| e.to_str());
    extension.unwrap_or_default().to_ascii_lowercase()
}

/// The extension in lower case, that before `.gz` of a packed file.
fn extension_of(path: &Path) -> String {
    match lower_extension(path).as_str() {
        "gz" => lower_extension(Path::new(path.file_stem().unwrap_or_default())),
        extension => extension.to_owned(),
    }
}

/// Whether the name of a file says that it holds sequences.
pub fn is_fasta(path: &Path) -> bool {
    matches!(format_of(path), Ok(Format::Fasta))
}

/// The format that a file's name tells; a file that needs unpacking is a data error.
pub(super) fn format_of(path: &Path) -> Result<Format> {
    let extension = extension_of(path);
    match extension.as_str() {
        "jsonl" | "ndjson" => Ok(Format::JsonLines),
        "json" => Ok(Format::Json),
        "csv" => Ok(Format::Csv(b',')),
        "tsv" => Ok(Format::Csv(b'\t')),
        "fa" | "fasta" | "faa" | "fna" | "ffn" => Ok(Format::Fasta),
        "h5ad" | "h5" | "loom" | "mtx" => Err(Error::data(format!(
            "`.{extension}` files hold a matrix of counts, not text"
        ))
        .at(path.display().to_string())
        .hint("counts become sequences of genes through `tenon_data::cells`")),
        // Parquet packs its own pages, and is read from its end, which a stream does not allow.
        "parquet" if lower_extension(path) == "gz" => {
            Err(Error::data("cannot read `.parquet.gz` files")
                .at(path.display().to_string())
                .hint("unpack it to `.parquet`"))
        }
        "parquet" => Ok(Format::Parquet),
        "arrow" | "feather" | "gz" | "zst" | "bz2" | "xz" | "zip" | "tar" | "7z" => {
            Err(Error::data(format!("cannot read `.{extension}` files"))
                .at(path.display().to_string())
                .hint("convert or unpack it to `.parquet`, `.jsonl`, `.csv`, `.fasta` or `.txt`"))
        }
        _ => Ok(Format::Text),
    }
}

/// Finds the files of `path`: one file, or a folder in the hub's layout (`train.jsonl`,
/// `validation.csv`, `train/*.jsonl`, the same below `data/`), or a folder of data files.
pub fn discover(path: &Path) -> Result<DataFiles> {
    if path.is_file() {
        return Ok(DataFiles {
            unsplit: vec![path.to_path_buf()],
            ..DataFiles::default()
        });
    }
    if !path.is_dir() {
        return Err(Error::data(format!(
            "no file or folder `{}`",
            path.display()
        )));
    }
    let mut files = DataFiles::default();
    sort_into(path, &mut files)?;
    let data = path.join("data");
    if data.is_dir() {
        sort_into(&data, &mut files)?;
    }
    if !files.splits.is_empty() {
        let rest = std::mem::take(&mut files.unsplit);
        files.ignored.extend(rest);
    }
    for paths in files
        .splits
        .values_mut()
        .chain([&mut files.unsplit, &mut files.ignored])
    {
        paths.sort_by(|a, b| by_name_and_number(a, b));
    }
    check(path, &files)?;
    Ok(files)
}

/// The order of paths, in which digits at the same place of a name count as one number. Numbers
/// with as many digits each stand as their bytes do.
fn by_name_and_number(a: &Path, b: &Path) -> Ordering {
    let (mut folders, mut others) = (a.components(), b.components());
    loop {
        let (Some(name), Some(other)) = (folders.next(), others.next()) else {
            return a.cmp(b);
        };
        let (name, other) = (name.as_os_str(), other.as_os_str());
        match by_number(name.as_encoded_bytes(), other.as_encoded_bytes()) {
            Ordering::Equal => {}
            order => return order,
        }
    }
}

fn by_number(mut a: &[u8], mut b: &[u8]) -> Ordering {
    loop {
        let (Some(x), Some(y)) = (a.first(), b.first()) else {
            return a.len().cmp(&b.len());
        };
        let order = if x.is_ascii_digit() && y.is_ascii_digit() {
            let (n, m);
            (n, a) = number(a);
            (m, b) = number(b);
            n.len().cmp(&m.len()).then_with(|| n.cmp(m))
        } else {
            (a, b) = (&a[1..], &b[1..]);
            x.cmp(y)
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

/// The digits that a name begins with, without leading zeros, and the rest.
fn number(name: &[u8]) -> (&[u8], &[u8]) {
    let end = name.iter().position(|byte| !byte.is_ascii_digit());
    let (digits, rest) = name.split_at(end.unwrap_or(name.len()));
    let zeros = digits.iter().take_while(|&&byte| byte == b'0').count();
    (&digits[zeros..], rest)
}

fn sort_into(folder: &Path, files: &mut DataFiles) -> Result<()> {
    for (name, path) in entries(folder)? {
        if path.is_dir() {
            if let Some(split) = Split::of_name(&name) {
                let inside = entries(&path)?.into_iter().map(|(_, file)| file);
                let data = inside.filter(|file| file.is_file() && is_data(file));
                files.splits.entry(split).or_default().extend(data);
            }
        } else if !is_data(&path) {
            files.ignored.push(path);
        } else {
            let stem = path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            match Split::of_name(&stem) {
                Some(split) => files.splits.entry(split).or_default().push(path),
                // A lone `.json` is far more often a description than data.
                None if format_of(&path).is_ok_and(|f| f == Format::Json) => {
                    files.ignored.push(path)
                }
                None => files.unsplit.push(path),
            }
        }
    }
    files.splits.retain(|_, paths| !paths.is_empty());
    Ok(())
}

/// Names and paths in a folder, without hidden ones.
fn entries(folder: &Path) -> Result<Vec<(String, PathBuf)>> {
    let cannot = |reason| Error::io("cannot list", folder, &reason);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(cannot)? {
        let entry = entry.map_err(cannot)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !name.starts_with('.') {
            found.push((name, entry.path()));
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a file in a folder is meant as data, readable or not.
fn is_data(path: &Path) -> bool {
    let extension = extension_of(path);
    let data = [
        "txt", "jsonl", "ndjson", "json", "csv", "tsv", "parquet", "arrow", "zst", "fa", "fasta",
        "faa", "fna", "ffn",
    ];
    let name = path
        .file_stem()
        .unwrap_or_default()
        .to_string_lossy()
        .to_ascii_lowercase();
    data.contains(&extension.as_str()) && !["readme", "license", "licence"].contains(&name.as_str())
}

fn check(folder: &Path, files: &DataFiles) -> Result<()> {
    let all = || files.splits.values().flatten().chain(&files.unsplit);
    if all().next().is_none() {
        return Err(
            Error::data(format!("no data files in `{}`", folder.display())).hint(
                "expected `.txt`, `.jsonl`, `.csv`, `.tsv`, `.parquet` or `.fasta`, or `train.*` \
                 and `validation.*`",
            ),
        );
    }
    for path in all() {
        format_of(path)?;
    }
    for (split, paths) in &files.splits {
        let first = format_of(&paths[0])?;
        for path in &paths[1..] {
            if format_of(path)? != first {
                return Err(Error::data(format!(
                    "the {} split has files of different formats: `{}` and `{}`",
                    split.name(),
                    paths[0].display(),
                    path.display()
                ))
                .hint("keep one of them, or name the file instead of the folder"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn are_in_order(paths: &[&str]) {
        let mut sorted: Vec<&Path> = paths.iter().rev().map(Path::new).collect();
        sorted.sort_by(|a, b| by_name_and_number(a, b));
        assert_eq!(sorted, paths.iter().map(Path::new).collect::<Vec<_>>());
    }

    #[test]
    fn numbered_shards_follow_their_numbers() {
        are_in_order(&["part-1.txt", "part-2.txt", "part-10.txt", "part-20-1.txt"]);
        are_in_order(&[
            "set/2/part-9.csv",
            "set/10/part-3.csv",
            "set/10/part-11.csv",
        ]);
        // Of any length; those of the same value stand as their bytes do.
        are_in_order(&["a01.txt", "a1.txt", "a2.txt", "a18446744073709551616.txt"]);
    }

    #[test]
    fn padded_shards_stand_as_their_bytes_do() {
        let mut padded = [
            "d/train-00010-of-00011.jsonl",
            "d/train-00009-of-00011.jsonl",
            "d/train.jsonl",
            "d/train-.jsonl",
            "d/trains.jsonl",
            "d/Train-00011-of-00011.jsonl",
            "d-1/train-00001-of-00011.jsonl",
            "d",
        ];
        padded.sort_by(|a, b| Path::new(a).cmp(Path::new(b)));
        are_in_order(&padded);
    }
}
