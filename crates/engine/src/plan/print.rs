//! A plan as text.

use super::{Call, Content, Plan, Slot, SlotId};
use crate::graph::Graph;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Widths of the columns path, operator and reads; with number and writes a line stays below 120.
const COLUMNS: [usize; 3] = [28, 18, 40];
/// Width of the last column, writes.
const WRITES: usize = 22;

impl Plan {
    /// All calls with the buffers that they read and write, all transient buffers with their place
    /// and the calls that they live through, and the sums.
    ///
    /// Names: `p3` parameter, `dp3` its gradient, `%7` value, `%7'` value computed again, `d%7`
    /// gradient of a value, `s7` scratch of node 7; `.2` marks the second buffer of a name. `+=`
    /// adds to what is there.
    pub fn listing(&self, graph: &Graph) -> String {
        let names = self.names();
        let mut text = String::new();
        row(
            &mut text,
            "call",
            ["path", "operator", "reads"].map(String::from),
            "writes",
        );
        for (t, call) in self.calls.iter().enumerate() {
            if t == self.backward_from && t > 0 {
                text.push_str("backward\n");
            }
            let Line {
                path,
                operator,
                reads,
                writes,
            } = line(graph, call, &names);
            let (reads, writes) = (wrapped(&reads, COLUMNS[2]), wrapped(&writes, WRITES));
            for i in 0..reads.len().max(writes.len()) {
                let first = |s: &str| if i == 0 { s.to_string() } else { String::new() };
                let at = |lines: &[String]| lines.get(i).cloned().unwrap_or_default();
                let columns = [
                    first(&shortened(&path, COLUMNS[0])),
                    first(&operator),
                    at(&reads),
                ];
                row(&mut text, &first(&t.to_string()), columns, &at(&writes));
            }
        }
        text.push('\n');
        self.print_buffers(&mut text, &names);
        self.print_sums(&mut text);
        text
    }

    /// A name for each buffer.
    fn names(&self) -> Vec<String> {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let mut name = |slot: &Slot| {
            let name = base_name(&slot.content);
            let n = seen.entry(name.clone()).or_default();
            *n += 1;
            if *n == 1 { name } else { format!("{name}.{n}") }
        };
        self.slots.iter().map(&mut name).collect()
    }

    fn print_buffers(&self, text: &mut String, names: &[String]) {
        let _ = writeln!(
            text,
            "{:<10} {:<20} {:>12} {:>12}  {:<11} in place of",
            "buffer", "type", "bytes", "offset", "calls"
        );
        for (slot, name) in self.slots.iter().zip(names) {
            if slot.content.is_persistent() || slot.first > slot.last {
                continue;
            }
            let ty = format!("[{}, {}] {}", slot.rows, slot.cols, slot.dtype.name());
            let calls = format!("{}..{}", slot.first, slot.last);
            let owner = slot.shares.map_or("", |s| &names[s.index()]);
            let line = format!(
                "{name:<10} {ty:<20} {:>12} {:>12}  {calls:<11} {owner}",
                slot.bytes, slot.offset
            );
            text.push_str(line.trim_end());
            text.push('\n');
        }
    }

    fn print_sums(&self, text: &mut String) {
        let _ = writeln!(
            text,
            "\npeak {} bytes = persistent {} + transient {} (no placement can go below {})",
            self.peak_bytes,
            self.persistent_bytes,
            self.peak_bytes - self.persistent_bytes,
            self.transient_floor_bytes(),
        );
    }
}

/// A call in words.
struct Line {
    path: String,
    operator: String,
    reads: Vec<String>,
    writes: Vec<String>,
}

fn line(graph: &Graph, call: &Call, names: &[String]) -> Line {
    let name = |s: &SlotId| names[s.index()].clone();
    let target = |s: &SlotId, adds: bool| format!("{}{}", if adds { "+=" } else { "" }, name(s));
    match call {
        Call::Forward {
            node,
            ins,
            outs,
            scratch,
        } => Line {
            path: graph.node(*node).path.clone(),
            operator: graph.node(*node).op.name().to_string(),
            reads: ins.iter().map(name).collect(),
            writes: outs.iter().chain(scratch).map(name).collect(),
        },
        Call::Vjp {
            node,
            dy,
            ins,
            outs,
            dx,
            scratch,
        } => {
            let targets = dx.iter().flatten().map(|(s, adds)| target(s, *adds));
            Line {
                path: graph.node(*node).path.clone(),
                operator: format!("{}.vjp", graph.node(*node).op.name()),
                reads: dy
                    .iter()
                    .chain(ins)
                    .chain(outs)
                    .flatten()
                    .map(name)
                    .collect(),
                writes: targets.chain(scratch.iter().map(name)).collect(),
            }
        }
        Call::PassGrad {
            from,
            to,
            accumulate,
        } => Line {
            path: String::new(),
            operator: "pass".to_string(),
            reads: vec![name(from)],
            writes: vec![target(to, *accumulate)],
        },
    }
}

fn base_name(content: &Content) -> String {
    match content {
        Content::Param(p) => format!("p{}", p.0),
        Content::ParamGrad(p) => format!("dp{}", p.0),
        Content::Moment(p, i) => format!("m{}.{i}", p.0),
        Content::Input(v) | Content::Const(v) | Content::State(v) | Content::Value(v) => {
            format!("%{}", v.0)
        }
        Content::Again(v) => format!("%{}'", v.0),
        Content::Grad(v) => format!("d%{}", v.0),
        Content::Scratch(node) => format!("s{}", node.0),
    }
}

fn row(text: &mut String, number: &str, columns: [String; 3], writes: &str) {
    let [path, operator, reads] = columns;
    let [a, b, c] = COLUMNS;
    let line = format!("{number:>5}  {path:<a$} {operator:<b$} {reads:<c$} {writes}");
    text.push_str(line.trim_end());
    text.push('\n');
}

/// The end of a path that is too long for its column: it says more than the start.
fn shortened(path: &str, width: usize) -> String {
    match path.char_indices().rev().nth(width - 1) {
        Some((from, _)) if from > 0 => {
            let tail: String = path[from..].chars().skip(1).collect();
            format!("…{tail}")
        }
        _ => path.to_string(),
    }
}

/// Names joined by blanks, in lines of at most this width.
fn wrapped(names: &[String], width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for name in names {
        let last = lines.last_mut().expect("there is a line");
        if last.is_empty() {
            last.push_str(name);
        } else if last.len() + 1 + name.len() <= width {
            last.push(' ');
            last.push_str(name);
        } else {
            lines.push(name.clone());
        }
    }
    lines
}
