use proptest::prelude::*;
use safetensors::Dtype;

use super::*;

static GPT2: Table = Table {
    rules: &[&[
        Rule::same(&["{prefix}wte.weight"], &["embed.tokens"]),
        Rule::same(
            &[
                "{prefix}h.{layer}.ln_1.weight",
                "{prefix}h.{layer}.ln_1.gamma",
            ],
            &["blocks.{layer}.norm1.gain"],
        ),
        Rule::same(&["lm_head.weight"], &["head"]),
    ]],
    prefixes: &["transformer.", ""],
    drops: &[
        Drop::always("{prefix}h.{layer}.attn.bias"),
        Drop::same_as("lm_head.weight", "{prefix}wte.weight"),
    ],
};

static CUSTOM: Table = Table {
    rules: &[&[
        Rule::same(&["vocab_embedding"], &["embed.tokens"]),
        Rule::new(&["Q"], &["blocks.{layer}.attn.q"], Layout::Stacked),
    ]],
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

fn mapping(table: &'static Table) -> Mapping {
    let counts = Counts {
        heads: 4,
        kv_heads: 2,
        padded_vocab: Some(8),
    };
    Mapping { table, counts }
}

fn plan(table: &'static Table, sources: &[Owned], targets: &[Target]) -> Result<Plan> {
    let views: Vec<TensorView<'_>> = sources
        .iter()
        .map(|(name, shape, bytes)| TensorView {
            name,
            dtype: Dtype::U8,
            shape,
            bytes,
        })
        .collect();
    mapping(table).plan(&views, targets)
}

fn target(name: &str, shape: &[usize]) -> Target {
    Target {
        name: name.to_owned(),
        shape: shape.to_vec(),
    }
}

/// The bytes of a parameter of `n` elements.
fn filled(fill: &Fill, sources: &[Owned], n: usize) -> Vec<u8> {
    let mut bytes = vec![0xee; n];
    for (name, piece) in &fill.pieces {
        let source = sources.iter().find(|(other, ..)| other == name).unwrap();
        piece.fill(&source.2, &mut bytes, 1);
    }
    bytes
}

/// Query, key and value in one tensor by key-value head, experts apart, a padded head.
static FUSED: Table = Table {
    rules: &[&[
        Rule::new(
            &["qkv"],
            &["attn.q", "attn.k", "attn.v"],
            Layout::Grouped(By::KvHead),
        ),
        Rule::new(
            &["gate_up"],
            &["experts.gate", "experts.up"],
            Layout::Grouped(By::Expert),
        ),
        Rule::new(&["down.{expert}"], &["experts.down"], Layout::Members),
        Rule::same(&["head"], &["head"]).padded(Pad::Least),
    ]],
    prefixes: &[""],
    drops: &[],
};

fn fused_targets() -> Vec<Target> {
    vec![
        target("attn.q", &[8, 1]),
        target("attn.k", &[4, 1]),
        target("attn.v", &[4, 1]),
        target("experts.gate", &[2, 1, 2]),
        target("experts.up", &[2, 1, 2]),
        target("experts.down", &[2, 2, 1]),
        target("head", &[7]),
    ]
}

fn counting(name: &str, shape: &[usize]) -> Owned {
    let n: usize = shape.iter().product();
    (name.to_owned(), shape.to_vec(), (0..n as u8).collect())
}

/// By hand: 4 query heads of 2 rows and 2 key-value heads. A group is 2 query heads, a key and a
/// value: rows 0–3 q, 4–5 k, 6–7 v, 8–11 q, 12–13 k, 14–15 v.
#[test]
fn groups_and_members_are_taken_apart() {
    let sources = [
        counting("qkv", &[16, 1]),
        counting("gate_up", &[2, 2, 2]),
        counting("down.0", &[2, 1]),
        counting("down.1", &[2, 1]),
        counting("head", &[8]),
    ];
    let targets = fused_targets();
    let fills = plan(&FUSED, &sources, &targets).unwrap().fills;
    let bytes = |i: usize| filled(&fills[i], &sources, targets[i].shape.iter().product());
    assert_eq!(bytes(0), [0, 1, 2, 3, 8, 9, 10, 11]);
    assert_eq!(bytes(1), [4, 5, 12, 13]);
    assert_eq!(bytes(2), [6, 7, 14, 15]);
    assert_eq!(bytes(3), [0, 1, 4, 5]);
    assert_eq!(bytes(4), [2, 3, 6, 7]);
    assert_eq!(bytes(5), [0, 1, 0, 1]);
    assert_eq!(bytes(6), [0, 1, 2, 3, 4, 5, 6]);
}

#[test]
fn what_was_taken_apart_is_put_together_again() {
    let targets = fused_targets();
    let tensors = mapping(&FUSED).hub_tensors(&targets, "").unwrap();
    let names: Vec<&str> = tensors.iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names, ["qkv", "gate_up", "down.0", "down.1", "head"]);
    let sources: Vec<Owned> = tensors
        .iter()
        .map(|tensor| counting(&tensor.name, &tensor.shape))
        .collect();
    let fills = plan(&FUSED, &sources, &targets).unwrap().fills;
    for (tensor, (name, _, bytes)) in tensors.iter().zip(&sources) {
        let mut back = vec![0xee; bytes.len()];
        for &(i, piece) in &tensor.parts {
            let n = targets[i].shape.iter().product();
            piece.spread(&filled(&fills[i], &sources, n), &mut back, 1);
        }
        let kept = if name == "head" { 7 } else { bytes.len() };
        assert_eq!(back[..kept], bytes[..kept], "{name}");
        assert!(back[kept..].iter().all(|&byte| byte == 0xee), "{name}");
    }
}

#[test]
fn group_without_one_of_its_parts_is_an_error() {
    let targets = [target("attn.q", &[8, 1]), target("attn.v", &[4, 1])];
    let error = mapping(&FUSED).hub_tensors(&targets, "").unwrap_err();
    assert!(error.message().contains("`qkv` needs all of"), "{error}");
    let uneven = [
        target("attn.q", &[8, 1]),
        target("attn.k", &[3, 1]),
        target("attn.v", &[3, 1]),
    ];
    let error = mapping(&FUSED).hub_tensors(&uneven, "").unwrap_err();
    assert!(error.message().contains("in 2 groups"), "{error}");
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
            .map(|f| (f.pieces[0].0.as_str(), f.target.as_str()))
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
    sources.extend((0..misfit::LISTED_MAX + 3).map(|i| tensor(&format!("extra.{i}"), &[1], 0)));
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
    assert_eq!(plan.fills[2].target, "blocks.1.attn.q");
    assert_eq!(filled(&plan.fills[2], &sources, d * d), [4, 5, 6, 7]);
    let back = mapping(&CUSTOM).hub_tensors(&targets, "").unwrap();
    assert_eq!(back[1].name, "Q");
    assert_eq!(back[1].shape, [n_layers, d, d]);
    let parts: Vec<usize> = back[1].parts.iter().map(|&(i, _)| i).collect();
    assert_eq!(parts, [1, 2, 3]);
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
    assert_eq!(fills[1].pieces, [("Q".to_owned(), Piece::whole(4, 0, 0))]);
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
    let error = mapping(&CUSTOM).hub_tensors(&targets, "").unwrap_err();
    assert!(
        error.message().contains("cannot be row 0 of `Q`"),
        "{error}"
    );
}

proptest! {
    #[test]
    fn way_back_is_the_inverse(n_layers in 1usize..20, with_head: bool, bare: bool, stacked: bool) {
        let table = if stacked { &CUSTOM } else { &GPT2 };
        let prefix = if stacked || bare { "" } else { "transformer." };
        let block = if stacked { "attn.q" } else { "norm1.gain" };
        let mut targets = vec![target("embed.tokens", &[9, 4])];
        targets.extend((0..n_layers).map(|i| target(&format!("blocks.{i}.{block}"), &[4])));
        if with_head && !stacked {
            targets.push(target("head", &[9, 4]));
        }
        let hub = mapping(table).hub_tensors(&targets, prefix).unwrap();
        let sources: Vec<Owned> = hub.iter().map(|t| tensor(&t.name, &t.shape, 0)).collect();
        let plan = plan(table, &sources, &targets).unwrap();
        prop_assert_eq!(plan.prefix, prefix);
        prop_assert_eq!(plan.fills.len(), targets.len());
        for (fill, target) in plan.fills.iter().zip(&targets) {
            prop_assert_eq!(&fill.target, &target.name);
            let [(source, piece)] = fill.pieces.as_slice() else { panic!("one piece") };
            let tensor = hub.iter().find(|tensor| tensor.name == *source).unwrap();
            let held = |held: &&(usize, Piece)| {
                targets[held.0].name == target.name && held.1 == *piece
            };
            prop_assert!(tensor.parts.iter().find(held).is_some());
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
