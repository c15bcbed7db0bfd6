//! What the hub answers, when nothing goes wrong.

use std::net::SocketAddr;

use serde_json::json;

use super::{File, Kept, Mishap, Seen, State};

/// An answer before something goes wrong with its body.
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

impl Reply {
    fn of(status: u16, headers: &[(&str, &str)], body: Vec<u8>) -> Reply {
        let headers = headers
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Reply {
            status,
            headers: headers.collect(),
            body,
        }
    }
}

/// What the hub, or the server beside it, says to a request.
pub(super) fn reply(state: &State, seen: &Seen, cdn: SocketAddr, mishap: Option<&Mishap>) -> Reply {
    if let Some(Mishap::Status(status, headers)) = mishap {
        return Reply::of(*status, headers, b"trouble".to_vec());
    }
    let path = seen.path.split('?').next().unwrap_or_default();
    if seen.elsewhere {
        let etag = path.trim_start_matches("/contents/");
        let file = state.files.values().find(|file| file.etag == etag);
        return file.map_or_else(missing, |file| part(file, seen, mishap));
    }
    if state.token.is_some() && seen.authorization != state.token {
        return Reply::of(401, &[("X-Error-Code", "RepoNotFound")], Vec::new());
    }
    let (repo, commit) = (&state.repo, &state.commit);
    let api = format!("/api/models/{repo}/");
    if path == format!("{api}refs") {
        let refs = json!({"branches": [{"name": "main"}], "tags": [{"name": "v1.0"}]});
        return Reply::of(200, &[], refs.to_string().into_bytes());
    }
    if [
        format!("{api}revision/main"),
        format!("{api}revision/{commit}"),
    ]
    .iter()
    .any(|p| p == path)
    {
        let siblings = state.files.iter();
        let siblings =
            siblings.map(|(name, f)| json!({"rfilename": name, "size": f.content.len()}));
        let listing = json!({"sha": commit, "siblings": siblings.collect::<Vec<_>>()});
        return Reply::of(200, &[], listing.to_string().into_bytes());
    }
    let moved = format!("/api/resolve-cache/models/{repo}/{commit}/");
    if let Some(name) = path.strip_prefix(&moved) {
        return file_of(state, name).map_or_else(missing, |file| part(file, seen, mishap));
    }
    let name = path.strip_prefix(&format!("/{repo}/resolve/{commit}/"));
    let Some((name, file)) = name.and_then(|name| Some((name, file_of(state, name)?))) else {
        return missing();
    };
    let mut headers = vec![("X-Repo-Commit", commit.clone())];
    let status = match file.kept {
        Kept::Plain => {
            headers.push(("Location", format!("{moved}{name}")));
            307
        }
        Kept::Linked => {
            let location = format!("http://{cdn}/contents/{}?Signature=s", file.etag);
            headers.push(("Location", location));
            headers.push(("X-Linked-Etag", format!("\"{}\"", file.etag)));
            headers.push(("X-Linked-Size", file.content.len().to_string()));
            302
        }
    };
    let headers: Vec<(&str, &str)> = headers.iter().map(|(n, v)| (*n, v.as_str())).collect();
    Reply::of(status, &headers, b"moved".to_vec())
}

fn file_of<'s>(state: &'s State, name: &str) -> Option<&'s File> {
    state.files.get(&name.replace("%20", " "))
}

fn missing() -> Reply {
    Reply::of(404, &[("X-Error-Code", "EntryNotFound")], Vec::new())
}

/// The content, or the part of it that was asked for.
fn part(file: &File, seen: &Seen, mishap: Option<&Mishap>) -> Reply {
    let etag = format!("\"{}\"", file.etag);
    let range = seen
        .range
        .as_deref()
        .filter(|_| mishap != Some(&Mishap::Whole));
    let from = range.and_then(|range| {
        range
            .strip_prefix("bytes=")?
            .strip_suffix('-')?
            .parse()
            .ok()
    });
    let all = file.content.len();
    match from {
        None => Reply::of(200, &[("ETag", &etag)], file.content.clone()),
        Some(from) if from < all => {
            let span = format!("bytes {from}-{}/{all}", all - 1);
            let headers = [("ETag", etag.as_str()), ("Content-Range", span.as_str())];
            Reply::of(206, &headers, file.content[from..].to_vec())
        }
        Some(_) => Reply::of(
            416,
            &[("Content-Range", &format!("bytes */{all}"))],
            Vec::new(),
        ),
    }
}
