//! Between a hub's tensor names and ours, both ways, every key accounted for.
//!
//! A [`Table`] is data: rules, allowed prefixes and allowed drops of one family. [`Table::plan`]
//! claims every tensor of a checkpoint and fills every parameter of a model, or stops with the
//! lists of what is missing, unknown or of the wrong shape. [`Table::hub_tensors`] is the way back.

use std::collections::{BTreeMap, BTreeSet};

use tenon_base::suggest;
use tenon_base::{Error, Result};

use super::TensorView;
use super::pattern::{Indices, matches, render};

/// How a family's tensors are named in checkpoints and here.
///
/// A name pattern holds literal text, `{prefix}`, and indices such as `{layer}` or `{expert}`.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// One per kind of tensor.
    pub rules: &'static [Rule],
    /// What `{prefix}` may stand for, one for a whole checkpoint; the first is the one written.
    pub prefixes: &'static [&'static str],
    /// Tensors of a checkpoint that may be left out.
    pub drops: &'static [Drop],
}

/// One kind of tensor.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Accepted hub names; the first is the one written.
    pub hub: &'static [&'static str],
    /// Our name; it has the indices of the hub names, and `{layer}` where they are stacked.
    pub ours: &'static str,
    /// How the values relate.
    pub layout: Layout,
}

/// How a hub tensor's values relate to ours. Values are never reordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// The same shape and bytes.
    Same,
    /// The hub's tensor has one more dimension in front: row `layer` is that layer's parameter.
    Stacked,
}

/// A kind of tensor that may be left out of a checkpoint when the model has no parameter for it.
#[derive(Clone, Copy, Debug)]
pub struct Drop {
    /// Hub name pattern.
    pub hub: &'static str,
    /// Under which condition.
    pub when: When,
}

/// When a tensor may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// It is computed from the config.
    Always,
    /// It holds the same dtype, shape and bytes as the tensor with this hub name pattern.
    SameAs(&'static str),
}

/// A parameter of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Our name.
    pub name: String,
    /// Outermost dimension first.
    pub shape: Vec<usize>,
}

/// Where a parameter's values come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Name in the checkpoint.
    pub source: String,
    /// Name of the parameter.
    pub target: String,
    /// Row of a stacked source; `None` takes the whole tensor.
    pub row: Option<usize>,
}

impl Fill {
    /// The parameter's part of its source, with the parameter's shape.
    pub fn view<'a>(&self, source: TensorView<'a>) -> TensorView<'a> {
        match (self.row, source.shape) {
            (Some(row), &[n_rows, ref shape @ ..]) if row < n_rows => {
                let n = source.bytes.len() / n_rows;
                TensorView {
                    shape,
                    bytes: &source.bytes[row * n..(row + 1) * n],
                    ..source
                }
            }
            _ => source,
        }
    }
}

/// A checkpoint matched with a model: every tensor is in `fills` or `dropped`, every parameter is
/// filled once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What `{prefix}` stood for.
    pub prefix: &'static str,
    /// In the order of the targets.
    pub fills: Vec<Fill>,
    /// Tensors left out under the table's drops, in checkpoint order; to be reported.
    pub dropped: Vec<String>,
}

/// A tensor to write into a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubTensor {
    /// The hub's name.
    pub name: String,
    /// The hub's shape.
    pub shape: Vec<usize>,
    /// Our parameters whose bytes follow one another in it.
    pub parts: Vec<String>,
}

impl Table {
    /// Matches a checkpoint's tensors with a model's parameters.
    ///
    /// Fails, naming all of them, when a parameter gets no tensor, a tensor gets no parameter and
    /// is no allowed drop, or shapes differ.
    pub fn plan(&self, sources: &[TensorView<'_>], targets: &[Target]) -> Result<Plan> {
        let prefix = self.prefix_of(sources);
        let wanted = self.wanted(targets, prefix)?;
        let by_name: BTreeMap<&str, TensorView<'_>> = sources
            .iter()
            .map(|source| (source.name, *source))
            .collect();
        let mut misfit = Misfit::default();
        let mut used = BTreeSet::new();
        let mut fills: BTreeMap<usize, Fill> = BTreeMap::new();
        for want in &wanted {
            let mut found = want
                .names
                .iter()
                .filter_map(|name| by_name.get(name.as_str()));
            let Some(source) = found.next() else {
                misfit.missing.push(want.names[0].clone());
                continue;
            };
            if source.shape != want.shape {
                misfit.misshaped.push(format!(
                    "{} is {:?}, the model needs {:?}",
                    source.name, source.shape, want.shape
                ));
            }
            used.insert(source.name);
            fills.extend(want.fills(source.name, targets));
        }
        let mut dropped = Vec::new();
        for source in sources.iter().filter(|source| !used.contains(source.name)) {
            match self.judge_drop(source, prefix, &by_name) {
                Verdict::Dropped => dropped.push(source.name.to_owned()),
                Verdict::Refused(reason) => misfit.unknown.push(reason),
                Verdict::Unnamed => misfit.unknown.push(unknown(source.name, &wanted, &used)),
            }
        }
        misfit.into_result()?;
        Ok(Plan {
            prefix,
            fills: fills.into_values().collect(),
            dropped,
        })
    }

    /// What to write for a model, in the order of its parameters; `prefix` is one of the table's.
    pub fn hub_tensors(&self, targets: &[Target], prefix: &str) -> Result<Vec<HubTensor>> {
        let named = |want: Want| HubTensor {
            parts: want
                .targets
                .iter()
                .map(|&i| targets[i].name.clone())
                .collect(),
            name: want.names.into_iter().next().unwrap_or_default(),
            shape: want.shape,
        };
        Ok(self
            .wanted(targets, prefix)?
            .into_iter()
            .map(named)
            .collect())
    }

    /// The prefix under which most tensors have a rule; of equals the first.
    fn prefix_of(&self, sources: &[TensorView<'_>]) -> &'static str {
        let n_named = |prefix: &str| {
            let has_rule = |source: &&TensorView<'_>| {
                let mut names = self.rules.iter().flat_map(|rule| rule.hub);
                names.any(|pattern| matches(pattern, prefix, source.name).is_some())
            };
            sources.iter().filter(has_rule).count()
        };
        let mut best = ("", None);
        for &prefix in self.prefixes {
            let n = Some(n_named(prefix));
            if n > best.1 {
                best = (prefix, n);
            }
        }
        best.0
    }

    /// The hub tensors that together hold all `targets`, in the order of their first parameters.
    fn wanted(&self, targets: &[Target], prefix: &str) -> Result<Vec<Want>> {
        let mut wanted: Vec<Want> = Vec::new();
        let mut stacks: BTreeMap<String, usize> = BTreeMap::new();
        for (i, target) in targets.iter().enumerate() {
            let (rule, indices) = self.rule_of(&target.name)?;
            let names: Vec<String> = rule
                .hub
                .iter()
                .map(|hub| render(hub, prefix, &indices))
                .collect();
            if rule.layout == Layout::Same {
                wanted.push(Want {
                    names,
                    shape: target.shape.clone(),
                    targets: vec![i],
                });
                continue;
            }
            let stack = *stacks.entry(names[0].clone()).or_insert(wanted.len());
            if stack == wanted.len() {
                let shape = [&[0], target.shape.as_slice()].concat();
                wanted.push(Want {
                    names,
                    shape,
                    targets: Vec::new(),
                });
            }
            wanted[stack].push_row(i, target, indices.get("layer"))?;
        }
        Ok(wanted)
    }

    fn rule_of(&self, ours: &str) -> Result<(&Rule, Indices)> {
        let found = self
            .rules
            .iter()
            .find_map(|rule| Some((rule, matches(rule.ours, "", ours)?)));
        found.ok_or_else(|| Error::data(format!("parameter `{ours}` has no name on the hub")))
    }

    fn judge_drop(
        &self,
        source: &TensorView<'_>,
        prefix: &str,
        by_name: &BTreeMap<&str, TensorView<'_>>,
    ) -> Verdict {
        for drop in self.drops {
            let Some(indices) = matches(drop.hub, prefix, source.name) else {
                continue;
            };
            let When::SameAs(pattern) = drop.when else {
                return Verdict::Dropped;
            };
            let name = render(pattern, prefix, &indices);
            let same = by_name.get(name.as_str()).is_some_and(|other| {
                (other.dtype, other.shape, other.bytes)
                    == (source.dtype, source.shape, source.bytes)
            });
            if same {
                return Verdict::Dropped;
            }
            return Verdict::Refused(format!(
                "{} (allowed only as a copy of {name}, from which it differs)",
                source.name
            ));
        }
        Verdict::Unnamed
    }
}

enum Verdict {
    Dropped,
    Refused(String),
    Unnamed,
}

/// A hub tensor that a model needs.
struct Want {
    /// Accepted names, the written one first.
    names: Vec<String>,
    shape: Vec<usize>,
    /// Positions of our parameters: one, or one per row.
    targets: Vec<usize>,
}

impl Want {
    fn push_row(&mut self, i: usize, target: &Target, layer: Option<usize>) -> Result<()> {
        if layer != Some(self.targets.len()) || self.shape[1..] != target.shape {
            return Err(Error::data(format!(
                "parameter `{}` cannot be row {} of `{}`: layers must follow one another and have \
                 one shape",
                target.name,
                self.targets.len(),
                self.names[0]
            )));
        }
        self.targets.push(i);
        self.shape[0] += 1;
        Ok(())
    }

    fn is_stack(&self, targets: &[Target]) -> bool {
        self.shape.len() != targets[self.targets[0]].shape.len()
    }

    fn fills(&self, source: &str, targets: &[Target]) -> Vec<(usize, Fill)> {
        let stacked = self.is_stack(targets);
        let fill = |(row, &i): (usize, &usize)| {
            let target = targets[i].name.clone();
            (
                i,
                Fill {
                    source: source.to_owned(),
                    target,
                    row: stacked.then_some(row),
                },
            )
        };
        self.targets.iter().enumerate().map(fill).collect()
    }
}

fn unknown(name: &str, wanted: &[Want], used: &BTreeSet<&str>) -> String {
    if let Some(want) = wanted
        .iter()
        .find(|want| want.names.iter().any(|other| other == name))
    {
        let names = want
            .names
            .iter()
            .filter(|other| used.contains(other.as_str()));
        let first = names.map(String::as_str).next().unwrap_or_default();
        return format!("{name} (the same parameter as {first})");
    }
    let open = wanted
        .iter()
        .flat_map(|want| &want.names)
        .map(String::as_str);
    match suggest::nearest(name, open.filter(|other| !used.contains(other))) {
        Some(near) => format!("{name} (did you mean {near}?)"),
        None => name.to_owned(),
    }
}

#[derive(Default)]
struct Misfit {
    missing: Vec<String>,
    unknown: Vec<String>,
    misshaped: Vec<String>,
}

/// As many names as one list of an error shows.
const LISTED_MAX: usize = 20;

impl Misfit {
    fn into_result(self) -> Result<()> {
        let mut message = String::from("the checkpoint does not fit the model");
        let lists = [
            (
                "missing",
                "the model needs, the checkpoint lacks",
                &self.missing,
            ),
            ("unknown", "the model has no place for", &self.unknown),
            ("mis-shaped", "the shape differs", &self.misshaped),
        ];
        if lists.iter().all(|(.., list)| list.is_empty()) {
            return Ok(());
        }
        for (title, meaning, list) in lists {
            if list.is_empty() {
                continue;
            }
            message.push_str(&format!("\n  {title} ({}, {meaning}):", list.len()));
            for line in list.iter().take(LISTED_MAX) {
                message.push_str(&format!("\n    {line}"));
            }
            if list.len() > LISTED_MAX {
                message.push_str(&format!("\n    and {} more", list.len() - LISTED_MAX));
            }
        }
        Err(Error::data(message))
    }
}

#[cfg(test)]
#[path = "mapping_tests.rs"]
mod tests;
