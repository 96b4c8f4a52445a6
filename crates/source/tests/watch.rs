//! Real files, real events: every change is followed by a signal.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test may end by a panic")]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::mpsc::Receiver,
    time::Duration,
};

use source::{Watcher, watch::Timing};

/// Far longer than any machine needs; reached only when a signal never comes.
const BOUND: Duration = Duration::from_secs(30);

fn expect_signal(signals: &Receiver<()>) {
    signals.recv_timeout(BOUND).expect("a signal follows the change");
}

/// Takes signals until `path` has been seen to hold `text` after one.
fn expect_signal_for(signals: &Receiver<()>, path: &Path, text: &str) {
    loop {
        expect_signal(signals);
        if fs::read_to_string(path).is_ok_and(|found| found == text) {
            return;
        }
    }
}

/// Events alone: the comparison never runs.
fn events_only(paths: &[PathBuf]) -> (Watcher, Receiver<()>) {
    let timing = Timing { poll: Duration::from_secs(3600), ..Timing::default() };
    let (watcher, signals) = Watcher::with_timing(paths, timing);
    assert_eq!(watcher.events_missing(), None);
    (watcher, signals)
}

#[test]
fn a_write_a_new_file_and_a_removal_are_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.yaml");
    let (_watcher, signals) = events_only(&[folder.path().to_owned()]);
    fs::write(&file, "one").expect("a file");
    expect_signal_for(&signals, &file, "one");
    fs::write(&file, "two").expect("a file");
    expect_signal_for(&signals, &file, "two");
    fs::remove_file(&file).expect("the file is there");
    expect_signal(&signals);
}

#[test]
fn a_file_in_a_folder_made_later_is_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_watcher, signals) = events_only(&[folder.path().to_owned()]);
    let below = folder.path().join("new/below");
    fs::create_dir_all(&below).expect("a folder");
    expect_signal(&signals);
    // The new folders are watched before the signal is given, all but those made meanwhile,
    // which cause a signal of their own.
    let file = below.join("a.yaml");
    fs::write(&file, "one").expect("a file");
    expect_signal_for(&signals, &file, "one");
}

#[test]
fn a_rename_onto_a_watched_file_is_seen() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.yaml");
    fs::write(&file, "one").expect("a file");
    let (_watcher, signals) = events_only(std::slice::from_ref(&file));
    for text in ["two", "three"] {
        let draft = folder.path().join(".a.yaml.swp");
        fs::write(&draft, text).expect("a file");
        fs::rename(&draft, &file).expect("a rename");
        expect_signal_for(&signals, &file, text);
    }
}

#[cfg(unix)]
#[test]
fn the_symlink_swap_of_a_mounted_config_map_is_seen() {
    use std::os::unix::fs::symlink;
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let publish = |revision: &str, text: &str| {
        fs::create_dir(path(revision)).expect("a folder");
        fs::write(path(revision).join("gateway.yaml"), text).expect("a file");
        symlink(revision, path("..data_tmp")).expect("a link");
        fs::rename(path("..data_tmp"), path("..data")).expect("a rename");
    };
    publish("..2026_01", "one");
    symlink("..data/gateway.yaml", path("gateway.yaml")).expect("a link");
    for paths in [[folder.path().to_owned()], [path("gateway.yaml")]] {
        let revision = format!("..next_{}", paths[0].ends_with("gateway.yaml"));
        let (_watcher, signals) = events_only(&paths);
        publish(&revision, &revision);
        expect_signal_for(&signals, &path("gateway.yaml"), &revision);
    }
}

#[test]
fn changes_are_found_without_events_too() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.yaml");
    fs::write(&file, "one").expect("a file");
    let poll = Duration::from_millis(5);
    let timing = Timing { poll, events: false, ..Timing::default() };
    let (watcher, signals) = Watcher::with_timing(&[folder.path().to_owned()], timing);
    assert!(watcher.events_missing().is_some());
    fs::write(&file, "longer").expect("a file");
    expect_signal_for(&signals, &file, "longer");
    fs::remove_file(&file).expect("the file is there");
    expect_signal(&signals);
}

#[test]
fn reading_the_files_is_no_change() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("a.yaml");
    fs::write(&file, "one").expect("a file");
    let (watcher, signals) = events_only(&[folder.path().to_owned()]);
    for _ in 0..100 {
        fs::read_to_string(&file).expect("the file is there");
    }
    drop(watcher);
    // The watcher is gone, and with it every signal that it would have given.
    assert!(signals.try_recv().is_err());
}
