//! A first look at the end of a file, before the decoder sees it.
//!
//! The description of a file lies before its last eight bytes, in Thrift's compact protocol. The
//! decoder walks its schema by recursion, which a schema nested deep enough turns into the end of
//! the program, and does not see that the pages of a file with an open description are encrypted.

use std::io::{self, Read, Seek, SeekFrom};

use super::thrift::{DEPTH_MAX, Found, LIST, STRUCT, Walk};

/// Length of the description and `PAR1`.
const TAIL: u64 = 8;

/// Numbers of members of the description of a file and of an element of its schema.
const SCHEMA: i64 = 2;
const ENCRYPTION: i64 = 8;
const N_CHILDREN: i64 = 5;

/// Whether the file is encrypted behind an open description, or what is wrong with it.
pub(super) fn is_encrypted(file: &mut (impl Read + Seek)) -> io::Result<Found<bool>> {
    let n_bytes = file.seek(SeekFrom::End(0))?;
    let mut tail = [0; TAIL as usize];
    if n_bytes < TAIL {
        return Ok(Err("it is too short"));
    }
    file.seek(SeekFrom::Start(n_bytes - TAIL))?;
    file.read_exact(&mut tail)?;
    let [length @ .., _, _, _, _] = tail;
    let length = u64::from(u32::from_le_bytes(length));
    if &tail[4..] != super::MAGIC {
        return Ok(Err("its end is missing"));
    }
    let Some(start) = (n_bytes - TAIL).checked_sub(length) else {
        return Ok(Err("its description is longer than the file"));
    };
    file.seek(SeekFrom::Start(start))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    Ok(Walk(&bytes).description())
}

impl Walk<'_> {
    fn description(&mut self) -> Found<bool> {
        let (mut id, mut is_encrypted) = (0, false);
        while let Some(kind) = self.member(&mut id)? {
            is_encrypted |= id == ENCRYPTION;
            match (id, kind) {
                (SCHEMA, LIST) => self.schema()?,
                _ => self.skip(kind, 0)?,
            }
        }
        Ok(is_encrypted)
    }

    /// The elements come with every parent before its children.
    fn schema(&mut self) -> Found<()> {
        let (kind, n) = self.list()?;
        let mut open: Vec<i64> = Vec::new();
        for _ in 0..n {
            if kind != STRUCT {
                return Err("its schema is no list of elements");
            }
            let mut n_children = 0;
            let mut id = 0;
            while let Some(kind) = self.member(&mut id)? {
                match id {
                    N_CHILDREN => n_children = self.signed()?,
                    _ => self.skip(kind, 0)?,
                }
            }
            if let Some(left) = open.last_mut() {
                *left -= 1;
            }
            open.push(n_children);
            while open.last().is_some_and(|left| *left <= 0) {
                open.pop();
            }
            if open.len() > DEPTH_MAX {
                return Err("its columns are nested more than 64 deep");
            }
        }
        Ok(())
    }
}
