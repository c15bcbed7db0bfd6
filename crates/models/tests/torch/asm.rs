//! A small assembler of pickles, and zip archives as PyTorch writes them.

use std::path::{Path, PathBuf};

use tenon_base::files::RealDisk;
use tenon_base::{Error, Kind};
use tenon_models::checkpoint::{Checkpoint, read_plain};

/// A pickle that is being written; each method adds an opcode or a few.
#[derive(Clone, Default)]
pub(crate) struct Asm(pub(crate) Vec<u8>);

/// A pickle of protocol 2 without content.
pub(crate) fn proto2() -> Asm {
    Asm::default().raw(b"\x80\x02")
}

/// A pickle of protocol 4 without content.
pub(crate) fn proto4() -> Asm {
    Asm::default().raw(b"\x80\x04")
}

impl Asm {
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Asm {
        self.0.extend_from_slice(bytes);
        self
    }

    pub(crate) fn then(self, add: impl FnOnce(Asm) -> Asm) -> Asm {
        add(self)
    }

    /// GLOBAL.
    pub(crate) fn global(self, module: &str, name: &str) -> Asm {
        self.raw(format!("c{module}\n{name}\n").as_bytes())
    }

    /// BINUNICODE.
    pub(crate) fn text(self, text: &str) -> Asm {
        let n = u32::try_from(text.len()).unwrap();
        self.raw(b"X").raw(&n.to_le_bytes()).raw(text.as_bytes())
    }

    /// BININT where it fits, else LONG1.
    pub(crate) fn int(self, n: i64) -> Asm {
        match i32::try_from(n) {
            Ok(n) => self.raw(b"J").raw(&n.to_le_bytes()),
            Err(_) => self.raw(b"\x8a\x08").raw(&n.to_le_bytes()),
        }
    }

    /// A tuple of integers.
    pub(crate) fn ints(self, numbers: &[i64]) -> Asm {
        let asm = numbers.iter().fold(self.raw(b"("), |asm, &n| asm.int(n));
        asm.raw(b"t")
    }

    /// An empty `OrderedDict`.
    pub(crate) fn ordered_dict(self) -> Asm {
        self.global("collections", "OrderedDict").raw(b")R")
    }

    /// BINPERSID of a storage.
    pub(crate) fn storage(self, class: &str, key: &str, n: i64) -> Asm {
        let asm = self.raw(b"(").text("storage").global("torch", class);
        asm.text(key).text("cpu").int(n).raw(b"tQ")
    }

    /// A tensor of a storage of floats.
    pub(crate) fn tensor(self, view: &View<'_>) -> Asm {
        let asm = self.global("torch._utils", "_rebuild_tensor_v2").raw(b"(");
        let asm = asm.storage(view.class, view.key, view.n).int(view.offset);
        let asm = asm.ints(view.shape).ints(view.strides);
        asm.raw(b"\x89").ordered_dict().raw(b"tR")
    }

    /// STOP.
    pub(crate) fn stop(self) -> Vec<u8> {
        self.raw(b".").0
    }
}

/// A tensor to write.
#[derive(Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) class: &'a str,
    pub(crate) key: &'a str,
    pub(crate) n: i64,
    pub(crate) offset: i64,
    pub(crate) shape: &'a [i64],
    pub(crate) strides: &'a [i64],
}

/// Four floats in the storage `0`, one after the other.
pub(crate) const FOUR: View<'static> = View {
    class: "FloatStorage",
    key: "0",
    n: 4,
    offset: 0,
    shape: &[4],
    strides: &[1],
};

/// The bytes of four floats: 0, 1, 2, 3.
pub(crate) fn four() -> Vec<u8> {
    (0..4u8).flat_map(|i| f32::from(i).to_le_bytes()).collect()
}

/// A pickle of a dictionary of one tensor, `w`.
pub(crate) fn dict_of(add: impl FnOnce(Asm) -> Asm) -> Vec<u8> {
    proto2().raw(b"}").text("w").then(add).raw(b"s").stop()
}

/// A stored archive of `NAME/entry` files, each at a multiple of 64 bytes as PyTorch has them.
pub(crate) fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    let u16s = |fields: &[u16]| {
        fields
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    let u32s = |fields: &[u32]| {
        fields
            .iter()
            .flat_map(|n| n.to_le_bytes())
            .collect::<Vec<u8>>()
    };
    for (name, data) in entries {
        let at = u32::try_from(file.len()).unwrap();
        let n = u32::try_from(data.len()).unwrap();
        let crc = crc32fast::hash(data);
        let n_name = u16::try_from(name.len()).unwrap();
        let padding = 64 - (file.len() + 30 + name.len() + 4) % 64;
        let n_extra = u16::try_from(padding + 4).unwrap();
        let sizes = u32s(&[crc, n, n]);
        file.extend(b"PK\x03\x04");
        file.extend(u16s(&[20, 0, 0, 0, 0]));
        file.extend(&sizes);
        file.extend(u16s(&[n_name, n_extra]));
        file.extend(name.as_bytes());
        file.extend(u16s(&[0x4246, n_extra - 4]));
        file.resize(file.len() + padding, b'Z');
        file.extend(*data);
        directory.extend(b"PK\x01\x02");
        directory.extend(u16s(&[20, 20, 0, 0, 0, 0]));
        directory.extend(&sizes);
        directory.extend(u16s(&[n_name, 0, 0, 0, 0, 0, 0]));
        directory.extend(u32s(&[at]));
        directory.extend(name.as_bytes());
    }
    let n = u16::try_from(entries.len()).unwrap();
    let at = u32::try_from(file.len()).unwrap();
    let n_directory = u32::try_from(directory.len()).unwrap();
    file.extend(directory);
    file.extend(b"PK\x05\x06");
    file.extend(u16s(&[0, 0, n, n]));
    file.extend(u32s(&[n_directory, at]));
    file.extend(u16s(&[0]));
    file
}

/// An archive of PyTorch with this pickle and these storages.
pub(crate) fn archive(pickle: &[u8], storages: &[(&str, &[u8])]) -> Vec<u8> {
    let names: Vec<String> = storages
        .iter()
        .map(|(key, _)| format!("m/data/{key}"))
        .collect();
    let mut entries: Vec<(&str, &[u8])> = vec![("m/data.pkl", pickle), ("m/byteorder", b"little")];
    entries.extend(
        names
            .iter()
            .map(String::as_str)
            .zip(storages.iter().map(|(_, data)| *data)),
    );
    entries.push(("m/version", b"3\n"));
    zip(&entries)
}

/// What opening a file of these bytes gives.
pub(crate) fn open(file: &[u8]) -> Result<Checkpoint, Error> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.bin");
    std::fs::write(&path, file).unwrap();
    Checkpoint::open(&RealDisk, &path)
}

/// What opening an archive of the pickle, with the storage of [`four`], gives.
pub(crate) fn open_pickle(pickle: &[u8]) -> Result<Checkpoint, Error> {
    open(&archive(pickle, &[("0", &four())]))
}

pub(crate) fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torch/files")
}

#[track_caller]
fn is_about(error: &Error, message: &str) {
    assert_eq!(error.kind(), Kind::Data, "{error}");
    let said = error.message();
    assert!(said.contains(message), "`{said}` lacks `{message}`");
}

/// Refused as a checkpoint, with this message.
#[track_caller]
pub(crate) fn refused_as_checkpoint(pickle: &[u8], message: &str) {
    let error = open_pickle(pickle).expect_err("accepted as a checkpoint");
    is_about(&error, message);
    assert!(error.place().unwrap().ends_with("m.bin"), "{error}");
}

/// Refused as plain data and as a checkpoint, with this message.
#[track_caller]
pub(crate) fn refused(pickle: &[u8], message: &str) {
    is_about(
        &read_plain(pickle).expect_err("accepted as plain data"),
        message,
    );
    refused_as_checkpoint(pickle, message);
}

/// Refused as something that would run, with what to do.
#[track_caller]
pub(crate) fn dangerous(pickle: &[u8], message: &str) {
    refused(pickle, message);
    let error = open_pickle(pickle).expect_err("accepted");
    assert_eq!(
        error.hint_text(),
        Some("convert it to safetensors on a machine that trusts it"),
        "{error}"
    );
}

/// Refused as a file, with this message.
#[track_caller]
pub(crate) fn refused_file(file: &[u8], message: &str) {
    is_about(&open(file).expect_err("accepted"), message);
}

/// One test a line: its name, what it gets, what the refusal says, and who judges.
macro_rules! refusals {
    ($judge:path; $($name:ident: $input:expr => $message:expr;)+) => {
        $(
            #[test]
            fn $name() {
                let input = $input;
                $judge(input.as_ref(), $message);
            }
        )+
    };
}
pub(crate) use refusals;
