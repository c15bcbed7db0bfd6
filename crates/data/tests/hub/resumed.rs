//! Downloads that break off and go on.

use tenon_base::{Kind, hash};
use tenon_testkit::{Kept, Mishap};

use crate::place::{COMMIT, model, place, weights};

const FILE: &str = "model.safetensors";

fn etag() -> String {
    hash::sha256(weights())
}

#[test]
fn a_cut_connection_is_continued_at_the_byte_where_it_ended() {
    let place = model();
    place.hub.mishap("GET /contents/", Mishap::Cut(1_234_567));
    place.fetch().unwrap();
    let asked = place.contents_asked();
    let weights = weights();
    let asked: Vec<_> = asked.iter().filter(|seen| seen.elsewhere).collect();
    assert_eq!(asked.len(), 2, "{asked:?}");
    assert_eq!(
        (asked[0].range.as_deref(), asked[0].sent),
        (None, 1_234_567)
    );
    assert_eq!(asked[1].range.as_deref(), Some("bytes=1234567-"));
    assert_eq!(
        (asked[1].status, asked[1].sent),
        (206, weights.len() - 1_234_567)
    );
    assert_eq!(
        place.content(&format!("snapshots/{COMMIT}/{FILE}")),
        weights
    );
}

#[test]
fn a_later_run_goes_on_where_an_earlier_one_gave_up() {
    let mut place = model();
    place.access.attempts = 1;
    place.hub.mishap("GET /contents/", Mishap::Cut(2_000_000));
    let error = place.fails(Kind::Io, "broke off");
    assert!(error.hint_text().unwrap().contains("goes on"), "{error}");
    let partial = format!("blobs/{}.incomplete", etag());
    assert_eq!(place.content(&partial), weights()[..2_000_000]);
    assert!(
        !place.has("refs/main"),
        "a name must not mean what is not complete"
    );
    place.hub.take_seen();
    place.fetch().unwrap();
    let asked = place.contents_asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(asked[0].range.as_deref(), Some("bytes=2000000-"));
    assert_eq!(asked[0].sent, 1_000_000);
    assert!(!place.has(&partial));
    assert_eq!(
        place.content(&format!("snapshots/{COMMIT}/{FILE}")),
        weights()
    );
}

#[test]
fn a_server_that_ignores_the_range_gives_the_whole() {
    let place = model();
    place.write(&format!("blobs/{}.incomplete", etag()), &weights()[..1000]);
    place.hub.mishap("GET /contents/", Mishap::Whole);
    place.fetch().unwrap();
    let asked = place.contents_asked();
    let last = asked.last().unwrap();
    assert_eq!(
        (last.range.as_deref(), last.status),
        (Some("bytes=1000-"), 200)
    );
    assert_eq!(last.sent, weights().len());
    assert_eq!(
        place.content(&format!("snapshots/{COMMIT}/{FILE}")),
        weights()
    );
}

#[test]
fn a_refused_range_begins_again() {
    let place = model();
    place.write(&format!("blobs/{}.incomplete", etag()), &weights()[..1000]);
    place.hub.mishap("GET /contents/", Mishap::Status(416, &[]));
    place.fetch().unwrap();
    let asked = place.contents_asked();
    let asked: Vec<_> = asked.iter().filter(|seen| seen.elsewhere).collect();
    let told: Vec<_> = asked
        .iter()
        .map(|seen| (seen.range.as_deref(), seen.status))
        .collect();
    assert_eq!(told, [(Some("bytes=1000-"), 416), (None, 200)]);
    assert_eq!(
        place.content(&format!("snapshots/{COMMIT}/{FILE}")),
        weights()
    );
}

#[test]
fn a_partial_file_that_is_whole_is_checked_and_asks_for_nothing() {
    let place = model();
    place.write(&format!("blobs/{}.incomplete", etag()), weights());
    place.fetch().unwrap();
    assert!(place.contents_asked().iter().all(|seen| !seen.elsewhere));
    assert_eq!(place.content(&format!("blobs/{}", etag())), weights());
}

#[test]
fn a_partial_file_that_is_too_long_begins_again() {
    let place = model();
    let partial = format!("blobs/{}.incomplete", etag());
    place.write(&partial, &[weights(), b"more"].concat());
    place.fetch().unwrap();
    assert_eq!(place.content(&format!("blobs/{}", etag())), weights());
}

#[test]
fn a_partial_file_of_something_else_is_noticed_and_removed() {
    let place = model();
    let partial = format!("blobs/{}.incomplete", etag());
    place.write(&partial, &[7; 1000]);
    let error = place.fails(Kind::Data, "with the hash");
    assert!(error.message().contains(&etag()), "{error}");
    assert!(!place.has(&partial) && !place.has(&format!("blobs/{}", etag())));
    place.fetch().unwrap();
    assert_eq!(
        place.content(&format!("snapshots/{COMMIT}/{FILE}")),
        weights()
    );
}

#[test]
fn a_file_that_changed_meanwhile_begins_anew_under_its_own_name() {
    let mut place = model();
    place.access.attempts = 1;
    place.hub.mishap("GET /contents/", Mishap::Cut(1_500_000));
    place.fails(Kind::Io, "broke off");
    let changed: Vec<u8> = weights().iter().rev().copied().collect();
    place.hub.put(FILE, &changed, Kept::Linked);
    place.hub.commit(&"e".repeat(40));
    place.hub.take_seen();
    place.fetch().unwrap();
    assert!(
        place
            .contents_asked()
            .iter()
            .all(|seen| seen.range.is_none())
    );
    assert_eq!(
        place.content(&format!("snapshots/{}/{FILE}", "e".repeat(40))),
        changed
    );
}

#[test]
fn wrong_bytes_are_never_kept() {
    for (name, content, kept) in [
        ("model.safetensors", weights().to_vec(), Kept::Linked),
        ("config.json", b"{}".to_vec(), Kept::Plain),
    ] {
        let place = place(&[]);
        let etag = place.hub.put(name, &content, kept);
        let part = match kept {
            Kept::Linked => "GET /contents/",
            Kept::Plain => "GET /api/resolve-cache/",
        };
        place.hub.mishap(part, Mishap::Garbled);
        let error = place.fails(Kind::Data, "with the hash");
        assert!(error.to_string().contains("was removed"), "{error}");
        assert!(!place.has(&format!("blobs/{etag}.incomplete")));
        assert!(!place.has(&format!("blobs/{etag}")));
        assert!(!place.has(&format!("snapshots/{COMMIT}/{name}")));
        place.fetch().unwrap();
        assert_eq!(
            place.content(&format!("snapshots/{COMMIT}/{name}")),
            content
        );
    }
}

#[test]
fn an_etag_that_is_no_hash_is_compared_by_size_and_never_continued() {
    let place = place(&[("config.json", b"0123456789", Kept::Plain)]);
    place.hub.pretend("config.json", "abc-12");
    place.write("blobs/abc-12.incomplete", b"01234");
    let snapshot = place.fetch().unwrap();
    assert!(!snapshot.files[0].is_verified());
    assert_eq!(place.contents_asked()[0].range, None);
    assert_eq!(place.content("blobs/abc-12"), b"0123456789");
}

#[test]
fn trouble_that_passes_is_waited_for() {
    let place = model();
    for part in ["GET /api/models", "HEAD /org/name", "GET /contents/"] {
        place.hub.mishap(part, Mishap::Status(500, &[]));
        place
            .hub
            .mishap(part, Mishap::Status(429, &[("Retry-After", "0")]));
    }
    place.hub.mishap("GET /api/models", Mishap::Cut(20));
    place
        .hub
        .mishap("GET /api/resolve-cache", Mishap::Status(408, &[]));
    place.fetch().unwrap();
    assert_eq!(
        place.content(&format!("snapshots/{COMMIT}/{FILE}")),
        weights()
    );
}

#[test]
fn trouble_that_stays_is_told_after_as_many_attempts() {
    let place = model();
    for _ in 0..3 {
        place
            .hub
            .mishap("GET /api/models", Mishap::Status(503, &[]));
    }
    place.fails(Kind::Io, "status 503");
    assert_eq!(place.hub.take_seen().len(), 3);
}
