//! Wrong batches. Each change returns in how many places it acted: none where it does not apply.

use tenon_models::predict::{Bounds, pack};
use tenon_models::spec::{DecoderSpec, Objective, Rope, RopeScaling, Spec};

use super::Subject;

const IGNORED: i32 = -100;

fn count<T: PartialEq>(a: &[T], b: &[T]) -> usize {
    a.iter().zip(b).filter(|(a, b)| a != b).count()
}

/// Sets the targets; returns how many changed.
fn retarget(subject: &mut Subject, targets: Vec<i32>) -> usize {
    let before = subject.packed.targets.replace(targets).expect("labels");
    count(&before, subject.packed.targets.as_deref().expect("labels"))
}

fn is_causal(subject: &Subject) -> bool {
    subject.spec.objective() == Objective::Causal
}

/// Tokens predict themselves.
pub(crate) fn labels_not_shifted(subject: &mut Subject) -> usize {
    if !is_causal(subject) {
        return 0;
    }
    let labels = &subject.inputs["labels"].values;
    let targets = subject
        .packed
        .places
        .iter()
        .map(|&place| labels[place] as i32);
    let targets = targets.collect();
    retarget(subject, targets)
}

/// Tokens of a masked model predict the next one; others the one after.
pub(crate) fn labels_shifted_once_more(subject: &mut Subject) -> usize {
    let mut targets = subject.packed.targets.clone().expect("labels");
    targets.rotate_left(1);
    for &end in &subject.packed.cu_seqlens[1..] {
        targets[end as usize - 1] = IGNORED;
    }
    retarget(subject, targets)
}

/// The last token of a sequence predicts the first of the next.
pub(crate) fn labels_across_boundaries(subject: &mut Subject) -> usize {
    if !is_causal(subject) {
        return 0;
    }
    let ids = &subject.inputs["input_ids"].values;
    let mut targets = subject.packed.targets.clone().expect("labels");
    let bounds = &subject.packed.cu_seqlens;
    for &end in &bounds[1..bounds.len() - 1] {
        let end = end as usize;
        targets[end - 1] = ids[subject.packed.places[end]] as i32;
    }
    retarget(subject, targets)
}

/// One sequence for the whole batch.
pub(crate) fn no_boundaries(subject: &mut Subject) -> usize {
    let all = vec![0, subject.packed.ids.len() as i32];
    let before = std::mem::replace(&mut subject.packed.cu_seqlens, all);
    before.len() - 2
}

/// Padding becomes tokens.
pub(crate) fn no_padding_mask(subject: &mut Subject) -> usize {
    let mut inputs = subject.inputs.clone();
    inputs.remove("attention_mask");
    let before = subject.packed.ids.len();
    // ESM-1b refuses what another model takes for tokens.
    let bounds = Bounds {
        first_position: 0,
        ..Bounds::of(&subject.spec)
    };
    subject.packed = pack(&inputs, bounds).unwrap();
    subject.packed.ids.len() - before
}

/// Positions count columns, those of padding on the left included. Rotary angles only tell
/// distances, which that does not change.
pub(crate) fn positions_of_columns(subject: &mut Subject) -> usize {
    if !subject
        .graph
        .nodes
        .iter()
        .any(|node| node.path == "embed_positions")
    {
        return 0;
    }
    let width = subject.packed.rows_columns[1];
    let columns = subject
        .packed
        .places
        .iter()
        .map(|&place| (place % width) as i32);
    let columns = columns.collect();
    let before = std::mem::replace(&mut subject.packed.positions, columns);
    count(&before, &subject.packed.positions)
}

/// The types that were given are not used.
pub(crate) fn all_of_type_0(subject: &mut Subject) -> usize {
    let zeros = vec![0; subject.packed.token_types.len()];
    let before = std::mem::replace(&mut subject.packed.token_types, zeros);
    count(&before, &subject.packed.token_types)
}

fn with_spec(subject: &mut Subject, change: impl FnOnce(&mut Spec) -> bool) -> usize {
    let acted = change(&mut subject.spec);
    let outputs = tenon_models::net::Outputs::inspecting(true);
    subject.graph = subject.spec.graph(&outputs);
    usize::from(acted)
}

pub(crate) fn no_rope_scaling(subject: &mut Subject) -> usize {
    with_spec(subject, |spec| match spec {
        Spec::Decoder(spec) => spec.rope.scaling.take().is_some(),
        _ => false,
    })
}

/// Rotated queries and keys stay as they are.
pub(crate) fn no_rope_score_factor(subject: &mut Subject) -> usize {
    with_spec(subject, |spec| match spec {
        Spec::Decoder(DecoderSpec {
            rope:
                Rope {
                    scaling: Some(RopeScaling::Yarn(yarn)),
                    ..
                },
            ..
        }) => yarn.attention_factor.replace(1.0) != Some(1.0),
        _ => false,
    })
}

/// Turns the loss of unevenly used experts off, or on, when it is the other way.
fn balance(subject: &mut Subject, on: bool) -> usize {
    with_spec(subject, |spec| match spec {
        Spec::Decoder(spec) => spec
            .experts
            .as_mut()
            .is_some_and(|experts| std::mem::replace(&mut experts.balanced, on) != on),
        _ => false,
    })
}

pub(crate) fn no_router_loss(subject: &mut Subject) -> usize {
    balance(subject, false)
}

pub(crate) fn router_loss_unasked(subject: &mut Subject) -> usize {
    balance(subject, true)
}
