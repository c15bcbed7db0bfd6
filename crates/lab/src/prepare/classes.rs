//! What the head of an encoder is to tell: from columns of labels to targets, a head and its names.

mod answers;
mod targets;

use serde_json::{Map, Value, json};
use tenon_base::{Error, Result};
use tenon_data::batch::Objective;
use tenon_data::source::{self, Rows};
use tenon_data::split::TrainValidation;
use tenon_data::{Tokenizer, Tokens};
use tenon_models::folder::Folder;
use tenon_models::hub::HubConfig;
use tenon_models::spec::{Head, Objective as Learned, Problem, Spec};

use crate::config::{Config, HeadConfig, HeadOf};
pub(crate) use answers::{Answers, SEPARATOR};

/// The column of labels when none is named.
const LABEL_COLUMN: &str = "label";

/// What a head tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Told {
    /// Something of a sequence.
    Sequence(Problem),
    /// The class of each token.
    Token,
}

/// What a head tells, and the names of its outputs in their order: classes, labels, or columns of
/// numbers.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Classes {
    pub(crate) told: Told,
    pub(crate) names: Vec<String>,
}

impl Classes {
    /// Those of a model with such a head; names that it does not say are numbers.
    pub(crate) fn of(config: &HubConfig) -> Option<Classes> {
        let (told, n) = match config.spec.objective() {
            Learned::Causal | Learned::Masked => return None,
            Learned::Sequence { n_classes, problem } => (Told::Sequence(problem), n_classes),
            Learned::Token { n_classes } => (Told::Token, n_classes),
        };
        let said = config.extra.get("id2label");
        let name = |i: usize| {
            let name = said.and_then(|names| names.get(i.to_string())?.as_str());
            name.map_or_else(|| i.to_string(), str::to_owned)
        };
        let names = (0..n).map(name).collect();
        Some(Classes { told, names })
    }

    /// Those that a configuration asks for: with the names that it gives, or all that occur.
    fn asked(wanted: &HeadConfig, answers: [&Answers; 2]) -> Result<Classes> {
        let told = wanted.told();
        let names = match &wanted.labels {
            Some(labels) => labels.clone(),
            None => answers::names(answers)?,
        };
        let at_least = match told {
            Told::Sequence(Problem::MultiLabel | Problem::Regression) => 1,
            Told::Sequence(Problem::SingleLabel) | Told::Token => 2,
        };
        if names.len() < at_least {
            return Err(too_few(wanted, names.len(), at_least));
        }
        Ok(Classes { told, names })
    }

    /// The columns of these rows that hold what this head tells: those that are given, of numbers
    /// the names of the outputs, or `label` where none of these is a column.
    ///
    /// # Errors
    /// As [`Classes::check_order`].
    pub(crate) fn columns(&self, given: Option<&[String]>, rows: &Rows) -> Result<Vec<String>> {
        let numbered =
            |(i, name): (usize, &String)| *name == i.to_string() || *name == format!("LABEL_{i}");
        let is_column = |name: &str| source::cells(rows, &[name]).is_ok();
        match given {
            Some(given) => self.check_order(given).map(|()| given.to_vec()),
            None if self.told == Told::Sequence(Problem::Regression)
                && !self.names.iter().enumerate().all(numbered)
                && (self.names.iter().any(|name| is_column(name)) || !is_column(LABEL_COLUMN)) =>
            {
                Ok(self.names.clone())
            }
            None => Ok(vec![LABEL_COLUMN.to_owned()]),
        }
    }

    /// Columns of numbers belong to the outputs in their order: a column with the name of another
    /// output would silently swap the targets.
    ///
    /// # Errors
    /// `Usage`, with the order of the model.
    fn check_order(&self, columns: &[String]) -> Result<()> {
        let is_of_another = |(i, column): (usize, &String)| {
            let of = self.names.iter().position(|name| name == column);
            of.is_some_and(|of| of != i)
        };
        let is_one_each =
            self.told == Told::Sequence(Problem::Regression) && columns.len() == self.names.len();
        if !is_one_each || !columns.iter().enumerate().any(is_of_another) {
            return Ok(());
        }
        let (columns, names) = (columns.join("`, `"), self.names.join("`, `"));
        let message = format!("columns `{columns}` for a model that tells `{names}`");
        let error = Error::usage(message).at("data.label_column");
        Err(error.hint("name the columns in the order of the model"))
    }

    /// The targets of rows with these answers. `tokens` are the rows' own.
    pub(crate) fn objective(
        &self,
        rows: &Rows,
        answers: &Answers,
        tokens: &Tokens,
        tokenizer: &dyn Tokenizer,
    ) -> Result<Objective> {
        targets::objective(self, rows, answers, (tokens, tokenizer))
    }

    /// The model with a head for them.
    pub(crate) fn head_of(&self, spec: Spec) -> Result<Spec> {
        let Spec::Encoder(mut encoder) = spec else {
            let message = format!("a `{}` has no head for classes", spec.family());
            return Err(Error::usage(message).at("model.head"));
        };
        let n_classes = self.names.len();
        encoder.head = match self.told {
            Told::Sequence(problem) => Head::Sequence { n_classes, problem },
            Told::Token => Head::Token { n_classes },
        };
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

fn too_few(wanted: &HeadConfig, n: usize, at_least: usize) -> Error {
    if wanted.labels.is_none() {
        let message = format!("{n} class in all labels, there is nothing to tell");
        return Error::data(message).at("data.label_column");
    }
    let classes = if n == 1 { "class" } else { "classes" };
    let are = if at_least == 1 { "is" } else { "are" };
    let message = format!("`model.labels` names {n} {classes}, at least {at_least} {are} told");
    let error = Error::usage(message).at("model.labels");
    error.hint("name all of them, or remove the key to tell those that occur")
}

impl HeadConfig {
    fn told(&self) -> Told {
        match self.of {
            HeadOf::Sequence => Told::Sequence(self.problem.unwrap_or_default()),
            HeadOf::Token => Told::Token,
        }
    }
}

/// What a run with such a head learns.
pub(super) struct Classified {
    pub(super) classes: Classes,
    /// The columns that say it.
    columns: Vec<String>,
    /// Of training and validation.
    answers: [Answers; 2],
    /// Whether the names are those that occur in labels.
    are_names_found: bool,
}

impl Classified {
    /// Reads the labels of both splits where the run is to tell something of texts, or starts from
    /// a model that does.
    pub(super) fn read(
        config: &Config,
        rows: &TrainValidation,
        base: Option<&Folder>,
    ) -> Result<Option<Classified>> {
        let own = base.and_then(|base| Classes::of(&base.config));
        let own = match (own, &config.model.head) {
            (Some(own), Some(wanted)) => suits(own, wanted)?,
            (own, _) => own,
        };
        let told = match (&own, &config.model.head) {
            (Some(own), _) => own.told,
            (None, Some(wanted)) => wanted.told(),
            (None, None) => return Ok(None),
        };
        let given = config.data.label_columns.as_deref();
        let columns = match (&own, given) {
            (Some(own), given) => own.columns(given, &rows.train)?,
            (None, Some(given)) => given.to_vec(),
            (None, None) => vec![LABEL_COLUMN.to_owned()],
        };
        let named = config.model.head.as_ref();
        let named = named.and_then(|wanted| wanted.labels.as_deref());
        let known = own.as_ref().map(|own| own.names.as_slice()).or(named);
        let read = |rows| Answers::read(rows, told, &columns, known);
        let answers = [read(&rows.train)?, read(&rows.validation)?];
        let are_names_found = known.is_none();
        let classes = match (own, &config.model.head) {
            (Some(own), _) => own,
            (None, Some(wanted)) => Classes::asked(wanted, [&answers[0], &answers[1]])?,
            (None, None) => unreachable!("there is something to tell"),
        };
        classes.check_order(&columns)?;
        check_losses(config, told)?;
        Ok(Some(Classified {
            classes,
            columns,
            answers,
            are_names_found,
        }))
    }

    /// The targets of training and validation.
    pub(super) fn objectives(
        &self,
        rows: &TrainValidation,
        tokens: [&Tokens; 2],
        tokenizer: &dyn Tokenizer,
    ) -> Result<[Objective; 2]> {
        let [train, validation] = &self.answers;
        let of = |rows, answers, tokens| self.classes.objective(rows, answers, tokens, tokenizer);
        Ok([
            of(&rows.train, train, tokens[0])?,
            of(&rows.validation, validation, tokens[1])?,
        ])
    }

    /// Sentences about labels that may have been meant otherwise.
    pub(super) fn notes(&self, rows: &TrainValidation) -> Vec<String> {
        let [train, validation] = &self.answers;
        let gap = match self.classes.told {
            Told::Token if self.are_names_found => answers::gap_note(&self.classes.names),
            _ => None,
        };
        let bare = [
            train.note(&rows.train, "training rows"),
            validation.note(&rows.validation, "validation rows"),
        ];
        bare.into_iter().flatten().chain(gap).collect()
    }

    /// The labels of training, then of validation, as text.
    pub(super) fn cells(&self) -> Vec<String> {
        self.answers.iter().flat_map(Answers::cells).collect()
    }
}

/// The model's own head where it is the wanted one; none where another is wanted.
fn suits(own: Classes, wanted: &HeadConfig) -> Result<Option<Classes>> {
    let same = match (own.told, wanted.of) {
        (Told::Sequence(problem), HeadOf::Sequence) => {
            wanted.problem.is_none_or(|wanted| wanted == problem)
        }
        (Told::Token, HeadOf::Token) => true,
        (Told::Sequence(_), HeadOf::Token) | (Told::Token, HeadOf::Sequence) => false,
    };
    match &wanted.labels {
        Some(labels) if same && *labels != own.names => {
            let names = own.names.join("`, `");
            let message = format!("the model in `model.from` tells `{names}`");
            let error = Error::usage(message).at("model.labels");
            Err(error.hint("remove the key, or start from a model without that head"))
        }
        _ => Ok(same.then_some(own)),
    }
}

/// Smoothed targets and the z-loss are of classes of which one is right.
fn check_losses(config: &Config, told: Told) -> Result<()> {
    let Told::Sequence(problem @ (Problem::MultiLabel | Problem::Regression)) = told else {
        return Ok(());
    };
    let training = &config.training;
    let keys = [
        ("training.label_smoothing", training.label_smoothing),
        ("training.z_loss", training.z_loss),
    ];
    match keys.into_iter().find(|(_, value)| *value != 0.0) {
        None => Ok(()),
        Some((key, _)) => {
            let message = format!("`{key}` means nothing to a problem of `{}`", problem.name());
            Err(Error::usage(message).at(key).hint("remove the key"))
        }
    }
}

/// The model with the head that it needs, and what to say of a new one: `base` is changed where it
/// has another, and the configuration says which columns are learned.
pub(super) fn settle(
    classified: Option<&Classified>,
    spec: Spec,
    base: &mut Option<Folder>,
    config: &mut Config,
) -> Result<(Spec, Option<String>)> {
    let Some(classified) = classified else {
        return Ok((spec, None));
    };
    config.data.label_columns = Some(classified.columns.clone());
    let spec = classified.classes.head_of(spec)?;
    let Some(base) = base.as_mut().filter(|base| base.config.spec != spec) else {
        return Ok((spec, None));
    };
    let fresh = base.change_head(spec.clone(), config.training.seed)?;
    let names = fresh.join("`, `");
    let note = format!("a new head for classes: `{names}` start fresh");
    Ok((spec, (!fresh.is_empty()).then_some(note)))
}
