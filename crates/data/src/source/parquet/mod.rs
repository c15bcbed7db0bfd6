//! Parquet: the values of chosen columns, one row group after the other.
//!
//! The decoder is `parquet`'s. It trusts what it reads more than we may: `footer` looks at the
//! description first and `headers` at the sizes of pages, `pages` and `delta` refuse pages that
//! contradict their column, and `guard` turns a panic into an error.

mod delta;
mod footer;
mod guard;
mod headers;
mod pages;
#[cfg(test)]
mod tests;
mod thrift;
mod value;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;
use serde_json::Value;
use tenon_base::{Error, Result};

use self::guard::guarded;
use self::pages::Checked;
use self::value::value_of;

/// How each file begins; an encrypted one has another end and beginning.
const MAGIC: &[u8] = b"PAR1";
const MAGIC_ENCRYPTED: &[u8] = b"PARE";
/// How the stand-in begins that Git keeps for a large file.
const POINTER: &[u8] = b"version https://git-lfs";

/// Called with the number of each row, from 1, and its values.
type Each<'a> = &'a mut dyn FnMut(u64, &[Value]) -> Result<()>;

/// An open file. Only its description is in memory, and one page of each column while rows are
/// visited.
pub(super) struct Parquet {
    path: PathBuf,
    /// Another handle of the file, for what is looked at before the decoder sees it.
    file: File,
    reader: SerializedFileReader<File>,
}

impl Parquet {
    /// Opens a file and reads its description.
    ///
    /// # Errors
    /// `Io` when it cannot be read; `Data` when it is no whole Parquet file, or encrypted.
    pub(super) fn open(path: &Path) -> Result<Parquet> {
        let place = || path.display().to_string();
        let cut = |reason: &str| {
            Error::data(format!("not a whole Parquet file: {reason}"))
                .at(place())
                .hint("copy or download the file again")
        };
        let cannot_read = |reason| Error::io("cannot read", path, &reason);
        let mut file = check_beginning(path)?;
        let looked = footer::is_encrypted(&mut file);
        if looked.map_err(cannot_read)?.map_err(cut)? {
            return Err(encrypted(path));
        }
        let second = file.try_clone().map_err(cannot_read)?;
        let reader =
            guarded(|| SerializedFileReader::new(second)).map_err(|reason| cut(&reason))?;
        let metadata = reader.metadata();
        let n_rows = metadata.row_groups().iter().map(RowGroupMetaData::num_rows);
        let total = n_rows.into_iter().try_fold(0i64, |sum, n| match n {
            0.. => sum.checked_add(n),
            _ => None,
        });
        if total != Some(metadata.file_metadata().num_rows()) {
            return Err(Error::data("the row groups do not add up to the file's rows").at(place()));
        }
        Ok(Parquet {
            path: path.to_owned(),
            file,
            reader,
        })
    }

    /// Names of the columns; what is nested counts as one. Data error when two are alike.
    pub(super) fn columns(&self) -> Result<Vec<&str>> {
        let fields = self.schema().get_fields();
        let names: Vec<&str> = fields.iter().map(|field| field.name()).collect();
        let mut seen = BTreeSet::new();
        match names.iter().find(|name| !seen.insert(**name)) {
            Some(twice) => Err(Error::data(format!("two columns are called `{twice}`"))
                .at(self.path.display().to_string())),
            None => Ok(names),
        }
    }

    fn schema(&self) -> &Type {
        self.reader.metadata().file_metadata().schema()
    }

    /// Visits all rows with the values of `columns`, indices of [`Parquet::columns`]; no other
    /// column is read. Data error where a value cannot be read or has no like in JSON.
    pub(super) fn each(&self, columns: &[usize], each: Each<'_>) -> Result<()> {
        let mut row = 0u64;
        for index in 0..self.reader.num_row_groups() {
            let metadata = self.reader.metadata().row_group(index);
            self.check_chunks(index, metadata, columns)?;
            let broken = |row: u64, reason: String| {
                Error::data(format!("cannot read the file: {reason}"))
                    .at(format!("{}:{row}", self.path.display()))
                    .hint("copy or download the file again")
            };
            let group = guarded(|| self.reader.get_row_group(index))
                .map_err(|reason| broken(row + 1, reason))?;
            let group = Checked(group);
            let mut rows = guarded(|| RowIter::from_row_group(Some(self.chosen(columns)?), &group))
                .map_err(|reason| broken(row + 1, reason))?;
            for _ in 0..metadata.num_rows() {
                row += 1;
                let read = guarded(|| rows.next().transpose());
                let fields = match read.map_err(|reason| broken(row, reason))? {
                    Some(fields) => fields.into_columns(),
                    None => return Err(broken(row, "the row is not there".to_owned())),
                };
                let mut values = Vec::with_capacity(fields.len());
                for (name, field) in fields {
                    values.push(value_of(field).map_err(|kind| {
                        Error::data(format!("column `{name}` holds {kind}, not text"))
                            .at(format!("{}:{row}", self.path.display()))
                    })?);
                }
                each(row, &values)?;
            }
        }
        Ok(())
    }

    /// The schema with the chosen columns alone.
    fn chosen(&self, columns: &[usize]) -> std::result::Result<Type, ParquetError> {
        let schema = self.schema();
        let fields = columns.iter().map(|&i| Arc::clone(&schema.get_fields()[i]));
        Type::group_type_builder(schema.name())
            .with_fields(fields.collect())
            .build()
    }

    /// Refuses columns in a codec that is not built in, and those with impossible numbers.
    fn check_chunks(
        &self,
        index: usize,
        group: &RowGroupMetaData,
        columns: &[usize],
    ) -> Result<()> {
        let wanted = |name: &str| {
            let fields = self.schema().get_fields();
            columns.iter().any(|&i| fields[i].name() == name)
        };
        for chunk in group.columns() {
            let Some(name) = chunk.column_path().parts().first() else {
                continue;
            };
            if !wanted(name) {
                continue;
            }
            let error = |what: String| Error::data(what).at(self.path.display().to_string());
            let codec = match chunk.compression() {
                Compression::LZO => Some("LZO"),
                Compression::BROTLI(_) => Some("Brotli"),
                _ => None,
            };
            if let Some(codec) = codec {
                let what = format!("column `{name}` is packed with {codec}, which cannot be read");
                return Err(error(what).hint("write the file again with Snappy, Zstandard or gzip"));
            }
            let dictionary = chunk.dictionary_page_offset().unwrap_or(0);
            let numbers = [
                dictionary,
                chunk.data_page_offset(),
                chunk.compressed_size(),
                chunk.num_values(),
            ];
            let wrong = match numbers.iter().any(|&n| n < 0) {
                true => Some("a negative size".to_owned()),
                // Rows without a value would be read as nulls.
                false if chunk.num_values() < group.num_rows() => {
                    Some("fewer values than rows".to_owned())
                }
                false => {
                    let (start, length) = chunk.byte_range();
                    let is_gzip = matches!(chunk.compression(), Compression::GZIP(_));
                    headers::wrong(&mut &self.file, start, length, is_gzip)
                        .map_err(|reason| Error::io("cannot read", &self.path, &reason))?
                }
            };
            let Some(wrong) = wrong else {
                continue;
            };
            let what = format!("column `{name}` of row group {index} has {wrong}");
            return Err(error(what).hint("copy or download the file again"));
        }
        Ok(())
    }
}

/// Opens the file and looks at its first bytes, for which the decoder has no words.
fn check_beginning(path: &Path) -> Result<File> {
    let failed = |reason| Error::io("cannot read", path, &reason);
    let mut first = Vec::new();
    let file = File::open(path).map_err(failed)?;
    let mut beginning = file.take(POINTER.len() as u64);
    beginning.read_to_end(&mut first).map_err(failed)?;
    let error = |what| Error::data(what).at(path.display().to_string());
    match first.as_slice() {
        [] => Err(error("the file is empty")),
        POINTER => {
            Err(error("a pointer of Git LFS, not the file itself").hint("run `git lfs pull`"))
        }
        bytes if bytes.starts_with(MAGIC_ENCRYPTED) => Err(encrypted(path)),
        bytes if !bytes.starts_with(MAGIC) => Err(error("not a Parquet file")
            .hint("a Parquet file begins with `PAR1`; rename it after what it holds")),
        _ => Ok(beginning.into_inner()),
    }
}

fn encrypted(path: &Path) -> Error {
    Error::data("the file is encrypted")
        .at(path.display().to_string())
        .hint("write it again without encryption")
}
