//! What lies in the cache afterwards, and what is asked for again.

use std::sync::mpsc;

use tenon_base::files::{self, RealDisk};
use tenon_base::{Kind, hash};
use tenon_data::hub::{Repo, Selection, cached_snapshot, fetch};
use tenon_testkit::{Fault, FaultDisk, Kept};

use crate::place::{COMMIT, FOLDER, model, place, request, weights};

#[cfg(unix)]
#[test]
fn the_cache_has_the_layout_of_the_hubs_own_tools() {
    let place = place(&[
        ("config.json", b"{}", Kept::Plain),
        ("empty.txt", b"", Kept::Plain),
        ("sub/deep er/a.bin", b"abc", Kept::Linked),
    ]);
    let snapshot = place.fetch_on(&RealDisk, Selection::All).unwrap();
    // Both hashes as `git hash-object` gives them.
    let config = "9e26dfeeb6e641a33dae4961196235bdb965b21b";
    let empty = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";
    let deep = hash::sha256(b"abc");
    let expected = [
        (format!(".locks/{FOLDER}/{config}.lock"), String::new()),
        (format!(".locks/{FOLDER}/{deep}.lock"), String::new()),
        (format!(".locks/{FOLDER}/{empty}.lock"), String::new()),
        (format!("{FOLDER}/blobs/{config}"), "{}".to_owned()),
        (format!("{FOLDER}/blobs/{deep}"), "abc".to_owned()),
        (format!("{FOLDER}/blobs/{empty}"), String::new()),
        (format!("{FOLDER}/refs/main"), COMMIT.to_owned()),
        (
            format!("{FOLDER}/snapshots/{COMMIT}/config.json"),
            format!("-> ../../blobs/{config}"),
        ),
        (
            format!("{FOLDER}/snapshots/{COMMIT}/empty.txt"),
            format!("-> ../../blobs/{empty}"),
        ),
        (
            format!("{FOLDER}/snapshots/{COMMIT}/sub/deep er/a.bin"),
            format!("-> ../../../../blobs/{deep}"),
        ),
    ];
    assert_eq!(place.tree().into_iter().collect::<Vec<_>>(), expected);
    let folder = place.cache.path().join(FOLDER);
    assert_eq!(snapshot.path, folder.join("snapshots").join(COMMIT));
    assert_eq!(snapshot.commit, COMMIT);
    let facts = snapshot
        .files
        .iter()
        .map(|f| (f.name.as_str(), f.bytes, f.sha256(), f.reused));
    let expected = [
        ("config.json", 2, None, false),
        ("empty.txt", 0, None, false),
        ("sub/deep er/a.bin", 3, Some(deep.as_str()), false),
    ];
    assert_eq!(facts.collect::<Vec<_>>(), expected);
    assert!(snapshot.files.iter().all(|file| file.is_verified()));
}

#[test]
fn a_second_run_loads_nothing_and_asks_for_the_list_alone() {
    let place = model();
    let first = place.fetch().unwrap();
    place.hub.take_seen();
    let second = place.fetch().unwrap();
    let seen = place.hub.take_seen();
    assert_eq!(seen.len(), 1, "{seen:?}");
    assert!(
        seen[0]
            .path
            .starts_with("/api/models/org/name/revision/main"),
        "{seen:?}"
    );
    assert!(second.files.iter().all(|file| file.reused));
    assert_eq!((&first.path, &first.commit), (&second.path, &second.commit));
    assert_eq!(first.files[1].etag, second.files[1].etag);
}

#[test]
fn only_what_is_selected_is_loaded() {
    let place = place(&[
        ("config.json", b"{}", Kept::Plain),
        ("model.safetensors", b"weights", Kept::Linked),
        ("pytorch_model.bin", b"again", Kept::Linked),
        ("onnx/model.onnx", b"and again", Kept::Linked),
    ]);
    let names = |selection| {
        let snapshot = place.fetch_on(&RealDisk, selection).unwrap();
        snapshot
            .files
            .into_iter()
            .map(|file| file.name)
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names(Selection::Model),
        ["config.json", "model.safetensors"]
    );
    let include = Selection::Include(vec!["*.onnx".to_owned()]);
    assert_eq!(names(include), ["onnx/model.onnx"]);
    assert!(!place.has(&format!("snapshots/{COMMIT}/pytorch_model.bin")));
    assert_eq!(names(Selection::All).len(), 4);
    let none = Selection::Include(vec!["*.h5".to_owned()]);
    assert_eq!(
        place.fetch_on(&RealDisk, none).unwrap_err().kind(),
        Kind::Usage
    );
}

#[test]
fn a_commit_by_its_hash_leaves_no_reference() {
    let place = model();
    let request = request(COMMIT, Selection::Model);
    fetch(&RealDisk, &place.access, &request, &mut |_| {}).unwrap();
    assert!(!place.has("refs"));
    let repo = Repo::parse("org/name").unwrap();
    let cached = |revision| cached_snapshot(&RealDisk, place.cache.path(), &repo, revision);
    assert!(cached(COMMIT).unwrap().ends_with(COMMIT));
    let error = cached("main").unwrap_err();
    assert_eq!(error.kind(), Kind::Data);
    assert_eq!(error.hint_text(), Some("run `tenon fetch hub org/name`"));
    let error = cached("v1").unwrap_err();
    assert_eq!(error.hint_text(), Some("run `tenon fetch hub org/name@v1`"));
}

#[test]
fn a_new_commit_is_a_new_snapshot_that_shares_what_did_not_change() {
    let place = model();
    let old = place.fetch().unwrap();
    let etag = old.files[0].etag.clone().unwrap();
    let next = "f".repeat(40);
    place.hub.commit(&next);
    place.hub.put("config.json", b"{\"a\": 1}", Kept::Plain);
    place.hub.take_seen();
    let new = place.fetch().unwrap();
    assert_eq!((new.files[0].reused, new.files[1].reused), (false, true));
    assert_eq!(place.contents_asked().len(), 1);
    assert_eq!(place.content("refs/main"), next.as_bytes());
    assert_eq!(
        place.content(&format!("snapshots/{COMMIT}/config.json")),
        b"{}"
    );
    assert_eq!(
        place.content(&format!("snapshots/{next}/config.json")),
        b"{\"a\": 1}"
    );
    assert!(place.has(&format!("blobs/{etag}")));
}

#[test]
fn offline_the_cache_answers_alone() {
    let mut place = model();
    place.access.offline = true;
    let error = place.fails(Kind::Io, "HF_HUB_OFFLINE");
    assert!(error.message().contains("org/name"), "{error}");
    place.access.offline = false;
    let online = place.fetch().unwrap();
    place.hub.take_seen();
    place.access.offline = true;
    let offline = place.fetch().unwrap();
    assert_eq!(offline.path, online.path);
    assert_eq!(offline.files.len(), 2);
    assert!(offline.files.iter().all(|file| file.reused));
    assert_eq!(place.hub.take_seen(), []);
}

#[test]
fn what_other_tools_put_into_the_cache_is_found() {
    let place = model();
    place.write("refs/main", format!("{COMMIT}\n").as_bytes());
    place.write(&format!("snapshots/{COMMIT}/config.json"), b"{}");
    let repo = Repo::parse("org/name").unwrap();
    let found = cached_snapshot(&RealDisk, place.cache.path(), &repo, "main").unwrap();
    assert!(found.join("config.json").exists());
    let snapshot = place.fetch().unwrap();
    let facts = snapshot.files.iter().map(|f| (f.reused, f.etag.is_some()));
    assert_eq!(facts.collect::<Vec<_>>(), [(true, false), (false, true)]);
    place.write("refs/main", b"../../elsewhere");
    let error = cached_snapshot(&RealDisk, place.cache.path(), &repo, "main").unwrap_err();
    assert_eq!(error.kind(), Kind::Data, "{error}");
}

#[test]
fn a_content_of_the_wrong_size_is_loaded_again() {
    let place = model();
    let file = place.fetch().unwrap().files.remove(1);
    let blob = format!("blobs/{}", file.etag.unwrap());
    place.write(&blob, &weights()[..1000]);
    place.hub.take_seen();
    let again = place.fetch().unwrap();
    assert_eq!(
        (again.files[0].reused, again.files[1].reused),
        (true, false)
    );
    assert_eq!(place.contents_asked().len(), 1);
    assert_eq!(place.content(&blob), weights());
}

#[test]
fn progress_tells_files_bytes_and_how_far() {
    let place = place(&[("a", b"", Kept::Plain), ("b", b"0123456789", Kept::Linked)]);
    let said = [
        "2 files, Some(10)",
        "a 0/0",
        "a done",
        "b 0/10",
        "b 0/10",
        "b 10/10",
        "b done",
    ];
    let events = place.events();
    assert_eq!(events.first().map(String::as_str), Some(said[0]));
    assert_eq!(events.last().map(String::as_str), Some("b done"));
    assert!(events.iter().any(|event| event == "b 10/10"), "{events:?}");
    assert_eq!(place.events(), [said[0], "a done", "b done"]);
}

#[test]
fn a_second_program_waits_and_loads_nothing() {
    let place = place(&[("model.safetensors", b"weights", Kept::Linked)]);
    let etag = hash::sha256(b"weights");
    place.write(&format!("../.locks/{FOLDER}/{etag}.lock"), b"");
    let lock = place
        .cache
        .path()
        .join(format!(".locks/{FOLDER}/{etag}.lock"));
    let held = files::lock(&lock, &mut || {}).unwrap();
    let (told, heard) = mpsc::channel();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| {
            let request = request("main", Selection::Model);
            fetch(&RealDisk, &place.access, &request, &mut |event| {
                told.send(format!("{event:?}")).unwrap();
            })
        });
        assert!(heard.recv().unwrap().starts_with("Listed"));
        assert!(heard.recv().unwrap().starts_with("Waiting"));
        place.write(&format!("blobs/{etag}"), b"weights");
        drop(held);
        assert!(second.join().unwrap().unwrap().files[0].reused);
    });
    assert_eq!(place.contents_asked(), []);
}

#[test]
fn two_at_once_load_each_content_once() {
    let place = model();
    std::thread::scope(|scope| {
        let both = [(); 2].map(|()| scope.spawn(|| place.fetch().unwrap()));
        let paths = both.map(|run| run.join().unwrap().path);
        assert_eq!(paths[0], paths[1]);
    });
    assert_eq!(place.contents_asked().len(), 2);
    assert_eq!(
        place.content(&format!("snapshots/{COMMIT}/model.safetensors")),
        weights()
    );
}

#[test]
fn a_program_that_dies_at_any_write_leaves_a_cache_that_is_right_and_goes_on() {
    for fault in [
        Fault::Fail,
        Fault::KillBefore,
        Fault::KillWithin,
        Fault::KillAfter,
    ] {
        for n in 0.. {
            // Two pieces.
            let weights = &weights()[..(1 << 20) + 1000];
            let place = place(&[("model.safetensors", weights, Kept::Linked)]);
            let disk = FaultDisk::at_write(n, fault);
            let died = place.fetch_on(&disk, Selection::Model);
            if !disk.fault_reached() {
                assert!(n > 8, "{n} writes");
                break;
            }
            assert!(died.is_err(), "{fault:?} at {n}");
            for (path, content) in place.tree() {
                let etag = path.strip_prefix(&format!("{FOLDER}/blobs/"));
                if etag.is_some_and(|etag| etag.len() == 64) {
                    assert_eq!(
                        content,
                        format!("{} bytes", weights.len()),
                        "{fault:?} at {n}"
                    );
                }
            }
            place.fetch().unwrap();
            let path = format!("snapshots/{COMMIT}/model.safetensors");
            assert!(place.content(&path) == weights, "{fault:?} at {n}");
        }
    }
}
