//! Zip archives and older streams that contradict themselves, one test a lie.

use std::fs;

use super::asm::{FOUR, archive, dict_of, files, four, open, proto2, refusals, refused_file, zip};

const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const END64: &[u8] = b"PK\x06\x06";
const LOCATOR64: &[u8] = b"PK\x06\x07";
const DESCRIPTOR: &[u8] = b"PK\x07\x08";

/// A good archive of one tensor: the entries data.pkl, byteorder, data/0, version.
fn good() -> Vec<u8> {
    archive(&pickle(), &[("0", &four())])
}

fn pickle() -> Vec<u8> {
    dict_of(|asm| asm.tensor(&FOUR))
}

/// A file of PyTorch, which has zip64 records and sizes after the data.
fn theirs() -> Vec<u8> {
    fs::read(files().join("views.bin")).unwrap()
}

/// Where the `i`-th record of a kind starts.
fn record(file: &[u8], signature: &[u8], i: usize) -> usize {
    let starts = (0..file.len()).filter(|&at| file[at..].starts_with(signature));
    starts.clone().nth(i).expect("a record")
}

/// Bytes written over those at `offset` of a record.
fn over(mut file: Vec<u8>, signature: &[u8], i: usize, offset: usize, new: &[u8]) -> Vec<u8> {
    let at = record(&file, signature, i) + offset;
    file[at..at + new.len()].copy_from_slice(new);
    file
}

/// Both headers of the third entry, data/0, changed: offsets in the local and the central one.
fn both(local: usize, central: usize, new: &[u8]) -> Vec<u8> {
    let file = over(good(), LOCAL, 2, local, new);
    over(file, CENTRAL, 2, central, new)
}

/// Bytes put in before a position, without a change of what the records say.
fn inserted(file: &[u8], at: usize, new: &[u8]) -> Vec<u8> {
    [&file[..at], new, &file[at..]].concat()
}

fn cut(file: &[u8], n: usize) -> Vec<u8> {
    file[..file.len() - n].to_vec()
}

/// The older format, changed where `old` stands.
fn legacy(old: &[u8], new: &[u8]) -> Vec<u8> {
    let file = fs::read(files().join("legacy.bin")).unwrap();
    let at = file
        .windows(old.len())
        .position(|part| part == old)
        .unwrap();
    [&file[..at], new, &file[at + old.len()..]].concat()
}

/// The older format with one tensor: the entries of the list of keys, and what follows it.
fn old(keys: &[u8], storages: &[&[u8]]) -> Vec<u8> {
    let magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.";
    let system = proto2()
        .raw(b"}")
        .text("little_endian")
        .raw(b"\x88s")
        .stop();
    let keys = proto2().raw(b"](").raw(keys).raw(b"e").stop();
    let pickles = [&magic[..], b"\x80\x02M\xe9\x03.", &system, &pickle(), &keys].concat();
    [pickles, storages.concat()].concat()
}

/// The key of the tensor's storage.
const KEY: &[u8] = b"X\x01\0\0\x000";
/// Another key.
const OTHER: &[u8] = b"X\x01\0\0\x001";
/// The length that stands before the storage of four floats.
const LENGTH: &[u8] = &[4, 0, 0, 0, 0, 0, 0, 0];

refusals! {
    refused_file;
    entry_that_is_compressed: both(8, 10, &[8, 0]) => "`m/data/0` is compressed";
    entry_that_is_encrypted: both(6, 8, &[1, 0]) => "is encrypted or otherwise special";
    entry_with_patch_data: both(6, 8, &[32, 0]) => "otherwise special (flags 0x0020)";
    entry_that_overlaps_another:
        over(good(), CENTRAL, 2, 42, &[0, 0, 0, 0]) => "starts at byte 0, the one before it ends";
    entry_over_a_header:
        over(good(), CENTRAL, 2, 42, &[200, 0, 0, 0]) => "the one before it ends";
    entry_beyond_the_file:
        over(good(), CENTRAL, 2, 42, &[255, 255, 255, 0]) => "the one before it ends";
    entry_longer_than_the_file: {
        let sizes = [255, 255, 0, 0, 255, 255, 0, 0];
        both(18, 20, &sizes)
    } => "claims 65535 bytes, beyond the zip directory";
    entry_longer_than_its_data: both(18, 20, &[20, 0, 0, 0, 20, 0, 0, 0])
        => "the one before it ends";
    entry_shorter_than_its_data: both(18, 20, &[12, 0, 0, 0, 12, 0, 0, 0])
        => "the one before it ends";
    entry_stored_in_fewer_bytes: both(18, 20, &[8, 0, 0, 0]) => "has 16 bytes, but is stored in 8";
    entry_with_another_name_of_its_own: over(good(), LOCAL, 2, 30, b"M") => "the name of the entry";
    entry_with_another_size_of_its_own:
        over(good(), LOCAL, 2, 22, &[15]) => "the size or checksum of the entry";
    entry_with_another_checksum_of_its_own:
        over(good(), LOCAL, 2, 14, &[1, 2, 3, 4]) => "the size or checksum of the entry";
    entry_with_another_method_of_its_own:
        over(good(), LOCAL, 2, 8, &[8, 0]) => "the method of the entry";
    entry_without_a_header: over(good(), LOCAL, 2, 0, b"PK\x03\x05") => "there is no entry at byte";
    entry_on_another_disk: over(good(), CENTRAL, 2, 34, &[1, 0]) => "otherwise special";
    entry_there_twice:
        zip(&[("m/data.pkl", &pickle()), ("m/data.pkl", &pickle())]) => "is there twice";
    entry_whose_name_is_no_text: {
        let file = over(good(), LOCAL, 2, 30, b"\xff");
        over(file, CENTRAL, 2, 46, b"\xff")
    } => "name is no text";
    entries_in_two_folders:
        zip(&[("m/data.pkl", &pickle()), ("n/data/0", &four())]) => "not under one folder";
    entries_in_no_folder: zip(&[("data.pkl", &pickle())]) => "not under one folder";
    no_entries: zip(&[]) => "no archive of PyTorch";
    no_pickle: zip(&[("m/version", b"3\n")]) => "has no `data.pkl`";
    pickle_with_a_wrong_checksum: {
        let file = over(good(), LOCAL, 0, 14, &[1, 2, 3, 4]);
        over(file, CENTRAL, 0, 16, &[1, 2, 3, 4])
    } => "the checksum of `m/data.pkl` is wrong";
    pickle_with_bytes_after_it: archive(&[&pickle()[..], b"N."].concat(), &[("0", &four())])
        => "2 bytes follow the pickle";
    program: zip(&[("m/data.pkl", &pickle()), ("m/code/__torch__.py", b"")])
        => "a TorchScript archive";
    program_of_constants: zip(&[("m/data.pkl", &pickle()), ("m/constants.pkl", b"")])
        => "a TorchScript archive";
    bytes_before_the_first_entry: inserted(&good(), 0, b"PK\x03\x04") => "zip directory claims";
    bytes_between_entries: {
        let file = good();
        let at = record(&file, CENTRAL, 0);
        let file = inserted(&file, at, &[0; 3]);
        let end = record(&file, END, 0);
        let start = u32::try_from(at + 3).unwrap().to_le_bytes();
        [&file[..end + 16], &start[..], &file[end + 20..]].concat()
    } => "3 bytes before the zip directory belong to no entry";
    bytes_after_the_directory: [good(), vec![0]].concat() => "does not end with a zip directory";
    comment_after_the_directory: {
        let n = good().len();
        [&good()[..n - 2], &[1, 0, b'x']].concat()
    } => "does not end with a zip directory";
    comment_that_is_announced: over(good(), END, 0, 20, &[1, 0]) => "several disks or a comment";
    directory_on_two_disks: over(good(), END, 0, 4, &[1, 0]) => "several disks or a comment";
    directory_of_fewer_entries: over(good(), END, 0, 8, &[3, 0, 3, 0]) => "claims 3 entries";
    directory_of_more_entries: over(good(), END, 0, 8, &[5, 0, 5, 0]) => "claims 5 entries";
    directory_elsewhere: over(good(), END, 0, 16, &[0, 0, 0, 0]) => "from byte 0 on";
    directory_beyond_the_file:
        over(good(), END, 0, 16, &[255, 255, 255, 127]) => "directory claims";
    directory_of_zip64_without_its_records:
        over(good(), END, 0, 12, &[255, 255, 255, 255]) => "zip directory claims";
    directory_of_something_else: over(good(), CENTRAL, 0, 0, b"XX") => "something else than";
    directory_that_is_cut: cut(&good(), 1) => "does not end with a zip directory";
    file_of_a_signature: b"PK\x03\x04" => "ends inside a record";
    file_of_nothing: Vec::new() => "no archive of PyTorch";
    file_that_is_a_bare_pickle: pickle() => "no archive of PyTorch";
    file_that_is_a_tar: b"pickle\0\0\0" => "no archive of PyTorch";
    zip64_of_other_entries: over(theirs(), END64, 0, 24, &[1]) => "disagree";
    zip64_of_another_length: over(theirs(), END64, 0, 40, &[1]) => "disagree";
    zip64_of_another_place: over(theirs(), END64, 0, 48, &[1, 1]) => "disagree";
    zip64_of_another_record: over(theirs(), END64, 0, 4, &[45]) => "disagree with the file";
    zip64_found_elsewhere: over(theirs(), LOCATOR64, 0, 8, &[1]) => "disagree with the file";
    zip64_on_two_disks: over(theirs(), LOCATOR64, 0, 16, &[2]) => "disagree with the file";
    sizes_after_the_data_that_differ:
        over(theirs(), DESCRIPTOR, 0, 8, &[1]) => "sizes after the entry's data";
    checksum_after_the_data_that_differs:
        over(theirs(), DESCRIPTOR, 0, 4, &[1, 2, 3, 4]) => "sizes after the entry's data";
    legacy_of_another_protocol: legacy(b"M\xe9\x03.", b"M\xea\x03.") => "expected 1001";
    legacy_that_is_big_endian:
        legacy(b"little_endianq\x02\x88", b"little_endianq\x02\x89") => "little-endian";
    legacy_that_runs:
        legacy(b"ctorch._utils\n_rebuild_tensor_v2\n", b"cos\nsystem\n") => "needs `os.system`";
    legacy_that_is_cut: old(KEY, &[LENGTH, &four()[..15]])
        => "the storage `0` takes 16 bytes, the file has 15 left";
    legacy_that_is_cut_in_a_length: old(KEY, &[&LENGTH[..7]]) => "ends before the storage `0`";
    legacy_with_bytes_after_it: old(KEY, &[LENGTH, &four(), &[0]])
        => "1 trailing bytes belong to no storage";
    legacy_storage_of_another_length: old(KEY, &[&[3, 0, 0, 0, 0, 0, 0, 0], &four()])
        => "the storage `0` has 3 elements, the pickle says 4";
    legacy_storage_there_twice: old(&[KEY, KEY].concat(), &[LENGTH, &four()])
        => "the storage `0` is listed twice";
    legacy_storage_that_is_unknown: old(OTHER, &[LENGTH, &four()])
        => "the storage `1` is listed twice, or unknown";
    legacy_storage_that_is_not_there: old(b"", &[]) => "the storage `0` is not in the file";
    legacy_storage_without_a_name: old(b"N", &[]) => "the key of a storage is no text";
    legacy_of_a_signature: &old(KEY, &[])[..20] => "damaged";
}

#[test]
fn good_archives_are_read() {
    assert_eq!(open(&good()).unwrap().names().collect::<Vec<_>>(), ["w"]);
    assert_eq!(open(&theirs()).unwrap().names().len(), 8);
    assert!(open(&old(KEY, &[LENGTH, &four()])).is_ok());
}

#[test]
fn checksums_of_storages_are_not_read() {
    let mut file = good();
    let at = record(&file, LOCAL, 3) - 1;
    file[at] = 0x41;
    let checkpoint = open(&file).unwrap();
    assert_eq!(checkpoint.tensor("w").unwrap().to_f32().unwrap()[3], 12.0);
}
