//! What a process leaves that cannot go on. `abandon` concerns the whole process, so this test has its own.

use gan_files::{AtomicFile, UnfinishedDirectory, abandon, entries, write_atomically};
use std::io::Write;

#[test]
fn what_is_unfinished_goes_and_the_rest_stays() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    write_atomically(&at("old"), b"old").unwrap();
    let mut file = AtomicFile::create(&at("old")).unwrap();
    file.write_all(b"new").unwrap();
    file.flush().unwrap();
    let unfinished = UnfinishedDirectory::beside(&at("directory")).unwrap();
    std::fs::write(unfinished.path().join("inside"), "x").unwrap();
    let complete = UnfinishedDirectory::beside(&at("complete")).unwrap();
    std::fs::write(complete.path().join("inside"), "x").unwrap();
    complete.commit(&at("complete")).unwrap();
    assert_eq!(entries(directory.path()).unwrap().len(), 4);
    abandon();
    assert_eq!(entries(directory.path()).unwrap(), [at("complete"), at("old")]);
    assert_eq!(std::fs::read(at("old")).unwrap(), b"old");
    assert!(at("complete/inside").exists());
}
