//! Facts as text and as JSON.

use super::{Facts, Group, Layer, Memory, Purpose, Tenant};
use serde_json::{Value, json};
use std::fmt::Write;
use tenon_base::units::{bytes, count};
use tenon_engine::Recompute;

/// Names of [`Memory::parts`].
const PARTS: [&str; 8] = [
    "weights",
    "gradients",
    "moments",
    "inputs",
    "activations",
    "value_gradients",
    "scratch",
    "gaps",
];

/// Most lines on recomputing some of the blocks.
const BLOCK_ROWS_MAX: usize = 8;

impl Facts {
    /// Tables for reading, at most 120 columns wide for usual names.
    pub fn to_text(&self) -> String {
        let (name, n_params) = (&self.full_name, exact(self.n_params));
        let mut text = format!("{name}, {n_params} parameters\n\n");
        text.push_str(&table(&self.group_rows(), 1));
        text.push('\n');
        text.push_str(&table(&self.layer_rows(), 3));
        let flops = [
            ("forward", self.flops.forward_per_token),
            ("of which attention", self.flops.attention_per_token),
            ("training", self.flops.training_per_token),
        ];
        let mut rows = vec![cells(["operations per token", "flops"])];
        rows.extend(flops.map(|(name, n)| cells([name, &count(n as u64)])));
        text.push('\n');
        text.push_str(&table(&rows, 1));
        let (tokens, seqs) = (self.batch.tokens, self.batch.seqs);
        let float = self.float.name();
        let _ = writeln!(
            text,
            "\nmemory for {tokens} tokens in {seqs} sequences, {float}"
        );
        text.push_str(&table(&self.memory_rows(), 1));
        let some = self.block_rows();
        if !some.is_empty() {
            text.push_str("\nwhen only the inputs of the first blocks are kept\n");
            text.push_str(&table(&some, 1));
        }
        let level = Purpose::Training(self.recompute).name();
        let _ = writeln!(text, "\nlargest tenants of transient memory: {level}");
        text.push_str(&table(&self.tenant_rows(), 2));
        text
    }

    fn group_rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![cells(["part", "tensors", "parameters", "%"])];
        for Group {
            name,
            n_tensors,
            n_params,
            percent,
            is_tied,
        } in &self.groups
        {
            let name = if *is_tied {
                format!("{name} (tied)")
            } else {
                name.to_string()
            };
            let percent = format!("{percent:.2}");
            rows.push(vec![name, n_tensors.to_string(), exact(*n_params), percent]);
        }
        rows
    }

    fn layer_rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![cells(["layer", "tensor", "shape"])];
        for Layer { blocks, tensors } in &self.layers {
            let layer = match blocks {
                None => String::new(),
                Some([first, last]) if first == last => first.to_string(),
                Some([first, last]) => format!("{first}-{last}"),
            };
            for (name, shape) in tensors {
                rows.push(vec![layer.clone(), name.clone(), format!("{shape:?}")]);
            }
        }
        rows
    }

    fn memory_rows(&self) -> Vec<Vec<String>> {
        let row = |name: &str, of: &dyn Fn(&Memory) -> String| -> Vec<String> {
            let columns = self.memory.iter().filter(|m| n_blocks(m).is_none());
            std::iter::once(name.to_string())
                .chain(columns.map(of))
                .collect()
        };
        let mut rows = vec![row("", &|m| m.purpose.name())];
        for (i, part) in PARTS.iter().enumerate() {
            rows.push(row(&part.replace('_', " "), &|m| {
                bytes(m.parts()[i] as u64)
            }));
        }
        rows.push(row("peak", &|m| bytes(m.peak_bytes as u64)));
        rows.push(row("against training", &against_training));
        rows.push(row("operations repeated", &percent));
        rows
    }

    /// A line for each number of blocks, or for some of them that lie evenly.
    fn block_rows(&self) -> Vec<Vec<String>> {
        let levels: Vec<(usize, &Memory)> = self
            .memory
            .iter()
            .filter_map(|m| Some((n_blocks(m)?, m)))
            .collect();
        let stride = levels.len().div_ceil(BLOCK_ROWS_MAX).max(1);
        let shown = levels.iter().rev().step_by(stride).rev();
        let mut rows: Vec<Vec<String>> = shown
            .map(|(n, m)| {
                let peak = bytes(m.peak_bytes as u64);
                vec![n.to_string(), peak, against_training(m), percent(m)]
            })
            .collect();
        if !rows.is_empty() {
            let head = ["blocks", "peak", "against training", "operations repeated"];
            rows.insert(0, cells(head));
        }
        rows
    }

    fn tenant_rows(&self) -> Vec<Vec<String>> {
        let mut rows = vec![cells(["tenant", "shape", "buffers", "bytes"])];
        for t in &self.tenants {
            let n = t.n.to_string();
            rows.push(vec![
                t.name.clone(),
                t.shape.clone(),
                n,
                bytes(t.bytes as u64),
            ]);
        }
        rows
    }

    /// The same facts for programs; all sizes in bytes.
    pub fn to_json(&self) -> Value {
        let group = |g: &Group| {
            json!({
                "part": g.name,
                "tensors": g.n_tensors,
                "parameters": g.n_params,
                "percent": g.percent,
                "tied": g.is_tied,
            })
        };
        let layer = |l: &Layer| {
            let tensors = l.tensors.iter();
            let tensors: Vec<Value> = tensors
                .map(|(name, shape)| json!({ "name": name, "shape": shape }))
                .collect();
            json!({ "blocks": l.blocks, "tensors": tensors })
        };
        let memory = |m: &Memory| {
            let mut row = json!({ "purpose": m.purpose.name() });
            for (part, bytes) in PARTS.iter().zip(m.parts()) {
                row[format!("{part}_bytes")] = json!(bytes);
            }
            row["peak_bytes"] = json!(m.peak_bytes);
            row["saved_bytes"] = json!(m.saved_bytes);
            row["repeated_percent"] = json!(m.repeated_percent);
            row
        };
        let tenant = |t: &Tenant| {
            let Tenant {
                name,
                shape,
                n,
                bytes,
            } = t;
            json!({ "name": name, "shape": shape, "buffers": n, "bytes": bytes })
        };
        json!({
            "family": self.family,
            "variant": self.variant,
            "parameters": self.n_params,
            "groups": self.groups.iter().map(group).collect::<Vec<_>>(),
            "layers": self.layers.iter().map(layer).collect::<Vec<_>>(),
            "batch": { "tokens": self.batch.tokens, "sequences": self.batch.seqs },
            "dtype": self.float.name(),
            "flops": {
                "forward_per_token": self.flops.forward_per_token,
                "attention_per_token": self.flops.attention_per_token,
                "training_per_token": self.flops.training_per_token,
            },
            "memory": self.memory.iter().map(memory).collect::<Vec<_>>(),
            "recompute": Purpose::Training(self.recompute).name(),
            "tenants": self.tenants.iter().map(tenant).collect::<Vec<_>>(),
        })
    }
}

fn cells<const N: usize>(texts: [&str; N]) -> Vec<String> {
    texts.map(String::from).to_vec()
}

/// How many blocks keep their input only, where it is not all or none.
fn n_blocks(memory: &Memory) -> Option<usize> {
    match memory.purpose {
        Purpose::Training(Recompute::Blocks(n)) => Some(n),
        Purpose::Inference | Purpose::Training(_) => None,
    }
}

fn against_training(memory: &Memory) -> String {
    let sign = match memory.saved_bytes.signum() {
        1 => "-",
        -1 => "+",
        _ => "",
    };
    format!("{sign}{}", bytes(memory.saved_bytes.unsigned_abs()))
}

fn percent(memory: &Memory) -> String {
    format!("{:.1} %", memory.repeated_percent)
}

/// A number with its thousands apart.
fn exact(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// Aligned columns: the first `n_left` to the left, the others to the right.
fn table(rows: &[Vec<String>], n_left: usize) -> String {
    let n = rows.iter().map(Vec::len).max().unwrap_or(0);
    let length = |i: usize| move |row: &Vec<String>| row.get(i).map_or(0, |c| c.chars().count());
    let widths: Vec<usize> = (0..n)
        .map(|i| rows.iter().map(length(i)).max().unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells = row
            .iter()
            .zip(&widths)
            .enumerate()
            .map(|(i, (cell, &width))| {
                if i < n_left {
                    format!("{cell:<width$}")
                } else {
                    format!("{cell:>width$}")
                }
            });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}
