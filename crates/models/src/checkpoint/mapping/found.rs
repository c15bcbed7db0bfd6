//! The names that a checkpoint has where a table allows several.

use std::collections::BTreeMap;

use super::{HubTensor, Plan};

impl Plan {
    /// Names in the checkpoint that are not those that we write, by those; `written` is what
    /// [`hub_tensors`](super::Mapping::hub_tensors) says under the plan's prefix.
    pub fn other_names(&self, written: &[HubTensor]) -> BTreeMap<String, String> {
        let found = |tensor: &HubTensor| {
            let (i, piece) = tensor.parts[0];
            let mut pieces = self.fills[i].pieces.iter();
            let same = pieces.find(|(_, other)| *other == piece);
            same.map(|(name, _)| name.clone())
        };
        let pairs = written
            .iter()
            .filter_map(|tensor| Some((tensor.name.clone(), found(tensor)?)));
        pairs.filter(|(ours, theirs)| ours != theirs).collect()
    }
}
