//! The bytes of a tensor, owned or in a mapped file.

use std::fmt;
use std::ops::{Deref, DerefMut, Range};
use std::sync::Arc;

use super::map::Map;

/// Bytes that are read from memory or straight from a mapped file. Those of a file are copied when
/// they are first changed.
#[derive(Clone)]
pub struct Bytes(Place);

#[derive(Clone)]
enum Place {
    Owned(Vec<u8>),
    Mapped(Arc<Map>, Range<usize>),
}

impl Bytes {
    /// A part of a file, inside its map.
    pub(super) fn mapped(map: Arc<Map>, range: Range<usize>) -> Self {
        Bytes(Place::Mapped(map, range))
    }

    /// The bytes as a vector, which takes a copy when they lie in a file.
    pub fn to_mut(&mut self) -> &mut Vec<u8> {
        if let Place::Mapped(..) = self.0 {
            self.0 = Place::Owned(self.to_vec());
        }
        match &mut self.0 {
            Place::Owned(bytes) => bytes,
            Place::Mapped(..) => unreachable!("owned by now"),
        }
    }

    /// Says that the bytes will hardly be read again: what lies in a file leaves the program's
    /// memory until it is.
    pub fn release(&self) {
        if let Place::Mapped(map, range) = &self.0 {
            map.release(range.clone());
        }
    }
}

impl From<Vec<u8>> for Bytes {
    fn from(bytes: Vec<u8>) -> Self {
        Bytes(Place::Owned(bytes))
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match &self.0 {
            Place::Owned(bytes) => bytes,
            Place::Mapped(map, range) => &map.bytes()[range.clone()],
        }
    }
}

impl DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        self.to_mut()
    }
}

impl PartialEq for Bytes {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl fmt::Debug for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = match self.0 {
            Place::Owned(_) => "owned",
            Place::Mapped(..) => "mapped",
        };
        write!(f, "Bytes({}, {place})", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mapped(content: &[u8], range: Range<usize>) -> (tempfile::TempDir, Bytes) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, content).unwrap();
        let map = Arc::new(Map::open(&path).unwrap());
        (folder, Bytes::mapped(map, range))
    }

    #[test]
    fn a_part_of_a_file_reads_like_its_bytes() {
        let content: Vec<u8> = (0..=255).cycle().take(20_000).collect();
        let (_folder, bytes) = mapped(&content, 100..19_000);
        assert_eq!(bytes, Bytes::from(content[100..19_000].to_vec()));
        bytes.release();
        assert_eq!(*bytes, content[100..19_000]);
    }

    #[test]
    fn a_change_stays_out_of_the_file_and_of_clones() {
        let (folder, mut bytes) = mapped(&[1, 2, 3, 4], 1..3);
        let before = bytes.clone();
        bytes[0] = 9;
        bytes.to_mut().push(7);
        assert_eq!(*bytes, [9, 3, 7]);
        assert_eq!(*before, [2, 3]);
        let file = std::fs::read(folder.path().join("file")).unwrap();
        assert_eq!(file, [1, 2, 3, 4]);
    }

    #[test]
    fn a_part_is_found_in_its_own_map_only() {
        let (_folder, bytes) = mapped(&[1, 2, 3, 4], 0..4);
        let Place::Mapped(map, _) = &bytes.0 else {
            panic!("mapped")
        };
        assert_eq!(map.range_of(&bytes[1..3]), Some(1..3));
        assert_eq!(map.range_of(&[2, 3]), None);
    }
}
