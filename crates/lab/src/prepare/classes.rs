//! Classes of texts: from a column of labels to targets, a head and its names.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Map, Value, json};
use tenon_base::suggest::nearest;
use tenon_base::{Error, Result};
use tenon_data::batch::Objective;
use tenon_data::source::{self, Rows};
use tenon_data::split::TrainValidation;
use tenon_models::folder::Folder;
use tenon_models::hub::HubConfig;
use tenon_models::spec::{Head, Objective as Learned, Spec};

use crate::config::Config;

/// The column of labels when none is named.
pub(crate) const LABEL_COLUMN: &str = "label";

/// The classes of a data set in their order.
pub(crate) struct Classes {
    names: Vec<String>,
}

impl Classes {
    /// Those of a model that tells classes; names that it does not say are numbers.
    pub(crate) fn of(config: &HubConfig) -> Option<Classes> {
        let Learned::Sequence { n_classes } = config.spec.objective() else {
            return None;
        };
        let said = config.extra.get("id2label");
        let name = |i: usize| {
            let name = said.and_then(|names| names.get(i.to_string())?.as_str());
            name.map_or_else(|| i.to_string(), str::to_owned)
        };
        Some(Classes {
            names: (0..n_classes).map(name).collect(),
        })
    }

    /// All that occur, sorted.
    pub(crate) fn sorted(labels: &[&[String]]) -> Result<Classes> {
        let names: BTreeSet<&String> = labels.iter().copied().flatten().collect();
        if names.len() < 2 {
            let message = format!(
                "{} class in all labels, there is nothing to tell",
                names.len()
            );
            return Err(Error::data(message).at("data.label_column"));
        }
        Ok(Classes {
            names: names.into_iter().cloned().collect(),
        })
    }

    /// The targets of rows with these labels.
    pub(crate) fn objective(&self, rows: &Rows, labels: &[String]) -> Result<Objective> {
        let class = |(i, label): (usize, &String)| {
            let found = self.names.iter().position(|name| name == label);
            found.map(|class| class as i32).ok_or_else(|| {
                let message = format!("the model has no class `{label}`");
                let error = Error::data(message).at(rows.place(i));
                match nearest(label, self.names.iter().map(String::as_str)) {
                    Some(near) => error.hint(format!("did you mean `{near}`?")),
                    None => error.hint(format!("its classes are `{}`", self.names.join("`, `"))),
                }
            })
        };
        let classes: Result<Vec<i32>> = labels.iter().enumerate().map(class).collect();
        Ok(Objective::Classes(Arc::new(classes?)))
    }

    /// The model with a head for them.
    pub(crate) fn head_of(&self, spec: Spec) -> Result<Spec> {
        let Spec::Encoder(mut encoder) = spec else {
            let message = format!("a `{}` has no head for classes", spec.family());
            return Err(Error::usage(message).at("model.head"));
        };
        let n_classes = self.names.len();
        encoder.head = Head::Sequence { n_classes };
        let spec = Spec::Encoder(encoder);
        spec.validate()?;
        Ok(spec)
    }

    /// Writes the names into a configuration.
    pub(crate) fn name_in(&self, hub: &mut HubConfig) {
        let names = self.names.iter().enumerate();
        let by_id: Map<String, Value> = names
            .map(|(i, name)| (i.to_string(), json!(name)))
            .collect();
        let names = self.names.iter().enumerate();
        let by_name: Map<String, Value> = names.map(|(i, name)| (name.clone(), json!(i))).collect();
        hub.extra.insert("id2label".to_owned(), by_id.into());
        hub.extra.insert("label2id".to_owned(), by_name.into());
    }
}

/// The labels of rows; the built-in corpus has none.
pub(crate) fn labels(rows: &Rows, column: Option<&str>) -> Result<Vec<String>> {
    source::labels(rows, column.unwrap_or(LABEL_COLUMN))
}

/// What a run of classes learns.
pub(super) struct Classified {
    pub(super) classes: Classes,
    /// The targets of training and validation.
    pub(super) objectives: [Objective; 2],
    /// Of the rows of training, then of validation.
    labels: Vec<String>,
}

impl Classified {
    /// Reads the labels of both splits where the run is to tell classes, or starts from a model
    /// that does.
    pub(super) fn read(
        config: &Config,
        rows: &TrainValidation,
        base: Option<&Folder>,
    ) -> Result<Option<Classified>> {
        let own = base.and_then(|base| Classes::of(&base.config));
        if !config.model.tells_classes && own.is_none() {
            return Ok(None);
        }
        let column = config.data.label_column.as_deref();
        let train = labels(&rows.train, column)?;
        let validation = labels(&rows.validation, column)?;
        let classes = match own {
            Some(own) => own,
            None => Classes::sorted(&[&train, &validation])?,
        };
        Ok(Some(Classified {
            objectives: [
                classes.objective(&rows.train, &train)?,
                classes.objective(&rows.validation, &validation)?,
            ],
            classes,
            labels: [train, validation].concat(),
        }))
    }

    /// The labels as parts of a hash.
    pub(super) fn parts(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let labels = self.labels.iter();
        labels.map(|label| ("label", label.as_bytes()))
    }
}

/// The model with the head that it needs, and what to say of a new one: `base` is changed where it
/// has another.
pub(super) fn settle(
    classified: Option<&Classified>,
    spec: Spec,
    base: &mut Option<Folder>,
    config: &Config,
) -> Result<(Spec, Option<String>)> {
    let Some(classified) = classified else {
        return Ok((spec, None));
    };
    let spec = classified.classes.head_of(spec)?;
    let Some(base) = base.as_mut().filter(|base| base.config.spec != spec) else {
        return Ok((spec, None));
    };
    let fresh = base.change_head(spec.clone(), config.training.seed)?;
    let fresh = fresh.join("`, `");
    Ok((
        spec,
        Some(format!("a new head for classes: `{fresh}` start fresh")),
    ))
}
