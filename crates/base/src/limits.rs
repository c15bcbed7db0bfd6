//! Named limits on everything that a file or a user can make large, listed by `tenon explain
//! limits`.

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limit {
    /// The constant's name.
    pub name: &'static str,
    /// The largest value that is accepted.
    pub value: u64,
    /// What it limits.
    pub doc: &'static str,
}

/// Declares the constants and the table from one list, so that neither can miss a row.
macro_rules! limits {
    ($($(#[doc = $doc:literal])+ $name:ident = $value:expr;)+) => {
        $($(#[doc = $doc])+ pub const $name: u64 = $value;)+

        /// Every limit, in the order of the documentation.
        pub const LIMITS: &[Limit] = &[
            $(Limit { name: stringify!($name), value: $name, doc: concat!($($doc),+) }),+
        ];
    };
}

limits! {
    /// Bytes of a configuration file.
    CONFIG_BYTES_MAX = 1 << 20;
    /// Levels of nesting in a configuration file.
    CONFIG_DEPTH_MAX = 64;
    /// Values in a configuration file, with aliases written out.
    CONFIG_NODES_MAX = 100_000;
    /// Problems of a configuration file that are printed in one run.
    CONFIG_PROBLEMS_MAX = 50;
    /// Bytes of a run's name.
    RUN_NAME_BYTES_MAX = 128;
    /// Bytes of the JSON header of a safetensors file.
    HEADER_BYTES_MAX = 100 << 20;
    /// Tensors in a checkpoint.
    TENSORS_MAX = 1_000_000;
    /// Dimensions of a tensor.
    TENSOR_RANK_MAX = 8;
    /// Elements of a tensor.
    TENSOR_ELEMENTS_MAX = 1 << 40;
    /// Files of a sharded checkpoint.
    SHARDS_MAX = 10_000;
    /// Bytes of a pickle, without the tensors beside it.
    PICKLE_BYTES_MAX = 256 << 20;
    /// Values that a pickle makes, keeps or repeats.
    PICKLE_VALUES_MAX = 1 << 23;
    /// Levels of nesting in a pickle.
    PICKLE_DEPTH_MAX = 100;
    /// Bytes of one text or one run of bytes in a pickle.
    PICKLE_TEXT_MAX = 16 << 20;
    /// Layers of a model.
    LAYERS_MAX = 512;
    /// Tokens of a vocabulary.
    VOCABULARY_MAX = 4_000_000;
    /// Positions of a sequence.
    SEQUENCE_MAX = 1 << 24;
    /// Bytes of one line of a text or JSON Lines file.
    LINE_BYTES_MAX = 64 << 20;
    /// Bytes of the list of files that a model hub answers with.
    HUB_LISTING_BYTES_MAX = 64 << 20;
    /// Files of a repository of the model hub.
    HUB_FILES_MAX = 100_000;
    /// Threads of a run.
    THREADS_MAX = 1024;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_limit_has_a_unique_name_a_value_and_a_sentence() {
        for (row, limit) in LIMITS.iter().enumerate() {
            assert!(limit.name.ends_with("_MAX"), "{}", limit.name);
            assert!(limit.value > 0, "{}", limit.name);
            assert!(limit.doc.trim().ends_with('.'), "{}", limit.name);
            assert!(
                LIMITS[..row].iter().all(|other| other.name != limit.name),
                "{}",
                limit.name
            );
        }
        assert_eq!(LIMITS[0].value, CONFIG_BYTES_MAX);
    }
}
