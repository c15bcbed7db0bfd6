//! The keys of section `data`.

use tenon_base::config::{DefaultValue, Key, Range, Type};
use tenon_base::limits::SEQUENCE_MAX;
use tenon_data::source::CORPUS_BYTES_MAX;

/// Above 0 and below 1.
const PART: Type = Type::Float(Range {
    min: 0.0,
    max: 1.0,
    min_exclusive: true,
    max_exclusive: true,
});

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new(
        "data.dataset",
        Type::Str,
        DefaultValue::Optional,
        "Data set by name: `corpus` (built in, also `built-in`), a known name such as \
         `tinystories`, or `organisation/name`, looked for in `TENON_DATA` and `assets/datasets`. \
         Either this or `data.path`.",
    ),
    Key::new(
        "data.path",
        Type::Path,
        DefaultValue::Optional,
        "File or folder of text, JSON Lines, CSV, FASTA, also packed as `.gz`, or Parquet, \
         relative to the working directory.",
    ),
    Key::new(
        "data.text_column",
        Type::Str,
        DefaultValue::Derived("a known set's own, or else `text` or the only column"),
        "Column of records that holds the text.",
    ),
    Key::new(
        "data.label_column",
        Type::AnyOf(&[Type::Str, Type::STR_LIST]),
        DefaultValue::Derived("`label`; of a model that tells numbers, the columns that it names"),
        "Column of records that holds what `model.head` tells: a class; labels as a list of JSON, \
         or with `;` between them; of tokens a character each, or a list; a number, a list of \
         them, or a list of columns. A token without a label, which is neither learned nor \
         judged, has `?`, or `-` or `.` where `model.labels` names the classes without it; in a \
         list also `null`, an empty text, or the number -100 unless a class is named so.",
    ),
    Key::new(
        "data.tokenizer",
        Type::Str,
        DefaultValue::Derived("`gpt2`; with `model.from`, that model's"),
        "How text becomes ids: `gpt2` (50,257 ids), `byte`, `char` (the characters of the \
         training text), `esm` and `amplify` (amino acids), `codon` (64 codons), `model` (that of \
         `model.from`), or the path of a folder with `tokenizer.json` or `vocab.txt`.",
    ),
    Key::new(
        "data.documents",
        Type::Enum(&["whole", "lines", "paragraphs"]),
        DefaultValue::Str("whole"),
        "What is one document of a plain text file: the file, each line, or what stands between \
         blank lines.",
    ),
    Key::new(
        "data.layout",
        Type::Enum(&["one_per_row", "packed"]),
        DefaultValue::Str("one_per_row"),
        "How documents become sequences: one each, cut at `data.max_length`, or end to end, cut \
         into blocks of that length.",
    ),
    Key::new(
        "data.document_boundaries",
        Type::Bool,
        DefaultValue::Bool(true),
        "In packed blocks, whether a token sees only its own document.",
    ),
    Key::new(
        "data.max_length",
        Type::int(2, SEQUENCE_MAX as i64),
        DefaultValue::Derived("`model.max_seq_len`"),
        "Longest sequence in tokens.",
    ),
    Key::new(
        "data.append_eos",
        Type::Bool,
        DefaultValue::Bool(true),
        "Whether each document ends with the end-of-text id, which is learned like any other.",
    ),
    Key::new(
        "data.use_subset",
        Type::Bool,
        DefaultValue::Derived("true when `data.subset_size` is given"),
        "Whether only the first `data.subset_size` training rows are used.",
    ),
    Key::new(
        "data.subset_size",
        Type::COUNT,
        DefaultValue::Optional,
        "Number of first training rows that are used.",
    ),
    Key::new(
        "data.val_subset_size",
        Type::COUNT,
        DefaultValue::Optional,
        "Number of first validation rows that are used; all without it.",
    ),
    Key::new(
        "data.validation_fraction",
        PART,
        DefaultValue::Float(0.1),
        "Part of the rows, or of the only text, that is kept for validation where the data has \
         no split of its own.",
    ),
    Key::new(
        "data.mask_rate",
        PART,
        DefaultValue::Float(0.15),
        "Probability that a model of masked tokens has to tell a token; of those 80 % are masked, \
         10 % replaced and 10 % shown. Models of the next token have no masks.",
    ),
    Key::new(
        "data.shuffle",
        Type::Bool,
        DefaultValue::Bool(true),
        "Whether each epoch has an order of its own, drawn from `training.seed`.",
    ),
    Key::new(
        "data.corpus.bytes",
        Type::int(1, CORPUS_BYTES_MAX as i64),
        DefaultValue::Int(1_500_000),
        "Least size of the built-in corpus in bytes.",
    ),
    Key::new(
        "data.corpus.persons",
        Type::int(2, 40),
        DefaultValue::Int(40),
        "Persons that the built-in corpus tells facts about.",
    ),
    Key::new(
        "data.corpus.seed",
        Type::int(0, i64::MAX),
        DefaultValue::Int(0),
        "Decides the facts and the text of the built-in corpus.",
    ),
];
