//! A row group whose pages are held against what its description says.

use parquet::basic::{Encoding, Type as Physical};
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::RowGroupReader;
use parquet::record::reader::RowIter;
use parquet::schema::types::{ColumnDescPtr, Type};

use super::delta;

/// Most values of a page of a list, all of which may belong to one row and be in memory at once.
const LIST_MAX: u32 = 1 << 24;

/// A row group with [`CheckedPages`].
pub(super) struct Checked<'a>(pub(super) Box<dyn RowGroupReader + 'a>);

impl RowGroupReader for Checked<'_> {
    fn metadata(&self) -> &RowGroupMetaData {
        self.0.metadata()
    }

    fn num_columns(&self) -> usize {
        self.0.num_columns()
    }

    fn get_column_page_reader(&self, i: usize) -> Result<Box<dyn PageReader>> {
        let chunk = self.metadata().column(i);
        Ok(Box::new(CheckedPages {
            pages: self.0.get_column_page_reader(i)?,
            column: chunk.column_descr_ptr(),
            n_values: chunk.num_values(),
            n_seen: 0,
            has_dictionary: false,
        }))
    }

    fn get_column_bloom_filter(&self, i: usize) -> Option<&Sbbf> {
        self.0.get_column_bloom_filter(i)
    }

    fn get_row_iter(&self, projection: Option<Type>) -> Result<RowIter<'_>> {
        RowIter::from_row_group(projection, self)
    }
}

/// The pages of a column. They end in an error, not in nulls, where values are missing; none claims
/// more than it can hold of what the decoder takes memory for: entries of a dictionary, lengths of
/// texts, values of a list.
struct CheckedPages {
    pages: Box<dyn PageReader>,
    column: ColumnDescPtr,
    /// Values that the column says it has, nulls included.
    n_values: i64,
    n_seen: i64,
    has_dictionary: bool,
}

impl CheckedPages {
    fn check(&mut self, page: &Page) -> Result<()> {
        if let Page::DictionaryPage { buf, .. } = page {
            self.has_dictionary = true;
            let claimed = page.num_values() as usize;
            return match claimed <= buf.len() / entry_bytes_min(&self.column) {
                true => Ok(()),
                false => refuse(format!("a dictionary of {claimed} entries is too short")),
            };
        }
        let uses_dictionary = matches!(
            page.encoding(),
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY
        );
        if uses_dictionary && !self.has_dictionary {
            return refuse("a page refers to a dictionary that is not there".to_owned());
        }
        let n = page.num_values();
        if self.column.max_rep_level() > 0 && n > LIST_MAX {
            return refuse(format!(
                "a page has {n} values of lists, of {LIST_MAX} at most"
            ));
        }
        self.n_seen += i64::from(n);
        if self.n_seen > self.n_values {
            let n = self.n_values;
            return refuse(format!("a column has more than its {n} values"));
        }
        match values_of(page, &self.column) {
            Some(values) => delta::check(page.encoding(), values, n.into()).or_else(refuse),
            None => refuse("the levels of a page are longer than the page".to_owned()),
        }
    }
}

/// Fewest bytes of an entry of a dictionary.
fn entry_bytes_min(column: &ColumnDescPtr) -> usize {
    match column.physical_type() {
        Physical::BOOLEAN => 1,
        // A text begins with its length.
        Physical::INT32 | Physical::FLOAT | Physical::BYTE_ARRAY => 4,
        Physical::INT64 | Physical::DOUBLE => 8,
        Physical::INT96 => 12,
        Physical::FIXED_LEN_BYTE_ARRAY => usize::try_from(column.type_length()).unwrap_or(1).max(1),
    }
}

/// The bytes of a page after its levels, where there are any.
fn values_of<'a>(page: &'a Page, column: &ColumnDescPtr) -> Option<&'a [u8]> {
    match page {
        Page::DictionaryPage { buf, .. } => Some(buf),
        Page::DataPageV2 {
            buf,
            def_levels_byte_len,
            rep_levels_byte_len,
            ..
        } => {
            let n_levels = u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len);
            buf.get(usize::try_from(n_levels).ok()?..)
        }
        Page::DataPage {
            buf,
            num_values,
            def_level_encoding,
            rep_level_encoding,
            ..
        } => {
            let levels = [
                (column.max_rep_level(), rep_level_encoding),
                (column.max_def_level(), def_level_encoding),
            ];
            let mut rest = &buf[..];
            for (max, encoding) in levels {
                rest = match (max, encoding) {
                    (..=0, _) => rest,
                    (_, Encoding::RLE) => {
                        let (length, levels) = rest.split_first_chunk()?;
                        levels.get(u32::from_le_bytes(*length) as usize..)?
                    }
                    // Packed without a length, as the first writers did.
                    (max, _) => {
                        let width = u64::from(u16::BITS - max.unsigned_abs().leading_zeros());
                        let n_bytes = (u64::from(*num_values) * width).div_ceil(8);
                        rest.get(usize::try_from(n_bytes).ok()?..)?
                    }
                };
            }
            Some(rest)
        }
    }
}

/// An error of the decoder's kind.
fn refuse<T>(what: String) -> Result<T> {
    Err(ParquetError::General(what))
}

impl Iterator for CheckedPages {
    type Item = Result<Page>;

    fn next(&mut self) -> Option<Self::Item> {
        self.get_next_page().transpose()
    }
}

impl PageReader for CheckedPages {
    fn get_next_page(&mut self) -> Result<Option<Page>> {
        let page = self.pages.get_next_page()?;
        match &page {
            Some(page) => self.check(page)?,
            None if self.n_seen < self.n_values => refuse(format!(
                "a column has {} of its {} values",
                self.n_seen, self.n_values
            ))?,
            None => {}
        }
        Ok(page)
    }

    fn peek_next_page(&mut self) -> Result<Option<PageMetadata>> {
        self.pages.peek_next_page()
    }

    fn skip_next_page(&mut self) -> Result<()> {
        self.pages.skip_next_page()
    }

    fn at_record_boundary(&mut self) -> Result<bool> {
        self.pages.at_record_boundary()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parquet::schema::types::{ColumnDescriptor, ColumnPath};

    use super::*;

    fn column(max_def: i16, max_rep: i16) -> ColumnDescPtr {
        let kind = Type::primitive_type_builder("text", Physical::BYTE_ARRAY);
        let kind = Arc::new(kind.build().unwrap());
        let path = ColumnPath::new(vec!["text".to_owned()]);
        Arc::new(ColumnDescriptor::new(kind, max_def, max_rep, path))
    }

    fn first_version(bytes: &'static [u8], levels: Encoding) -> Page {
        Page::DataPage {
            buf: bytes.into(),
            num_values: 9,
            encoding: Encoding::DELTA_LENGTH_BYTE_ARRAY,
            def_level_encoding: levels,
            rep_level_encoding: levels,
            statistics: None,
        }
    }

    #[test]
    fn values_of_the_first_version_follow_levels_that_tell_their_length() {
        let page = first_version(&[1, 0, 0, 0, 8, 2, 0, 0, 0, 9, 9, 7], Encoding::RLE);
        for (max_def, max_rep, n_levels) in [(0, 0, 0), (1, 0, 5), (0, 1, 5), (2, 1, 11)] {
            let values = values_of(&page, &column(max_def, max_rep)).unwrap();
            assert_eq!(values.len(), 12 - n_levels, "{max_def} {max_rep}");
        }
        let cut = first_version(&[3, 0, 0, 0, 8, 8], Encoding::RLE);
        assert_eq!(values_of(&cut, &column(1, 0)), None);
    }

    #[test]
    #[expect(
        deprecated,
        reason = "the first writers packed levels without their length"
    )]
    fn levels_packed_in_bits_have_the_length_of_their_values() {
        let page = first_version(&[0, 0, 0, 0, 0, 7], Encoding::BIT_PACKED);
        // Nine values of one bit, of two bits, and of both.
        for (max_def, max_rep, n_levels) in [(1, 0, 2), (3, 0, 3), (3, 1, 5)] {
            let values = values_of(&page, &column(max_def, max_rep)).unwrap();
            assert_eq!(values.len(), 6 - n_levels, "{max_def} {max_rep}");
        }
    }

    #[test]
    fn values_of_the_second_version_follow_both_levels() {
        let page = |n_levels| Page::DataPageV2 {
            buf: [1, 2, 3, 4].as_slice().into(),
            num_values: 9,
            encoding: Encoding::DELTA_BYTE_ARRAY,
            num_nulls: 0,
            num_rows: 9,
            def_levels_byte_len: n_levels,
            rep_levels_byte_len: 1,
            is_compressed: false,
            statistics: None,
        };
        assert_eq!(values_of(&page(2), &column(1, 1)), Some(&[4][..]));
        assert_eq!(values_of(&page(4), &column(1, 1)), None);
        assert_eq!(values_of(&page(u32::MAX), &column(1, 1)), None);
    }
}
