//! The resolved text of section `data`.

use tenon_data::source::Documents;

use super::super::section::Section;
use super::{CORPUS_NAMES, DataConfig, DataSource, TextLayout, TokenizerChoice};

impl DataConfig {
    pub(in crate::config) fn to_section(&self) -> Section {
        let mut section = Section::default();
        match &self.source {
            DataSource::Corpus(spec) => {
                section.text("dataset", CORPUS_NAMES[0]);
                let mut corpus = Section::default();
                corpus.int("bytes", spec.n_bytes);
                corpus.int("persons", spec.n_persons);
                corpus.int("seed", spec.seed);
                section.put("corpus", corpus.into_value());
            }
            DataSource::Named(name) => section.text("dataset", name),
            DataSource::Path(path) => section.text("path", path.to_string_lossy()),
        }
        if let Some(column) = &self.text_column {
            section.text("text_column", column);
        }
        match self.label_columns.as_deref() {
            Some([column]) => section.text("label_column", column),
            Some(columns) => section.texts("label_column", columns),
            None => {}
        }
        section.text("tokenizer", self.tokenizer.text());
        if !matches!(self.source, DataSource::Corpus(_)) {
            section.text("documents", documents_name(&self.documents));
        }
        match self.layout {
            TextLayout::OnePerRow => section.text("layout", "one_per_row"),
            TextLayout::Packed {
                document_boundaries,
            } => {
                section.text("layout", "packed");
                section.bool("document_boundaries", document_boundaries);
            }
        }
        section.int_or_absent("max_length", self.max_length);
        section.bool("append_eos", self.append_eos);
        section.bool("use_subset", self.subset_size.is_some());
        section.int_or_absent("subset_size", self.subset_size);
        section.int_or_absent("val_subset_size", self.val_subset_size);
        section.float("validation_fraction", self.validation_fraction);
        section.bool("shuffle", self.shuffle);
        section.float("mask_rate", self.mask_rate);
        section
    }
}

impl TokenizerChoice {
    /// As `data.tokenizer` spells it.
    fn text(&self) -> String {
        match self {
            TokenizerChoice::Gpt2 => "gpt2".to_owned(),
            TokenizerChoice::Byte => "byte".to_owned(),
            TokenizerChoice::Char => "char".to_owned(),
            TokenizerChoice::Esm => "esm".to_owned(),
            TokenizerChoice::Amplify => "amplify".to_owned(),
            TokenizerChoice::Codon => "codon".to_owned(),
            TokenizerChoice::OfModel => "model".to_owned(),
            TokenizerChoice::Path(path) => path.to_string_lossy().into_owned(),
        }
    }
}

/// A configuration has no key for separators of its own.
fn documents_name(documents: &Documents) -> &'static str {
    match documents {
        Documents::Lines => "lines",
        Documents::Paragraphs => "paragraphs",
        Documents::Whole | Documents::Separated(_) => "whole",
    }
}
