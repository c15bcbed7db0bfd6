//! Between a hub's tensor names and ours, both ways, every key accounted for.
//!
//! A [`Table`] is data: rules, allowed prefixes and allowed drops of one family. [`Mapping::plan`]
//! claims every tensor of a checkpoint and fills every parameter of a model, or stops with the
//! lists of what is missing, unknown or of the wrong shape. [`Mapping::hub_tensors`] is the way
//! back.

mod drops;
mod hub_tensor;
mod misfit;
mod piece;
mod want;

pub use drops::{Drop, When};
pub use hub_tensor::HubTensor;
pub use piece::Piece;

use std::collections::{BTreeMap, BTreeSet};

use tenon_base::Result;

use super::TensorView;
use super::pattern::{matches, render};
use misfit::Misfit;
use want::{Want, wanted};

/// How a family's tensors are named in checkpoints and here.
///
/// A name pattern holds literal text, `{prefix}`, and indices such as `{layer}` or `{expert}`.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// One per kind of tensor, in groups that tables share.
    pub rules: &'static [&'static [Rule]],
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
    /// Our names of what it holds, with the indices of the hub names.
    pub ours: &'static [&'static str],
    /// How the values relate.
    pub layout: Layout,
    /// What its rows beyond the vocabulary hold, where a checkpoint has such rows.
    pub pad: Option<Pad>,
}

/// How a hub tensor's values relate to ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Layout {
    /// The same shape and bytes.
    Same,
    /// The hub's tensor has one more dimension in front: row `layer` is that layer's parameter.
    Stacked,
    /// Ours has one more dimension in front: row `expert` is the hub's tensor with that index.
    Members,
    /// The hub's tensor holds several of our parameters: for each group its rows of the first, then
    /// its rows of the second, and so on.
    Grouped(By),
    /// The hub's matrix is ours transposed.
    Transposed,
    /// The last dimension of ours holds all queries, then all keys, then all values; the hub's
    /// tensor has it in front, and in it for each head its query, its key and its value.
    HeadsFirst,
}

/// What the groups of [`Layout::Grouped`] are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// One group: the parameters follow one another.
    Part,
    /// One a query head.
    Head,
    /// One a key-value head, with its query heads.
    KvHead,
    /// One an expert: the first dimension of parameters and tensor.
    Expert,
}

/// What rows beyond the vocabulary hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pad {
    /// Zeros.
    Zero,
    /// The least finite number of the type: such a logit is never chosen.
    Least,
}

/// The numbers of a model that decide layouts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Query heads.
    pub heads: usize,
    /// Key-value heads.
    pub kv_heads: usize,
    /// Rows of tensors over a padded vocabulary, where they are padded.
    pub padded_vocab: Option<usize>,
}

/// A table for one model.
#[derive(Clone, Copy, Debug)]
pub struct Mapping {
    /// The family's names.
    pub table: &'static Table,
    /// The model's numbers.
    pub counts: Counts,
}

impl Rule {
    /// One parameter, with the same shape and bytes.
    pub(crate) const fn same(
        hub: &'static [&'static str],
        ours: &'static [&'static str; 1],
    ) -> Rule {
        Rule::new(hub, ours, Layout::Same)
    }

    pub(crate) const fn new(
        hub: &'static [&'static str],
        ours: &'static [&'static str],
        layout: Layout,
    ) -> Rule {
        Rule {
            hub,
            ours,
            layout,
            pad: None,
        }
    }

    /// The same with rows beyond the vocabulary.
    pub(crate) const fn padded(self, pad: Pad) -> Rule {
        Rule {
            pad: Some(pad),
            ..self
        }
    }
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
    /// Name of the parameter.
    pub target: String,
    /// Tensors of the checkpoint, and what they have in common with it; together they hold it all.
    pub pieces: Vec<(String, Piece)>,
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
    /// Names in the checkpoint that are not those that are written, by those.
    pub own_names: BTreeMap<String, String>,
}

impl Mapping {
    /// Matches a checkpoint's tensors with a model's parameters.
    ///
    /// Fails, naming all of them, when a parameter gets no tensor, a tensor gets no parameter and
    /// is no allowed drop, or shapes differ.
    pub fn plan(&self, sources: &[TensorView<'_>], targets: &[Target]) -> Result<Plan> {
        let prefix = self.prefix_of(sources);
        let wanted = wanted(self.table, self.counts, targets, prefix)?;
        let by_name: BTreeMap<&str, TensorView<'_>> = sources
            .iter()
            .map(|source| (source.name, *source))
            .collect();
        let mut misfit = Misfit::default();
        let mut used = BTreeSet::new();
        let mut fills: Vec<Fill> = targets.iter().map(Fill::of).collect();
        let mut own_names = BTreeMap::new();
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
            if source.name != want.names[0] {
                own_names.insert(want.names[0].clone(), source.name.to_owned());
            }
            for &(i, piece) in &want.parts {
                fills[i].pieces.push((source.name.to_owned(), piece));
            }
        }
        let mut dropped = Vec::new();
        for source in sources.iter().filter(|source| !used.contains(source.name)) {
            match self.judge_drop(source, prefix, &by_name) {
                Verdict::Dropped => dropped.push(source.name.to_owned()),
                Verdict::Refused(reason) => misfit.unknown.push(reason),
                Verdict::Unnamed => misfit.unnamed(source.name, &wanted, &used),
            }
        }
        misfit.into_result()?;
        Ok(Plan {
            prefix,
            fills,
            dropped,
            own_names,
        })
    }

    /// What to write for a model, in the order of its parameters; `prefix` is one of the table's.
    pub fn hub_tensors(&self, targets: &[Target], prefix: &str) -> Result<Vec<HubTensor>> {
        let named = |want: Want| HubTensor {
            name: want.names.into_iter().next().unwrap_or_default(),
            shape: want.shape,
            parts: want.parts,
            pad: want.pad,
        };
        let wanted = wanted(self.table, self.counts, targets, prefix)?;
        Ok(wanted.into_iter().map(named).collect())
    }

    /// Whether a tensor of a checkpoint may be left out because it repeats a parameter.
    pub fn is_copy(&self, name: &str, prefix: &str) -> bool {
        let mut drops = self.table.drops.iter();
        let of = drops.find(|drop| matches(drop.hub, prefix, name).is_some());
        of.is_some_and(|drop| matches!(drop.when, When::SameAs(_)))
    }

    /// How many tensors of a checkpoint have a rule, under the prefix that suits them best.
    pub fn n_named(&self, sources: &[TensorView<'_>]) -> usize {
        self.best_prefix(sources).1
    }

    /// The prefix under which most tensors have a rule; of equals the first.
    fn prefix_of(&self, sources: &[TensorView<'_>]) -> &'static str {
        self.best_prefix(sources).0
    }

    fn best_prefix(&self, sources: &[TensorView<'_>]) -> (&'static str, usize) {
        let n_named = |prefix: &str| {
            let has_rule = |source: &&TensorView<'_>| {
                let rules = self.table.rules.iter().copied().flatten();
                let mut names = rules.flat_map(|rule| rule.hub);
                names.any(|pattern| matches(pattern, prefix, source.name).is_some())
            };
            sources.iter().filter(has_rule).count()
        };
        // Of equals the last is taken, so the first comes last.
        let counted = self.table.prefixes.iter().rev().map(|&p| (p, n_named(p)));
        counted.max_by_key(|&(_, n)| n).unwrap_or(("", 0))
    }

    fn judge_drop(
        &self,
        source: &TensorView<'_>,
        prefix: &str,
        by_name: &BTreeMap<&str, TensorView<'_>>,
    ) -> Verdict {
        for drop in self.table.drops {
            let Some(indices) = matches(drop.hub, prefix, source.name) else {
                continue;
            };
            let pattern = match drop.when {
                When::Always => return Verdict::Dropped,
                When::Zeros if source.bytes.iter().all(|&byte| byte == 0) => {
                    return Verdict::Dropped;
                }
                When::Zeros => {
                    let name = source.name;
                    return Verdict::Refused(format!("{name} (allowed only as zeros)"));
                }
                When::SameAs(pattern) => pattern,
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

impl Fill {
    fn of(target: &Target) -> Fill {
        Fill {
            target: target.name.clone(),
            pieces: Vec::new(),
        }
    }
}

#[cfg(test)]
#[path = "mapping_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "mapping/layout_tests.rs"]
mod layout_tests;
