use super::*;

static TURNED: Table = Table {
    rules: &[&[
        Rule::new(&["w"], &["matrix"], Layout::Transposed),
        Rule::new(&["qkv"], &["packed"], Layout::HeadsFirst),
        Rule::new(&["qkv_bias"], &["packed_bias"], Layout::HeadsFirst),
    ]],
    prefixes: &[""],
    drops: &[],
};

fn mapping() -> Mapping {
    let counts = Counts {
        heads: 4,
        kv_heads: 4,
        padded_vocab: None,
    };
    Mapping {
        table: &TURNED,
        counts,
    }
}

fn target(name: &str, shape: &[usize]) -> Target {
    Target {
        name: name.to_owned(),
        shape: shape.to_vec(),
    }
}

/// The place of every element of ours in the hub's tensor.
fn places(targets: &[Target], name: &str) -> (Vec<usize>, Vec<usize>) {
    let hub = mapping().hub_tensors(targets, "").unwrap();
    let tensor = hub.iter().find(|tensor| tensor.name == name).expect(name);
    let [(_, piece)] = tensor.parts.as_slice() else {
        panic!("one parameter")
    };
    let ours: Vec<usize> = piece.blocks().map(|(_, ours)| ours).collect();
    assert_eq!(ours, (0..piece.n()).collect::<Vec<_>>());
    let places = piece.blocks().map(|(hub, _)| hub).collect();
    (tensor.shape.clone(), places)
}

#[test]
fn a_transposed_matrix_has_its_rows_as_columns() {
    let (shape, places) = places(&[target("matrix", &[2, 3])], "w");
    assert_eq!(shape, [3, 2]);
    assert_eq!(places, [0, 2, 4, 1, 3, 5]);
    let error = mapping().hub_tensors(&[target("matrix", &[6])], "");
    assert!(error.unwrap_err().message().contains("`w` is no matrix"));
}

/// Four heads of one element: queries 0 to 3, keys 4 to 7, values 8 to 11.
#[test]
fn a_packed_projection_has_its_heads_in_front() {
    let (shape, bias) = places(&[target("packed_bias", &[12])], "qkv_bias");
    assert_eq!(shape, [12]);
    assert_eq!(bias, [0, 3, 6, 9, 1, 4, 7, 10, 2, 5, 8, 11]);
    let (shape, matrix) = places(&[target("packed", &[2, 12])], "qkv");
    assert_eq!(shape, [12, 2]);
    let second_row = bias.iter().map(|at| 2 * at + 1);
    let expected: Vec<usize> = bias.iter().map(|at| 2 * at).chain(second_row).collect();
    assert_eq!(matrix, expected);
}

/// Of heads of two elements, neighbours stay neighbours.
#[test]
fn wide_heads_stay_in_one_piece() {
    let (_, places) = places(&[target("packed_bias", &[24])], "qkv_bias");
    assert_eq!(places[..4], [0, 1, 6, 7]);
    assert_eq!(places[8..10], [2, 3]);
    let error = mapping().hub_tensors(&[target("packed_bias", &[18])], "");
    let message = error.unwrap_err().message().to_owned();
    assert!(message.contains("of 4 heads in [18]"), "{message}");
}
