//! `--dry-run`: what a run would take, without running it.

use serde_json::json;
use tenon_base::{Result, units};
use tenon_data::Batch;
use tenon_engine::{Executor, plan::Content};
use tenon_models::net::feed;

use crate::cli::Outcome;
use crate::context::Context;
use crate::prepare::Prepared;

/// Steps that are timed after one that is not.
const TIMED: u32 = 2;

/// Plan, memory, tokens, and the time that two real steps promise.
pub(super) fn show(
    mut prepared: Prepared,
    exec: &mut Executor,
    context: &Context,
) -> Result<Outcome> {
    let steps = prepared.total_steps();
    let accumulation = prepared.config.training.gradient_accumulation_steps;
    let mut batch = Batch::default();
    let mut tokens = 0;
    let mut begun = context.clock.elapsed();
    for i in 0..=TIMED {
        if i == 1 {
            begun = context.clock.elapsed();
            tokens = 0;
        }
        exec.zero_grads();
        prepared.train.next(&mut batch);
        feed(exec, &batch.ids, &batch.positions, &batch.cu_seqlens);
        exec.set_input("targets", &batch.targets);
        exec.forward();
        exec.backward();
        tokens += batch.n_loss_tokens;
    }
    let batch_seconds = (context.clock.elapsed() - begun).as_secs_f64() / f64::from(TIMED);
    let seconds = batch_seconds * accumulation as f64 * steps as f64;
    let plan = exec.plan();
    let of = |filter: fn(&Content) -> bool| plan.bytes_of(filter);
    let weights = of(|c| matches!(c, Content::Param(_)));
    let gradients = of(|c| matches!(c, Content::ParamGrad(_)));
    let moments = of(|c| matches!(c, Content::Moment(..)));
    let peak = exec.peak_bytes();
    let rest = peak - weights - gradients - moments;
    let flops = exec.graph().forward_flops(exec.extent()) / exec.extent().tokens.max(1) as f64;
    let n_params = exec.graph().n_params();
    let facts = &prepared.facts;
    let size = |bytes: usize| units::bytes(bytes as u64);
    let time = units::duration(std::time::Duration::from_secs_f64(seconds));
    let text = format!(
        "{yaml}\n\
         parameters   {params}\n\
         data         {train} tokens to train on, {validation} to validate\n\
         steps        {steps} of {per_step} tokens, {epoch} an epoch\n\
         memory       {peak} = weights {weights} + gradients {gradients} + moments {moments} \
         + activations and workspace {rest}\n\
         FLOPs        {flops} a token forward, {train_flops} a token in training\n\
         time         about {time} ({millis:.0} ms a batch, timed over {TIMED})\n",
        yaml = prepared.config.to_yaml(),
        params = units::count(n_params as u64),
        train = units::count(facts.train.n_tokens),
        validation = units::count(facts.validation.n_tokens),
        per_step = tokens / TIMED as usize * accumulation,
        epoch = prepared.steps_per_epoch(),
        peak = size(peak),
        weights = size(weights),
        gradients = size(gradients),
        moments = size(moments),
        rest = size(rest),
        flops = units::count(flops as u64),
        train_flops = units::count((3.0 * flops) as u64),
        millis = 1e3 * batch_seconds,
    );
    let document = json!({
        "config": prepared.config.to_yaml(),
        "parameters": n_params,
        "train_tokens": facts.train.n_tokens,
        "validation_tokens": facts.validation.n_tokens,
        "steps": steps,
        "steps_per_epoch": prepared.steps_per_epoch(),
        "memory": {
            "peak_bytes": peak,
            "weight_bytes": weights,
            "gradient_bytes": gradients,
            "moment_bytes": moments,
            "activation_bytes": rest,
        },
        "forward_flops_per_token": flops,
        "batch_ms": 1e3 * batch_seconds,
        "estimated_seconds": seconds,
    });
    Ok(super::answer(context, text, document))
}
