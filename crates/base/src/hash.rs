//! SHA-256 of bytes, streams and named parts, as lower-case hexadecimal.

use std::fmt::Write as _;
use std::io::{self, Read, Write};

use sha2::{Digest, Sha256};

/// The hash of bytes in memory: 64 hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    let mut hasher = Hasher::default();
    hasher.update(bytes);
    hasher.finish()
}

/// The hash of a stream, read to its end in pieces of constant size.
pub fn sha256_reader(reader: &mut dyn Read) -> io::Result<String> {
    let mut hasher = Hasher::default();
    io::copy(reader, &mut hasher)?;
    Ok(hasher.finish())
}

/// The hash of a list of named parts, in the given order.
///
/// Lengths are hashed too, so moving a byte from one part or name to the next changes the result.
pub fn sha256_parts<'a>(parts: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> String {
    let mut hasher = Hasher::default();
    for (name, bytes) in parts {
        for field in [name.as_bytes(), bytes] {
            hasher.update(&(field.len() as u64).to_le_bytes());
            hasher.update(field);
        }
    }
    hasher.finish()
}

/// An incremental SHA-256; what is written into it is hashed.
#[derive(Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all bytes so far.
    pub fn finish(self) -> String {
        let mut hex = String::with_capacity(64);
        for byte in self.0.finalize() {
            // Writing to a string cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        hex
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher")
    }
}

impl Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 180-2, appendix B.
    #[test]
    fn matches_the_standard() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(sha256(b""), empty);
        assert_eq!(sha256(b"abc"), abc);
    }

    #[test]
    fn a_stream_hashes_like_its_bytes() {
        let bytes: Vec<u8> = (0..100_000u32).map(|i| (i % 251) as u8).collect();
        assert_eq!(
            sha256_reader(&mut bytes.as_slice()).unwrap(),
            sha256(&bytes)
        );
    }

    #[test]
    fn parts_cannot_be_shifted_into_each_other() {
        let h = |parts: &[(&str, &str)]| {
            sha256_parts(parts.iter().map(|(name, text)| (*name, text.as_bytes())))
        };
        let base = h(&[("a", "bc"), ("d", "")]);
        assert_eq!(base, h(&[("a", "bc"), ("d", "")]));
        assert_ne!(base, h(&[("ab", "c"), ("d", "")]));
        assert_ne!(base, h(&[("a", "bc")]));
        assert_ne!(base, h(&[("d", ""), ("a", "bc")]));
    }
}
