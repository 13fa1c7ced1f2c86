#![doc = include_str!("../README.md")]

mod abandon;
mod append;
mod atomic;
mod directory;
mod error;
mod fault;
mod read;
mod seal;
mod sha256;

pub use abandon::{Abandoned, abandon};
pub use append::Appender;
pub use atomic::{AtomicFile, appeared, move_new, write_atomically};
pub use directory::{
    UnfinishedDirectory, create_directory, entries, is_unfinished, remove_directory, remove_file, sweep,
    sweep_dead, sync_directory,
};
pub use error::{FileError, Result};
pub use read::{check_own, open_lock, read, read_at_most};
pub use seal::{checksum, is_sealed, is_sealed_after, seal, seal_after, unsealed};
pub use sha256::{Sha256, sha256};
