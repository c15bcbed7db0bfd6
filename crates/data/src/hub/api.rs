//! What the hub is asked: the files of a revision, the facts of a file, its content.

use std::collections::BTreeMap;
use std::io::Read;

use serde_json::Value;
use tenon_base::files::Disk;
use tenon_base::limits::{HUB_FILES_MAX, HUB_LISTING_BYTES_MAX};
use tenon_base::{Error, Kind, Result, suggest};

use super::access::Access;
use super::http::{Answer, Ask, Client, Failure, Tried};
use super::names::{self, Repo, encoded, shown};

/// The content's hash of a file that is kept elsewhere.
const LINKED_ETAG: &str = "x-linked-etag";
const ETAG_BYTES_MAX: usize = 128;

/// The files of a revision.
pub(super) struct Listing {
    pub(super) commit: String,
    /// By name, each once.
    pub(super) files: Vec<Listed>,
}

/// A file of a listing.
pub(super) struct Listed {
    pub(super) name: String,
    /// Its size, where the hub tells it.
    pub(super) bytes: Option<u64>,
}

/// What is known of a file before its content is loaded.
pub(super) struct Facts {
    pub(super) name: String,
    pub(super) url: String,
    pub(super) etag: String,
    pub(super) bytes: u64,
}

/// One repository of the hub.
pub(super) struct Api<'a> {
    client: Client,
    endpoint: &'a str,
    repo: &'a Repo,
}

impl<'a> Api<'a> {
    /// A way to ask; nothing is asked yet.
    ///
    /// # Errors
    /// `Usage` for a proxy or certificates that cannot be used; `Io`.
    pub(super) fn new(disk: &dyn Disk, access: &'a Access, repo: &'a Repo) -> Result<Api<'a>> {
        Ok(Api {
            client: Client::new(disk, access)?,
            endpoint: &access.endpoint,
            repo,
        })
    }

    /// The client, for what has its own patience.
    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// The files of a revision.
    pub(super) fn listing(&self, revision: &str) -> Result<Listing> {
        let (endpoint, repo) = (self.endpoint, self.repo);
        let revision_part = encoded(revision, false);
        let url = format!("{endpoint}/api/models/{repo}/revision/{revision_part}?blobs=true");
        let Some(document) = self.document(&url)? else {
            return Err(self.absent(revision));
        };
        let what = |problem: &str| Error::data(format!("the hub's list of `{repo}` {problem}"));
        let commit = document["sha"]
            .as_str()
            .filter(|text| names::is_commit(text));
        let commit = commit.ok_or_else(|| what("names no commit"))?.to_owned();
        let siblings = document["siblings"]
            .as_array()
            .ok_or_else(|| what("has no files"))?;
        if siblings.len() as u64 > HUB_FILES_MAX {
            return Err(what(&format!("has more than {HUB_FILES_MAX} files")));
        }
        let mut files = BTreeMap::new();
        for sibling in siblings {
            let name = sibling["rfilename"].as_str();
            let name = name.ok_or_else(|| what("has a file without a name"))?;
            names::check_file(name)?;
            files.insert(name.to_owned(), sibling["size"].as_u64());
        }
        let files = files
            .into_iter()
            .map(|(name, bytes)| Listed { name, bytes });
        Ok(Listing {
            commit,
            files: files.collect(),
        })
    }

    /// Etag and size of a file.
    pub(super) fn facts(&self, commit: &str, name: &str) -> Result<Facts> {
        let (endpoint, repo) = (self.endpoint, self.repo);
        let url = format!("{endpoint}/{repo}/resolve/{commit}/{}", encoded(name, true));
        let answer = self.client.ask(&url, Ask::HeadUntil(LINKED_ETAG))?;
        let is_linked = answer.headers.contains_key(LINKED_ETAG);
        if answer.status != 200 && !is_linked {
            return Err(self.refusal(&answer, name));
        }
        let what = |problem: &str| Error::data(format!("the hub tells {problem} of `{name}`"));
        if let Some(other) = answer
            .header("x-repo-commit")
            .filter(|other| *other != commit)
        {
            return Err(what(&format!("commit `{}`, not `{commit}`,", shown(other))));
        }
        let (etag, bytes) = match is_linked {
            true => (answer.header(LINKED_ETAG), answer.header("x-linked-size")),
            false => (answer.header("etag"), answer.header("content-length")),
        };
        let etag = etag.map(|etag| etag.trim_start_matches("W/").trim_matches('"'));
        let etag = etag.filter(|etag| is_file_name(etag));
        let bytes = bytes.and_then(|text| text.trim().parse().ok());
        Ok(Facts {
            name: name.to_owned(),
            etag: etag.ok_or_else(|| what("no usable etag"))?.to_owned(),
            bytes: bytes.ok_or_else(|| what("no size"))?,
            url,
        })
    }

    /// The content of a file from byte `from` on; statuses 200, 206 and 416 are for the caller.
    pub(super) fn content(&self, facts: &Facts, from: u64) -> Tried<Answer> {
        let answer = self.client.ask_once(&facts.url, Ask::Content(from))?;
        match (answer.status, from) {
            (200, _) | (206 | 416, 1..) => Ok(answer),
            _ => Err(self.refusal(&answer, &facts.name).into()),
        }
    }

    /// What the hub says at an address; `None` when there is nothing.
    fn document(&self, url: &str) -> Result<Option<Value>> {
        let mut failures = 0;
        let text = loop {
            let answer = self.client.ask(url, Ask::Content(0))?;
            match answer.status {
                200 => {}
                404 => return Ok(None),
                _ => return Err(self.refusal(&answer, "")),
            }
            let mut text = Vec::new();
            let mut body = answer.body.into_reader().take(HUB_LISTING_BYTES_MAX + 1);
            match body.read_to_end(&mut text) {
                Ok(_) => break text,
                Err(reason) => {
                    let message = format!("the hub's answer broke off: {reason}");
                    let error = Error::new(Kind::Io, message);
                    self.client
                        .pause(Failure::Passing(error, None), &mut failures)?;
                }
            }
        };
        if text.len() as u64 > HUB_LISTING_BYTES_MAX {
            let message = format!("the hub's answer is larger than {HUB_LISTING_BYTES_MAX} bytes");
            return Err(Error::data(message));
        }
        let document = serde_json::from_slice(&text).map_err(|reason| {
            let error = Error::data(format!("the hub's answer is no JSON: {reason}"));
            error.hint("check `HF_ENDPOINT`: this is no model hub")
        })?;
        Ok(Some(document))
    }

    /// Whether it is the revision or the repository that is not there.
    fn absent(&self, revision: &str) -> Error {
        let (endpoint, repo) = (self.endpoint, self.repo);
        let url = format!("{endpoint}/api/models/{repo}/refs");
        let Ok(Some(refs)) = self.document(&url) else {
            let error = Error::usage(format!("the hub has no repository `{repo}`"));
            return error.hint(format!("look for its name at {endpoint}/models"));
        };
        let lists = ["branches", "tags"].into_iter();
        let entries = lists.filter_map(|list| refs[list].as_array()).flatten();
        let known: Vec<&str> = entries.filter_map(|entry| entry["name"].as_str()).collect();
        let error = Error::usage(format!("`{repo}` has no revision `{revision}`"));
        match suggest::nearest(revision, known.iter().copied()) {
            Some(near) => error.hint(format!("did you mean `{}`?", shown(near))),
            None => error.hint(format!(
                "branches and tags are at {endpoint}/{repo}/tree/main"
            )),
        }
    }

    /// Why the hub does not give what was asked; `file` is empty for the repository itself.
    fn refusal(&self, answer: &Answer, file: &str) -> Error {
        let (endpoint, repo) = (self.endpoint, self.repo);
        let subject = match file {
            "" => format!("`{repo}`"),
            file => format!("`{file}` of `{repo}`"),
        };
        let said = answer
            .header("x-error-message")
            .map(|text| format!(": {}", shown(text)));
        let said = said.unwrap_or_default();
        let denied = |message: String| Error::new(Kind::Io, message);
        let token = match self.client.has_token() {
            true => "check that the token in `HF_TOKEN`, or in the file `token`, may read it",
            false => "set `HF_TOKEN` to a token that may read it",
        };
        match (answer.status, answer.header("x-error-code")) {
            (401 | 403, Some("GatedRepo")) => denied(format!("{subject} is gated{said}")).hint(
                format!("accept the conditions on the page {endpoint}/{repo}, and {token}"),
            ),
            (401, Some("RepoNotFound")) => Error::usage(format!(
                "the hub has no repository `{repo}`, or it is private"
            ))
            .hint(format!("check the name; if it is private, {token}")),
            (401, _) => denied(format!(
                "the hub does not show {subject} to everybody{said}"
            ))
            .hint(format!(
                "{token}; a gated model also wants its conditions accepted on its page"
            )),
            (403, _) => denied(format!("the hub refuses {subject}{said}")).hint(format!(
                "accept the conditions on the page {endpoint}/{repo}, and {token}"
            )),
            (404, _) => Error::usage(format!("the hub does not have {subject}{said}")),
            (status, _) => denied(format!("the hub answers {status} for {subject}{said}")),
        }
    }
}

/// Whether an etag can be a name in the cache.
fn is_file_name(etag: &str) -> bool {
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let len = 1..=ETAG_BYTES_MAX;
    len.contains(&etag.len()) && !etag.starts_with('.') && etag.bytes().all(is_known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_is_a_plain_file_name() {
        assert!(is_file_name("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"));
        assert!(is_file_name("5d41402abc4b2a76b9719d911017c592-12"));
        let long = "a".repeat(129);
        for bad in [
            "",
            ".",
            "..",
            "../a",
            "a/b",
            "a\\b",
            "a b",
            "a\0",
            long.as_str(),
        ] {
            assert!(!is_file_name(bad), "{bad:?}");
        }
    }
}
