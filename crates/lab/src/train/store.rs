//! Model folders of a run.

use std::path::Path;
use std::sync::Arc;

use tenon_base::Result;
use tenon_base::files::Disk;
use tenon_data::Tokenizer;
use tenon_models::folder::{self, Extra};
use tenon_models::hub::HubConfig;
use tenon_models::weights::{Source, Weights};
use tenon_train::ModelStore;

/// Writes complete hub folders: configuration, weights, tokenizer.
pub struct HubStore {
    /// The model.
    pub hub: HubConfig,
    /// Tensors of the model that training started from which are no parameters.
    pub extras: Vec<Extra>,
    /// Its tokenizer.
    pub tokenizer: Arc<dyn Tokenizer>,
}

impl ModelStore for HubStore {
    fn save(&self, disk: &dyn Disk, folder: &Path, weights: &mut dyn Source) -> Result<()> {
        disk.create_dir_all(folder)?;
        folder::save_from(disk, folder, &self.hub, weights, &self.extras)?;
        self.tokenizer.save(disk, folder)
    }

    fn load(&self, disk: &dyn Disk, folder: &Path) -> Result<Weights> {
        Ok(folder::load(disk, folder)?.weights)
    }
}
