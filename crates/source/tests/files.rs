//! PATHs, what they expand to, and what is passed by.

#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test may end by a panic")]

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use source::{Contents, Reader};

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, text) in files {
        write(folder.path(), name, text);
    }
    folder
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
    fs::write(path, text).expect("a file");
}

fn read(paths: &[PathBuf]) -> Contents {
    Reader::new(paths, &mut io::empty()).read()
}

/// The names below `folder`, in reading order.
fn names(folder: &Path, contents: &Contents) -> Vec<String> {
    let prefix = format!("{}/", folder.display());
    contents.files.iter().map(|file| file.path.replace(&prefix, "")).collect()
}

#[test]
fn folders_are_searched_in_the_order_of_names() {
    let folder = folder(&[
        ("b.yaml", "b"),
        ("a/z.yml", "az"),
        ("a/deep/x.json", "x"),
        ("README.md", "no"),
        ("c.yaml~", "no"),
        (".hidden.yaml", "no"),
        (".git/x.yaml", "no"),
        (".b.yaml.swp", "no"),
    ]);
    let contents = read(&[folder.path().to_owned()]);
    assert_eq!(names(folder.path(), &contents), ["a/deep/x.json", "a/z.yml", "b.yaml"]);
    assert_eq!(contents.issues, []);
    assert_eq!(&*contents.files[1].text, "az");
    assert!(contents.files.iter().all(|file| !file.named));
}

#[test]
fn a_file_that_is_named_is_read_whatever_its_name_and_only_once() {
    let folder = folder(&[("routes.txt", "x"), ("a.yaml", "a")]);
    let paths = ["a.yaml", "routes.txt", "", "./a.yaml"].map(|name| folder.path().join(name));
    let contents = read(&paths);
    assert_eq!(names(folder.path(), &contents), ["a.yaml", "routes.txt"]);
    assert!(contents.files[1].named);
}

#[test]
fn what_is_missing_or_empty_is_said() {
    let folder = folder(&[("empty/note.txt", "x")]);
    let contents = read(&[folder.path().join("nowhere"), folder.path().join("empty")]);
    let messages: Vec<_> = contents.issues.iter().map(|issue| issue.message.as_str()).collect();
    assert!(messages[0].contains("nowhere cannot be read: it does not exist"), "{messages:?}");
    assert!(messages[1].ends_with("holds no .yaml, .yml or .json file"), "{messages:?}");
    assert_eq!(contents.unreadable.len(), 1);
}

#[test]
fn a_file_that_is_not_text_names_the_line() {
    let folder = folder(&[]);
    fs::write(folder.path().join("x.yaml"), b"a: 1\nb: \xff\n").expect("a file");
    let contents = read(&[folder.path().to_owned()]);
    assert!(contents.issues[0].message.contains("it is not UTF-8 text (line 2)"));
    assert!(contents.unreadable[0].ends_with("x.yaml"));
}

#[test]
fn kustomizations_and_helm_charts_are_passed_by_with_a_note() {
    let folder = folder(&[
        ("base/kustomization.yaml", "resources: [route.yaml]"),
        ("base/route.yaml", "kind: x"),
        ("chart/Chart.yaml", "name: x"),
        ("chart/values.yaml", "a: 1"),
        ("chart/templates/route.yaml", "{{ .Values.a }}"),
    ]);
    let contents = read(&[folder.path().to_owned()]);
    assert_eq!(names(folder.path(), &contents), ["base/route.yaml"]);
    let hints: Vec<_> = contents.issues.iter().filter_map(|issue| issue.hint.clone()).collect();
    assert!(hints[0].contains("kubectl kustomize"), "{hints:?}");
    assert!(hints[1].contains("helm template"), "{hints:?}");
    assert!(contents.issues.iter().all(|issue| issue.severity == translate::Severity::Note));
}

#[cfg(unix)]
#[test]
fn links_are_followed_but_not_in_circles() {
    use std::os::unix::fs::symlink;
    let folder = folder(&[("real/a.yaml", "a"), ("..2026_01/cm.yaml", "cm")]);
    symlink(folder.path(), folder.path().join("real/up")).expect("a link");
    symlink("..2026_01", folder.path().join("..data")).expect("a link");
    symlink("..data/cm.yaml", folder.path().join("cm.yaml")).expect("a link");
    let contents = read(&[folder.path().to_owned()]);
    assert_eq!(names(folder.path(), &contents), ["cm.yaml", "real/a.yaml"]);
    assert_eq!(contents.issues, []);
}

#[test]
fn standard_input_is_read_once_and_kept() {
    let mut stdin = io::Cursor::new(b"a: 1\n".to_vec());
    let mut reader = Reader::new(&[PathBuf::from("-")], &mut stdin);
    for _ in 0..2 {
        let contents = reader.read();
        assert_eq!(&*contents.files[0].path, "<stdin>");
        assert_eq!(&*contents.files[0].text, "a: 1\n");
    }
}

#[test]
fn a_rewritten_file_is_read_again() {
    let folder = folder(&[("a.yaml", "one")]);
    let mut reader = Reader::new(&[folder.path().to_owned()], &mut io::empty());
    assert_eq!(&*reader.read().files[0].text, "one");
    write(folder.path(), "a.yaml", "two");
    assert_eq!(&*reader.read().files[0].text, "two");
    fs::remove_file(folder.path().join("a.yaml")).expect("the file is there");
    assert_eq!(reader.read().files, []);
}
