//! From one layout of a checkpoint to another, element by element: what the model computes stays
//! the same, and so does every byte.

mod reading;

use std::path::Path;

use tenon_base::files::Disk;
use tenon_base::{Error, Result};

use crate::checkpoint::Dtype;
use crate::folder::{self, TOKENIZER_FILES};
use crate::hub::{CONFIG_FILE, HubConfig, Naming};
use crate::publish::shards::MAX_SHARD_BYTES;
use crate::publish::{self, Published, RunFacts, WrittenFile};
use reading::Reading;

/// Tensors of the family's reference that fused layers have no place for; beside their weights, so
/// that the way back has them.
pub const HUB_ONLY_FILE: &str = "hub_only.safetensors";
/// What to write.
#[derive(Clone, Debug)]
pub struct Options {
    /// Names and layouts.
    pub naming: Naming,
    /// The type of parameters; `None` leaves each tensor its own.
    pub dtype: Option<Dtype>,
    /// How many bytes of tensors a file may have; a larger tensor has one of its own.
    pub max_shard_bytes: u64,
    /// The licence of the result, by its SPDX identifier or the source's own name; `None` means the
    /// source's, where it is an approved one.
    pub license: Option<String>,
    /// Whether a result without a card is an error.
    pub card: bool,
    /// What is known of the training of the source.
    pub run: Option<RunFacts>,
}

impl Options {
    /// Names and layouts, with everything else as it is by default.
    pub fn to(naming: Naming) -> Options {
        Options {
            naming,
            dtype: None,
            max_shard_bytes: MAX_SHARD_BYTES,
            license: None,
            card: false,
            run: None,
        }
    }
}

/// What a conversion did.
#[derive(Clone, Debug, PartialEq)]
pub struct Facts {
    /// The configuration that was written.
    pub config: HubConfig,
    /// The layout that was read.
    pub from: Naming,
    /// Tensors written, with those of [`Facts::kept`].
    pub n_tensors: usize,
    /// Tensors that are no parameters, and were carried along.
    pub kept: Vec<String>,
    /// Tensors that are no parameters, and that the target has no place for.
    pub dropped: Vec<String>,
    /// The files of weights, with their hashes.
    pub files: Vec<WrittenFile>,
    /// The name of the result's licence, or why card, licence and requirements were left out.
    pub license: std::result::Result<String, String>,
}

/// Converts the model folder `source` into the folder `target`: weights, configuration, tokenizer,
/// the classes that `transformers` lacks, and, where the licence is known, card, licence and
/// requirements.
///
/// # Errors
/// Of kind data when the source cannot be read as a model, when a fused tensor would mix types, or
/// when the family has no such layout; of kind usage when both are one folder, or when the licence
/// that was asked for cannot be given.
pub fn convert(disk: &dyn Disk, source: &Path, target: &Path, options: &Options) -> Result<Facts> {
    let source = folder::resolve(disk, source)?;
    // Lexically: `./model` is `model`.
    let place = |path: &Path| std::path::absolute(path).ok();
    if place(&source) == place(target) {
        let message = format!("`{}` would be converted onto itself", target.display());
        return Err(Error::usage(message).hint("name another folder for the result"));
    }
    let read = Reading::open(disk, &source, options.dtype)?;
    if let Naming::Fused { padded_vocab } = options.naming {
        check_padding(padded_vocab, read.config.spec.vocab_size())?;
    }
    let written = read.tensors(options.naming)?;
    let asked = options.license.as_deref();
    let decision = publish::decide(disk, &source, &read.config, asked, options.card)?;
    let mut config = read.config.clone();
    config.naming = options.naming;
    config.dtype = options.dtype.or(config.dtype);
    let code = publish::code_of(&config.spec, config.naming);
    let config_json = publish::config_json(&config, read.config.naming, code.as_ref())?;
    disk.create_dir_all(target)?;
    let mut has_tokenizer = false;
    for name in TOKENIZER_FILES.iter().chain(&["generation_config.json"]) {
        if disk.exists(&source.join(name))? {
            disk.write_atomic(&target.join(name), &disk.read(&source.join(name))?)?;
            has_tokenizer |= TOKENIZER_FILES.contains(name);
        }
    }
    let files = read.write(disk, target, &written, options.max_shard_bytes)?;
    if let Some(code) = &code {
        disk.write_atomic(&target.join(code.file()), code.text.as_bytes())?;
    }
    disk.write_atomic(&target.join(CONFIG_FILE), config_json.as_bytes())?;
    publish::remove_other_code(disk, target, code.as_ref())?;
    let result = Published {
        source: &source,
        target,
        config: &config,
        files: &files,
        n_parameters: read.n_parameters(),
        own_code: code.is_some(),
        has_tokenizer,
        run: options.run.as_ref(),
    };
    Ok(Facts {
        license: result.write(disk, decision)?,
        config,
        from: read.config.naming,
        n_tensors: written.tensors.len() + written.kept.len(),
        kept: written
            .kept
            .iter()
            .map(|kept| kept.0.name.clone())
            .collect(),
        dropped: written.dropped,
        files,
    })
}

fn check_padding(padded_vocab: Option<usize>, vocab_size: usize) -> Result<()> {
    match padded_vocab {
        Some(rows) if rows < vocab_size => {
            let message = format!("{rows} padded rows for a vocabulary of {vocab_size}");
            Err(Error::usage(message).hint(format!("ask for at least {vocab_size} rows")))
        }
        _ => Ok(()),
    }
}
