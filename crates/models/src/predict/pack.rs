//! From the tensors that a caller gives to one packed batch.

mod bounds;
pub(super) mod classes;

use std::collections::BTreeMap;

use tenon_base::suggest;
use tenon_base::{Error, Result};
use tenon_engine::Extent;
use tenon_engine::exec::IGNORE;

use crate::spec::Objective;
pub use bounds::Bounds;
use bounds::sequences;

/// A tensor of integers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IntTensor {
    /// Outermost dimension first.
    pub shape: Vec<usize>,
    /// Row by row.
    pub values: Vec<i64>,
}

/// Sequences one after the other, without padding.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Packed {
    /// `B` and `T` of the given tensors.
    pub rows_columns: [usize; 2],
    /// For each packed token, its place `row·T + column` in the given tensors.
    pub places: Vec<usize>,
    /// Token ids `[N]`.
    pub ids: Vec<i32>,
    /// Positions `[N]`.
    pub positions: Vec<i32>,
    /// Bounds `[S+1]`; no sequence is empty.
    pub cu_seqlens: Vec<i32>,
    /// Types `[N]`, all 0 when none were given; empty when the model has none.
    pub token_types: Vec<i32>,
    /// What each token is to tell, or −100, `[N]`: the next token's label, or its own where tokens
    /// are masked; absent when no labels were given. Of a model that tells the class of a sequence
    /// `[S]`.
    pub targets: Option<Vec<i32>>,
    /// Numbers to be told, `[S, C]`, of a model that tells some of a sequence; empty of others.
    pub given: Vec<f64>,
    /// For each packed sequence, which of the given ones it is, `[S]`: its row, or its place in the
    /// given bounds.
    pub sequence_places: Vec<usize>,
    /// How many sequences were given, empty ones too.
    pub n_given: usize,
}

impl Packed {
    /// Its tokens and sequences.
    pub fn extent(&self) -> Extent {
        Extent::new(self.ids.len(), self.cu_seqlens.len() - 1)
    }
}

const IDS: &str = "input_ids";
const MASK: &str = "attention_mask";
pub(super) const LABELS: &str = "labels";
const POSITIONS: &str = "position_ids";
const TYPES: &str = "token_type_ids";
const BOUNDS: &str = "cu_seqlens";

/// Packs `input_ids [B, T]` with the optional `attention_mask`, `labels` and `position_ids` (`[B,
/// T]` each), or `input_ids [1, T]` with `cu_seqlens [n+1]` in place of a mask.
///
/// A token with mask 0 is left out: since queries see tokens of their own row alone, that is what a
/// mask means. A window counts such tokens, though: one between real ones is an error there.
/// `token_type_ids [B, T]` are taken where the model has types. Positions are those given, or count
/// columns from a row's first token with mask 1; in ESM-1b too, whose reference would also count
/// masked tokens before it that are not padding. The target of a token is the label of the next
/// column, and the first token of a sequence nobody's target; of a model that tells tokens or their
/// classes from both sides it is the token's own label. What padding cannot mean (a label on it, a
/// label that only a masked token could predict) is an error that names row and column.
///
/// A model that tells the class of a sequence takes `labels` of one value a row, `[B]`, or a
/// sequence, `[n]`, from its first token with mask 1. Floats come later, by [`Packed::give`].
pub fn pack(inputs: &BTreeMap<String, IntTensor>, bounds: Bounds) -> Result<Packed> {
    let mut known = vec![IDS, MASK, LABELS, POSITIONS, BOUNDS];
    if bounds.token_types > 0 {
        known.push(TYPES);
    }
    if let Some(name) = inputs.keys().find(|name| !known.contains(&name.as_str())) {
        let error = Error::data(format!("the model takes no input `{name}`"));
        return Err(match suggest::nearest(name, known.iter().copied()) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => error.hint(format!("it takes `{}`", known.join("`, `"))),
        });
    }
    let ids = inputs
        .get(IDS)
        .ok_or_else(|| Error::data(format!("the input `{IDS}` is missing")))?;
    let &[n_rows, n_columns] = ids.shape.as_slice() else {
        let shape = &ids.shape;
        return Err(Error::data(format!(
            "`{IDS}` has shape {shape:?} instead of [B, T]"
        )));
    };
    let same_shape = |name: &str| match inputs.get(name) {
        Some(tensor) if tensor.shape != ids.shape => Err(Error::data(format!(
            "`{name}` has shape {:?}, `{IDS}` has {:?}",
            tensor.shape, ids.shape
        ))),
        given => Ok(given.map(|tensor| tensor.values.as_slice())),
    };
    let of_sequences = matches!(bounds.objective, Objective::Sequence { .. });
    let grid = Grid {
        ids: &ids.values,
        mask: same_shape(MASK)?,
        labels: match of_sequences {
            true => None,
            false => same_shape(LABELS)?,
        },
        positions: same_shape(POSITIONS)?,
        types: same_shape(TYPES)?,
        n_columns,
        bounds,
    };
    let mut packed = Packed {
        rows_columns: [n_rows, n_columns],
        cu_seqlens: vec![0],
        targets: grid.labels.map(|_| Vec::new()),
        ..Packed::default()
    };
    let ends = match inputs.get(BOUNDS) {
        None => (0..=n_rows).map(|row| row * n_columns).collect(),
        Some(given) => sequences(given, ids, grid.mask.is_some())?,
    };
    packed.n_given = ends.len() - 1;
    for (i, sequence) in ends.windows(2).enumerate() {
        let n_packed = packed.cu_seqlens.len();
        grid.add(sequence[0]..sequence[1], &mut packed)?;
        if packed.cu_seqlens.len() > n_packed {
            packed.sequence_places.push(i);
        }
    }
    if of_sequences && let Some(labels) = inputs.get(LABELS) {
        packed.targets = Some(classes::targets(labels, bounds.objective, &packed)?);
    }
    Ok(packed)
}

/// The given tensors, `[B, T]` each.
struct Grid<'a> {
    ids: &'a [i64],
    mask: Option<&'a [i64]>,
    labels: Option<&'a [i64]>,
    positions: Option<&'a [i64]>,
    types: Option<&'a [i64]>,
    n_columns: usize,
    bounds: Bounds,
}

impl Grid<'_> {
    /// Adds one sequence, which lies at these places.
    fn add(&self, sequence: std::ops::Range<usize>, packed: &mut Packed) -> Result<()> {
        let start = packed.places.len();
        let mut first = None;
        let (mut hidden, mut holes, mut gap) = (false, false, false);
        for place in sequence.clone() {
            let real = self.is_real(place)?;
            self.check_label(place, real, first.is_some() && hidden)?;
            hidden = !real;
            if hidden {
                gap |= first.is_some() && self.bounds.is_padding(self.ids[place]);
                continue;
            }
            self.check_padding(place, gap)?;
            let first = *first.get_or_insert(place);
            holes |= place > first && !self.is_real(place - 1)?;
            self.check_window(place, first, holes)?;
            packed.places.push(place);
            packed.ids.push(self.id(IDS, self.ids, place)?);
            packed.positions.push(self.position(place, first)?);
            if self.bounds.token_types > 0 {
                packed.token_types.push(self.token_type(place)?);
            }
            let told = match self.bounds.objective {
                Objective::Causal => place + 1,
                Objective::Masked | Objective::Token { .. } | Objective::Sequence { .. } => place,
            };
            if let (Some(targets), Some(labels)) = (&mut packed.targets, self.labels) {
                targets.push(match sequence.contains(&told) {
                    true => self.label(labels, told)?,
                    false => IGNORE,
                });
            }
        }
        if packed.places.len() > start {
            let end = i32::try_from(packed.places.len());
            let end = end.map_err(|_| Error::data("the batch has more than 2^31 tokens"))?;
            packed.cu_seqlens.push(end);
        }
        Ok(())
    }

    fn is_real(&self, place: usize) -> Result<bool> {
        match self.mask.map_or(1, |mask| mask[place]) {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(self.error(MASK, place, &format!("holds {other}, neither 0 nor 1"))),
        }
    }

    fn id(&self, name: &str, values: &[i64], place: usize) -> Result<i32> {
        let (value, end) = (values[place], self.bounds.vocab_size);
        below(value, end).ok_or_else(|| {
            self.error(
                name,
                place,
                &format!("holds {value}, outside the vocabulary of {end}"),
            )
        })
    }

    fn position(&self, place: usize, first: usize) -> Result<i32> {
        let first_position = self.bounds.first_position;
        let value = match self.positions {
            Some(positions) => positions[place].saturating_sub(first_position as i64),
            None => (place - first) as i64,
        };
        let end = self.bounds.context_len;
        below(value, end).ok_or_else(|| match self.positions {
            Some(positions) if first_position > 0 => {
                let (given, end) = (positions[place], first_position + end);
                let what = format!("is {given}, the model's are {first_position} to below {end}");
                self.error(POSITIONS, place, &what)
            }
            given => {
                let name = given.map_or(IDS, |_| POSITIONS);
                let what = format!("has position {value}, outside the model's context of {end}");
                self.error(name, place, &what)
            }
        })
    }

    fn token_type(&self, place: usize) -> Result<i32> {
        let value = self.types.map_or(0, |types| types[place]);
        let end = self.bounds.token_types;
        below(value, end).ok_or_else(|| {
            let what = format!("holds {value}, the model has {end} token types");
            self.error(TYPES, place, &what)
        })
    }

    fn label(&self, labels: &[i64], place: usize) -> Result<i32> {
        let label = labels[place];
        if label == i64::from(IGNORE) {
            return Ok(IGNORE);
        }
        let Objective::Token { n_classes } = self.bounds.objective else {
            return self.id(LABELS, labels, place);
        };
        below(label, n_classes).ok_or_else(|| {
            let what = format!("holds {label}, the model has {n_classes} classes");
            self.error(LABELS, place, &what)
        })
    }

    /// Left out, a masked token would let a window reach further back.
    fn check_window(&self, place: usize, first: usize, holes: bool) -> Result<()> {
        match self.bounds.window {
            Some(window) if holes && place - first >= window => {
                let what = "stands behind a masked token, which counts in the model's window of";
                let error = self.error(IDS, place, &format!("{what} {window}"));
                Err(error.hint("mask tokens at the ends of a row alone, or leave them out of it"))
            }
            _ => Ok(()),
        }
    }

    /// The reference of ESM-1b tells padding by its id and counts no position for it, whatever the
    /// mask says; here it would count, so positions that are not given need it at the ends.
    fn check_padding(&self, place: usize, gap: bool) -> Result<()> {
        if self.positions.is_some() {
            return Ok(());
        }
        if self.bounds.is_padding(self.ids[place]) {
            let error = self.error(IDS, place, "is padding, but not masked");
            return Err(error.hint(format!("leave it out, or give `{MASK}`, which is 0 there")));
        }
        if !gap {
            return Ok(());
        }
        let error = self.error(IDS, place, "stands behind padding within its sequence");
        Err(error.hint("pad at the ends of a row alone"))
    }

    /// A label counts only on a real token, behind one that can predict it; the first real token of
    /// a sequence has no predecessor, and its label is never used.
    fn check_label(&self, place: usize, real: bool, behind_hole: bool) -> Result<()> {
        let Some(labels) = self.labels else {
            return Ok(());
        };
        if self.label(labels, place)? == IGNORE {
            return Ok(());
        }
        if !real {
            let hint = "padding has the label -100";
            return Err(self
                .error(LABELS, place, "counts, but its token is masked")
                .hint(hint));
        }
        if behind_hole && self.bounds.objective == Objective::Causal {
            let what = "counts, but the token that would predict it is masked";
            return Err(self.error(LABELS, place, what));
        }
        Ok(())
    }

    fn error(&self, name: &str, place: usize, what: &str) -> Error {
        let (row, column) = (place / self.n_columns, place % self.n_columns);
        Error::data(format!("`{name}` at row {row}, column {column} {what}"))
    }
}

fn below(value: i64, end: usize) -> Option<i32> {
    let index = usize::try_from(value).ok().filter(|&index| index < end)?;
    i32::try_from(index).ok()
}
