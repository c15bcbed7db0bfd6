//! `tenon models`: what can be trained and read.

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Outcome, Output};
use crate::config::{self, FamilyInfo};
use crate::context::Context;
use crate::table;
use tenon_base::diag::Source;
use tenon_base::{Result, units};
use tenon_data::vocab::ResidueTokenizer;
use tenon_models::folder;
use tenon_models::hub::Naming;
use tenon_models::published::{Published, published};
use tenon_models::spec::{Objective, Spec};

/// List the model families
#[derive(Clone, Debug, Args)]
pub struct ModelsArgs {
    /// What to do
    #[command(subcommand)]
    pub command: ModelsCommand,
}

/// What to do with the families.
#[derive(Clone, Copy, Debug, Subcommand)]
pub enum ModelsCommand {
    /// List the families, what they support, and published models with their sizes
    Ls,
}

/// Version of the JSON document.
const SCHEMA_VERSION: u32 = 1;

/// Does what the call asks for.
///
/// # Errors
/// None.
pub fn run(args: &ModelsArgs, context: &Context) -> Result<Outcome> {
    let ModelsCommand::Ls = args.command;
    let published = published();
    let families: Vec<Listed<'_>> = FamilyInfo::ALL
        .iter()
        .map(|info| Listed::of(info, &published))
        .collect();
    if context.json {
        let families: Vec<Value> = families.iter().map(Listed::as_json).collect();
        let document = json!({"schema_version": SCHEMA_VERSION, "families": families});
        return Ok(Outcome::of(Output::Json(document)));
    }
    let head = ["family", "supports", "about"];
    let rows = families.iter().map(|family| {
        [
            family.info.name.to_owned(),
            family.supports().join(", "),
            family.info.doc.to_owned(),
        ]
    });
    let mut text = table::render(head, rows);
    text.push('\n');
    let head = ["published", "family", "parameters", "size"];
    let rows = families.iter().flat_map(|family| {
        family.variants.iter().map(|variant| {
            let spec = &variant.spec;
            let size = format!(
                "{} blocks, {} tokens, vocabulary {}",
                spec.n_layers(),
                spec.context_len(),
                spec.vocab_size()
            );
            [
                variant.name.to_owned(),
                family.info.name.to_owned(),
                units::count(n_parameters(spec)),
                size,
            ]
        })
    });
    text += &table::render(head, rows);
    Ok(Outcome::of(Output::Text(text)))
}

/// A family with the published models that belong to it.
struct Listed<'a> {
    info: &'static FamilyInfo,
    variants: Vec<&'a Published>,
}

impl<'a> Listed<'a> {
    fn of(info: &'static FamilyInfo, published: &'a [Published]) -> Listed<'a> {
        let own = published
            .iter()
            .filter(|model| model.spec.family() == info.name);
        Listed {
            info,
            variants: own.collect(),
        }
    }

    /// A model of the family: a published one, or a fresh one over residues.
    fn example(&self) -> Option<Spec> {
        let published = self.variants.first().map(|model| model.spec.clone());
        let fresh = || {
            let name = self.info.name;
            let text = format!(
                "model: {{family: {name}}}\ndata: {{dataset: corpus, tokenizer: esm}}\n\
                 training: {{batch_size: 1, max_steps: 1}}\n"
            );
            let reading = config::read(&Source::new(name, text), &[]).ok()?;
            let architecture = reading.config.model.architecture()?;
            architecture.spec(&ResidueTokenizer::esm()).ok()
        };
        published.or_else(fresh)
    }

    /// What can be done with a model of the family, asked of one.
    fn supports(&self) -> Vec<&'static str> {
        let mut supports = vec!["train", "hub layout"];
        let Some(spec) = self.example() else {
            return supports;
        };
        let fused = Naming::Fused { padded_vocab: None };
        if spec.mapping_of(fused).is_ok() {
            supports.push("fused layout");
        }
        supports.push(match spec.objective() {
            Objective::Causal => "generate",
            Objective::Masked => "embed, mutations",
            Objective::Sequence { .. } | Objective::Token { .. } => "predict",
        });
        supports
    }

    fn as_json(&self) -> Value {
        let variant = |model: &&Published| {
            json!({
                "name": model.name,
                "parameters": n_parameters(&model.spec),
                "n_blocks": model.spec.n_layers(),
                "max_seq_len": model.spec.context_len(),
                "vocab_size": model.spec.vocab_size(),
            })
        };
        json!({
            "name": self.info.name,
            "about": self.info.doc,
            "supports": self.supports(),
            "defaults": {
                "max_seq_len": self.info.max_seq_len,
                "n_blocks": self.info.n_blocks,
                "n_heads": self.info.n_heads,
                "d_model": self.info.d_model,
            },
            "published": self.variants.iter().map(variant).collect::<Vec<_>>(),
        })
    }
}

fn n_parameters(spec: &Spec) -> u64 {
    let lens = folder::parameters(spec).into_iter();
    lens.map(|target| target.shape.iter().product::<usize>() as u64)
        .sum()
}
