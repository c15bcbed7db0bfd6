use proptest::prelude::*;

use super::*;

fn file(header: &str, n_data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + n_data, 0);
    bytes
}

#[track_caller]
fn rejects_bytes(bytes: &[u8], message: &str) {
    let error = parse(bytes, "m.safetensors").expect_err("a lie was accepted");
    assert_eq!(error.kind(), tenon_base::Kind::Data);
    assert!(
        error.message().contains(message),
        "`{}` lacks `{message}`",
        error.message()
    );
    assert!(
        error.place().unwrap().starts_with("m.safetensors"),
        "{error}"
    );
}

#[track_caller]
fn rejects(header: &str, n_data: usize, message: &str) {
    rejects_bytes(&file(header, n_data), message);
}

const A8: &str = r#""a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}"#;

#[test]
fn honest_file_is_read() {
    let header = format!(r#"{{"__metadata__":{{"format":"pt"}},{A8}}}   "#);
    let bytes = file(&header, 8);
    let read = parse(&bytes, "m").unwrap();
    assert_eq!(read.metadata["format"], "pt");
    assert_eq!(read.entries.len(), 1);
    assert_eq!(read.entries[0].shape, [2]);
    assert_eq!(read.entries[0].range, bytes.len() - 8..bytes.len());
}

#[test]
fn scalars_and_empty_tensors_are_read() {
    let header = r#"{"s":{"dtype":"F64","shape":[],"data_offsets":[0,8]},
        "e":{"dtype":"F32","shape":[0,5],"data_offsets":[8,8]},
        "b":{"dtype":"I64","shape":[1],"data_offsets":[8,16]}}"#;
    let names: Vec<_> = parse(&file(header, 16), "m")
        .unwrap()
        .entries
        .into_iter()
        .map(|e| e.name)
        .collect();
    assert_eq!(names, ["s", "e", "b"]);
}

#[test]
fn file_shorter_than_the_header_length() {
    rejects_bytes(&[], "has 0 bytes");
    rejects_bytes(&[1; 7], "has 7 bytes");
}

#[test]
fn header_length_overflows() {
    let mut bytes = file("{}", 0);
    bytes[..8].copy_from_slice(&u64::MAX.to_le_bytes());
    rejects_bytes(&bytes, "claims 18446744073709551615 bytes");
}

#[test]
fn header_length_above_the_limit() {
    let mut bytes = file("{}", 0);
    bytes[..8].copy_from_slice(&(HEADER_BYTES_MAX + 1).to_le_bytes());
    rejects_bytes(&bytes, "the limit is 100000000");
}

#[test]
fn header_longer_than_the_file() {
    let mut bytes = file("{}", 0);
    bytes[..8].copy_from_slice(&3u64.to_le_bytes());
    rejects_bytes(&bytes, "claims 3 bytes, the file has 2 left");
}

#[test]
fn header_not_utf8() {
    let mut bytes = file(r#"{"a":0}"#, 0);
    bytes[10] = 0xff;
    rejects_bytes(&bytes, "not UTF-8 after byte 2");
}

#[test]
fn header_not_json() {
    rejects("{\"a\":", 0, "not valid JSON");
    rejects("{} x", 0, "not valid JSON");
    rejects(" {}", 0, "does not start with `{`");
    rejects("[1]", 0, "does not start with `{`");
    rejects("", 0, "does not start with `{`");
}

#[test]
fn key_twice() {
    rejects(&format!("{{{A8},{A8}}}"), 8, "key `a` appears twice");
    let inner = r#"{"a":{"dtype":"F32","dtype":"F64","shape":[1],"data_offsets":[0,8]}}"#;
    rejects(inner, 8, "key `dtype` appears twice");
}

#[test]
fn metadata_not_strings() {
    rejects(
        r#"{"__metadata__":{"n":1}}"#,
        0,
        "`__metadata__.n` is a number",
    );
    rejects(r#"{"__metadata__":[]}"#, 0, "`__metadata__` is a list");
}

#[test]
fn offsets_overlap() {
    let header = r#"{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},
        "b":{"dtype":"U8","shape":[8],"data_offsets":[4,12]}}"#;
    rejects(header, 12, "tensor `b` overlaps `a` at byte 4");
}

#[test]
fn two_tensors_on_the_same_bytes() {
    let header = r#"{"a":{"dtype":"U8","shape":[8],"data_offsets":[0,8]},
        "b":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}}"#;
    rejects(header, 8, "tensor `b` overlaps `a` at byte 0");
}

#[test]
fn hole_between_tensors() {
    let header = r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},
        "b":{"dtype":"U8","shape":[4],"data_offsets":[6,10]}}"#;
    rejects(
        header,
        10,
        "2 bytes before tensor `b` at byte 6 belong to no tensor",
    );
}

#[test]
fn hole_before_the_first_tensor() {
    rejects(
        r#"{"b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}}"#,
        7,
        "3 bytes before tensor `b`",
    );
}

#[test]
fn truncated_data() {
    rejects(
        &format!("{{{A8}}}"),
        7,
        "tensor `a` ends 1 bytes after the end of the file",
    );
}

#[test]
fn offset_far_out_of_the_file() {
    let eighth = usize::MAX / 8;
    let header =
        format!(r#"{{"a":{{"dtype":"U8","shape":[{eighth}],"data_offsets":[0,{eighth}]}}}}"#);
    rejects(&header, 0, "after the end of the file");
}

#[test]
fn offset_start_beyond_any_file() {
    let max = usize::MAX;
    let header = format!(r#"{{"a":{{"dtype":"U8","shape":[0],"data_offsets":[{max},{max}]}}}}"#);
    rejects(&header, 0, "ends beyond any file");
}

#[test]
fn trailing_bytes() {
    rejects(
        &format!("{{{A8}}}"),
        9,
        "1 trailing bytes belong to no tensor",
    );
    rejects("{}", 1, "1 trailing bytes");
}

#[test]
fn shape_times_dtype_overflows() {
    let half = 1u64 << 63;
    for shape in [
        format!("[{half},2]"),
        format!("[{half}]"),
        format!("[0,{half},{half}]"),
    ] {
        let header = format!(r#"{{"a":{{"dtype":"F64","shape":{shape},"data_offsets":[0,0]}}}}"#);
        let result = parse(&file(&header, 0), "m");
        if shape.starts_with("[0") {
            // The reference multiplies in the same order: zero first means no overflow.
            assert!(result.is_ok());
        } else {
            assert!(
                result
                    .unwrap_err()
                    .message()
                    .contains("no whole byte count")
            );
        }
    }
}

#[test]
fn shape_does_not_match_the_bytes() {
    let header = r#"{"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}}"#;
    rejects(
        header,
        8,
        "tensor `a` has 8 bytes, shape [3] of F32 takes 12",
    );
}

#[test]
fn shape_negative_or_fractional() {
    for shape in [
        "[-1]",
        "[1.5]",
        "[\"2\"]",
        "2",
        "null",
        "[18446744073709551616]",
    ] {
        let header = format!(r#"{{"a":{{"dtype":"U8","shape":{shape},"data_offsets":[0,1]}}}}"#);
        rejects(&header, 1, "expected non-negative integers");
    }
}

#[test]
fn offsets_malformed() {
    for (offsets, message) in [
        ("[0]", "has 1 data offsets"),
        ("[0,1,2]", "has 3 data offsets"),
        ("[1,0]", "ends at byte 0, before 1"),
        ("[-1,0]", "expected non-negative integers"),
    ] {
        let header = format!(r#"{{"a":{{"dtype":"U8","shape":[1],"data_offsets":{offsets}}}}}"#);
        rejects(&header, 1, message);
    }
}

#[test]
fn sub_byte_dtype_without_whole_bytes() {
    let header = r#"{"a":{"dtype":"F4","shape":[3],"data_offsets":[0,1]}}"#;
    rejects(header, 1, "no whole byte count");
}

#[test]
fn dtype_unknown() {
    for dtype in ["\"F33\"", "\"f32\"", "7", "null", "{}"] {
        let header = format!(r#"{{"a":{{"dtype":{dtype},"shape":[1],"data_offsets":[0,4]}}}}"#);
        rejects(
            &header,
            4,
            &format!("tensor `a` has the unknown dtype {dtype}"),
        );
    }
}

#[test]
fn entry_keys_missing_or_unknown() {
    rejects(
        r#"{"a":{"shape":[1],"data_offsets":[0,4]}}"#,
        4,
        "tensor `a` has no `dtype`",
    );
    rejects(
        r#"{"a":{"dtype":"F32","data_offsets":[0,4]}}"#,
        4,
        "tensor `a` has no `shape`",
    );
    rejects(
        r#"{"a":{"dtype":"F32","shape":[1]}}"#,
        4,
        "tensor `a` has no `data_offsets`",
    );
    let more = r#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":0}}"#;
    rejects(more, 4, "tensor `a` has the unknown key `x`");
    rejects(
        r#"{"a":3}"#,
        0,
        "tensor `a` is a number, expected an object",
    );
}

proptest! {
    #[test]
    fn any_bytes_give_a_header_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(parse(&bytes, "m").is_err() || SafeTensors::deserialize(&bytes).is_ok());
    }

    #[test]
    fn every_one_byte_change_is_survived(at in 0usize..200, value in any::<u8>()) {
        let two = format!(
            r#"{{{A8},"b":{{"dtype":"I64","shape":[2,1],"data_offsets":[8,24]}}}}"#
        );
        let mut bytes = file(&two, 24);
        let at = at % bytes.len();
        bytes[at] = value;
        if let Ok(header) = parse(&bytes, "m") {
            let covered: usize = header.entries.iter().map(|e| e.range.len()).sum();
            prop_assert!(covered <= bytes.len());
            prop_assert!(header.entries.iter().all(|e| e.range.end <= bytes.len()));
        }
    }

    #[test]
    fn every_cut_is_refused(keep in 0usize..100) {
        let bytes = file(&format!("{{{A8}}}"), 8);
        let keep = keep % bytes.len();
        prop_assert!(parse(&bytes[..keep], "m").is_err());
    }

    #[test]
    fn whatever_the_reference_writes_is_read(
        shapes in prop::collection::btree_map(
            "[a-z.]{1,8}", prop::collection::vec(0usize..4, 0..4), 0..6,
        ),
    ) {
        let data: Vec<Vec<u8>> = shapes.values()
            .map(|shape| vec![7; shape.iter().product::<usize>() * 4]).collect();
        let views: Vec<_> = shapes.iter().zip(&data).map(|((name, shape), data)| {
            let view = safetensors::tensor::TensorView::new(Dtype::F32, shape.clone(), data);
            (name.clone(), view.unwrap())
        }).collect();
        let bytes = safetensors::serialize(views, None).unwrap();
        let header = parse(&bytes, "m").unwrap();
        let read: BTreeMap<_, _> =
            header.entries.into_iter().map(|e| (e.name, e.shape)).collect();
        prop_assert_eq!(read, shapes);
    }
}
