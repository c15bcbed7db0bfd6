//! Pickles that ask for memory or time without end.

use tenon_models::checkpoint::{PlainValue, read_plain};

use super::asm::{
    Asm, FOUR, open_pickle, proto2, proto4, refusals, refused, refused_as_checkpoint,
};

/// Lists in lists.
fn nested(depth: usize) -> Vec<u8> {
    proto2()
        .raw(&b"]".repeat(depth))
        .raw(&b"a".repeat(depth - 1))
        .stop()
}

/// A list of twice the list before, as often as said.
fn doubled(times: usize) -> Vec<u8> {
    let twice = b"q\x000]h\x00ah\x00a";
    proto2().raw(b"]").raw(&twice.repeat(times)).stop()
}

/// A checkpoint that has 100,000 attributes of one parameter looked at, as often as said, and then
/// does what `tail` does. Eighty times leave 188,000 of the values that a pickle may make.
fn worked(times: usize, tail: &[u8]) -> Vec<u8> {
    let state = b"U\x01aN".repeat(100_000);
    let asm = proto2().tensor(&FOUR).raw(b"q\x000}(").raw(&state);
    let asm = asm
        .raw(b"uq\x010")
        .global("torch._utils", "_rebuild_parameter_with_state");
    let asm = asm.raw(b"q\x020").ordered_dict().raw(b"q\x030");
    let asm = asm
        .raw(&b"h\x02(h\x00\x88h\x03h\x01tR0".repeat(times))
        .raw(tail);
    asm.raw(b"}").text("w").raw(b"h\x00s").stop()
}

/// A list of 1000 entries, made a set as often as said.
fn copied(times: usize) -> Vec<u8> {
    let list = b"N".repeat(1000);
    let asm = Asm::default().raw(b"](").raw(&list).raw(b"eq\x040");
    let set = asm.global("builtins", "set").raw(b"q\x050");
    set.raw(&b"h\x05h\x04\x85R0".repeat(times)).0
}

refusals! {
    refused;
    lists_in_lists: nested(101) => "`PICKLE_DEPTH_MAX`, 100";
    marks_in_marks: proto2().raw(&b"(".repeat(101)).stop() => "`PICKLE_DEPTH_MAX`, 100";
    text_of_huge_length: proto4().raw(b"\x8d\xff\xff\xff\xff\xff\xff\xff\xff").stop()
        => "`PICKLE_TEXT_MAX`";
    bytes_of_huge_length: proto4().raw(b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f").stop()
        => "`PICKLE_TEXT_MAX`";
    array_of_huge_length: proto4().raw(b"\x96\xff\xff\xff\xff\xff\xff\xff\x7f").stop()
        => "`PICKLE_TEXT_MAX`";
    integer_of_huge_length: proto4().raw(b"\x8b\xff\xff\xff\x7f").stop() => "`PICKLE_TEXT_MAX`";
    frame_of_huge_length: proto4().raw(b"\x95\xff\xff\xff\xff\xff\xff\xff\xff").stop()
        => "bytes should follow";
}

refusals! {
    refused_as_checkpoint;
    attributes_looked_at_without_end: worked(85, b"") => "`PICKLE_VALUES_MAX`";
    values_without_end: worked(80, &b"N0".repeat(190_000)) => "`PICKLE_VALUES_MAX`";
    memo_without_end: worked(80, &[b"N", &b"q\x09".repeat(190_000)[..], b"0"].concat())
        => "`PICKLE_VALUES_MAX`";
    sets_of_one_list: worked(80, &copied(190)) => "`PICKLE_VALUES_MAX`";
    shared_lists_without_end: doubled(60) => "the file holds a list";
    list_in_itself: proto2().raw(b"]q\x00h\x00a").stop() => "the file holds a list";
    dictionary_in_itself: proto2().raw(b"}q\x00K\x01h\x00s").stop() => "no tensors by name";
}

#[test]
fn shared_lists_and_cycles_are_no_plain_data() {
    let said = |pickle: &[u8]| read_plain(pickle).unwrap_err().message().to_owned();
    assert!(said(&doubled(60)).contains("repeats more than"));
    assert!(said(b"\x80\x02]q\x00h\x00a.").contains("refer to themselves"));
    assert!(said(b"\x80\x02}q\x00K\x01h\x00s.").contains("refer to themselves"));
}

#[test]
fn what_is_within_the_limits_is_read() {
    let mut depth = 0;
    let mut value = read_plain(&nested(100)).unwrap();
    while let PlainValue::List(mut items) = value {
        depth += 1;
        value = items.pop().unwrap_or(PlainValue::None);
    }
    assert_eq!(depth, 100);
    assert!(read_plain(&doubled(10)).is_ok());
    assert!(open_pickle(&worked(80, &copied(150))).is_ok());
}
