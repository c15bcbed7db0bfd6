//! Where a plan's bytes are, and when they are most.

use super::{Content, Plan, Slot, align};

impl Plan {
    /// Bytes of all buffers that the filter accepts.
    pub fn bytes_of(&self, filter: impl Fn(&Content) -> bool) -> usize {
        self.slots
            .iter()
            .filter(|s| filter(&s.content))
            .map(|s| s.bytes)
            .sum()
    }

    /// The largest sum of transient buffers alive during one call: what no placement can go below.
    pub fn transient_floor_bytes(&self) -> usize {
        self.transient_bytes_at(self.busiest_call())
    }

    /// The call during which transient buffers are largest in sum; the first one of several.
    pub fn busiest_call(&self) -> usize {
        let calls = (0..self.calls.len()).rev();
        calls
            .max_by_key(|&t| self.transient_bytes_at(t))
            .unwrap_or(0)
    }

    /// Transient buffers alive during a call, those that share memory once.
    pub fn transient_at(&self, call: usize) -> impl Iterator<Item = &Slot> {
        let owns = |s: &&Slot| s.shares.is_none() && !s.content.is_persistent();
        self.slots
            .iter()
            .filter(owns)
            .filter(move |s| s.first <= call && call <= s.last)
    }

    fn transient_bytes_at(&self, call: usize) -> usize {
        self.transient_at(call).map(|s| align(s.bytes)).sum()
    }
}
