//! The mutants: what is done to a model, and exactly what must miss.

use tenon_engine::Graph;

use crate::mistakes::{Subject, batches, graphs, norms, weights};

/// How a mutant comes about; both return in how many places they acted, none where the mutant does
/// not apply.
#[derive(Clone, Copy)]
pub(crate) enum Change {
    Graph(fn(&mut Graph) -> usize),
    Any(fn(&mut Subject) -> usize),
}
use Change::{Any, Graph as Rewrite};

impl Change {
    /// Spoils a subject; returns in how many places.
    pub(crate) fn act(self, subject: &mut Subject) -> usize {
        match self {
            Rewrite(change) => change(&mut subject.graph),
            Any(change) => change(subject),
        }
    }
}

/// A way to be wrong.
pub(crate) struct Mutant {
    pub(crate) name: &'static str,
    pub(crate) change: Change,
    /// The outputs that must miss; everything else must not.
    pub(crate) misses: &'static [&'static str],
}

/// What is compared: the streams, the logits, the loss, the gradients.
pub(crate) const CLASSES: [&str; 4] = ["stream", "logits", "loss", "grads"];
const ALL: &[&str] = &CLASSES;
const HEAD: &[&str] = &["logits", "loss", "grads"];
const TRAINED: &[&str] = &["loss", "grads"];
const GRADS: &[&str] = &["grads"];
/// What is kept of the stream: the outputs that show it, and the derivatives that read it.
const CACHE: &[&str] = &["stream", "grads"];

const fn mutant(name: &'static str, change: Change, misses: &'static [&'static str]) -> Mutant {
    Mutant {
        name,
        change,
        misses,
    }
}

/// Every mutant; the golden of every family must notice those that apply to it.
pub(crate) const MUTANTS: &[Mutant] = &[
    mutant(
        "in-place residual",
        Rewrite(graphs::in_place_residual),
        CACHE,
    ),
    mutant("no attention", Rewrite(graphs::no_attention), ALL),
    mutant("no feed-forward", Rewrite(graphs::no_feed_forward), ALL),
    mutant(
        "norms on the other side",
        Rewrite(norms::norms_on_the_other_side),
        ALL,
    ),
    mutant("other eps of norms", Rewrite(graphs::other_eps), ALL),
    mutant(
        "attention to itself",
        Rewrite(graphs::attention_to_itself),
        ALL,
    ),
    mutant("scores unscaled", Rewrite(graphs::scores_unscaled), ALL),
    mutant("queries as keys", Rewrite(graphs::queries_as_keys), ALL),
    mutant("queries as values", Rewrite(graphs::queries_as_values), ALL),
    mutant("keys as values", Rewrite(graphs::keys_as_values), ALL),
    mutant("value, query, key", Any(weights::qkv_rotated), ALL),
    mutant(
        "heads of fused layers not undone",
        Any(weights::heads_not_undone),
        ALL,
    ),
    mutant(
        "no biases of attention",
        Any(weights::no_biases_of_attention),
        ALL,
    ),
    mutant("no causal mask", Rewrite(graphs::no_causal_mask), ALL),
    mutant("causal mask", Rewrite(graphs::causal_mask), ALL),
    mutant("no window", Rewrite(graphs::no_window), ALL),
    mutant(
        "window longer by one",
        Rewrite(graphs::window_longer_by_one),
        ALL,
    ),
    mutant(
        "window in every layer",
        Rewrite(graphs::window_everywhere),
        ALL,
    ),
    mutant("no padding mask", Any(batches::no_padding_mask), ALL),
    mutant("no boundaries", Any(batches::no_boundaries), ALL),
    mutant(
        "labels not shifted",
        Any(batches::labels_not_shifted),
        TRAINED,
    ),
    mutant(
        "labels shifted once more",
        Any(batches::labels_shifted_once_more),
        TRAINED,
    ),
    mutant(
        "labels across boundaries",
        Any(batches::labels_across_boundaries),
        TRAINED,
    ),
    mutant("no positions", Rewrite(graphs::no_positions), ALL),
    mutant(
        "positions of columns",
        Any(batches::positions_of_columns),
        ALL,
    ),
    mutant(
        "positions from the first row",
        Rewrite(graphs::no_first_position),
        ALL,
    ),
    mutant(
        "other rotary pairs",
        Rewrite(graphs::other_rotary_pairs),
        ALL,
    ),
    mutant(
        "other rotary theta",
        Rewrite(graphs::other_rotary_theta),
        ALL,
    ),
    mutant(
        "keys rotated apart",
        Rewrite(graphs::keys_rotated_apart),
        ALL,
    ),
    mutant("keys not rotated", Rewrite(graphs::keys_not_rotated), ALL),
    mutant("no rope scaling", Any(batches::no_rope_scaling), ALL),
    mutant(
        "no rope score factor",
        Any(batches::no_rope_score_factor),
        ALL,
    ),
    mutant(
        "GELU of the other form",
        Rewrite(graphs::gelu_of_another_form),
        ALL,
    ),
    mutant(
        "derivative of the other GELU",
        Rewrite(graphs::other_gelu_derivative),
        GRADS,
    ),
    mutant("ReLU for GELU", Rewrite(graphs::relu_for_gelu), ALL),
    mutant("GELU for ReLU", Rewrite(graphs::gelu_for_relu), ALL),
    mutant(
        "gate and up swapped",
        Rewrite(graphs::gate_and_up_swapped),
        ALL,
    ),
    mutant(
        "least likely experts",
        Any(weights::least_likely_experts),
        ALL,
    ),
    mutant("one expert less", Rewrite(graphs::one_expert_less), ALL),
    mutant(
        "experts not normalised",
        Rewrite(graphs::unnormalised_experts),
        ALL,
    ),
    mutant("no router loss", Any(batches::no_router_loss), TRAINED),
    mutant(
        "router loss unasked",
        Any(batches::router_loss_unasked),
        TRAINED,
    ),
    mutant("no token dropout", Rewrite(graphs::no_token_dropout), ALL),
    mutant("no token types", Rewrite(graphs::no_token_types), ALL),
    mutant("all tokens of type 0", Any(batches::all_of_type_0), ALL),
    mutant(
        "no norm of the embedding",
        Rewrite(graphs::no_embedding_norm),
        ALL,
    ),
    mutant("no final norm", Rewrite(graphs::no_final_norm), ALL),
    mutant(
        "no norms of queries and keys",
        Rewrite(graphs::no_query_key_norm),
        ALL,
    ),
    mutant("no inner norms", Rewrite(graphs::no_inner_norm), ALL),
    mutant("no norm in the head", Rewrite(graphs::no_head_norm), HEAD),
    mutant(
        "GELU of the other form in the head",
        Rewrite(graphs::gelu_of_another_form_in_the_head),
        HEAD,
    ),
    mutant(
        "other activation in the head",
        Rewrite(graphs::other_activation_in_the_head),
        HEAD,
    ),
    mutant(
        "no bias of the logits",
        Any(weights::no_bias_of_the_logits),
        HEAD,
    ),
];
