//! A plan as text.

use super::{Call, Content, Plan, SlotId};
use crate::graph::Graph;
use std::fmt::Write;

impl Plan {
    /// Every call with its buffers, one line each, and the sums.
    pub fn listing(&self, graph: &Graph) -> String {
        let mut text = String::new();
        for (t, call) in self.calls.iter().enumerate() {
            if t == self.backward_from && t > 0 {
                text.push_str("backward\n");
            }
            match call {
                Call::Forward {
                    node,
                    ins,
                    outs,
                    scratch,
                } => {
                    let n = graph.node(*node);
                    let ins = self.names(ins.iter().copied());
                    let outs: Vec<String> = outs.iter().map(|&s| self.place(s)).collect();
                    let _ = write!(
                        text,
                        "{:<34} {:<16} {ins} -> {}",
                        n.path,
                        n.op.name(),
                        outs.join(", ")
                    );
                    self.print_scratch(&mut text, *scratch);
                }
                Call::Vjp {
                    node,
                    dy,
                    ins,
                    outs,
                    dx,
                    scratch,
                } => {
                    let n = graph.node(*node);
                    let name = format!("{}.vjp", n.op.name());
                    let read = dy.iter().chain(ins).chain(outs).flatten().copied();
                    let target = |&(s, add): &(SlotId, bool)| {
                        format!("{}{}", if add { "+=" } else { "" }, self.place(s))
                    };
                    let dx: Vec<String> = dx.iter().flatten().map(target).collect();
                    let _ = write!(
                        text,
                        "{:<34} {name:<16} {} -> {}",
                        n.path,
                        self.names(read),
                        dx.join(", ")
                    );
                    self.print_scratch(&mut text, *scratch);
                }
                Call::PassGrad {
                    from,
                    to,
                    accumulate,
                } => {
                    let sign = if *accumulate { "+=" } else { "" };
                    let _ = write!(
                        text,
                        "{:<51} {} -> {sign}{}",
                        "pass",
                        self.name(*from),
                        self.place(*to)
                    );
                }
            }
            text.push('\n');
        }
        let mib = |bytes: usize| bytes as f64 / (1 << 20) as f64;
        let _ = writeln!(
            text,
            "peak {:.1} MiB = persistent {:.1} + transient {:.1} (no placement can go below {:.1})",
            mib(self.peak_bytes),
            mib(self.persistent_bytes),
            mib(self.peak_bytes - self.persistent_bytes),
            mib(self.transient_floor_bytes()),
        );
        text
    }

    fn print_scratch(&self, text: &mut String, scratch: Option<SlotId>) {
        if let Some(s) = scratch {
            let _ = write!(text, "  scratch {}", self.place(s));
        }
    }

    fn names(&self, slots: impl Iterator<Item = SlotId>) -> String {
        slots.map(|s| self.name(s)).collect::<Vec<_>>().join(" ")
    }

    fn name(&self, slot: SlotId) -> String {
        match &self.slots[slot.0 as usize].content {
            Content::Param(p) => format!("p{}", p.0),
            Content::ParamGrad(p) => format!("dp{}", p.0),
            Content::Moment(p, i) => format!("m{}.{i}", p.0),
            Content::Input(v) | Content::Const(v) | Content::State(v) | Content::Value(v) => {
                format!("%{}", v.0)
            }
            Content::Again(v) => format!("%{}'", v.0),
            Content::Grad(v) => format!("d%{}", v.0),
            Content::Scratch(_) => "scratch".to_string(),
        }
    }

    fn place(&self, slot: SlotId) -> String {
        let s = &self.slots[slot.0 as usize];
        let shares = match s.shares {
            Some(owner) => format!(" in place of {}", self.name(owner)),
            None => String::new(),
        };
        format!(
            "{} [{}, {}]{} @{:#x}+{}{shares}",
            self.name(slot),
            s.rows,
            s.cols,
            s.dtype.name(),
            s.offset,
            s.bytes
        )
    }
}
