#![doc = include_str!("../README.md")]

mod atomic;
mod error;
mod sha256;

pub use atomic::{AtomicFile, UNFINISHED, sync_directory, write_atomically};
pub use error::{FileError, Result};
pub use sha256::{Sha256, sha256};
