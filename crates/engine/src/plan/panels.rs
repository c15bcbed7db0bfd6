//! Which parameters lie in panels.

use super::Planner;
use crate::graph::{Origin, ParamId};
use crate::table::Panels;

/// What the readers of a parameter want of it.
#[derive(Clone, Copy)]
enum Wanted {
    /// Nothing yet.
    Anything,
    /// These panels will do, and whether one of the readers gains by them.
    Panels(Panels, bool),
    /// Only rows as they are.
    Rows,
}

impl Planner<'_> {
    /// Marks the parameters that all their readers can read from the same panels, one of them with
    /// gain.
    ///
    /// # Panics
    /// When the plan is for training: updates and derivatives read rows.
    pub(super) fn choose_panels(&mut self) {
        assert!(!self.options.training, "panels are read by forward passes");
        let mut wanted = vec![Wanted::Anything; self.params.len()];
        for node in &self.graph.nodes {
            let reads = node.op.saves().panels;
            for (i, &v) in node.ins.iter().enumerate() {
                let Origin::Param(ParamId(p)) = self.graph.value(v).origin else {
                    continue;
                };
                let of_input = reads.filter(|reads| reads.input == i);
                let wanted = &mut wanted[p as usize];
                *wanted = match (*wanted, of_input) {
                    (Wanted::Anything, Some(reads)) => Wanted::Panels(reads.panels, reads.gains),
                    (Wanted::Panels(panels, gains), Some(reads)) if panels == reads.panels => {
                        Wanted::Panels(panels, gains || reads.gains)
                    }
                    _ => Wanted::Rows,
                };
            }
        }
        for (slot, wanted) in self.params.iter().zip(wanted) {
            if let Wanted::Panels(panels, true) = wanted {
                self.slots[slot.0 as usize].panels = Some(panels);
            }
        }
    }
}
