//! What the fuzz targets share: files in a directory of their own, and a limit on memory.

pub mod memory;
pub mod model;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// A directory of this process, in memory where Linux has its usual place for that. On a disk, a
/// target would wait for the file system nearly all the time.
pub fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<tempfile::TempDir> = OnceLock::new();
    DIRECTORY
        .get_or_init(|| {
            // One thread, so that an input does the same every time.
            // SAFETY: this is the first call of a target, before any thread is started.
            unsafe { gan_ops::threads::settle(Some(std::num::NonZero::<usize>::MIN)) };
            let memory = Path::new("/dev/shm");
            let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
            tempfile::tempdir_in(place).expect("a directory for temporary files")
        })
        .path()
}

/// Writes a file into [`directory`], in place of the one that the last input wrote.
pub fn file(name: &str, content: &[u8]) -> PathBuf {
    let path = directory().join(name);
    std::fs::write(&path, content).expect("room for a temporary file");
    path
}

/// Takes the first byte off. A target chooses by it what it does with the rest.
pub fn choice(input: &[u8]) -> Option<(u8, &[u8])> {
    input.split_first().map(|(first, rest)| (*first, rest))
}
