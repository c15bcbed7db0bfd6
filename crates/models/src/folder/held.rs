//! What a model that was read holds, and under which names.

use super::{Extra, Folder};
use crate::checkpoint::mapping::Mapping;
use crate::hub::Naming;

impl Folder {
    /// Tensors that are no parameters and stay as they are when parameters change; those of the
    /// reference's checkpoints alone.
    pub fn unchanging(&self) -> Vec<Extra> {
        let mut kept = self.dropped.clone();
        kept.retain(|extra| self.config.naming == Naming::Hub && !extra.is_copy);
        kept
    }

    /// Names of all that its checkpoint holds beside parameters.
    pub fn left_out(&self) -> Vec<String> {
        let dropped = self.dropped.iter().map(|extra| extra.name.clone());
        dropped.chain(self.skipped.iter().cloned()).collect()
    }

    /// The names of its tensors.
    pub fn mapping(&self) -> Mapping {
        let mapping = self.config.spec.mapping_of(self.config.naming);
        mapping.unwrap_or_else(|_| self.config.spec.mapping())
    }
}
