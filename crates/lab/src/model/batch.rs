//! Rows of ids and labels as one packed batch.

use tenon_base::{Error, Result};
use tenon_data::batch::{NOT_COUNTED, check_ids};
use tenon_models::predict::Bounds;
use tenon_models::spec::{Objective, Spec};

/// Sequences end to end.
#[derive(Default)]
pub(super) struct Batch {
    pub(super) ids: Vec<i32>,
    pub(super) targets: Vec<i32>,
    pub(super) positions: Vec<i32>,
    pub(super) bounds: Vec<i32>,
    pub(super) length: usize,
}

impl Batch {
    pub(super) fn new(
        rows: &[Vec<u32>],
        labels: Option<&[Vec<i32>]>,
        spec: &Spec,
    ) -> Result<Batch> {
        let mut batch = Batch {
            bounds: vec![0],
            ..Batch::default()
        };
        if rows.is_empty() {
            return Err(Error::data("the batch has no sequence"));
        }
        if let Some(labels) = labels.filter(|labels| labels.len() != rows.len()) {
            let (given, needed) = (labels.len(), rows.len());
            return Err(Error::data(format!(
                "labels of {given} rows, the ids have {needed}"
            )));
        }
        for (i, row) in rows.iter().enumerate() {
            let labels = labels.map(|labels| labels[i].as_slice());
            let added = batch.add(row, labels, spec);
            added.map_err(|error| error.at(format!("row {i}")))?;
        }
        if labels.is_some() && batch.targets.iter().all(|&target| target == NOT_COUNTED) {
            let error = Error::data("no label counts, so there is no mean loss");
            return Err(error.hint("give one token after the first of a row a label"));
        }
        Ok(batch)
    }

    fn add(&mut self, row: &[u32], labels: Option<&[i32]>, spec: &Spec) -> Result<()> {
        let context = spec.context_len();
        if row.is_empty() || row.len() > context {
            let n = row.len();
            let message = format!("a sequence of {n} tokens; the model takes 1 to {context}");
            return Err(Error::data(message));
        }
        check_ids(row, spec.vocab_size())?;
        let bounds = Bounds::of(spec);
        if let Some(column) = row.iter().position(|&id| bounds.is_padding(id.into())) {
            let error = Error::data(format!("the token at {column} is padding"));
            return Err(error.hint("leave it out: rows may have different lengths"));
        }
        match labels {
            None => self.targets.extend(row.iter().map(|_| NOT_COUNTED)),
            Some(labels) => {
                check_labels(labels, row.len(), spec.vocab_size())?;
                match spec.objective() {
                    Objective::Masked | Objective::Token { .. } | Objective::Sequence { .. } => {
                        self.targets.extend(labels);
                    }
                    Objective::Causal => {
                        self.targets.extend(&labels[1..]);
                        self.targets.push(NOT_COUNTED);
                    }
                }
            }
        }
        self.ids.extend(row.iter().map(|&id| id as i32));
        self.positions.extend(0..row.len() as i32);
        let end = i32::try_from(self.ids.len());
        self.bounds
            .push(end.map_err(|_| Error::data("the batch has more than 2^31 tokens"))?);
        self.length = self.length.max(row.len());
        Ok(())
    }
}

fn check_labels(labels: &[i32], n_tokens: usize, vocab_size: usize) -> Result<()> {
    if labels.len() != n_tokens {
        let message = format!("{} labels for {n_tokens} tokens", labels.len());
        return Err(Error::data(message));
    }
    let known = |label: i32| label == NOT_COUNTED || (0..vocab_size as i64).contains(&label.into());
    match labels.iter().find(|&&label| !known(label)) {
        None => Ok(()),
        Some(label) => Err(Error::data(format!(
            "label {label} is outside a vocabulary of {vocab_size} ids"
        ))
        .hint(format!("{NOT_COUNTED} is the label that does not count"))),
    }
}
