//! Grants of shared memory, and the placement of buffers in the arena.

use super::{Call, Content, Plan, Planner, Slot, SlotId, align};
use crate::graph::Origin;

impl Planner<'_> {
    pub(super) fn finish(mut self, backward_from: usize, floor: usize) -> Plan {
        self.keep_outputs();
        self.grant_in_place();
        let persistent_bytes = self.place_persistent(floor);
        let peak_bytes = self.place_transient(persistent_bytes);
        let graph = self.graph;
        let named = |origin: fn(&Origin) -> Option<&String>| -> Vec<(String, SlotId)> {
            let values = graph.values.iter().zip(&self.value);
            values
                .filter_map(|(v, s)| Some((origin(&v.origin)?.clone(), (*s)?)))
                .collect()
        };
        let is_const = |i: &usize| matches!(graph.values[*i].origin, Origin::Const(_));
        Plan {
            options: self.options,
            backward_from,
            persistent_bytes,
            peak_bytes,
            inputs: named(|o| {
                if let Origin::Input(n) = o {
                    Some(n)
                } else {
                    None
                }
            }),
            states: named(|o| {
                if let Origin::State(n) = o {
                    Some(n)
                } else {
                    None
                }
            }),
            consts: (0..graph.values.len())
                .filter(is_const)
                .map(|i| {
                    (
                        crate::ValueId(i as u32),
                        self.value[i].expect("tables have buffers"),
                    )
                })
                .collect(),
            outputs: graph
                .outputs
                .iter()
                .filter_map(|(n, v)| Some((n.clone(), self.value[v.0 as usize]?)))
                .collect(),
            losses: graph
                .losses
                .iter()
                .filter_map(|v| self.value[v.0 as usize])
                .collect(),
            value_grads: graph
                .differentiated
                .iter()
                .filter_map(|&v| Some((v, self.grad[v.0 as usize]?)))
                .collect(),
            slots: self.slots,
            calls: self.calls,
            params: self.params,
            param_grads: self.param_grads,
            moments: self.moments,
            seeds: self.seeds,
        }
    }

    /// Named outputs and the losses live to the end of a run.
    fn keep_outputs(&mut self) {
        let end = self.calls.len();
        let kept = self
            .graph
            .outputs
            .iter()
            .map(|(_, v)| v)
            .chain(&self.graph.losses);
        let values = kept.filter_map(|v| self.value[v.0 as usize]);
        let grads = self
            .graph
            .differentiated
            .iter()
            .filter_map(|v| self.grad[v.0 as usize]);
        for slot in values.chain(grads).collect::<Vec<_>>() {
            self.slots[slot.0 as usize].last = end;
        }
    }

    /// Lets a forward call write over its input where nobody reads that input afterwards.
    fn grant_in_place(&mut self) {
        for t in 0..self.calls.len() {
            let Call::Forward {
                node, ins, outs, ..
            } = &self.calls[t]
            else {
                continue;
            };
            let Some(i) = self.graph.node(*node).op.saves().in_place else {
                continue;
            };
            let (given, wanted) = (self.root(ins[i]), outs[0]);
            let once = ins.iter().filter(|&&s| self.root(s) == given).count() == 1;
            let (g, w) = (
                &self.slots[given.0 as usize],
                &self.slots[wanted.0 as usize],
            );
            if once && !g.content.is_persistent() && g.last == t && g.bytes == w.bytes {
                let last = w.last;
                self.slots[wanted.0 as usize].shares = Some(given);
                self.slots[given.0 as usize].last = last.max(t);
            }
        }
    }

    /// The buffer that owns the memory.
    fn root(&self, slot: SlotId) -> SlotId {
        match self.slots[slot.0 as usize].shares {
            Some(owner) => self.root(owner),
            None => slot,
        }
    }

    /// Parameters first, so that they lie at the same place in every plan of one executor.
    fn place_persistent(&mut self, floor: usize) -> usize {
        let is_param = |content: &Content| matches!(content, Content::Param(_));
        let mut end = 0;
        for slot in self.slots.iter_mut().filter(|s| is_param(&s.content)) {
            slot.offset = end;
            end += align(slot.bytes);
        }
        end = end.max(floor);
        let rest = |s: &&mut Slot| s.content.is_persistent() && !is_param(&s.content);
        for slot in self.slots.iter_mut().filter(rest) {
            slot.offset = end;
            end += align(slot.bytes);
        }
        end
    }

    /// Greedy by size: the largest buffers first, each at the lowest offset that is free while it
    /// lives (Pisarchyk & Lee 2020, "Efficient memory management for deep neural net inference").
    fn place_transient(&mut self, base: usize) -> usize {
        let mut order: Vec<usize> = (0..self.slots.len())
            .filter(|&i| !self.slots[i].content.is_persistent() && self.slots[i].shares.is_none())
            .collect();
        order.sort_by_key(|&i| (std::cmp::Reverse(self.slots[i].bytes), i));
        let mut placed: Vec<usize> = Vec::with_capacity(order.len());
        let mut peak = base;
        for i in order {
            let (first, last) = (self.slots[i].first, self.slots[i].last);
            let size = align(self.slots[i].bytes);
            let mut at = base;
            // `placed` is kept in order of offsets.
            for &j in &placed {
                let other = &self.slots[j];
                if other.first <= last && first <= other.last {
                    if at + size <= other.offset {
                        break;
                    }
                    at = at.max(other.offset + align(other.bytes));
                }
            }
            self.slots[i].offset = at;
            peak = peak.max(at + size);
            let position = placed.partition_point(|&j| self.slots[j].offset <= at);
            placed.insert(position, i);
        }
        for i in 0..self.slots.len() {
            let owner = self.root(SlotId(i as u32));
            self.slots[i].offset = self.slots[owner.0 as usize].offset;
        }
        peak
    }
}
