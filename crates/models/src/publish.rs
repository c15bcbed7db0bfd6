//! What makes a folder of weights one that others can load and may use: the classes that
//! `transformers` lacks, a model card, a licence, requirements.

mod card;
mod code;
mod license;
mod origin;
pub(crate) mod shards;

pub use card::{CardFacts, Metric, RunFacts, card};
pub use license::{APPROVED, License};

pub use shards::WrittenFile;

pub(crate) use code::{Code, code_of};
pub(crate) use license::{Decision, decide};

use std::path::Path;

use serde_json::{Map, Value, json};
use tenon_base::files::Disk;
use tenon_base::{Error, Result};

use crate::checkpoint::Dtype;
use crate::hub::{HubConfig, Naming};
use crate::spec::Spec;

/// The model card of a hub folder.
pub const CARD_FILE: &str = "README.md";
/// The licence of a hub folder.
pub const LICENSE_FILE: &str = "LICENSE";
/// The licence of what the model was made from, where its text is another.
pub const SOURCE_LICENSE_FILE: &str = "LICENSE-SOURCE";
/// What a hub folder's classes need, for `pip install -r`.
pub const REQUIREMENTS_FILE: &str = "requirements.txt";

/// The oldest versions that the written classes were tested with.
pub(crate) const REQUIREMENTS: &str = "safetensors>=0.8.0\ntorch>=2.15.0\ntransformers>=5.23.0\n";

/// The text of a configuration whose classes can be found: those of `code`, or of `transformers`.
///
/// # Errors
/// `Data` when the model is none.
pub(crate) fn config_json(config: &HubConfig, from: Naming, code: Option<&Code>) -> Result<String> {
    let mut map: Map<String, Value> = serde_json::from_str(&config.to_json())
        .map_err(|reason| Error::data(format!("the configuration is no JSON: {reason}")))?;
    map.remove("auto_map");
    if let Some(code) = code {
        map.insert("architectures".to_owned(), json!([code.model_class]));
        map.insert("auto_map".to_owned(), code.auto_map());
    } else if from != Naming::Hub || !names_a_class(&map) {
        let fresh = HubConfig::new(config.spec.clone(), Dtype::F32)?;
        match fresh.extra.get("architectures") {
            Some(class) => map.insert("architectures".to_owned(), class.clone()),
            None => map.remove("architectures"),
        };
    }
    map.sort_keys();
    Ok(format!("{:#}\n", Value::Object(map)))
}

/// Whether the class that is named is one of `transformers`.
fn names_a_class(map: &Map<String, Value>) -> bool {
    let class = map.get("architectures").and_then(|list| list.get(0));
    class
        .and_then(Value::as_str)
        .is_some_and(|class| !class.starts_with("Tenon"))
}

/// Removes the modules of other layouts that an earlier conversion left in the folder.
pub(crate) fn remove_other_code(disk: &dyn Disk, folder: &Path, code: Option<&Code>) -> Result<()> {
    for path in disk.list(folder)? {
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or("");
        let is_module = name.starts_with(code::MODULE_PREFIX) && name.ends_with(".py");
        if is_module && code.is_none_or(|code| code.file() != name) {
            disk.remove_file(&path)?;
        }
    }
    Ok(())
}

/// A result whose weights and configuration are written.
pub(crate) struct Published<'a> {
    pub(crate) source: &'a Path,
    pub(crate) target: &'a Path,
    pub(crate) config: &'a HubConfig,
    pub(crate) files: &'a [WrittenFile],
    pub(crate) n_parameters: u64,
    pub(crate) own_code: bool,
    pub(crate) has_tokenizer: bool,
    pub(crate) run: Option<&'a RunFacts>,
}

impl Published<'_> {
    /// Writes card, licence and requirements when the licence is known; gives its name, or why not.
    pub(crate) fn write(
        &self,
        disk: &dyn Disk,
        decision: Decision,
    ) -> Result<std::result::Result<String, String>> {
        let grant = match decision {
            Decision::Publish(grant) => grant,
            Decision::LeaveOut(reason) => {
                let stale = disk.exists(&self.target.join(CARD_FILE))?;
                return Ok(Err(match stale {
                    true => format!("{reason} (the `{CARD_FILE}` there is about other weights)"),
                    false => reason,
                }));
            }
        };
        let write = |name: &str, text: &str| {
            let path = self.target.join(name);
            disk.write_atomic(&path, text.as_bytes())
        };
        write(LICENSE_FILE, &grant.text)?;
        let source_license = self.target.join(SOURCE_LICENSE_FILE);
        match &grant.source_text {
            Some(text) => write(SOURCE_LICENSE_FILE, text)?,
            None if disk.exists(&source_license)? => disk.remove_file(&source_license)?,
            None => {}
        }
        // Of the custom family nobody but Tenon has the classes.
        if !matches!(self.config.spec, Spec::Custom(_)) {
            write(REQUIREMENTS_FILE, REQUIREMENTS)?;
        }
        let stated = |key: &str| {
            let text = self.config.extra.get(key).and_then(Value::as_str);
            text.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let hub_id = stated("_name_or_path").filter(|name| card::is_hub_id(name));
        let facts = CardFacts {
            name: name_of(self.target),
            spec: self.config.spec.clone(),
            n_parameters: self.n_parameters,
            dtype: self.config.dtype,
            license: grant.name.clone(),
            source_license: grant.source_name,
            source: hub_id.unwrap_or_else(|| name_of(self.source)),
            revision: stated("_commit_hash"),
            files: self.files.to_vec(),
            own_code: self.own_code,
            fused: self.config.naming != Naming::Hub,
            has_tokenizer: self.has_tokenizer,
            run: self.run.cloned(),
        };
        write(CARD_FILE, &card(&facts))?;
        Ok(Ok(grant.name))
    }
}

/// A folder's own name: where it lies is nobody's business.
fn name_of(folder: &Path) -> String {
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let name = whole.file_name().and_then(|name| name.to_str());
    name.unwrap_or("model").to_owned()
}
