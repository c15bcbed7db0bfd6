//! A hub with a repository, and a cache.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;
use std::time::Duration;

use tempfile::TempDir;
use tenon_base::files::{Disk, RealDisk};
use tenon_base::{Error, Kind, Result};
use tenon_data::hub::{self, Access, Event, Repo, Request, Selection, Snapshot};
use tenon_testkit::{HubServer, Kept, Seen};

pub(crate) const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";
pub(crate) const FOLDER: &str = "models--org--name";

/// A hub, and a folder for its cache.
pub(crate) struct Place {
    pub(crate) hub: HubServer,
    pub(crate) cache: TempDir,
    pub(crate) access: Access,
}

/// More than the pieces in which contents are written.
static WEIGHTS: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let scattered = |i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8;
    (0..3_000_000).map(scattered).collect()
});

pub(crate) fn weights() -> &'static [u8] {
    &WEIGHTS
}

/// An empty cache, and a hub with these files.
pub(crate) fn place(files: &[(&str, &[u8], Kept)]) -> Place {
    let hub = HubServer::start("org/name", COMMIT);
    for (name, content, kept) in files {
        hub.put(name, content, *kept);
    }
    let cache = tempfile::tempdir().expect("a folder");
    let access = Access {
        endpoint: hub.url(),
        token: None,
        cache: cache.path().to_owned(),
        offline: false,
        proxy: None,
        certificates: None,
        attempts: 3,
        first_pause: Duration::ZERO,
    };
    Place { hub, cache, access }
}

/// A hub with a model of one large file.
pub(crate) fn model() -> Place {
    place(&[
        ("config.json", b"{}", Kept::Plain),
        ("model.safetensors", weights(), Kept::Linked),
    ])
}

pub(crate) fn request(revision: &str, selection: Selection) -> Request {
    Request {
        repo: Repo::parse("org/name").unwrap(),
        revision: revision.to_owned(),
        selection,
    }
}

impl Place {
    pub(crate) fn fetch_on(&self, disk: &dyn Disk, selection: Selection) -> Result<Snapshot> {
        hub::fetch(disk, &self.access, &request("main", selection), &mut |_| {})
    }

    pub(crate) fn fetch(&self) -> Result<Snapshot> {
        self.fetch_on(&RealDisk, Selection::Model)
    }

    pub(crate) fn events(&self) -> Vec<String> {
        let mut said = Vec::new();
        let request = request("main", Selection::All);
        let done = hub::fetch(&RealDisk, &self.access, &request, &mut |event| {
            said.push(match event {
                Event::Listed { n_files, bytes, .. } => format!("{n_files} files, {bytes:?}"),
                Event::Waiting { name } => format!("waiting for {name}"),
                Event::Progress { name, done, bytes } => format!("{name} {done}/{bytes}"),
                Event::Done(file) => format!("{} done", file.name),
            });
        });
        done.unwrap();
        said
    }

    /// The error, whose kind and words are what is expected.
    #[track_caller]
    pub(crate) fn fails(&self, kind: Kind, words: &str) -> Error {
        let error = self.fetch().unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(words), "{error}");
        error
    }

    /// Everything in the cache: contents, and where links lead.
    pub(crate) fn tree(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        walk(self.cache.path(), self.cache.path(), &mut found);
        found
    }

    pub(crate) fn content(&self, path: &str) -> Vec<u8> {
        fs::read(self.cache.path().join(FOLDER).join(path)).expect("a file")
    }

    pub(crate) fn has(&self, path: &str) -> bool {
        self.cache.path().join(FOLDER).join(path).exists()
    }

    /// Puts a file into the repository's folder.
    pub(crate) fn write(&self, path: &str, content: &[u8]) {
        let path = self.cache.path().join(FOLDER).join(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("room");
        fs::write(path, content).expect("room");
    }

    /// The requests for contents since the last call.
    pub(crate) fn contents_asked(&self) -> Vec<Seen> {
        let seen = self.hub.take_seen().into_iter();
        let is_content = |seen: &Seen| {
            seen.method == "GET" && !seen.path.contains("/revision/") && seen.status / 100 != 3
        };
        seen.filter(is_content).collect()
    }
}

fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path
            .strip_prefix(root)
            .expect("below")
            .to_str()
            .expect("UTF-8");
        if let Ok(target) = fs::read_link(&path) {
            found.insert(name.to_owned(), format!("-> {}", target.display()));
        } else if path.is_dir() {
            walk(root, &path, found);
        } else {
            let content = fs::read(&path).expect("a file");
            let shown = match content.len() {
                0..100 => String::from_utf8(content).expect("UTF-8"),
                n => format!("{n} bytes"),
            };
            found.insert(name.to_owned(), shown);
        }
    }
}
