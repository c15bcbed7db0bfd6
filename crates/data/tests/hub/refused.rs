//! What the hub refuses, and what is refused of what it says.

use tenon_base::files::RealDisk;
use tenon_base::knobs::{Environment, Secret};
use tenon_base::{Kind, hash};
use tenon_data::hub::{self, Access, Repo, Request, Selection};
use tenon_testkit::{HubServer, Kept, Mishap};

use crate::place::{model, place, request};

#[test]
fn the_token_goes_to_the_hub_and_to_nobody_else() {
    let mut place = model();
    place.hub.want_token("hf_secret");
    place.access.token = Some(Secret::new("hf_secret"));
    place.fetch().unwrap();
    let seen = place.hub.take_seen();
    assert!(seen.iter().any(|seen| seen.elsewhere));
    for request in &seen {
        let token = request.authorization.as_deref();
        let expected = (!request.elsewhere).then_some("Bearer hf_secret");
        assert_eq!(token, expected, "{request:?}");
    }
}

#[test]
fn a_private_repository_asks_for_a_token() {
    let mut place = model();
    place.hub.want_token("hf_secret");
    let error = place.fails(Kind::Usage, "or it is private");
    assert!(error.to_string().contains("HF_TOKEN"), "{error}");
    place.access.token = Some(Secret::new("hf_wrong"));
    let error = place.fails(Kind::Usage, "may read it");
    assert!(!format!("{error:?}").contains("hf_wrong"), "{error:?}");
}

#[test]
fn a_gated_repository_says_what_to_do() {
    let place = model();
    let gated: &[_] = &[
        ("X-Error-Code", "GatedRepo"),
        ("X-Error-Message", "Ask first."),
    ];
    for status in [401, 403] {
        place
            .hub
            .mishap("HEAD /org/name", Mishap::Status(status, gated));
        let error = place.fails(Kind::Io, "is gated");
        let page = format!("{}/org/name", place.hub.url());
        let hint = error.hint_text().unwrap();
        assert!(
            hint.contains("accept the conditions") && hint.contains(&page),
            "{hint}"
        );
        assert!(hint.contains("HF_TOKEN"), "{hint}");
    }
    place
        .hub
        .mishap("GET /api/models", Mishap::Status(401, &[]));
    place.fails(Kind::Io, "HF_TOKEN");
    place
        .hub
        .mishap("GET /api/models", Mishap::Status(403, &[]));
    place.fails(Kind::Io, "refuses");
    place
        .hub
        .mishap("GET /api/models", Mishap::Status(418, &[]));
    place.fails(Kind::Io, "418");
}

#[test]
fn a_missing_repository_and_a_missing_revision_are_told_apart() {
    let place = model();
    let asked = |repo: &str, revision: &str| {
        let request = Request {
            repo: Repo::parse(repo).unwrap(),
            ..request(revision, Selection::Model)
        };
        hub::fetch(&RealDisk, &place.access, &request, &mut |_| {}).unwrap_err()
    };
    let repo = asked("org/nmae", "main");
    assert_eq!(repo.kind(), Kind::Usage);
    assert!(
        repo.message().contains("no repository `org/nmae`"),
        "{repo}"
    );
    let revision = asked("org/name", "v1.1");
    assert_eq!(revision.kind(), Kind::Usage);
    assert!(
        revision.message().contains("no revision `v1.1`"),
        "{revision}"
    );
    assert_eq!(revision.hint_text(), Some("did you mean `v1.0`?"));
    let other = asked("org/name", "something-else");
    assert!(
        other.hint_text().unwrap().contains("branches and tags"),
        "{other}"
    );
}

#[test]
fn names_that_lead_out_of_the_cache_are_refused_before_anything_is_written() {
    for name in [
        "../x",
        "a/../../x",
        "/etc/x",
        "a\\..\\x",
        "a\0b",
        "C:/x",
        "a//b",
    ] {
        let place = place(&[
            ("config.json", b"{}", Kept::Plain),
            (name, b"x", Kept::Plain),
        ]);
        place.fails(Kind::Data, "names a file");
        assert!(place.tree().is_empty(), "{name}");
    }
}

#[test]
fn a_hub_that_talks_nonsense_is_told() {
    let etag = hash::sha256(b"{}");
    let at = |part: &str, mishap: Mishap, kind: Kind, words: &str| {
        let place = model();
        place.hub.mishap(part, mishap);
        place.fails(kind, words);
    };
    let ok = |headers| Mishap::Status(200, headers);
    at("GET /api", ok(&[]), Kind::Data, "no JSON");
    at(
        "HEAD /org/name/resolve",
        ok(&[]),
        Kind::Data,
        "no usable etag",
    );
    at(
        "HEAD /org/name/resolve",
        ok(&[("ETag", "\"../../x\"")]),
        Kind::Data,
        "no usable etag",
    );
    at(
        "HEAD /org/name/resolve",
        ok(&[("ETag", "\"a\""), ("X-Repo-Commit", "b")]),
        Kind::Data,
        "commit `b`",
    );
    let linked: &[_] = &[("X-Linked-Etag", "\"a\"")];
    at("HEAD /org/name/resolve", ok(linked), Kind::Data, "no size");
    let more = place(&[("config.json", b"{}", Kept::Plain)]);
    let small: &[_] = &[("X-Linked-Etag", "\"a\""), ("X-Linked-Size", "1")];
    more.hub.mishap("HEAD /org/name/resolve", ok(small));
    more.fails(Kind::Data, "more than the 1 bytes");
    assert!(!more.has(&format!("blobs/{etag}")) && !more.has("blobs/a.incomplete"));
    let no_commit = HubServer::start("org/name", "main");
    let mut asked = model();
    asked.access.endpoint = no_commit.url();
    asked.fails(Kind::Data, "names no commit");
}

#[test]
fn redirects_end() {
    let place = model();
    for _ in 0..20 {
        let around = Mishap::Status(302, &[("Location", "/api/models/org/name/revision/main")]);
        place.hub.mishap("GET /api", around);
    }
    place.fails(Kind::Io, "redirects more than 10 times");
}

#[test]
fn no_network_is_an_error_of_input_and_output() {
    let mut place = model();
    // A port that no program listens on.
    place.access.endpoint = "http://127.0.0.1:1".to_owned();
    let error = place.fetch().unwrap_err();
    assert_eq!(error.kind(), Kind::Io, "{error}");
    assert!(error.to_string().contains("HF_ENDPOINT"), "{error}");
}

#[test]
fn certificates_have_to_be_some() {
    let mut place = model();
    let path = place.cache.path().join("ca.pem");
    std::fs::write(&path, "nothing").unwrap();
    place.access.certificates = Some(path.clone());
    place.fails(Kind::Usage, "no certificates");
    place.access.certificates = Some(path.with_file_name("absent.pem"));
    place.fails(Kind::Io, "absent.pem");
}

#[test]
fn the_way_to_the_hub_is_what_the_environment_says() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().to_str().unwrap().to_owned();
    let read = |pairs: &[(&str, &str)]| {
        let environment = Environment::read(&|name| {
            let all = [("HF_HOME", folder.as_str())];
            let mut all = all.iter().chain(pairs);
            all.find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).into())
        });
        Access::of(&environment.unwrap(), &RealDisk)
    };
    let token = |access: &Access| access.token.as_ref().map(|token| token.reveal().to_owned());
    let plain = read(&[]).unwrap();
    assert_eq!(plain.endpoint, hub::DEFAULT_ENDPOINT);
    assert_eq!(plain.cache, home.path().join("hub"));
    assert_eq!((token(&plain), plain.proxy.is_none()), (None, true));
    std::fs::write(home.path().join("token"), "hf_file\n").unwrap();
    assert_eq!(token(&read(&[]).unwrap()).as_deref(), Some("hf_file"));
    let proxies = [("HTTPS_PROXY", "http://s:1"), ("HTTP_PROXY", "http://p:2")];
    let all = [
        &proxies[..],
        &[("HF_TOKEN", "hf_own"), ("HF_ENDPOINT", "http://m")],
    ]
    .concat();
    let full = read(&all).unwrap();
    assert_eq!(token(&full).as_deref(), Some("hf_own"));
    assert_eq!(full.proxy.unwrap().url.reveal(), "http://p:2");
    assert_eq!(
        read(&proxies).unwrap().proxy.unwrap().url.reveal(),
        "http://s:1"
    );
    let error = read(&[("HF_TOKEN", "two\r\nlines")]).unwrap_err();
    assert_eq!(error.kind(), Kind::Usage);
    assert!(!error.to_string().contains("two"), "{error}");
    let nowhere = Access::of(&Environment::read(&|_| None).unwrap(), &RealDisk);
    assert_eq!(nowhere.unwrap_err().kind(), Kind::Usage);
}
