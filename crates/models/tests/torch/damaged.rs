//! Pickles that are no pickles.

use tenon_models::checkpoint::read_plain;

use super::asm::{Asm, proto2, proto4, refusals, refused};

refusals! {
    refused;
    nothing: Asm::default().0 => "damaged at byte 0";
    no_stop: proto2().raw(b"}").0 => "damaged at byte 3";
    stop_without_a_value: proto2().stop() => "too few values";
    stop_with_two_values: proto2().raw(b"NN").stop() => "1 values and marks are left over";
    stop_with_an_open_mark: proto2().raw(b"N(").stop() => "too few values";
    bytes_after_the_end: proto2().raw(b"}.}").0 => "1 bytes follow the pickle";
    second_pickle_after_the_end:
        proto2().raw(b"}.cos\nsystem\n)R.").0 => "bytes follow the pickle";
    unknown_opcode: proto2().raw(b"\xff").0 => "0xff is no opcode";
    protocol_of_the_future: Asm::default().raw(b"\x80\x06N").stop() => "protocol 6";
    protocol_twice: proto2().raw(b"\x80\x02N").stop() => "not at the start";
    protocol_late: Asm::default().raw(b"N0\x80\x02N").stop() => "not at the start";
    text_longer_than_the_pickle: proto2().raw(b"X\x10\0\0\0ab").stop() => "16 bytes should follow";
    text_without_length: proto2().raw(b"X\x10").0 => "4 bytes should follow";
    text_of_no_letters: proto2().raw(b"X\x01\0\0\0\xff").stop() => "not UTF-8";
    text_of_python_2_of_negative_length:
        proto2().raw(b"T\xff\xff\xff\xff").stop() => "length -1 is negative";
    text_without_quotes: Asm::default().raw(b"Sab\n").stop() => "has no quotes";
    text_with_half_a_character: Asm::default().raw(b"V\\ud800\n").stop() => "no character";
    text_with_short_escape: Asm::default().raw(b"V\\u00\n").stop() => "no character";
    line_without_end: Asm::default().raw(b"cos").0 => "a line has no end";
    line_beyond_ascii: Asm::default().raw(b"c\xc3\xa9\nx\n").stop() => "not ASCII";
    integer_of_negative_length: proto2().raw(b"\x8b\xff\xff\xff\xff").stop() => "is negative";
    integer_of_nine_bytes:
        proto2().raw(b"\x8a\x09").raw(&[1; 9]).stop() => "an integer of 9 bytes";
    integer_of_letters: Asm::default().raw(b"Iab\n").stop() => "`ab` is no number";
    integer_beyond_64_bits:
        Asm::default().raw(b"L99999999999999999999L\n").stop() => "is no number";
    float_of_letters: Asm::default().raw(b"Fx\n").stop() => "`x` is no number";
    frame_longer_than_the_pickle:
        proto4().raw(b"\x95\xff\0\0\0\0\0\0\0N").stop() => "255 bytes should follow";
    memo_key_that_is_not_there: proto2().raw(b"h\x05").stop() => "kept under 5";
    memo_key_of_four_bytes: proto2().raw(b"j\xff\xff\xff\xff").stop() => "kept under 4294967295";
    memo_key_of_letters: Asm::default().raw(b"gx\n").stop() => "`x` is no memo key";
    memo_key_that_is_negative: Asm::default().raw(b"Np-1\n").stop() => "`-1` is no memo key";
    memo_of_nothing: proto2().raw(b"q\0").stop() => "too few values";
    pop_of_nothing: proto2().raw(b"0").stop() => "too few values";
    pop_below_a_mark: proto2().raw(b"N(\x85t").stop() => "too few values";
    mark_that_is_not_there: proto2().raw(b"t").stop() => "there is no mark";
    key_without_value: proto2().raw(b"}(Nu").stop() => "the last key has no value";
    dictionary_of_one: Asm::default().raw(b"(Nd").stop() => "the last key has no value";
    append_to_a_tuple: proto2().raw(b")Na").stop() => "appends to what is no list";
    append_to_a_number: proto2().raw(b"K\x01Na").stop() => "appends to what is no list";
    item_of_a_list: proto2().raw(b"]NNs").stop() => "items of what is no dictionary";
    member_of_a_list: proto4().raw(b"](N\x90").stop() => "adds to what is no set";
    numpy_number_of_too_few_bytes:
        proto4().global("numpy.core.multiarray", "scalar").global("numpy", "dtype").text("f8")
            .raw(b"\x89\x88\x87RC\x01\x00\x86R").stop()
        => "a numpy number of 8 bytes has 1";
}

#[test]
fn a_key_that_is_there_twice() {
    let twice = |first: &[u8], second: &[u8]| {
        let asm = proto2().raw(b"}(").raw(first).raw(b"K\x01").raw(second);
        read_plain(&asm.raw(b"K\x02u").stop())
    };
    let (one, truth, float) = (b"K\x01", b"\x88", b"G\x3f\xf0\0\0\0\0\0\0");
    for (first, second) in [
        (&one[..], &one[..]),
        (one, truth),
        (truth, float),
        (b"N", b"N"),
        (b"U\x01a", b"X\x01\0\0\0a"),
    ] {
        let error = twice(first, second).unwrap_err();
        assert!(error.message().contains("is there twice"), "{error}");
    }
    assert!(twice(b"K\x01", b"U\x011").is_ok());
    let error = twice(b")", b"N").unwrap_err();
    assert!(
        error
            .message()
            .contains("a key of a dictionary is a list, tuple"),
        "{error}"
    );
}
