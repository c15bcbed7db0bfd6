//! Checkpoints whose pickle lies about its tensors, or holds something else.

use super::asm::{
    Asm, FOUR, View, archive, dict_of, four, open, open_pickle, proto2, refusals,
    refused_as_checkpoint, refused_file,
};

/// A dictionary of one tensor.
fn with(view: View<'_>) -> Vec<u8> {
    dict_of(|asm| asm.tensor(&view))
}

/// A dictionary of one tensor that `function` gives for what is added.
fn rebuilt(function: &str, arguments: impl FnOnce(Asm) -> Asm) -> Vec<u8> {
    dict_of(|asm| {
        let asm = asm.global("torch._utils", function).raw(b"(");
        asm.then(arguments).raw(b"tR")
    })
}

/// The first four arguments of a tensor, for four floats.
fn four_arguments(asm: Asm) -> Asm {
    asm.storage("FloatStorage", "0", 4)
        .int(0)
        .ints(&[4])
        .ints(&[1])
}

/// A parameter of four floats with one attribute.
fn parameter(attribute: impl FnOnce(Asm) -> Asm) -> Vec<u8> {
    rebuilt("_rebuild_parameter_with_state", |asm| {
        let asm = asm.tensor(&FOUR).raw(b"\x88").ordered_dict();
        asm.raw(b"}").text("x").then(attribute).raw(b"s")
    })
}

/// A dictionary with more beside one tensor.
fn beside(key: &str, value: impl FnOnce(Asm) -> Asm) -> Vec<u8> {
    let asm = proto2().raw(b"}(").text("w").tensor(&FOUR);
    asm.text(key).then(value).raw(b"u").stop()
}

const BIG: i64 = i64::MAX;

refusals! {
    refused_as_checkpoint;
    shape_beyond_the_storage: with(View { shape: &[5], ..FOUR }) => "leaves its storage of 4";
    offset_beyond_the_storage: with(View { offset: 1, ..FOUR }) => "leaves its storage of 4";
    offset_of_nothing_beyond_the_storage:
        with(View { offset: 5, shape: &[0], ..FOUR }) => "leaves its storage of 4";
    offset_that_overflows: with(View { offset: BIG, ..FOUR }) => "leaves its storage";
    offset_that_is_negative: with(View { offset: -1, ..FOUR }) => "offset is no whole number";
    strides_beyond_the_storage: with(View { strides: &[2], ..FOUR }) => "leaves its storage of 4";
    strides_that_overflow: with(View { strides: &[BIG], ..FOUR }) => "leaves its storage";
    strides_that_are_negative: with(View { strides: &[-1], ..FOUR }) => "strides is no whole";
    strides_of_another_rank: with(View { strides: &[2, 1], ..FOUR }) => "has the strides [2, 1]";
    shape_that_is_negative: with(View { shape: &[-4], ..FOUR }) => "shape is no whole number";
    shape_that_overflows:
        with(View { shape: &[BIG, BIG], strides: &[0, 0], ..FOUR }) => "`TENSOR_ELEMENTS_MAX`";
    shape_that_overflows_beside_zero:
        with(View { shape: &[0, BIG, BIG], strides: &[0, 0, 0], ..FOUR })
        => "`TENSOR_ELEMENTS_MAX`";
    shape_of_nine_dimensions:
        with(View { shape: &[1; 9], strides: &[1; 9], ..FOUR }) => "`TENSOR_RANK_MAX`, 8";
    shape_that_repeats_a_few_bytes:
        with(View { shape: &[1 << 20, 4], strides: &[0, 1], ..FOUR }) => "more than 4 times the";
    storage_longer_than_its_entry:
        with(View { n: 5, ..FOUR }) => "the storage `0` has 16 bytes, the pickle says 20";
    storage_shorter_than_its_entry:
        with(View { n: 3, shape: &[3], ..FOUR }) => "has 16 bytes, the pickle says 12";
    storage_of_negative_length: with(View { n: -4, ..FOUR }) => "elements is no whole number";
    storage_of_more_than_all_memory:
        with(View { n: BIG, ..FOUR }) => "larger than any file";
    storage_that_is_not_there: with(View { key: "1", ..FOUR }) => "no storage `m/data/1`";
    storage_outside_the_archive:
        with(View { key: "../../x", ..FOUR }) => "no storage `m/data/../../x`";
    storage_of_complex_numbers:
        with(View { class: "ComplexFloatStorage", ..FOUR }) => "`torch.ComplexFloatStorage`";
    storage_described_twice:
        proto2().raw(b"}(").text("w").tensor(&FOUR).text("v")
            .tensor(&View { class: "IntStorage", ..FOUR }).raw(b"u").stop()
        => "the storage `0` in two ways";
    storage_of_another_kind:
        dict_of(|asm| asm.raw(b"(").text("module").global("torch", "FloatStorage").text("0")
            .text("cpu").int(4).raw(b"tQ"))
        => "an object that is no storage";
    storage_of_an_unknown_class:
        dict_of(|asm| asm.raw(b"(").text("storage").global("torch", "Size").text("0")
            .text("cpu").int(4).raw(b"tQ"))
        => "a storage of an unknown class";
    storage_named_by_a_text: dict_of(|asm| asm.text("0").raw(b"Q")) => "an object outside of it";
    storage_called: dict_of(|asm| asm.global("torch", "FloatStorage").raw(b")R"))
        => "calls the class of storages of F32";
    type_called: dict_of(|asm| asm.global("torch", "float32").raw(b")R")) => "calls the type F32";
    size_of_a_number: dict_of(|asm| asm.global("torch", "Size").int(4).raw(b"\x85R"))
        => "`torch.Size` of what is no tuple";
    tensor_of_no_storage:
        rebuilt("_rebuild_tensor_v2", |asm| {
            asm.text("0").int(0).ints(&[4]).ints(&[1]).raw(b"\x89").ordered_dict()
        })
        => "a tensor of what is no storage";
    tensor_of_too_few_arguments:
        rebuilt("_rebuild_tensor_v2", |asm| asm.int(0)) => "1 unexpected arguments";
    tensor_of_too_many_arguments:
        rebuilt("_rebuild_tensor_v2", |asm| {
            four_arguments(asm).raw(b"\x89").ordered_dict().raw(b"NN")
        })
        => "8 unexpected arguments";
    tensor_with_hooks:
        rebuilt("_rebuild_tensor_v2", |asm| {
            four_arguments(asm).raw(b"\x89").ordered_dict().text("h").raw(b"Ns")
        })
        => "gives a tensor hooks";
    tensor_that_is_conjugate:
        rebuilt("_rebuild_tensor_v2", |asm| {
            four_arguments(asm).raw(b"\x89").ordered_dict().raw(b"}").text("neg").raw(b"\x88s")
        })
        => "metadata, which changes its values";
    tensor_of_another_type_than_its_storage:
        rebuilt("_rebuild_tensor_v3", |asm| {
            four_arguments(asm).raw(b"\x89").ordered_dict().global("torch", "int32")
        })
        => "gives a typed storage another type";
    tensor_of_bytes_without_a_type:
        rebuilt("_rebuild_tensor_v2", |asm| {
            let id = asm.raw(b"(").text("storage").global("torch.storage", "UntypedStorage");
            let id = id.text("0").text("cpu").int(16).raw(b"tQ");
            id.int(0).ints(&[4]).ints(&[1]).raw(b"\x89").ordered_dict()
        })
        => "a storage without a type";
    tensor_built_like_an_object:
        dict_of(|asm| asm.tensor(&FOUR).raw(b"}").text("__setstate__").raw(b"Nsb"))
        => "attributes of what has none";
    tensor_function_built_like_an_object:
        dict_of(|asm| asm.global("torch._utils", "_rebuild_tensor_v2").raw(b"}").text("__code__")
            .raw(b"Nsb"))
        => "attributes of what has none";
    tensor_function_created:
        dict_of(|asm| asm.global("torch._utils", "_rebuild_tensor_v2").raw(b")\x81"))
        => "creates an object of a class";
    parameter_of_no_tensor:
        rebuilt("_rebuild_parameter", |asm| asm.raw(b"N\x88").ordered_dict())
        => "a parameter of what is no tensor";
    parameter_with_other_data: parameter(|asm| asm.tensor(&FOUR))
        => "the attribute `x` of a parameter";
    parameter_with_a_class: parameter(|asm| asm.global("torch", "Size"))
        => "the attribute `x` of a parameter";
    name_that_is_a_number: proto2().raw(b"}").int(1).tensor(&FOUR).raw(b"s").stop()
        => "the name of a tensor is a number";
    name_that_is_there_twice: beside("w", |asm| asm.tensor(&FOUR)) => "the key `w` is there twice";
    list_among_tensors: beside("l", |asm| asm.raw(b"]")) => "`l` among the tensors is a list";
    optimizer_among_tensors: beside("o", |asm| asm.raw(b"}").text("v").tensor(&FOUR).raw(b"s"))
        => "`o` among the tensors is a dictionary";
    list_of_tensors: proto2().raw(b"]").tensor(&FOUR).raw(b"a").stop()
        => "the file holds a list, expected a dictionary of tensors";
    tensor_alone: proto2().tensor(&FOUR).stop() => "the file holds a tensor";
    nothing_by_name: proto2().raw(b"}(").text("net").raw(b"}").text("step").int(3).raw(b"u").stop()
        => "no tensors by name; its keys are `net`, `step`";
    nothing_at_all: proto2().raw(b"}").stop() => "its keys are none";
    tensors_under_an_unknown_key:
        dict_of(|asm| asm.raw(b"}").text("v").tensor(&FOUR).raw(b"s")) => "its keys are `w`";
    tensors_under_two_keys:
        proto2().raw(b"}(").text("model").raw(b"}").text("w").tensor(&FOUR).raw(b"s")
            .text("state_dict").raw(b"}").text("w").tensor(&FOUR).raw(b"su").stop()
        => "tensors under `model` and under `state_dict`";
}

refusals! {
    refused_file;
    byte_order_that_was_changed:
        replaced(&archive(&with(FOUR), &[("0", &four())]), b"little", b"bigbig")
        => "checksum of `m/byteorder`";
}

fn replaced(file: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let at = file
        .windows(old.len())
        .position(|part| part == old)
        .unwrap();
    [&file[..at], new, &file[at + old.len()..]].concat()
}

#[test]
fn tensors_that_say_the_truth_are_read() {
    let checkpoint = open_pickle(&with(FOUR)).unwrap();
    let tensor = checkpoint.tensor("w").unwrap();
    assert_eq!(tensor.to_f32().unwrap(), [0.0, 1.0, 2.0, 3.0]);
    let turned = View {
        shape: &[2, 2],
        strides: &[1, 2],
        ..FOUR
    };
    let checkpoint = open_pickle(&with(turned)).unwrap();
    let tensor = checkpoint.tensor("w").unwrap();
    assert_eq!(tensor.to_f32().unwrap(), [0.0, 2.0, 1.0, 3.0]);
    assert_eq!(*checkpoint.keep(&tensor), *tensor.bytes);
    let checkpoint = open_pickle(&parameter(|asm| asm.raw(b"\x88"))).unwrap();
    assert_eq!(checkpoint.tensor("w").unwrap().shape, [4]);
    let checkpoint = open_pickle(&beside("version", |asm| asm.int(3))).unwrap();
    assert_eq!(checkpoint.skipped().collect::<Vec<_>>(), ["version"]);
    let old = rebuilt("_rebuild_tensor", four_arguments);
    assert!(open_pickle(&old).is_ok());
}

#[test]
fn a_byte_order_that_is_not_little() {
    let files: [(&str, &[u8]); 3] = [
        ("m/data.pkl", &with(FOUR)),
        ("m/byteorder", b"big"),
        ("m/data/0", &four()),
    ];
    let error = open(&super::asm::zip(&files)).unwrap_err();
    assert!(
        error.message().contains("the byte order is `big`"),
        "{error}"
    );
}
