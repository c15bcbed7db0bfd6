//! The hub tensors that a model needs, and which parameters they hold.

use std::collections::BTreeMap;

use tenon_base::{Error, Result};

use super::{Counts, Layout, Pad, Piece, Rule, Table, Target};
use crate::checkpoint::pattern::{Indices, matches, render};

/// A hub tensor that a model needs.
pub(super) struct Want {
    /// Accepted names, the written one first.
    pub(super) names: Vec<String>,
    /// Its shape in the checkpoint.
    pub(super) shape: Vec<usize>,
    /// Positions of our parameters, and what they have in common with it.
    pub(super) parts: Vec<(usize, Piece)>,
    /// What rows beyond the parameters' hold.
    pub(super) pad: Option<Pad>,
}

/// A hub tensor whose parameters are being collected.
struct Open<'r> {
    rule: &'r Rule,
    names: Vec<String>,
    /// By part of the rule, or by layer.
    targets: Vec<Option<usize>>,
}

/// The hub tensors that together hold all `targets`, in the order of their first parameters.
pub(super) fn wanted(
    table: &Table,
    counts: Counts,
    targets: &[Target],
    prefix: &str,
) -> Result<Vec<Want>> {
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut members: Vec<Want> = Vec::new();
    let mut order: Vec<(bool, usize)> = Vec::new();
    let mut by_name: BTreeMap<String, usize> = BTreeMap::new();
    for (i, target) in targets.iter().enumerate() {
        let (rule, part, indices) = rule_of(table, &target.name)?;
        let names = |indices: &Indices| -> Vec<String> {
            let hub = rule.hub.iter();
            hub.map(|hub| render(hub, prefix, indices)).collect()
        };
        if rule.layout == Layout::Members {
            for member in 0..target.shape[0] {
                order.push((true, members.len()));
                let names = names(&indices.with("expert", member));
                members.push(Want::member(names, i, target, member));
            }
            continue;
        }
        let names = names(&indices);
        let at = *by_name.entry(names[0].clone()).or_insert_with(|| {
            order.push((false, open.len()));
            open.push(Open {
                rule,
                names,
                targets: Vec::new(),
            });
            open.len() - 1
        });
        let place = match rule.layout {
            Layout::Stacked => indices.get("layer").unwrap_or(usize::MAX),
            _ => part,
        };
        open[at].put(place, i, &target.name)?;
    }
    let mut closed: Vec<Option<Want>> = Vec::new();
    for tensor in open {
        closed.push(Some(tensor.close(counts, targets)?));
    }
    let mut members: Vec<Option<Want>> = members.into_iter().map(Some).collect();
    let pick = |(member, at): (bool, usize)| match member {
        true => members[at].take(),
        false => closed[at].take(),
    };
    Ok(order.into_iter().filter_map(pick).collect())
}

/// The rule of a parameter, which of its parts it is, and its indices.
fn rule_of<'t>(table: &'t Table, ours: &str) -> Result<(&'t Rule, usize, Indices)> {
    let found = table.rules.iter().copied().flatten().find_map(|rule| {
        let mut parts = rule.ours.iter().enumerate();
        parts.find_map(|(part, pattern)| Some((rule, part, matches(pattern, "", ours)?)))
    });
    found.ok_or_else(|| Error::data(format!("parameter `{ours}` has no name on the hub")))
}

fn len(shape: &[usize]) -> usize {
    shape.iter().product()
}

impl Open<'_> {
    fn put(&mut self, place: usize, i: usize, name: &str) -> Result<()> {
        // Layers come in order; parts are as many as the rule names.
        let most = match self.rule.layout {
            Layout::Stacked => self.targets.len() + 1,
            _ => self.rule.ours.len(),
        };
        if place >= most {
            return Err(Error::data(format!(
                "parameter `{name}` cannot be row {} of `{}`: layers must follow one another",
                self.targets.len(),
                self.names[0]
            )));
        }
        self.targets.resize(self.targets.len().max(place + 1), None);
        self.targets[place] = Some(i);
        Ok(())
    }

    fn close(self, counts: Counts, targets: &[Target]) -> Result<Want> {
        let whole: Option<Vec<usize>> = self.targets.iter().copied().collect();
        let n_parts = match self.rule.layout {
            Layout::Stacked => self.targets.len(),
            _ => self.rule.ours.len(),
        };
        let parts = whole.filter(|parts| parts.len() == n_parts);
        let parts = parts.ok_or_else(|| {
            let name = &self.names[0];
            Error::data(format!("`{name}` needs all of {:?}", self.rule.ours))
        })?;
        let shapes: Vec<&[usize]> = parts.iter().map(|&i| &*targets[i].shape).collect();
        let (mut shape, pieces) = match self.rule.layout {
            Layout::Stacked => stacked(&self.names[0], &shapes)?,
            Layout::Grouped(groups) => {
                grouped(&self.names[0], &shapes, groups.of(counts, &shapes))?
            }
            Layout::Transposed => transposed(&self.names[0], shapes[0])?,
            Layout::HeadsFirst => heads_first(&self.names[0], shapes[0], counts.heads)?,
            Layout::Same | Layout::Members => {
                (shapes[0].to_vec(), vec![Piece::whole(len(shapes[0]), 0, 0)])
            }
        };
        let pad = self.rule.pad.filter(|_| counts.padded_vocab.is_some());
        if let (Some(_), Some(rows)) = (pad, counts.padded_vocab) {
            shape[0] = shape[0].max(rows);
        }
        Ok(Want {
            names: self.names,
            shape,
            parts: parts.into_iter().zip(pieces).collect(),
            pad,
        })
    }
}

/// One parameter a row.
fn stacked(name: &str, shapes: &[&[usize]]) -> Result<(Vec<usize>, Vec<Piece>)> {
    let first = shapes[0];
    if shapes.iter().any(|shape| *shape != first) {
        return Err(Error::data(format!(
            "rows of `{name}` would differ in shape: layers must have one shape"
        )));
    }
    let (shape, n) = ([&[shapes.len()], first].concat(), len(first));
    let pieces = (0..shapes.len()).map(|row| Piece::whole(n, row * n, 0));
    Ok((shape, pieces.collect()))
}

/// For each group, that group's rows of every part.
fn grouped(name: &str, shapes: &[&[usize]], groups: Groups) -> Result<(Vec<usize>, Vec<Piece>)> {
    let Groups { n, lead } = groups;
    let fits = |shape: &&[usize]| {
        shape.len() == shapes[0].len()
            && shape.len() > lead
            && shape[..lead] == shapes[0][..lead]
            && shape[lead + 1..] == shapes[0][lead + 1..]
            && n > 0
            && len(shape).is_multiple_of(n)
            && (lead > 0 || shape[0].is_multiple_of(n))
    };
    if !shapes.iter().all(fits) {
        return Err(Error::data(format!(
            "`{name}` cannot hold {shapes:?} in {n} groups"
        )));
    }
    let mut shape = shapes[0].to_vec();
    shape[lead] = shapes.iter().map(|shape| shape[lead]).sum();
    let stride = len(&shape) / n;
    let mut hub = 0;
    let pieces = shapes.iter().map(|shape| {
        let block = len(shape) / n;
        hub += block;
        Piece::apart(n, stride, block, hub - block)
    });
    let pieces = pieces.collect();
    Ok((shape, pieces))
}

/// Rows as columns.
fn transposed(name: &str, shape: &[usize]) -> Result<(Vec<usize>, Vec<Piece>)> {
    let &[rows, columns] = shape else {
        return Err(Error::data(format!("`{name}` is no matrix: {shape:?}")));
    };
    let piece = Piece::scattered([(1, 0), (1, 0), (rows, 1), (columns, rows)]);
    Ok((vec![columns, rows], vec![piece]))
}

/// The last dimension in front, and in it for each head its query, key and value.
fn heads_first(name: &str, shape: &[usize], heads: usize) -> Result<(Vec<usize>, Vec<Piece>)> {
    let width = shape.last().copied().unwrap_or(0);
    if heads == 0 || shape.len() > 2 || !width.is_multiple_of(3 * heads) {
        return Err(Error::data(format!(
            "`{name}` cannot hold query, key and value of {heads} heads in {shape:?}"
        )));
    }
    // Of a bias there is one row, and nothing beside the last dimension.
    let rows = if shape.len() == 2 { shape[0] } else { 1 };
    let head = width / (3 * heads);
    let piece = Piece::scattered([
        (rows, 1),
        (3, head * rows),
        (heads, 3 * head * rows),
        (head, rows),
    ]);
    let shape = shape.iter().rev().copied().collect();
    Ok((shape, vec![piece]))
}

/// How many groups, and how many leading dimensions of the parameters count them.
#[derive(Clone, Copy)]
pub(super) struct Groups {
    pub(super) n: usize,
    pub(super) lead: usize,
}

impl super::By {
    fn of(self, counts: Counts, shapes: &[&[usize]]) -> Groups {
        let (n, lead) = match self {
            super::By::Part => (1, 0),
            super::By::Head => (counts.heads, 0),
            super::By::KvHead => (counts.kv_heads, 0),
            super::By::Expert => (shapes[0][0], 1),
        };
        Groups { n, lead }
    }
}

impl Want {
    /// One row of a parameter that holds all members.
    fn member(names: Vec<String>, i: usize, target: &Target, member: usize) -> Want {
        let shape = target.shape[1..].to_vec();
        let n = len(&shape);
        Want {
            names,
            shape,
            parts: vec![(i, Piece::whole(n, 0, member * n))],
            pad: None,
        }
    }
}
