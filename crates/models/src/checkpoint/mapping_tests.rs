use proptest::prelude::*;
use safetensors::Dtype;

use super::*;

const GPT2: Table = Table {
    rules: &[
        Rule {
            hub: &["{prefix}wte.weight"],
            ours: "embed.tokens",
            layout: Layout::Same,
        },
        Rule {
            hub: &[
                "{prefix}h.{layer}.ln_1.weight",
                "{prefix}h.{layer}.ln_1.gamma",
            ],
            ours: "blocks.{layer}.norm1.gain",
            layout: Layout::Same,
        },
        Rule {
            hub: &["lm_head.weight"],
            ours: "head",
            layout: Layout::Same,
        },
    ],
    prefixes: &["transformer.", ""],
    drops: &[
        Drop {
            hub: "{prefix}h.{layer}.attn.bias",
            when: When::Always,
        },
        Drop {
            hub: "lm_head.weight",
            when: When::SameAs("{prefix}wte.weight"),
        },
    ],
};

const CUSTOM: Table = Table {
    rules: &[
        Rule {
            hub: &["vocab_embedding"],
            ours: "embed.tokens",
            layout: Layout::Same,
        },
        Rule {
            hub: &["Q"],
            ours: "blocks.{layer}.attn.q",
            layout: Layout::Stacked,
        },
    ],
    prefixes: &[""],
    drops: &[],
};

/// A tensor of `n` = product(shape) bytes, all of them `value`.
type Owned = (String, Vec<usize>, Vec<u8>);

fn tensor(name: &str, shape: &[usize], value: u8) -> Owned {
    (
        name.to_owned(),
        shape.to_vec(),
        vec![value; shape.iter().product()],
    )
}

fn plan(table: &Table, sources: &[Owned], targets: &[Target]) -> Result<Plan> {
    let views: Vec<TensorView<'_>> = sources
        .iter()
        .map(|(name, shape, bytes)| TensorView {
            name,
            dtype: Dtype::U8,
            shape,
            bytes,
        })
        .collect();
    table.plan(&views, targets)
}

fn target(name: &str, shape: &[usize]) -> Target {
    Target {
        name: name.to_owned(),
        shape: shape.to_vec(),
    }
}

fn gpt2_sources(prefix: &str) -> Vec<Owned> {
    vec![
        tensor(&format!("{prefix}h.0.ln_1.weight"), &[4], 1),
        tensor(&format!("{prefix}h.1.ln_1.weight"), &[4], 2),
        tensor(&format!("{prefix}wte.weight"), &[9, 4], 3),
    ]
}

fn gpt2_targets() -> Vec<Target> {
    vec![
        target("embed.tokens", &[9, 4]),
        target("blocks.0.norm1.gain", &[4]),
        target("blocks.1.norm1.gain", &[4]),
    ]
}

#[track_caller]
fn rejects(sources: &[Owned], targets: &[Target], lines: &[&str]) {
    let error = plan(&GPT2, sources, targets).expect_err("a misfit was accepted");
    assert_eq!(error.kind(), tenon_base::Kind::Data);
    for line in lines {
        assert!(
            error.message().contains(line),
            "`{}` lacks `{line}`",
            error.message()
        );
    }
}

#[test]
fn every_prefix_is_recognised_and_kept() {
    for prefix in ["transformer.", ""] {
        let plan = plan(&GPT2, &gpt2_sources(prefix), &gpt2_targets()).unwrap();
        assert_eq!(plan.prefix, prefix);
        let pairs: Vec<_> = plan
            .fills
            .iter()
            .map(|f| (f.source.as_str(), f.target.as_str()))
            .collect();
        assert_eq!(
            pairs,
            [
                (format!("{prefix}wte.weight").as_str(), "embed.tokens"),
                (
                    format!("{prefix}h.0.ln_1.weight").as_str(),
                    "blocks.0.norm1.gain"
                ),
                (
                    format!("{prefix}h.1.ln_1.weight").as_str(),
                    "blocks.1.norm1.gain"
                ),
            ]
        );
    }
}

#[test]
fn mixed_prefixes_are_refused() {
    let mut sources = gpt2_sources("transformer.");
    sources[2].0 = "wte.weight".to_owned();
    rejects(
        &sources,
        &gpt2_targets(),
        &["\n    transformer.wte.weight", "\n    wte.weight"],
    );
}

#[test]
fn missing_and_unknown_are_listed_together_with_the_nearest_name() {
    let mut sources = gpt2_sources("");
    sources[1].0 = "h.1.ln1.weight".to_owned();
    rejects(
        &sources,
        &gpt2_targets(),
        &[
            "missing (1, the model needs, the checkpoint lacks):\n    h.1.ln_1.weight",
            "unknown (1, the model has no place for):\n    h.1.ln1.weight \
             (did you mean h.1.ln_1.weight?)",
        ],
    );
}

#[test]
fn layer_that_the_model_lacks_is_unknown() {
    let mut sources = gpt2_sources("");
    sources.push(tensor("h.2.ln_1.weight", &[4], 0));
    rejects(
        &sources,
        &gpt2_targets(),
        &["unknown (1", "h.2.ln_1.weight"],
    );
}

#[test]
fn wrong_shape_is_shown_with_both_shapes() {
    let mut sources = gpt2_sources("");
    sources[2] = tensor("wte.weight", &[4, 9], 0);
    rejects(
        &sources,
        &gpt2_targets(),
        &["wte.weight is [4, 9], the model needs [9, 4]"],
    );
}

#[test]
fn drops_are_reported() {
    let mut sources = gpt2_sources("");
    sources.push(tensor("h.0.attn.bias", &[1, 1, 8, 8], 1));
    let plan = plan(&GPT2, &sources, &gpt2_targets()).unwrap();
    assert_eq!(plan.dropped, ["h.0.attn.bias"]);
}

#[test]
fn tied_head_may_be_a_copy_but_nothing_else() {
    let mut sources = gpt2_sources("");
    sources.push(tensor("lm_head.weight", &[9, 4], 3));
    let dropped = plan(&GPT2, &sources, &gpt2_targets()).unwrap().dropped;
    assert_eq!(dropped, ["lm_head.weight"]);
    sources[3].2[7] ^= 1;
    rejects(
        &sources,
        &gpt2_targets(),
        &["allowed only as a copy of wte.weight"],
    );
}

#[test]
fn untied_head_is_filled_and_may_not_be_missing() {
    let mut targets = gpt2_targets();
    targets.push(target("head", &[9, 4]));
    rejects(
        &gpt2_sources(""),
        &targets,
        &["missing (1", "lm_head.weight"],
    );
    let mut sources = gpt2_sources("");
    sources.push(tensor("lm_head.weight", &[9, 4], 3));
    let plan = plan(&GPT2, &sources, &targets).unwrap();
    assert_eq!((plan.fills.len(), plan.dropped.len()), (4, 0));
}

#[test]
fn second_allowed_name_is_read_and_both_at_once_are_refused() {
    let mut sources = gpt2_sources("");
    sources[0].0 = "h.0.ln_1.gamma".to_owned();
    plan(&GPT2, &sources, &gpt2_targets()).unwrap();
    sources.push(tensor("h.0.ln_1.weight", &[4], 1));
    rejects(
        &sources,
        &gpt2_targets(),
        &["h.0.ln_1.gamma (the same parameter as h.0.ln_1.weight)"],
    );
}

#[test]
fn long_lists_are_cut_with_their_number() {
    let mut sources = gpt2_sources("");
    sources.extend((0..LISTED_MAX + 3).map(|i| tensor(&format!("extra.{i}"), &[1], 0)));
    rejects(&sources, &gpt2_targets(), &["unknown (23, ", "and 3 more"]);
}

#[test]
fn parameter_without_a_rule_is_an_error() {
    let targets = [target("blocks.0.norm9.gain", &[4])];
    rejects(
        &gpt2_sources(""),
        &targets,
        &["`blocks.0.norm9.gain` has no name on the hub"],
    );
}

#[test]
fn stacked_tensor_fills_one_parameter_a_layer() {
    let (d, n_layers) = (2, 3);
    let mut q = tensor("Q", &[n_layers, d, d], 0);
    q.2.iter_mut()
        .enumerate()
        .for_each(|(i, byte)| *byte = i as u8);
    let sources = [q, tensor("vocab_embedding", &[5, d], 9)];
    let mut targets = vec![target("embed.tokens", &[5, d])];
    targets.extend((0..n_layers).map(|i| target(&format!("blocks.{i}.attn.q"), &[d, d])));
    let plan = plan(&CUSTOM, &sources, &targets).unwrap();
    let (name, shape, bytes) = &sources[0];
    let whole = TensorView {
        name,
        dtype: Dtype::U8,
        shape,
        bytes,
    };
    let row = plan.fills[2].view(whole);
    assert_eq!(
        (plan.fills[2].target.as_str(), row.shape),
        ("blocks.1.attn.q", [d, d].as_slice())
    );
    assert_eq!(row.bytes, [4, 5, 6, 7]);
    let back = CUSTOM.hub_tensors(&targets, "").unwrap();
    assert_eq!(back[1].name, "Q");
    assert_eq!(back[1].shape, [n_layers, d, d]);
    assert_eq!(
        back[1].parts,
        ["blocks.0.attn.q", "blocks.1.attn.q", "blocks.2.attn.q"]
    );
}

#[test]
fn stack_of_one_layer_is_still_a_stack() {
    let targets = [
        target("embed.tokens", &[5, 2]),
        target("blocks.0.attn.q", &[2, 2]),
    ];
    let sources = [
        tensor("Q", &[1, 2, 2], 0),
        tensor("vocab_embedding", &[5, 2], 9),
    ];
    let fills = plan(&CUSTOM, &sources, &targets).unwrap().fills;
    assert_eq!((fills[0].row, fills[1].row), (None, Some(0)));
    let flat = [
        tensor("Q", &[2, 2], 0),
        tensor("vocab_embedding", &[5, 2], 9),
    ];
    let error = plan(&CUSTOM, &flat, &targets).unwrap_err();
    assert!(
        error
            .message()
            .contains("Q is [2, 2], the model needs [1, 2, 2]"),
        "{error}"
    );
}

#[test]
fn stack_with_another_number_of_layers_is_refused() {
    let targets = [
        target("embed.tokens", &[5, 2]),
        target("blocks.0.attn.q", &[2, 2]),
    ];
    let sources = [
        tensor("Q", &[2, 2, 2], 0),
        tensor("vocab_embedding", &[5, 2], 9),
    ];
    let error = plan(&CUSTOM, &sources, &targets).unwrap_err();
    assert!(
        error
            .message()
            .contains("Q is [2, 2, 2], the model needs [1, 2, 2]"),
        "{error}"
    );
}

#[test]
fn layers_of_a_stack_must_follow_one_another() {
    let targets = [target("blocks.1.attn.q", &[2, 2])];
    let error = CUSTOM.hub_tensors(&targets, "").unwrap_err();
    assert!(
        error.message().contains("cannot be row 0 of `Q`"),
        "{error}"
    );
}

proptest! {
    #[test]
    fn way_back_is_the_inverse(n_layers in 1usize..20, with_head: bool, bare: bool, stacked: bool) {
        let table = if stacked { CUSTOM } else { GPT2 };
        let prefix = if stacked || bare { "" } else { "transformer." };
        let block = if stacked { "attn.q" } else { "norm1.gain" };
        let mut targets = vec![target("embed.tokens", &[9, 4])];
        targets.extend((0..n_layers).map(|i| target(&format!("blocks.{i}.{block}"), &[4])));
        if with_head && !stacked {
            targets.push(target("head", &[9, 4]));
        }
        let hub = table.hub_tensors(&targets, prefix).unwrap();
        let sources: Vec<Owned> = hub.iter().map(|t| tensor(&t.name, &t.shape, 0)).collect();
        let plan = plan(&table, &sources, &targets).unwrap();
        prop_assert_eq!(plan.prefix, prefix);
        prop_assert_eq!(plan.fills.len(), targets.len());
        for (fill, target) in plan.fills.iter().zip(&targets) {
            prop_assert_eq!(&fill.target, &target.name);
            let tensor = hub.iter().find(|tensor| tensor.name == fill.source).unwrap();
            prop_assert_eq!(&tensor.parts[fill.row.unwrap_or(0)], &target.name);
        }
    }

    #[test]
    fn no_renamed_tensor_goes_unnoticed(which in 0usize..3, name in "[a-z.]{1,12}") {
        let mut sources = gpt2_sources("transformer.");
        sources[which].0 = name.clone();
        let error = plan(&GPT2, &sources, &gpt2_targets()).unwrap_err();
        prop_assert!(error.message().contains("missing") && error.message().contains(&name));
    }
}
