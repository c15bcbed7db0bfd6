//! Atomic writes, links and locks, and what a failure leaves behind.

use super::*;
use crate::Kind;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

#[test]
fn an_atomic_write_replaces_the_file_and_leaves_nothing_else() {
    let dir = folder();
    let path = dir.path().join("a.bin");
    RealDisk.write_atomic(&path, b"one").unwrap();
    RealDisk.write_atomic(&path, b"two").unwrap();
    assert_eq!(RealDisk.read(&path).unwrap(), b"two");
    assert_eq!(read_dir(dir.path()).unwrap(), [path]);
}

#[test]
fn a_write_that_fails_keeps_the_old_file_and_removes_its_temporary() {
    let dir = folder();
    let path = dir.path().join("a.bin");
    RealDisk.write_atomic(&path, b"old").unwrap();
    let error = RealDisk
        .write_atomic_with(&path, &mut |file| {
            file.write_all(&[0; 3 << 20])?;
            Err(io::Error::other("the well is dry"))
        })
        .unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
    assert!(error.message().contains("a.bin"), "{error}");
    assert!(error.message().contains("the well is dry"), "{error}");
    assert_eq!(RealDisk.read(&path).unwrap(), b"old");
    assert_eq!(read_dir(dir.path()).unwrap(), [path]);
}

#[test]
fn a_missing_folder_is_an_io_error_that_names_the_file() {
    let dir = folder();
    let path = dir.path().join("absent/a.bin");
    let error = RealDisk.write_atomic(&path, b"x").unwrap_err();
    assert_eq!(error.kind(), Kind::Io);
    assert!(error.message().contains("absent/a.bin"), "{error}");
    assert!(!RealDisk.exists(&path).unwrap());
}

#[test]
fn temporary_files_are_recognised_hidden_and_removed() {
    let dir = folder();
    let kept = dir.path().join("kept");
    let temp = temp_path(&kept);
    assert!(is_temp(&temp) && !is_temp(&kept));
    assert_ne!(temp, temp_path(&kept));
    fs::write(&temp, b"torn").unwrap();
    RealDisk.write_atomic(&kept, b"").unwrap();
    assert_eq!(
        RealDisk.list(dir.path()).unwrap(),
        std::slice::from_ref(&kept)
    );
    assert_eq!(remove_temps(dir.path()).unwrap(), 1);
    assert_eq!(read_dir(dir.path()).unwrap(), [kept]);
}

#[test]
fn append_truncate_and_sync() {
    let dir = folder();
    let path = dir.path().join("log");
    RealDisk.append(&path, b"one\n").unwrap();
    RealDisk.append(&path, b"two\n").unwrap();
    RealDisk.sync(&path).unwrap();
    RealDisk.truncate_to(&path, 4).unwrap();
    assert_eq!(RealDisk.read(&path).unwrap(), b"one\n");
    let error = RealDisk.truncate_to(&path, 5).unwrap_err();
    assert!(error.message().contains("4 bytes, fewer than 5"), "{error}");
    assert_eq!(RealDisk.read(&path).unwrap(), b"one\n");
}

#[test]
fn folders_are_made_listed_in_order_renamed_and_removed() {
    let dir = folder();
    let old = dir.path().join("deep/old");
    let new = dir.path().join("new");
    RealDisk.create_dir_all(&old).unwrap();
    RealDisk.create_dir_all(&old).unwrap();
    for name in ["c", "a", "b"] {
        RealDisk
            .write_atomic(&old.join(name), name.as_bytes())
            .unwrap();
    }
    RealDisk.rename(&old, &new).unwrap();
    assert_eq!(
        RealDisk.list(&new).unwrap(),
        ["a", "b", "c"].map(|name| new.join(name))
    );
    RealDisk.remove_file(&new.join("a")).unwrap();
    RealDisk.remove_dir_all(&new).unwrap();
    RealDisk.remove_dir_all(&new).unwrap();
    assert!(!RealDisk.exists(&new).unwrap());
}

#[cfg(unix)]
#[test]
fn a_link_is_relative_and_replaces_what_is_in_the_way() {
    let dir = folder();
    let link = dir.path().join("sub/link");
    RealDisk.create_dir_all(&dir.path().join("sub")).unwrap();
    for (name, content) in [("a", "one"), ("b", "three")] {
        RealDisk
            .write_atomic(&dir.path().join(name), content.as_bytes())
            .unwrap();
        let target = Path::new("..").join(name);
        RealDisk.link(&target, &link).unwrap();
        assert_eq!(RealDisk.link_target(&link).unwrap(), target);
        assert_eq!(RealDisk.file_bytes(&link).unwrap(), content.len() as u64);
        let mut read = String::new();
        let mut reader = RealDisk.open(&link).unwrap();
        reader.read_to_string(&mut read).unwrap();
        assert_eq!(read, content);
    }
    assert_eq!(read_dir(link.parent().unwrap()).unwrap(), [link]);
    let plain = dir.path().join("a");
    assert!(RealDisk.link_target(&plain).is_err());
}

#[test]
fn a_lock_has_one_holder_and_is_free_after_it() {
    let dir = folder();
    let path = dir.path().join("a.lock");
    let waits = std::cell::Cell::new(0);
    let held = lock(&path, &mut || waits.set(waits.get() + 1)).unwrap();
    let (told, heard) = std::sync::mpsc::channel();
    let other = std::thread::spawn({
        let path = path.clone();
        move || lock(&path, &mut || told.send(()).unwrap()).map(drop)
    });
    heard.recv().expect("the second has to wait");
    drop(held);
    other.join().unwrap().unwrap();
    lock(&path, &mut || waits.set(waits.get() + 1)).unwrap();
    assert_eq!(waits.get(), 0);
    let absent = lock(&dir.path().join("no/a.lock"), &mut || {}).unwrap_err();
    assert_eq!(absent.kind(), Kind::Io);
}
