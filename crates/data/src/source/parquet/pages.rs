//! A row group whose pages are held against what its description says.

use parquet::basic::Encoding;
use parquet::bloom_filter::Sbbf;
use parquet::column::page::{Page, PageMetadata, PageReader};
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::RowGroupMetaData;
use parquet::file::reader::RowGroupReader;
use parquet::record::reader::RowIter;
use parquet::schema::types::Type;

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
        Ok(Box::new(CheckedPages {
            pages: self.0.get_column_page_reader(i)?,
            n_values: self.metadata().column(i).num_values(),
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

/// The pages of a column. They end in an error, not in nulls, where values are missing; a
/// dictionary never claims more entries than it has bytes, for which memory would be taken.
struct CheckedPages {
    pages: Box<dyn PageReader>,
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
            return match claimed <= buf.len() {
                true => Ok(()),
                false => refuse(format!("a dictionary of {claimed} entries is too short")),
            };
        }
        if let Page::DataPageV2 {
            buf,
            def_levels_byte_len,
            rep_levels_byte_len,
            ..
        } = page
        {
            let n_levels = u64::from(*def_levels_byte_len) + u64::from(*rep_levels_byte_len);
            if n_levels > buf.len() as u64 {
                return refuse("the levels of a page are longer than the page".to_owned());
            }
        }
        let uses_dictionary = matches!(
            page.encoding(),
            Encoding::RLE_DICTIONARY | Encoding::PLAIN_DICTIONARY
        );
        if uses_dictionary && !self.has_dictionary {
            return refuse("a page refers to a dictionary that is not there".to_owned());
        }
        self.n_seen += i64::from(page.num_values());
        match self.n_seen <= self.n_values {
            true => Ok(()),
            false => refuse(format!(
                "a column has more than its {} values",
                self.n_values
            )),
        }
    }
}

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
