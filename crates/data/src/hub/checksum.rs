//! The hash that an etag of the hub is.

use std::fmt::Write as _;

use sha1::{Digest, Sha1};
use tenon_base::hash;

use super::names::is_hex;

/// What an etag says of the content; large files have their SHA-256, small ones Git's hash.
#[derive(Clone, Debug)]
pub(super) enum Checksum {
    /// SHA-256 of the content.
    Sha256(hash::Hasher),
    /// SHA-1 of `blob LENGTH`, a zero byte, and the content.
    GitBlob(Sha1),
    /// Something that can only be compared.
    Unknown,
}

impl Checksum {
    /// The kind of hash that an etag is, with nothing hashed yet.
    pub(super) fn of(etag: &str) -> Checksum {
        match etag.len() {
            64 if is_hex(etag) => Checksum::Sha256(hash::Hasher::default()),
            40 if is_hex(etag) => Checksum::GitBlob(Sha1::new()),
            _ => Checksum::Unknown,
        }
    }

    /// Starts a content of so many bytes.
    pub(super) fn start(etag: &str, bytes: u64) -> Checksum {
        let mut checksum = Checksum::of(etag);
        if let Checksum::GitBlob(_) = checksum {
            checksum.update(format!("blob {bytes}\0").as_bytes());
        }
        checksum
    }

    /// Adds bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Checksum::Sha256(hasher) => hasher.update(bytes),
            Checksum::GitBlob(hasher) => hasher.update(bytes),
            Checksum::Unknown => {}
        }
    }

    /// The hash as an etag; `None` when there is none to compare.
    pub(super) fn finish(self) -> Option<String> {
        match self {
            Checksum::Sha256(hasher) => Some(hasher.finish()),
            Checksum::GitBlob(hasher) => {
                let mut hex = String::with_capacity(40);
                for byte in hasher.finalize() {
                    // Writing to a string cannot fail.
                    let _ = write!(hex, "{byte:02x}");
                }
                Some(hex)
            }
            Checksum::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hashed(etag: &str, content: &[u8]) -> Option<String> {
        let mut checksum = Checksum::start(etag, content.len() as u64);
        checksum.update(content);
        checksum.finish()
    }

    /// Git's own: `git hash-object` of an empty file and of `hello` with a line end.
    #[test]
    fn forty_digits_are_gits_hash() {
        for (etag, content) in [
            ("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391", ""),
            ("ce013625030ba8dba906f756967f9e9ca394464a", "hello\n"),
        ] {
            assert_eq!(hashed(etag, content.as_bytes()).as_deref(), Some(etag));
        }
    }

    #[test]
    fn sixty_four_digits_are_sha256_and_anything_else_is_nothing() {
        let etag = hash::sha256(b"abc");
        assert_eq!(hashed(&etag, b"abc").as_ref(), Some(&etag));
        for etag in ["", "abc-2", &etag.to_uppercase(), &etag[1..]] {
            assert_eq!(hashed(etag, b"abc"), None, "{etag}");
        }
    }
}
