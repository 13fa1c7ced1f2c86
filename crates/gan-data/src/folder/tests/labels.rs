//! Tests which classes pictures get, from directories, `dataset.json` and archives.

use super::*;
use crate::folder::labels::Labels;
use std::io::Write as _;

/// A directory with a picture at each of these paths. The pictures are gray: 0, 10, 20, ...
fn tree(paths: &[&str]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (n, path) in paths.iter().enumerate() {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        GrayImage::from_pixel(4, 4, Luma([n as u8 * 10])).save(path).unwrap();
    }
    dir
}

/// The directory in a zip archive, and the archive's path.
fn zipped(dir: &Path) -> (tempfile::TempDir, std::path::PathBuf) {
    fn add(zip: &mut zip::ZipWriter<std::fs::File>, dir: &Path, prefix: &str) {
        let mut entries: Vec<_> =
            std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()).collect();
        entries.sort();
        for path in entries {
            let name = format!("{prefix}{}", path.file_name().unwrap().to_str().unwrap());
            if path.is_dir() {
                add(zip, &path, &format!("{name}/"));
            } else {
                let stored = zip::write::SimpleFileOptions::default()
                    .compression_method(zip::CompressionMethod::Stored);
                zip.start_file(name, stored).unwrap();
                zip.write_all(&std::fs::read(path).unwrap()).unwrap();
            }
        }
    }
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("set.ZIP");
    let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
    add(&mut zip, dir, "");
    zip.finish().unwrap();
    (home, path)
}

/// Labels and names of classes.
fn classes(path: &Path) -> (Option<Vec<u16>>, Vec<String>) {
    let data = load(path, 4, 1).unwrap();
    (data.labels().map(<[u16]>::to_vec), data.class_names().to_vec())
}

#[test]
fn directories_are_classes_in_the_order_of_their_names() {
    let dir = tree(&["dog/b.png", "cat/z.png", "dog/sub/a.png", "Bird/1.png"]);
    std::fs::create_dir(dir.path().join("empty")).unwrap();
    let expected = (Some(vec![0, 1, 2, 2]), vec!["Bird".to_owned(), "cat".into(), "dog".into()]);
    assert_eq!(classes(dir.path()), expected);
    let (_home, archive) = zipped(dir.path());
    assert_eq!(classes(&archive), expected);
    let [of_dir, of_archive] = [dir.path(), &archive].map(|path| load(path, 4, 1).unwrap());
    assert_eq!(of_dir.fingerprint(), of_archive.fingerprint());
    // A single directory around the classes changes nothing. Archives of a folder have one.
    let outer = tree(&["all/dog/b.png", "all/cat/z.png", "__MACOSX/all/._b.png", ".git/c/x.png"]);
    let (_home, archive) = zipped(outer.path());
    for path in [outer.path(), &archive] {
        assert_eq!(classes(path), (Some(vec![0, 1]), vec!["cat".to_owned(), "dog".into()]));
    }
}

/// The grids of a run are generated pictures.
#[test]
fn runs_are_passed_over_in_archives_too() {
    let dir = tree(&["cat/a.png", "old/samples/step-1.png", "old/inner/b.png", "dog/c.png", "half/d.png"]);
    for file in ["old/config.toml", "old/metrics.jsonl", "old/inner/config.toml", "half/config.toml"] {
        std::fs::write(dir.path().join(file), "").unwrap();
    }
    std::fs::write(dir.path().join("old/inner/metrics.jsonl"), "").unwrap();
    let (_home, archive) = zipped(dir.path());
    for path in [dir.path(), &archive] {
        assert_eq!(classes(path).1, ["cat", "dog", "half"]);
        assert!(load(path, 4, 1).unwrap().source().contains("a run of gan-cli passed over"));
    }
}

/// People collect a data set out of directories that lie elsewhere.
#[cfg(unix)]
#[test]
fn directories_that_are_links_are_classes() {
    let elsewhere = tree(&["1/a.png", "1/b.png", "2/c.png"]);
    let dir = tempfile::tempdir().unwrap();
    for (class, place) in [("dog", "1"), ("cat", "2")] {
        std::os::unix::fs::symlink(elsewhere.path().join(place), dir.path().join(class)).unwrap();
    }
    assert_eq!(classes(dir.path()), (Some(vec![0, 1, 1]), vec!["cat".to_owned(), "dog".into()]));
    let data = load(dir.path(), 4, 1).unwrap();
    assert_eq!([0, 1, 2].map(|i| data.image(i)[0]), [20, 0, 10]);
}

#[test]
fn other_directories_are_no_classes() {
    for paths in [&["a.png", "cat/b.png", "dog/c.png"][..], &["cat/a.png", "cat/x/b.png"], &["a.png"]] {
        assert_eq!(classes(tree(paths).path()), (None, vec![]), "{paths:?}");
    }
    let stray = tree(&["cover.png", "cat/b.png", "dog/c.png"]);
    let source = load(stray.path(), 4, 1).unwrap().source().to_owned();
    let why = "; the directories are no classes, because 1 of 3 pictures are outside of them";
    assert!(source.ends_with(why), "{source}");
    let splits = tree(&["train/cat/a.png", "Test/cat/b.png"]);
    let data = load(splits.path(), 4, 1).unwrap();
    assert_eq!(data.labels(), None);
    assert!(data.source().ends_with("; Test and train are no classes (name one of them as the folder)"));
    let many: Vec<_> = (0..1001).map(|n| format!("{n}/a.png")).collect();
    let labels = Labels::of_directories(many.iter().map(Path::new));
    assert_eq!(labels.doubt(), Some("1001 directories are more than 1000 classes"));
    let most = Labels::of_directories(many[1..].iter().map(Path::new));
    assert!(matches!(most, Labels::Known { classes: 1000, .. }));
}

#[test]
fn dataset_json_says_the_classes() {
    // Written as StyleGAN's dataset_tool.py does. There directories mean nothing.
    let dir = tree(&["00000/img00000000.png", "00000/img00000001.png", "00001/img00001000.png"]);
    let json = dir.path().join("dataset.json");
    let write = |text: &str| std::fs::write(&json, text).unwrap();
    write(
        r#"{"labels": [["00001/img00001000.png", 6], ["00000/img00000000.png", 2], ["00000/img00000001.png", 0]]}"#,
    );
    let (_home, archive) = zipped(dir.path());
    for path in [dir.path(), &archive] {
        assert_eq!(classes(path), (Some(vec![2, 0, 6]), vec![]));
        let data = load(path, 4, 1).unwrap();
        assert_eq!(data.class_counts(), Some(vec![1, 0, 1, 0, 0, 0, 1]));
        assert!(data.source().ends_with(&path.display().to_string()), "{}", data.source());
    }
    // A picture that is not there is said to be missing.
    let (gone, elsewhere) = (dir.path().join("00001/img00001000.png"), dir.path().join("gone"));
    std::fs::rename(&gone, &elsewhere).unwrap();
    let data = load(dir.path(), 4, 1).unwrap();
    assert_eq!(data.labels(), Some(&[2, 0][..]));
    assert!(data.source().ends_with("; 1 picture of dataset.json is missing"), "{}", data.source());
    std::fs::rename(&elsewhere, &gone).unwrap();
    // The same with a directory around everything.
    let outer = tree(&["faces/00000/a.png", "faces/00001/b.png"]);
    let inner = r#"{"labels": [["00000/a.png", 1], ["00001/b.png", 0]]}"#;
    std::fs::write(outer.path().join("faces/dataset.json"), inner).unwrap();
    let (_home, archive) = zipped(outer.path());
    for path in [outer.path(), &outer.path().join("faces"), &archive] {
        assert_eq!(classes(path), (Some(vec![1, 0]), vec![]));
    }
    write(r#"{"labels": null}"#);
    assert_eq!(classes(dir.path()), (None, vec![]));
    // Not StyleGAN's file.
    write(r#"{"images": 3}"#);
    assert_eq!(classes(dir.path()).1, ["00000", "00001"]);
    let labels = |labels: [&str; 3]| {
        let [a, b, c] = labels;
        format!(
            r#""labels": [["00000/img00000000.png", {a}], ["00000\\img00000001.png", {b}], ["00001/img00001000.png", {c}], ["gone.png", "x"]]"#
        )
    };
    write(&format!("{{{}, \"classes\": [\"cat\", \"dog\", \"owl\"]}}", labels(["0", "1", "1"])));
    assert_eq!(classes(dir.path()), (Some(vec![0, 1, 1]), ["cat", "dog", "owl"].map(Into::into).to_vec()));
    for (text, expected) in [
        ("{", "dataset.json: is not JSON (EOF".to_owned()),
        (r#"{"labels": {"a": 1}}"#, "expected {\"labels\": [[\"00000/img.png\", 6], ...]}, found ".into()),
        (r#"{"labels": [["a", 1], ["a", 2]]}"#, "dataset.json: a has two labels".into()),
        (r#"{"labels": null, "labels": []}"#, "found duplicate field `labels`".into()),
        (r#"{"labels": []}"#, "3 of 3 pictures have no label: 00000/img00000000.png".into()),
        (
            &format!("{{{}}}", labels(["0", "-1", "1"])),
            "img00000001.png: expected a label from 0 to 999, found -1".into(),
        ),
        (&format!("{{{}}}", labels(["0", "[0.5, 1]", "1"])), "found [0.5,1]".into()),
        (&format!("{{{}}}", labels(["0", "1000", "1"])), "found 1000".into()),
        (
            &format!("{{{}, \"classes\": [\"cat\"]}}", labels(["0", "1", "1"])),
            "expected 2 names of classes, found 1".into(),
        ),
    ] {
        write(text);
        let error = load(dir.path(), 4, 1).unwrap_err().to_string();
        assert!(error.contains(&expected), "{error}");
    }
}

#[test]
fn names_in_archives_have_several_forms() {
    let png = photograph("png");
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("a.zip");
    let write = |names: &[&str]| {
        let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
        for name in names {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(&png).unwrap();
        }
        zip.finish().unwrap();
    };
    write(&["./\u{65e5}/cat/a.png", "/\u{65e5}/cat/b.png", "\u{65e5}\\dog\\c.png"]);
    assert_eq!(classes(&path), (Some(vec![0, 0, 1]), vec!["cat".to_owned(), "dog".into()]));
    for (names, problem) in [
        (&["a/b.png", "a/../../c.png"][..], "(its entry a/../../c.png leads outside)"),
        (&["a/b.png", "a\\b.png"], "(it has two entries "),
    ] {
        write(names);
        let error = load(&path, 4, 1).unwrap_err().to_string();
        assert!(error.contains(problem), "{error}");
    }
}

#[test]
fn entries_of_the_same_name_are_an_error() {
    let dir = tree(&["cat/a.png", "dog/b.png", "owl/c.png"]);
    let (_home, archive) = zipped(dir.path());
    let mut bytes = std::fs::read(&archive).unwrap();
    while let Some(at) = bytes.windows(9).position(|name| name == b"dog/b.png") {
        bytes[at..at + 9].copy_from_slice(b"cat/a.png");
    }
    std::fs::write(&archive, bytes).unwrap();
    let error = load(&archive, 4, 1).unwrap_err().to_string();
    assert!(error.ends_with("(it has two entries cat/a.png)"), "{error}");
}

/// As programs write it that count the entries with 16 bits only.
#[test]
fn an_archive_of_more_entries_than_its_end_announces_is_an_error() {
    let dir = tree(&["cat/a.png", "dog/b.png", "owl/c.png"]);
    let (_home, archive) = zipped(dir.path());
    let mut bytes = std::fs::read(&archive).unwrap();
    let end = bytes.windows(4).rposition(|part| part == b"PK\x05\x06").unwrap();
    let entries = bytes[end + 8];
    bytes[end + 8] = 2;
    bytes[end + 10] = 2;
    std::fs::write(&archive, bytes).unwrap();
    let error = load(&archive, 4, 1).unwrap_err().to_string();
    assert!(error.contains(&format!("its list has {entries} entries, but its end announces 2, ")), "{error}");
}

#[test]
fn damaged_archives_are_named() {
    let dir = tree(&["a.png"]);
    let (_home, archive) = zipped(dir.path());
    let whole = std::fs::read(&archive).unwrap();
    std::fs::write(&archive, &whole[..whole.len() / 2]).unwrap();
    let error = load(&archive, 4, 1).unwrap_err().to_string();
    assert!(
        error.starts_with(&format!("{}: is no zip archive, or a damaged one", archive.display())),
        "{error}"
    );
    // One byte of the picture is changed.
    let at = whole.windows(4).position(|bytes| bytes == b"IDAT").unwrap() + 10;
    let damaged: Vec<u8> = whole.iter().enumerate().map(|(i, byte)| byte ^ u8::from(i == at)).collect();
    std::fs::write(&archive, damaged).unwrap();
    let error = load(&archive, 4, 1).unwrap_err().to_string();
    assert!(error.contains("1 of 1 pictures cannot be used: a.png: cannot read it ("), "{error}");
    std::fs::write(&archive, "").unwrap();
    assert!(load(&archive, 4, 1).unwrap_err().to_string().contains("is no zip archive"));
    let empty = tempfile::tempdir().unwrap();
    let (_home, archive) = zipped(empty.path());
    assert!(matches!(load(&archive, 4, 1), Err(DataError::NoImages { .. })));
}
