//! What a run is given: the size of its batch, and its inputs.

use super::{Executor, find};
use crate::shape::Extent;
use tenon_kernels::bytes_of;

/// Target of a row that is not counted.
pub const IGNORE: i32 = -100;
/// The input of a graph that computes the tokens that count alone, `[C]`.
pub const COUNTED_ROWS: &str = "counted_rows";

impl Executor {
    /// Sets the size of the next batch.
    ///
    /// # Panics
    /// When it is larger than the plan's capacity, or more tokens count than there are.
    pub fn set_extent(&mut self, extent: Extent) {
        let room = self.plan().options.capacity;
        assert!(extent.counted <= extent.tokens, "{extent:?}");
        assert!(
            extent.tokens <= room.tokens
                && extent.seqs <= room.seqs
                && extent.counted <= room.counted,
            "a batch of {extent:?} does not fit a plan for {room:?}"
        );
        self.extent = extent;
    }

    /// Sets the counter key of the next run's dropout masks.
    pub fn set_key(&mut self, key: [u32; 2]) {
        self.key = key;
    }

    /// Writes an input. `targets` also counts the rows that enter the loss.
    ///
    /// # Panics
    /// When the graph has no such input or the length is wrong.
    pub fn set_input(&mut self, name: &str, values: &[i32]) {
        let slot = find(&self.plan().inputs, name).unwrap_or_else(|| panic!("no input {name}"));
        let buf = self.active_buf(slot);
        assert_eq!(buf.len(), values.len(), "input {name}");
        if name == "targets" {
            self.extent.counted = values.iter().filter(|&&t| t != IGNORE).count();
        }
        self.device.upload(buf, bytes_of(values));
    }

    /// Writes `targets [N]`, or one a sequence, [`IGNORE`] for those that do not count. A graph
    /// with [`COUNTED_ROWS`] gets the places and the targets of the tokens that count.
    ///
    /// # Panics
    /// When there are more or fewer targets than the batch has tokens or sequences.
    pub fn set_targets(&mut self, targets: &[i32]) {
        if !self.has_input(COUNTED_ROWS) {
            return self.set_input("targets", targets);
        }
        assert_eq!(targets.len(), self.extent.tokens, "targets");
        let mut rows = std::mem::take(&mut self.rows);
        rows.clear();
        let counted = (0..).zip(targets).filter(|&(_, &target)| target != IGNORE);
        rows.extend(counted.map(|(row, _)| row));
        self.set_extent(Extent {
            counted: rows.len(),
            ..self.extent
        });
        self.set_input(COUNTED_ROWS, &rows);
        for row in &mut rows {
            *row = targets[*row as usize];
        }
        self.set_input("targets", &rows);
        self.rows = rows;
    }

    /// Whether the graph has an input of this name.
    pub fn has_input(&self, name: &str) -> bool {
        find(&self.plan().inputs, name).is_some()
    }

    /// Writes an input of floats, as operator checks have.
    pub fn set_float_input(&mut self, name: &str, values: &[f64]) {
        let slot = find(&self.plan().inputs, name).unwrap_or_else(|| panic!("no input {name}"));
        self.write(self.active_buf(slot), values);
    }

    /// Gives the gradient of the `i`-th seeded value.
    pub fn set_seed(&mut self, i: usize, values: &[f64]) {
        self.write(self.active_buf(self.plan().seeds[i]), values);
    }

    /// Sets state that lives across runs.
    pub fn set_state(&mut self, name: &str, values: &[f64]) {
        let slot = find(&self.plan().states, name).unwrap_or_else(|| panic!("no state {name}"));
        self.write(self.active_buf(slot), values);
    }
}
