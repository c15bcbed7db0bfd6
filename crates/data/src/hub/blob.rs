//! One content: loaded in pieces, continued where it broke off, and kept only when it is right.

use std::io::Read;
use std::path::Path;

use tenon_base::files::Disk;
use tenon_base::{Error, Kind, Result};

use super::api::{Api, Facts};
use super::checksum::Checksum;
use super::http::{Answer, Failure, Tried};

/// Bytes between two writes.
const PIECE_BYTES: usize = 1 << 20;

/// Loads what is missing of a content into the file `path`, and checks the whole. After an error of
/// kind `Io` the file stays, for the next attempt; after a wrong hash it is removed.
pub(super) fn download(
    disk: &dyn Disk,
    api: &Api<'_>,
    facts: &Facts,
    path: &Path,
    progress: &mut dyn FnMut(u64),
) -> Result<()> {
    let mut partial = Partial::open(disk, path, facts)?;
    let mut failures = 0;
    progress(partial.bytes);
    while !partial.is_whole() {
        let before = partial.bytes;
        if let Err(failure) = load(&mut partial, api, facts, progress) {
            if partial.bytes > before {
                failures = 0;
            }
            api.client().pause(failure, &mut failures)?;
        }
    }
    partial.check(facts)
}

/// One request, as far as it goes.
fn load(
    partial: &mut Partial<'_>,
    api: &Api<'_>,
    facts: &Facts,
    progress: &mut dyn FnMut(u64),
) -> Tried<()> {
    let answer = api.content(facts, partial.bytes)?;
    let broken = |why: String| {
        let message = format!("`{}` broke off: {why}", facts.name);
        let hint = "run the command again: it goes on where it stopped";
        Failure::Passing(Error::new(Kind::Io, message).hint(hint), None)
    };
    match answer.status {
        200 => partial.restart()?,
        206 if starts_at(&answer) == Some(partial.bytes) => {}
        status => {
            // Whatever lies there is not the beginning of what the server has.
            partial.restart()?;
            return Err(broken(format!(
                "the hub answers {status} to a request to go on"
            )));
        }
    }
    let mut body = answer.body.into_reader();
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let (n, end) = fill(&mut body, &mut piece);
        partial.add(&piece[..n])?;
        progress(partial.bytes);
        match end {
            End::NotYet => {}
            End::Reached if partial.is_whole() => return Ok(()),
            End::Reached => {
                let why = format!("{} of {} bytes came", partial.bytes, facts.bytes);
                return Err(broken(why));
            }
            End::Failed(_) if partial.is_whole() => return Ok(()),
            End::Failed(reason) => return Err(broken(reason.to_string())),
        }
    }
}

/// The first byte of a part that the server sends, from `Content-Range: bytes FIRST-LAST/ALL`.
fn starts_at(answer: &Answer) -> Option<u64> {
    let range = answer
        .header("content-range")?
        .trim()
        .strip_prefix("bytes")?;
    let (first, _) = range.trim_start().split_once('-')?;
    first.parse().ok()
}

enum End {
    NotYet,
    Reached,
    Failed(std::io::Error),
}

/// Fills the piece; what came before a failure counts.
fn fill(body: &mut dyn Read, piece: &mut [u8]) -> (usize, End) {
    let mut n = 0;
    while n < piece.len() {
        match body.read(&mut piece[n..]) {
            Ok(0) => return (n, End::Reached),
            Ok(more) => n += more,
            Err(reason) if reason.kind() == std::io::ErrorKind::Interrupted => {}
            Err(reason) => return (n, End::Failed(reason)),
        }
    }
    (n, End::NotYet)
}

/// A content that grows.
struct Partial<'a> {
    disk: &'a dyn Disk,
    path: &'a Path,
    etag: &'a str,
    /// Bytes that are there.
    bytes: u64,
    /// Bytes in all.
    whole: u64,
    checksum: Checksum,
}

impl<'a> Partial<'a> {
    /// What an earlier attempt has left, or nothing yet. Only what has a hash is continued: of
    /// anything else nobody could tell whether both parts belong together.
    fn open(disk: &'a dyn Disk, path: &'a Path, facts: &'a Facts) -> Result<Partial<'a>> {
        let mut partial = Partial {
            disk,
            path,
            etag: &facts.etag,
            bytes: 0,
            whole: facts.bytes,
            checksum: Checksum::start(&facts.etag, facts.bytes),
        };
        let has_hash = !matches!(partial.checksum, Checksum::Unknown);
        if !disk.exists(path)? || !has_hash || disk.file_bytes(path)? > facts.bytes {
            partial.restart()?;
            return Ok(partial);
        }
        let mut file = disk.open(path)?;
        let mut piece = vec![0; PIECE_BYTES];
        loop {
            let (n, end) = fill(file.as_mut(), &mut piece);
            partial.checksum.update(&piece[..n]);
            partial.bytes += n as u64;
            match end {
                End::NotYet => {}
                End::Reached => return Ok(partial),
                End::Failed(reason) => return Err(Error::io("cannot read", path, &reason)),
            }
        }
    }

    fn is_whole(&self) -> bool {
        self.bytes == self.whole
    }

    /// Begins again with an empty file.
    fn restart(&mut self) -> Result<()> {
        if self.disk.exists(self.path)? {
            self.disk.remove_file(self.path)?;
        }
        self.disk.append(self.path, &[])?;
        self.bytes = 0;
        self.checksum = Checksum::start(self.etag, self.whole);
        Ok(())
    }

    fn add(&mut self, bytes: &[u8]) -> Result<()> {
        let after = self.bytes + bytes.len() as u64;
        if after > self.whole {
            self.disk.remove_file(self.path)?;
            let whole = self.whole;
            return Err(wrong(format!(
                "more than the {whole} bytes that the hub told of"
            )));
        }
        if !bytes.is_empty() {
            self.disk.append(self.path, bytes)?;
            self.checksum.update(bytes);
            self.bytes = after;
        }
        Ok(())
    }

    /// Compares the hash of the whole.
    fn check(self, facts: &Facts) -> Result<()> {
        match self.checksum.finish() {
            Some(hash) if hash != facts.etag => {
                self.disk.remove_file(self.path)?;
                let (name, etag) = (&facts.name, &facts.etag);
                Err(wrong(format!(
                    "`{name}` with the hash `{hash}` in place of `{etag}`"
                )))
            }
            _ => Ok(()),
        }
    }
}

fn wrong(what: String) -> Error {
    let error = Error::data(format!("the hub sent {what}"));
    error.hint("what came was removed: run the command again to load it anew")
}
