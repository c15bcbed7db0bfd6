//! Whether a plan's memory is sound, derived from its calls alone: no trust in the planner's
//! lifetimes.

use crate::graph::Graph;
use crate::plan::{Call, Plan, SlotId};

/// Checks a plan against the rules that make its memory sound; compares every pair of buffers.
///
/// P1 recorded lifetimes cover every use. P2 buffers lie aligned inside their part of the arena. P3
/// buffers alive at one call share no byte, except where an operator that allows it writes over its
/// input, for which this is the last use. P4 nothing is read before it is written. P5 a derivative
/// writes no gradient over what it reads. P6 frozen parameters have neither gradient nor optimiser
/// buffers.
///
/// # Errors
/// The label of the first broken rule, and where.
pub fn check_placement(plan: &Plan, graph: &Graph) -> Result<(), String> {
    let lives = lifetimes(plan);
    inside_the_arena(plan, &lives)?;
    pairs_are_apart(plan, graph, &lives)?;
    written_before_read(plan)?;
    derivatives_write_apart(plan)?;
    for (p, param) in graph.params.iter().enumerate() {
        let has = plan.param_grads[p].is_some() || !plan.moments[p].is_empty();
        if has && !(param.trainable && plan.options.training) {
            return Err(format!(
                "P6 {} is not trained and has a gradient",
                param.name
            ));
        }
    }
    Ok(())
}

/// First and last call that uses a buffer; nothing for a buffer that is never used.
type Life = Option<(usize, usize)>;

fn lifetimes(plan: &Plan) -> Vec<Life> {
    let end = plan.calls.len();
    let mut lives: Vec<Life> = vec![None; plan.slots.len()];
    let mut note = |s: SlotId, t: usize| {
        let life = &mut lives[s.index()];
        *life = Some(life.map_or((t, t), |(a, b)| (a.min(t), b.max(t))));
    };
    for (t, call) in plan.calls.iter().enumerate() {
        let uses = Uses::of(call);
        uses.reads
            .iter()
            .chain(&uses.writes)
            .chain(&uses.adds)
            .for_each(|&s| note(s, t));
    }
    plan.seeds.iter().for_each(|&s| note(s, 0));
    let outputs = plan.outputs.iter().map(|(_, s)| *s);
    let kept = outputs
        .chain(plan.losses.iter().copied())
        .chain(plan.value_grads.iter().map(|&(_, s)| s));
    kept.for_each(|s| note(s, end));
    for (life, slot) in lives.iter_mut().zip(&plan.slots) {
        if slot.content.is_persistent() {
            *life = Some((0, end));
        }
    }
    lives
}

/// What a call does with buffers.
#[derive(Default)]
struct Uses {
    reads: Vec<SlotId>,
    writes: Vec<SlotId>,
    adds: Vec<SlotId>,
}

impl Uses {
    fn of(call: &Call) -> Uses {
        let mut uses = Uses::default();
        match call {
            Call::Forward {
                ins, outs, scratch, ..
            } => {
                uses.reads.extend(ins);
                uses.writes.extend(outs.iter().chain(scratch));
            }
            Call::Vjp {
                dy,
                ins,
                outs,
                dx,
                scratch,
                ..
            } => {
                uses.reads.extend(dy.iter().chain(ins).flatten());
                uses.reads.extend(outs.iter().flatten());
                uses.writes.extend(scratch);
                for &(s, adds) in dx.iter().flatten() {
                    uses.target(s, adds);
                }
            }
            Call::PassGrad {
                from,
                to,
                accumulate,
            } => {
                uses.reads.push(*from);
                uses.target(*to, *accumulate);
            }
        }
        uses
    }

    fn target(&mut self, slot: SlotId, adds: bool) {
        match adds {
            true => self.adds.push(slot),
            false => self.writes.push(slot),
        }
    }
}

fn inside_the_arena(plan: &Plan, lives: &[Life]) -> Result<(), String> {
    for (i, (slot, life)) in plan.slots.iter().zip(lives).enumerate() {
        let Some((first, last)) = *life else { continue };
        let covered = slot.content.is_persistent() || slot.first <= first && last <= slot.last;
        if !covered {
            return Err(format!(
                "P1 buffer {i} {:?} is used in {first}..={last}",
                slot.content
            ));
        }
        let end = slot.offset + slot.bytes;
        let (low, high) = match slot.content.is_persistent() {
            true => (0, plan.persistent_bytes),
            false => (plan.persistent_bytes, plan.peak_bytes),
        };
        if slot.offset < low || end > high || !slot.offset.is_multiple_of(64) {
            return Err(format!(
                "P2 buffer {i} {:?} lies at {}..{end}",
                slot.content, slot.offset
            ));
        }
    }
    Ok(())
}

fn pairs_are_apart(plan: &Plan, graph: &Graph, lives: &[Life]) -> Result<(), String> {
    for (i, a) in plan.slots.iter().enumerate() {
        for (j, b) in plan.slots.iter().enumerate().skip(i + 1) {
            let (Some(x), Some(y)) = (lives[i], lives[j]) else {
                continue;
            };
            let meet = x.0 <= y.1 && y.0 <= x.1;
            let touch = a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes;
            if !(meet && touch) {
                continue;
            }
            let ids = [SlotId(i as u32), SlotId(j as u32)];
            let granted = x.1 == y.0 && is_grant(plan, graph, x.1, ids)
                || y.1 == x.0 && is_grant(plan, graph, y.1, [ids[1], ids[0]]);
            if !granted {
                let (a, b) = (&a.content, &b.content);
                return Err(format!("P3 {a:?} of {x:?} and {b:?} of {y:?} share memory"));
            }
        }
    }
    Ok(())
}

/// Whether call `t` writes its first output over an input as its operator allows.
fn is_grant(plan: &Plan, graph: &Graph, t: usize, [given, wanted]: [SlotId; 2]) -> bool {
    let Some(Call::Forward {
        node, ins, outs, ..
    }) = plan.calls.get(t)
    else {
        return false;
    };
    let (a, b) = (&plan.slots[given.index()], &plan.slots[wanted.index()]);
    let same_place = (a.offset, a.bytes, a.dtype) == (b.offset, b.bytes, b.dtype);
    graph
        .node(*node)
        .op
        .saves()
        .in_place
        .is_some_and(|i| ins[i] == given)
        && outs.first() == Some(&wanted)
        && ins.iter().filter(|&&s| s == given).count() == 1
        && same_place
}

fn written_before_read(plan: &Plan) -> Result<(), String> {
    let mut written: Vec<bool> = plan
        .slots
        .iter()
        .map(|s| s.content.is_persistent())
        .collect();
    plan.seeds.iter().for_each(|s| written[s.index()] = true);
    for (t, call) in plan.calls.iter().enumerate() {
        let mut uses = Uses::of(call);
        if let Call::Vjp { outs, .. } = call
            && plan.losses.iter().any(|&loss| outs.contains(&Some(loss)))
        {
            // The derivative of a loss computes the loss.
            let is_out = |s: &SlotId| outs.contains(&Some(*s));
            uses.reads.retain(|s| !is_out(s));
            uses.writes.extend(outs.iter().flatten());
        }
        if let Some(s) = uses
            .reads
            .iter()
            .chain(&uses.adds)
            .find(|s| !written[s.index()])
        {
            let content = &plan.slots[s.index()].content;
            return Err(format!(
                "P4 call {t} reads {content:?} before it is written"
            ));
        }
        uses.writes.iter().for_each(|s| written[s.index()] = true);
    }
    Ok(())
}

fn derivatives_write_apart(plan: &Plan) -> Result<(), String> {
    for (t, call) in plan.calls.iter().enumerate() {
        if matches!(call, Call::Forward { .. }) {
            continue;
        }
        let uses = Uses::of(call);
        let mut targets = uses.writes.iter().chain(&uses.adds);
        if let Some(s) = targets.find(|s| uses.reads.contains(s)) {
            let content = &plan.slots[s.index()].content;
            return Err(format!("P5 call {t} reads and writes {content:?}"));
        }
    }
    Ok(())
}
