//! `tenon inspect`: facts of a model, without running it.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};
use tenon_base::{Result, units};
use tenon_engine::plan::Call;
use tenon_engine::{Graph, Plan, PlanOptions, Recompute};
use tenon_models::net::{LossOptions, Outputs};

use super::{Outcome, Output};
use crate::context::Context;
use crate::describe::{Described, describe};
use crate::subject::device;
use crate::table;

/// Show a model's parameters, shapes, cost and memory plan
#[derive(Clone, Debug, Args)]
#[command(after_long_help = "Examples:\n  \
    tenon inspect configs/quickstart.yaml --plan\n  \
    tenon inspect runs/quickstart --json")]
pub struct InspectArgs {
    /// Run, checkpoint or hub folder, name of a run, fetched `ORG/NAME`, or a configuration
    #[arg(value_name = "MODEL|CONFIG")]
    pub subject: PathBuf,
    /// Folder that holds the runs
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,
    /// Also print the memory plan of a training step, call by call
    #[arg(long)]
    pub plan: bool,
}

/// Version of the JSON document.
const SCHEMA_VERSION: u32 = 1;

/// Does what the call asks for.
///
/// # Errors
/// `Usage` for a wrong configuration, `Data` for a model that cannot be read, `Io`.
pub fn run(args: &InspectArgs, context: &Context) -> Result<Outcome> {
    let described = describe(context, &args.runs, &args.subject)?;
    let fit = described.fit(context);
    // A budget that is too small is a fact too; the numbers are then those of the least memory.
    let recompute = fit.as_ref().map_or(Recompute::Full, |fit| fit.recompute);
    let facts = described.facts(recompute, context);
    let calls = args.plan.then(|| calls(&described, recompute, context));
    Ok(Outcome::of(match context.json {
        true => {
            let mut document = json!({"schema_version": SCHEMA_VERSION});
            if let (Value::Object(all), Value::Object(facts)) = (&mut document, facts.to_json()) {
                all.extend(facts);
            }
            document["training"] = match &fit {
                Ok(fit) => fit.to_json(),
                Err(refusal) => json!({ "refused": refusal.message() }),
            };
            if let Some(calls) = calls {
                document["plan"] = calls.iter().map(PlannedCall::to_json).collect();
            }
            Output::Json(document)
        }
        false => {
            let mut text = facts.to_text();
            let verdict = match &fit {
                Ok(fit) => fit.text(),
                Err(refusal) => format!("refused: {}", refusal.message()),
            };
            text += &format!("\ntraining: {verdict}\n");
            if let Some(calls) = calls {
                text += "\nplan of a training step\n";
                let rows = calls.iter().map(PlannedCall::cells);
                text += &table::render(["call", "node", "operator", "alive"], rows);
            }
            Output::Text(text)
        }
    }))
}

/// A call of a plan.
struct PlannedCall {
    pass: &'static str,
    node: String,
    operator: String,
    /// Bytes of all transient buffers that are alive during the call.
    alive_bytes: usize,
}

impl PlannedCall {
    fn to_json(&self) -> Value {
        json!({
            "pass": self.pass,
            "node": self.node,
            "operator": self.operator,
            "alive_bytes": self.alive_bytes,
        })
    }

    fn cells(&self) -> [String; 4] {
        [
            self.pass.to_owned(),
            self.node.clone(),
            self.operator.clone(),
            units::bytes(self.alive_bytes as u64),
        ]
    }
}

/// The calls of a training step in their order.
fn calls(described: &Described, recompute: Recompute, context: &Context) -> Vec<PlannedCall> {
    let outputs = Outputs::training(LossOptions::PLAIN, described.dropout());
    let graph = described.spec.graph(&outputs);
    let float = described.float();
    let options = PlanOptions {
        recompute,
        ..PlanOptions::training(float, described.batch(), described.moments())
    };
    let plan = Plan::new(&graph, options, device(context).as_ref());
    let calls = plan.calls.iter().enumerate();
    calls
        .map(|(i, call)| {
            let pass = match i < plan.backward_from {
                true => "forward",
                false => "backward",
            };
            let alive = plan.transient_at(i).map(|slot| slot.bytes);
            planned(&graph, pass, call, alive.sum())
        })
        .collect()
}

fn planned(graph: &Graph, pass: &'static str, call: &Call, alive_bytes: usize) -> PlannedCall {
    let (node, operator) = match call {
        Call::Forward { node, .. } | Call::Vjp { node, .. } => {
            let node = graph.node(*node);
            (node.path.clone(), node.op.name().to_owned())
        }
        Call::PassGrad { .. } => (String::new(), "pass gradient".to_owned()),
    };
    PlannedCall {
        pass,
        node,
        operator,
        alive_bytes,
    }
}
